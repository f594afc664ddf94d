//! Placeholders.
#![allow(missing_docs)]

use super::tcb::{State, Tcb};
use crate::kernel::{Kernel, Preempted};
use crate::machine::Machine;

impl<M: Machine> Kernel<M> {
    pub fn suspend(&mut self, tcb: Tcb) {
        tcb.set_state(&mut self.machine, State::Inactive);
    }
    pub fn cancel_ipc(&mut self, _tcb: Tcb) {}
    pub fn cancel_all_ipc(&mut self, _endpoint: u64) {}
    pub fn cancel_all_signals(&mut self, _notification: u64) {}
    pub fn cancel_badged_sends(&mut self, _endpoint: u64, _badge: u64) -> Result<(), Preempted> {
        Ok(())
    }
    pub fn unbind_notification(&mut self, _tcb: Tcb) {}
    pub fn unbind_maybe(&mut self, _notification: u64) {}
    pub fn signal(&mut self, notification: u64, badge: u64) {
        let word = self.machine.read(notification) | badge;
        self.machine.write(notification, word);
    }
}
