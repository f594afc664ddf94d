//! Notifications: a word of signals, and who waits for them.
//!
//! Four words: the queue (two), the signals, and the thread it is bound to.

use super::queue::{self, Queue};
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::objects::tcb::{State, Tcb};

const SIGNALS: u64 = 16;
const BOUND: u64 = 24;

impl<M: Machine> Kernel<M> {
    /// Signals a notification: whoever waits for it gets the badge; otherwise it is kept, joined with others.
    pub fn signal(&mut self, notification: u64, badge: u64) {
        match queue::kind(&self.machine, notification) {
            Queue::Active => {
                let signals = self.machine.read(notification + SIGNALS);
                self.machine.write(notification + SIGNALS, signals | badge);
            }
            Queue::Idle | Queue::Senders => {
                if let Some(thread) = self.bound_thread(notification)
                    && thread.state(&self.machine) == State::BlockedOnReceive
                {
                    let endpoint = thread.waits_for(&self.machine);
                    queue::remove(&mut self.machine, endpoint, thread);
                    self.deliver(thread, badge);
                    self.complete(thread);
                    return;
                }
                queue::set_empty(&mut self.machine, notification, Queue::Active);
                self.machine.write(notification + SIGNALS, badge);
            }
            Queue::Receivers => {
                if let Some(thread) = queue::take_first(&mut self.machine, notification) {
                    self.deliver(thread, badge);
                    self.complete(thread);
                }
            }
        }
    }

    /// Waits for signals.
    pub fn wait(&mut self, thread: Tcb, notification: u64, blocking: bool) {
        if queue::kind(&self.machine, notification) == Queue::Active {
            self.take_signals(thread, notification);
        } else if blocking {
            thread.set_state(&mut self.machine, State::BlockedOnNotification);
            queue::append(&mut self.machine, notification, thread, Queue::Receivers);
            self.unschedule(thread);
        } else {
            self.nothing_received(thread);
        }
    }

    /// Gives the signals of an active notification to a thread.
    pub(super) fn take_signals(&mut self, thread: Tcb, notification: u64) {
        let signals = self.machine.read(notification + SIGNALS);
        queue::set_empty(&mut self.machine, notification, Queue::Idle);
        self.machine.write(notification + SIGNALS, 0);
        self.deliver(thread, signals);
    }

    /// What a thread that gets signals finds in its registers: the badge, and an empty message.
    fn deliver(&mut self, thread: Tcb, badge: u64) {
        thread.set_x(&mut self.machine, 0, badge);
        thread.set_x(&mut self.machine, 1, 0);
    }

    /// The thread that a notification is bound to.
    pub fn bound_thread(&self, notification: u64) -> Option<Tcb> {
        match self.machine.read(notification + BOUND) {
            0 => None,
            thread => Some(Tcb(thread)),
        }
    }

    /// Does anybody wait for signals?
    pub fn has_waiters(&self, notification: u64) -> bool {
        queue::kind(&self.machine, notification) == Queue::Receivers
    }

    /// Binds a notification to a thread; neither must be bound.
    pub fn bind_notification(&mut self, thread: Tcb, notification: u64) {
        self.machine.write(notification + BOUND, thread.0);
        thread.set_bound_notification(&mut self.machine, notification);
    }

    /// Unbinds what is bound to a thread, if anything is.
    pub fn unbind_notification(&mut self, thread: Tcb) {
        let notification = thread.bound_notification(&self.machine);
        if notification != 0 {
            self.machine.write(notification + BOUND, 0);
            thread.set_bound_notification(&mut self.machine, 0);
        }
    }

    /// Unbinds a notification from its thread, if it has one.
    pub fn unbind_maybe(&mut self, notification: u64) {
        if let Some(thread) = self.bound_thread(notification) {
            self.unbind_notification(thread);
        }
    }

    /// The last capability to a notification goes: whoever waits makes its system call again, and finds none.
    pub fn cancel_all_signals(&mut self, notification: u64) {
        if self.has_waiters(notification) {
            self.take_all_back(notification);
        }
    }
}
