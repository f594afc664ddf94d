//! Which thread runs: the first of the highest priority in the current domain, for a time slice at most.
//!
//! Threads that can run are in a run queue, except the current one. A thread that an operation makes able to run is a
//! candidate, which runs at once if it may; this saves the queues in the most frequent case, a message. The rules are
//! seL4's.

pub mod queue;

use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::objects::tcb::{State, Tcb};
use kaal_abi::{DOMAINS, TIME_SLICE};
use queue::{AllQueues, RunQueues};

/// Which domain has the processor for how many ticks, again and again.
pub const SCHEDULE: [(u64, u64); DOMAINS as usize] = [(0, 8), (1, 2), (2, 1), (3, 1)];

const _: () = {
    let mut n = 0;
    while n < SCHEDULE.len() {
        assert!(SCHEDULE[n].0 < DOMAINS && SCHEDULE[n].1 > 0);
        n += 1;
    }
};

/// What is to be done about the processor at the end of a kernel entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The current thread goes on.
    Resume,
    /// This thread has become able to run, and may be the one; it is in no queue.
    Candidate(Tcb),
    /// Somebody must be chosen.
    Choose,
}

/// The scheduler's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheduler {
    queues: AllQueues,
    action: Action,
    domain: u64,
    /// Index into [`SCHEDULE`], and ticks that are left of that entry.
    entry: usize,
    ticks_left: u64,
}

impl Scheduler {
    /// Nobody to run, at the beginning of the schedule.
    pub const fn new() -> Self {
        Self {
            queues: [const { RunQueues::new() }; DOMAINS as usize],
            action: Action::Choose,
            domain: SCHEDULE[0].0,
            entry: 0,
            ticks_left: SCHEDULE[0].1,
        }
    }

    /// The domain whose time it is.
    pub const fn domain(&self) -> u64 {
        self.domain
    }

    /// What is to be done at the end of this kernel entry.
    #[inline]
    pub const fn action(&self) -> Action {
        self.action
    }

    /// The queues of a domain.
    pub const fn queues(&self, domain: u64) -> &RunQueues {
        &self.queues[domain as usize]
    }

    /// Would a thread of this priority in the current domain be chosen before all that are queued? Equals do not count.
    #[inline(always)]
    pub fn is_highest(&self, priority: u64) -> bool {
        let queues = &self.queues[self.domain as usize];
        queues.is_empty() || queues.highest().is_none_or(|highest| priority >= highest)
    }
}

impl Default for Scheduler {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: Machine> Kernel<M> {
    fn queues_of(&mut self, thread: Tcb) -> (&mut RunQueues, &mut M) {
        let domain = thread.domain(&self.machine) as usize;
        (&mut self.scheduler.queues[domain], &mut self.machine)
    }

    /// Puts a thread that can run at the end of its queue, unless it is queued.
    pub fn enqueue(&mut self, thread: Tcb) {
        if thread.queued(&self.machine) == 0 {
            let (queues, memory) = self.queues_of(thread);
            queues.push_back(memory, thread);
        }
    }

    fn enqueue_first(&mut self, thread: Tcb) {
        if thread.queued(&self.machine) == 0 {
            let (queues, memory) = self.queues_of(thread);
            queues.push_front(memory, thread);
        }
    }

    /// Takes a thread out of its queue, if it is in one.
    pub fn dequeue(&mut self, thread: Tcb) {
        if thread.queued(&self.machine) != 0 {
            let (queues, memory) = self.queues_of(thread);
            queues.remove(memory, thread);
        }
    }

    /// The current thread may not be the one to go on.
    pub fn reschedule(&mut self) {
        if let Action::Candidate(thread) = self.scheduler.action {
            self.enqueue(thread);
        }
        self.scheduler.action = Action::Choose;
    }

    /// A thread has become able to run, and runs at once if it may.
    pub fn candidate(&mut self, thread: Tcb) {
        if thread.domain(&self.machine) != self.scheduler.domain {
            self.enqueue(thread);
        } else if self.scheduler.action != Action::Resume {
            self.reschedule();
            self.enqueue(thread);
        } else {
            self.scheduler.action = Action::Candidate(thread);
        }
    }

    /// A thread can run no longer: it is neither queued nor a candidate, and loses the processor.
    pub fn unschedule(&mut self, thread: Tcb) {
        self.dequeue(thread);
        if self.scheduler.action == Action::Candidate(thread) {
            self.scheduler.action = Action::Choose;
        }
        // A candidate stays one: it takes the processor from the thread that it has answered or been called by.
        if self.current == Some(thread) && self.scheduler.action == Action::Resume {
            self.scheduler.action = Action::Choose;
        }
    }

