//! Replies: a capability to answer a caller, once.
//!
//! Every started thread has a master reply capability in a slot of its TCB. While it waits for a reply, one capability
//! derives from it: the one to reply by, in the callee's TCB or wherever that saved it.

use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::objects::capability::{Capability, Rights};
use crate::objects::slot::{Links, Slot};
use crate::objects::tcb::{State, Tcb};
use kaal_abi::fault::Kind;

impl<M: Machine> Kernel<M> {
    /// Makes the master reply capability of a thread, unless it has one.
    pub(crate) fn prepare_reply(&mut self, thread: Tcb) {
        let slot = thread.reply();
        if slot.is_empty(&self.machine) {
            let links = Links { revocable: true, first_badged: true, ..Links::default() };
            slot.set(&mut self.machine, Capability::Reply { thread: thread.0, master: true, grant: true });
            slot.set_links(&mut self.machine, links);
        }
    }

    /// Lets a thread wait for the reply of another, which gets the capability to reply by; without the rights for that
    /// it is inactive, and makes its call again if it is ever resumed.
    pub(super) fn await_reply(&mut self, caller: Tcb, callee: Tcb, rights: Rights, callee_grants: bool) {
        if rights.grant() || rights.grant_reply() {
            caller.set_state(&mut self.machine, State::BlockedOnReply);
            let reply = Capability::Reply { thread: caller.0, master: false, grant: callee_grants };
            self.insert(reply, caller.reply(), callee.caller());
        } else {
            self.take_back(caller);
        }
        self.unschedule(caller);
    }

    /// Takes away the capability to reply to a thread.
    pub(super) fn revoke_reply(&mut self, thread: Tcb) {
        let master = thread.reply();
        if let Some(next) = master.links(&self.machine).next
            && self.is_parent_of(master, next)
        {
            self.delete_one(next);
        }
    }

    /// Replies by the capability in a slot, which is used up.
    pub fn reply(&mut self, sender: Tcb, receiver: Tcb, slot: Slot, grant: bool) {
        if receiver.fault_kind(&self.machine) == Kind::None as u64 {
            self.hand_over(sender, None, 0, grant, receiver);
            self.delete_one(slot);
            self.complete(receiver);
            return;
        }
        self.delete_one(slot);
        let goes_on = self.take_fault_reply(sender, receiver);
        receiver.set_fault_kind(&mut self.machine, Kind::None as u64);
        if goes_on {
            self.complete(receiver);
        } else {
            receiver.set_state(&mut self.machine, State::Inactive);
        }
    }

    /// The Reply system call, and the first half of ReplyRecv: answers whoever called last, if anybody still waits.
    pub fn reply_to_caller(&mut self, thread: Tcb) {
        let slot = thread.caller();
        if let Capability::Reply { thread: caller, master: false, grant } = slot.get(&self.machine) {
            self.reply(thread, Tcb(caller), slot, grant);
        }
    }

    /// A thread that receives gives up its right to reply to whom it has not answered.
    pub fn forget_caller(&mut self, thread: Tcb) {
        let slot = thread.caller();
        if !slot.is_empty(&self.machine) {
            self.delete_one(slot);
        }
    }
}
