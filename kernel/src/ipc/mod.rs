//! Messages between threads: endpoints, notifications, replies, faults.
//!
//! A thread that waits in an endpoint or notification is in its queue and in the state that says why. The program counter
//! of a thread that waits in a system call is already behind the SVC: whoever completes the call only makes the thread
//! able to run; whoever takes it out of the call instead moves it back, so that it makes the call again.

pub mod endpoint;
pub mod fastpath;
pub mod fault;
pub mod notification;
pub mod queue;
pub mod reply;
pub mod transfer;

use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::objects::tcb::{State, Tcb, frame};
use kaal_abi::fault::Kind;

/// Bytes of an instruction.
const INSTRUCTION: u64 = 4;

impl<M: Machine> Kernel<M> {
    /// A thread's system call is over: it can run on.
    #[inline]
    pub(crate) fn complete(&mut self, thread: Tcb) {
        thread.set_state(&mut self.machine, State::Running);
        self.candidate(thread);
    }

    /// Moves a thread back to the system call it has not finished.
    pub(crate) fn repeat_call(&mut self, thread: Tcb) {
        let pc = thread.frame(&self.machine, frame::PC);
        thread.set_frame(&mut self.machine, frame::PC, pc.wrapping_sub(INSTRUCTION));
    }

    /// A blocked thread, out of its queue, is to repeat what it was blocked in: its system call, or the instruction that
    /// faulted.
    fn take_back(&mut self, thread: Tcb) {
        // After a fault it is at the instruction already.
        if thread.fault_kind(&self.machine) == Kind::None as u64 {
            self.repeat_call(thread);
        }
        thread.set_fault_kind(&mut self.machine, Kind::None as u64);
        thread.set_state(&mut self.machine, State::Inactive);
    }

    /// Takes a thread out of whatever it is blocked in, if anything; then it is inactive.
    pub fn cancel_ipc(&mut self, thread: Tcb) {
        match thread.state(&self.machine) {
            State::BlockedOnSend | State::BlockedOnReceive => {
                let endpoint = thread.waits_for(&self.machine);
                queue::remove(&mut self.machine, endpoint, thread);
            }
            State::BlockedOnNotification => {
                let notification = thread.waits_for(&self.machine);
                queue::remove(&mut self.machine, notification, thread);
            }
            State::BlockedOnReply => self.revoke_reply(thread),
            State::Inactive | State::Running => return,
        }
        self.take_back(thread);
    }

    /// Lets every thread in a queue that is going away repeat what it was blocked in.
    fn take_all_back(&mut self, object: u64) {
        while let Some(thread) = queue::take_first(&mut self.machine, object) {
            self.take_back(thread);
            thread.set_state(&mut self.machine, State::Running);
            self.enqueue(thread);
        }
        self.reschedule();
    }
}

#[cfg(test)]
mod invariants;
#[cfg(test)]
mod tests;
