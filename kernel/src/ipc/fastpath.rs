//! The short way for the two system calls that matter most: Call, and ReplyRecv.
//!
//! Each is a list of checks, and then what is left to do when all of them hold. A check that fails leaves everything as it
//! was, for the long way to deal with. What the short way does is what the long way would have done, to the last word of
//! memory; a test compares them.

use super::endpoint::flags_of;
use super::queue::{self, Queue};
use crate::kernel::Kernel;
use crate::machine::{Machine, Memory};
use crate::objects::capability::Capability;
use crate::objects::slot::{Links, Slot};
use crate::objects::tcb::{State, Tcb, blocked};
use crate::scheduler::Action;
use kaal_abi::fault::Kind;
use kaal_abi::{MessageInfo, REGISTER_WORDS, Syscall, WORD_BITS};

/// Bits of x1 that hold the length and the number of extra capabilities: neither may be more than registers carry.
const SHORT: u64 = 0x1ff;

/// The message, if it fits registers and brings no capabilities.
#[inline(always)]
fn short_message(info: u64) -> Option<MessageInfo> {
    (info & SHORT <= REGISTER_WORDS as u64).then_some(MessageInfo(info))
}

/// Copies a short message.
#[inline(always)]
fn copy(memory: &mut impl Memory, from: Tcb, to: Tcb, info: MessageInfo, badge: u64) {
    let length = info.0 & SHORT;
    // Without a loop: each word is a comparison, a load and a store.
    for n in [0, 1, 2, 3] {
        if n >= length {
            break;
        }
        let word = from.x(memory, 2 + n);
        to.set_x(memory, 2 + n, word);
    }
    to.set_x(memory, 0, badge);
    to.set_x(memory, 1, info.with_caps(0, 0).0);
}

impl<M: Machine> Kernel<M> {
    /// Does the current thread's system call the short way, and says who runs then. `None`: it has not, and nothing has
    /// changed.
    #[inline(always)]
    pub fn fast_syscall(&mut self) -> Option<Tcb> {
        let thread = self.current?;
        if self.scheduler.action() != Action::Resume {
            return None;
        }
        match thread.x(&self.machine, 7) as i64 {
            number if number == Syscall::Call as i64 => self.fast_call(thread),
            number if number == Syscall::ReplyRecv as i64 => self.fast_reply_recv(thread),
            _ => None,
        }
    }

    /// What x0 names, if the thread's CSpace is one CNode whose guard and index are all bits of an address.
    #[inline(always)]
    fn fast_lookup(&self, thread: Tcb, address: u64) -> Option<Capability> {
        let Capability::CNode { address: slots, radix, guard, guard_bits } =
            thread.cspace().get(&self.machine)
        else {
            return None;
        };
        if radix + guard_bits != WORD_BITS || address >> radix != guard {
            return None;
        }
        Some(Slot(slots).offset(address & ((1 << radix) - 1)).get(&self.machine))
    }

    /// Can a thread that is about to be able to run take the processor from one that is about to wait? Then its address
    /// space.
    #[inline(always)]
    fn successor(&self, thread: Tcb) -> Option<(u64, u16)> {
        let first = thread.domain(&self.machine) == self.scheduler.domain()
            && self.scheduler.is_highest(thread.priority(&self.machine));
        match thread.vspace().get(&self.machine) {
            Capability::VSpace { address, asid } if first => Some((address, asid)),
            _ => None,
        }
    }

    #[inline(always)]
    fn fast_call(&mut self, thread: Tcb) -> Option<Tcb> {
        let info = short_message(thread.x(&self.machine, 1))?;
        let address = thread.x(&self.machine, 0);
        let Capability::Endpoint { address: endpoint, badge, rights } = self.fast_lookup(thread, address)?
        else {
            return None;
        };
        if !rights.write() || !(rights.grant() || rights.grant_reply()) {
            return None;
        }
        if queue::kind(&self.machine, endpoint) != Queue::Receivers {
            return None;
        }
        let receiver = queue::first(&self.machine, endpoint)?;
        let (root, asid) = self.successor(receiver)?;
        let (master, caller) = (thread.reply(), receiver.caller());
        let of_master = master.links(&self.machine);
        if of_master.next.is_some() || master.is_empty(&self.machine) || !caller.is_empty(&self.machine) {
            return None;
        }

        let memory = &mut self.machine;
        queue::remove_first(memory, endpoint, receiver);
        copy(memory, thread, receiver, info, badge);
        let grant = receiver.blocked_flags(memory) & blocked::GRANT != 0;
        receiver.set_state(memory, State::Running);
        thread.set_state(memory, State::BlockedOnReply);
        caller.set(memory, Capability::Reply { thread: thread.0, master: false, grant });
        caller.set_links(memory, Links { previous: Some(master), ..Links::default() });
        master.set_links(memory, Links { next: Some(caller), ..of_master });
        memory.switch_user_map(root, asid);
        self.current = Some(receiver);
        self.current
    }

    #[inline(always)]
    fn fast_reply_recv(&mut self, thread: Tcb) -> Option<Tcb> {
        let info = short_message(thread.x(&self.machine, 1))?;
        let slot = thread.caller();
        let Capability::Reply { thread: caller, master: false, .. } = slot.get(&self.machine) else {
            return None;
        };
        let caller = Tcb(caller);
        let address = thread.x(&self.machine, 0);
        let Capability::Endpoint { address: endpoint, rights, .. } = self.fast_lookup(thread, address)?
        else {
            return None;
        };
        if !rights.read() || queue::kind(&self.machine, endpoint) == Queue::Senders {
            return None;
        }
        if thread.bound_notification(&self.machine) != 0
            || caller.fault_kind(&self.machine) != Kind::None as u64
        {
            return None;
        }
        let master = caller.reply();
        let (of_slot, of_master) = (slot.links(&self.machine), master.links(&self.machine));
        if of_slot.next.is_some() || of_slot.previous != Some(master) {
            return None;
        }
        let (root, asid) = self.successor(caller)?;

        let memory = &mut self.machine;
        copy(memory, thread, caller, info, 0);
        master.set_links(memory, Links { next: None, ..of_master });
        slot.set(memory, Capability::Null);
        slot.set_links(memory, Links::default());
        caller.set_state(memory, State::Running);
        thread.set_blocked_flags(memory, flags_of(rights));
        thread.set_state(memory, State::BlockedOnReceive);
        queue::append(memory, endpoint, thread, Queue::Receivers);
        memory.switch_user_map(root, asid);
        self.current = Some(caller);
        self.current
    }
}

#[cfg(test)]
mod tests;
