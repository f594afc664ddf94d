//! Which thread runs: round robin, a tick each.

use crate::arch::aarch64::cell::KernelCell;
use crate::arch::aarch64::trap::{self, TrapFrame};
use crate::arch::aarch64::{mmu, timer};
use crate::kprintln;
use crate::objects::thread::{End, Thread};

/// Most threads there can be.
pub const MAX_THREADS: usize = 8;

struct Scheduler {
    threads: [Option<Thread>; MAX_THREADS],
    current: usize,
    /// The current thread's turn is over.
    reschedule: bool,
    /// The root of a map with nothing in it, for when no thread runs.
    idle_map: u64,
    /// Ticks that a thread may run for in all.
    limit: u64,
}

static SCHEDULER: KernelCell<Scheduler> = KernelCell::new(Scheduler {
    threads: [const { None }; MAX_THREADS],
    current: 0,
    reschedule: false,
    idle_map: 0,
    limit: u64::MAX,
});

impl Scheduler {
    fn current(&mut self) -> &mut Thread {
        self.threads[self.current].as_mut().expect("no thread is running")
    }

    fn is_runnable(&self, index: usize) -> bool {
        self.threads[index].as_ref().is_some_and(|t| t.end.is_none())
    }

    /// The first runnable thread after the current one, which itself comes last.
    fn next(&self) -> Option<usize> {
        (1..=MAX_THREADS).map(|i| (self.current + i) % MAX_THREADS).find(|&i| self.is_runnable(i))
    }

    fn end_current(&mut self, end: End) {
        let thread = self.current();
        thread.end = Some(end);
        let (name, asid) = (thread.name, thread.vspace.asid());
        match end {
            End::Exit(code) => kprintln!("[kernel] {name} (asid {asid}) exited with {code}"),
            End::Fault(syndrome, address, pc) if syndrome.has_address() => {
                kprintln!(
                    "[kernel] {name} (asid {asid}) killed: {syndrome}, address {address:#x}, pc {pc:#x}"
                );
            }
            End::Fault(syndrome, _, pc) => {
                kprintln!("[kernel] {name} (asid {asid}) killed: {syndrome}, pc {pc:#x}");
            }
            End::Overtime => kprintln!("[kernel] {name} (asid {asid}) killed: it used up its time"),
        }
    }
}

/// Makes `root` the lower half while no thread runs, from now on.
pub fn set_idle_map(root: u64) {
    SCHEDULER.with(|s| s.idle_map = root);
    mmu::switch_user_map(root, 0);
}

/// Calls `f` with the running thread.
pub fn with_current<R>(f: impl FnOnce(&mut Thread) -> R) -> R {
    SCHEDULER.with(|s| f(s.current()))
}

/// Adds a thread and returns its number. If there are too many already, the thread is destroyed.
pub fn add(thread: Thread) -> Option<usize> {
    let mut thread = Some(thread);
    let index = SCHEDULER.with(|s| {
        let index = s.threads.iter().position(Option::is_none)?;
        s.threads[index] = thread.take();
        Some(index)
    });
    if let Some(refused) = thread {
        refused.vspace.destroy();
    }
    index
}

/// Removes a thread that does not run.
pub fn remove(index: usize) -> Option<Thread> {
    SCHEDULER.with(|s| s.threads.get_mut(index)?.take())
}

/// Ends the current thread's turn.
pub fn yield_now() {
    SCHEDULER.with(|s| s.reschedule = true);
}

/// Accounts for a tick, and ends the current thread's turn.
pub fn tick() {
    SCHEDULER.with(|s| {
        s.reschedule = true;
        let others = s.next() != Some(s.current);
        let limit = s.limit;
        let usage = &mut s.current().usage;
        usage.ticks += 1;
        usage.preemptions += u64::from(others);
        if usage.ticks >= limit {
            s.end_current(End::Overtime);
        }
    });
}

/// Ends the current thread because of the fault in its frame.
pub fn kill_current() {
    SCHEDULER.with(|s| {
        let frame = &s.current().frame;
        let end = End::Fault(frame.syndrome, frame.fault_address, frame.pc);
        s.end_current(end);
    });
}

/// Ends the current thread as it asked.
pub fn exit_current(code: u64) {
    SCHEDULER.with(|s| s.end_current(End::Exit(code)));
}

/// Chooses who runs next, makes its address space the current one, and returns its registers; null if nobody can run.
pub fn next_frame() -> *mut TrapFrame {
    SCHEDULER.with(|s| {
        let stays = s.is_runnable(s.current) && !s.reschedule;
        s.reschedule = false;
        if !stays {
            let Some(next) = s.next() else {
                mmu::switch_user_map(s.idle_map, 0);
                return core::ptr::null_mut();
            };
            if next != s.current || mmu::user_map().1 == 0 {
                s.current = next;
                s.current().vspace.activate();
                // A turn is a whole tick, however the last one ended.
                timer::restart();
            }
        }
        &raw mut s.current().frame
    })
}

/// Runs threads until none can run any more, each for at most `limit` ticks in all.
pub fn run(limit: u64) {
    SCHEDULER.with(|s| {
        s.limit = limit;
        s.reschedule = true;
        // The lowest number goes first.
        s.current = MAX_THREADS - 1;
    });
    trap::run_threads();
}