    /// The current thread gives up the rest of its time slice.
    pub fn yield_now(&mut self) {
        if let Some(thread) = self.current {
            thread.set_time_slice(&mut self.machine, TIME_SLICE);
            self.enqueue(thread);
            self.reschedule();
        }
    }

    /// Accounts for a tick of the timer.
    pub fn tick(&mut self) {
        if let Some(thread) = self.current
            && thread.state(&self.machine).is_runnable()
        {
            match thread.time_slice(&self.machine) {
                0 | 1 => {
                    thread.set_time_slice(&mut self.machine, TIME_SLICE);
                    self.enqueue(thread);
                    self.reschedule();
                }
                left => thread.set_time_slice(&mut self.machine, left - 1),
            }
        }
        self.scheduler.ticks_left -= 1;
        if self.scheduler.ticks_left == 0 {
            let entry = (self.scheduler.entry + 1) % SCHEDULE.len();
            // Whoever is a candidate was one in the domain whose time is over.
            self.reschedule();
            self.scheduler.entry = entry;
            (self.scheduler.domain, self.scheduler.ticks_left) = SCHEDULE[entry];
        }
    }

    /// Makes a thread the current one, with its address space.
    #[inline]
    pub fn switch_to(&mut self, thread: Tcb) {
        match self.vspace_of(thread) {
            Some((root, asid)) => self.machine.switch_user_map(root, asid),
            None => self.machine.clear_user_map(),
        }
        self.dequeue(thread);
        self.current = Some(thread);
    }

    fn choose(&mut self) {
        let queues = &self.scheduler.queues[self.scheduler.domain as usize];
        match queues.highest().and_then(|priority| queues.first(priority)) {
            Some(thread) => self.switch_to(thread),
            None => {
                self.machine.clear_user_map();
                self.current = None;
            }
        }
    }

    /// Ends a kernel entry: who runs now; `None` if nobody can.
    #[inline]
    pub fn activate(&mut self) -> Option<Tcb> {
        if self.scheduler.action != Action::Resume {
            self.schedule();
        }
        self.current
    }

    fn schedule(&mut self) {
        let runnable = self.current.filter(|thread| thread.state(&self.machine).is_runnable());
        if let Some(thread) = runnable {
            self.enqueue_first(thread);
        }
        match self.scheduler.action {
            Action::Candidate(thread) => {
                let priority = thread.priority(&self.machine);
                let equal = runnable.is_some_and(|current| current.priority(&self.machine) == priority);
                if equal {
                    // The one that runs goes on: only a higher priority takes the processor away.
                    self.enqueue(thread);
                    self.choose();
                } else if self.scheduler.is_highest(priority) {
                    self.switch_to(thread);
                } else {
                    self.enqueue_first(thread);
                    self.choose();
                }
            }
            Action::Choose | Action::Resume => self.choose(),
        }
        self.scheduler.action = Action::Resume;
    }

    /// Starts a thread, or lets it begin again with what it was blocked in.
    pub fn resume(&mut self, thread: Tcb) {
        if thread.state(&self.machine).is_runnable() {
            return;
        }
        self.cancel_ipc(thread);
        self.prepare_reply(thread);
        thread.set_state(&mut self.machine, State::Running);
        self.enqueue(thread);
        self.reschedule();
    }

    /// Stops a thread, taking it out of whatever it is blocked in.
    pub fn suspend(&mut self, thread: Tcb) {
        self.cancel_ipc(thread);
        thread.set_state(&mut self.machine, State::Inactive);
        self.unschedule(thread);
    }

    /// Sets a thread's priority.
    pub fn set_priority(&mut self, thread: Tcb, priority: u64) {
        self.requeued(thread, |thread, memory| thread.set_priority(memory, priority));
    }

    /// Puts a thread in a domain.
    pub fn set_domain(&mut self, thread: Tcb, domain: u64) {
        self.requeued(thread, |thread, memory| thread.set_domain(memory, domain));
    }

    /// Changes what decides about a thread's queue. The current thread stays in front of its equals.
    fn requeued(&mut self, thread: Tcb, change: impl FnOnce(Tcb, &mut M)) {
        self.reschedule();
        self.dequeue(thread);
        change(thread, &mut self.machine);
        if self.current != Some(thread) && thread.state(&self.machine).is_runnable() {
            self.enqueue(thread);
        }
    }
}
