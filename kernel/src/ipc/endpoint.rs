//! Endpoints: where senders and receivers meet.

use super::queue::{self, Queue};
use crate::kernel::{Kernel, Preempted};
use crate::machine::Machine;
use crate::objects::capability::Rights;
use crate::objects::tcb::{State, Tcb, blocked};
use kaal_abi::fault::Kind;

/// How a message is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sending {
    /// Wait for a receiver.
    pub blocking: bool,
    /// Wait for a reply then.
    pub call: bool,
    /// The badge of the capability.
    pub badge: u64,
    /// Its rights.
    pub rights: Rights,
}

/// The rights that matter once a thread waits, as [`Tcb::blocked_flags`] keeps them.
pub(super) fn flags_of(rights: Rights) -> u64 {
    let flag = |set, bit| if set { bit } else { 0 };
    flag(rights.grant(), blocked::GRANT) | flag(rights.grant_reply(), blocked::GRANT_REPLY)
}

impl<M: Machine> Kernel<M> {
    /// Sends the running thread's message, or a thread's pending fault, to an endpoint.
    pub fn send(&mut self, thread: Tcb, endpoint: u64, sending: Sending) {
        let Queue::Receivers = queue::kind(&self.machine, endpoint) else {
            if sending.blocking {
                let memory = &mut self.machine;
                let call = u64::from(sending.call) * blocked::CALL;
                thread.set_send_badge(memory, sending.badge);
                thread.set_blocked_flags(memory, flags_of(sending.rights) | call);
                thread.set_state(memory, State::BlockedOnSend);
                queue::append(memory, endpoint, thread, Queue::Senders);
                self.unschedule(thread);
            }
            return;
        };
        let receiver = queue::take_first(&mut self.machine, endpoint).expect("a queue of receivers has one");
        self.hand_over(thread, Some(endpoint), sending.badge, sending.rights.grant(), receiver);
        let receiver_grants = receiver.blocked_flags(&self.machine) & blocked::GRANT != 0;
        self.complete(receiver);
        if sending.call {
            self.await_reply(thread, receiver, sending.rights, receiver_grants);
        }
    }

    /// Receives from an endpoint, or from the notification bound to the thread.
    pub fn receive(&mut self, thread: Tcb, endpoint: u64, rights: Rights, blocking: bool) {
        let bound = thread.bound_notification(&self.machine);
        if bound != 0 && queue::kind(&self.machine, bound) == Queue::Active {
            self.take_signals(thread, bound);
            return;
        }
        if queue::kind(&self.machine, endpoint) != Queue::Senders {
            if blocking {
                let memory = &mut self.machine;
                thread.set_blocked_flags(memory, flags_of(rights));
                thread.set_state(memory, State::BlockedOnReceive);
                queue::append(memory, endpoint, thread, Queue::Receivers);
                self.unschedule(thread);
            } else {
                self.nothing_received(thread);
            }
            return;
        }
        let sender = queue::take_first(&mut self.machine, endpoint).expect("a queue of senders has one");
        let flags = sender.blocked_flags(&self.machine);
        let badge = sender.send_badge(&self.machine);
        self.hand_over(sender, Some(endpoint), badge, flags & blocked::GRANT != 0, thread);
        if flags & blocked::CALL != 0 || sender.fault_kind(&self.machine) != Kind::None as u64 {
            let bits = if flags & blocked::GRANT != 0 { kaal_abi::rights::GRANT } else { 0 }
                | if flags & blocked::GRANT_REPLY != 0 { kaal_abi::rights::GRANT_REPLY } else { 0 };
            self.await_reply(sender, thread, Rights::from_bits(bits), rights.grant());
        } else {
            self.complete(sender);
        }
    }

    /// What a receive without waiting returns where there is nothing: badge 0.
    pub(crate) fn nothing_received(&mut self, thread: Tcb) {
        thread.set_x(&mut self.machine, 0, 0);
    }

    /// The last capability to an endpoint goes: whoever waits there makes its system call again, and finds none.
    pub fn cancel_all_ipc(&mut self, endpoint: u64) {
        self.take_all_back(endpoint);
    }

    /// Ends the sends in progress that carry a badge.
    pub fn cancel_badged_sends(&mut self, endpoint: u64, badge: u64) -> Result<(), Preempted> {
        if queue::kind(&self.machine, endpoint) != Queue::Senders {
            return Ok(());
        }
        let mut next = queue::first(&self.machine, endpoint);
        let mut steps = 0u32;
        while let Some(thread) = next {
            next = match thread.wait_next(&self.machine) {
                0 => None,
                address => Some(Tcb(address)),
            };
            if thread.send_badge(&self.machine) == badge {
                self.cancel_ipc(thread);
                thread.set_state(&mut self.machine, State::Running);
                self.enqueue(thread);
                self.reschedule();
            }
            steps += 1;
            if next.is_some() && steps.is_multiple_of(16) && self.machine.interrupt_pending() {
                return Err(Preempted);
            }
        }
        Ok(())
    }
}
