//! Threads: a register context, an address space, and what became of them.

use crate::arch::aarch64::trap::TrapFrame;
use crate::memory::vspace::VSpace;
use kaal_syndrome::Syndrome;

/// How a thread ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It asked to, with this code.
    Exit(u64),
    /// It did what nobody may: the syndrome, the address if there is one, and its program counter.
    Fault(Syndrome, u64, u64),
    /// It ran for too many ticks.
    Overtime,
}

/// What a thread has used so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Ticks that found it running.
    pub ticks: u64,
    /// Times that another thread ran because of a tick.
    pub preemptions: u64,
    /// Pages of lazy regions supplied.
    pub pages: u64,
    /// System calls made.
    pub calls: u64,
}

/// A thread.
pub struct Thread {
    /// Its registers while it does not run. The vectors write to it directly.
    pub frame: TrapFrame,
    /// Its memory.
    pub vspace: VSpace,
    /// Its name, for people.
    pub name: &'static str,
    /// How it ended; `None` while it can run.
    pub end: Option<End>,
    /// What it has used.
    pub usage: Usage,
}

impl Thread {
    /// A thread that will begin with the registers of `frame`.
    pub fn new(name: &'static str, vspace: VSpace, frame: TrapFrame) -> Self {
        Self { frame, vspace, name, end: None, usage: Usage::default() }
    }

    /// Supplies a page for the access that faulted, if its address space has one to supply.
    pub fn page_fault(&mut self, address: u64, syndrome: Syndrome) -> bool {
        let supplied = self.vspace.page_fault(address, syndrome);
        self.usage.pages += u64::from(supplied);
        supplied
    }
}
