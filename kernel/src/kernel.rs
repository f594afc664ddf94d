//! The kernel's own state, and how it is entered.

use crate::machine::Machine;
use crate::objects::tcb::Tcb;
use crate::scheduler::Scheduler;

/// Address space numbers are below this; 0 belongs to nobody.
pub const ASIDS: usize = 1024;

/// All that the kernel knows beside what is in its objects.
#[derive(Clone)]
pub struct Kernel<M: Machine> {
    /// The hardware.
    pub machine: M,
    /// The thread that entered the kernel and will go on unless the scheduler says otherwise; `None` while idle.
    pub current: Option<Tcb>,
    /// Who runs next.
    pub scheduler: Scheduler,
    /// The VSpace of each address space number, or 0.
    pub asids: [u64; ASIDS],
    /// Physical address of the interrupts' slots, a slot each, which hold notification capabilities.
    pub irq_slots: u64,
    /// Bit n % 64 of word n / 64: there is a handler capability for interrupt n.
    pub irqs_handled: [u64; 16],
}

impl<M: Machine> Kernel<M> {
    /// A kernel without threads. Physical address of the interrupts' slots: see [`Kernel::irq_slots`].
    pub const fn new(machine: M, irq_slots: u64) -> Self {
        Self {
            machine,
            current: None,
            scheduler: Scheduler::new(),
            asids: [0; ASIDS],
            irq_slots,
            irqs_handled: [0; 16],
        }
    }
}

/// An operation stopped at a preemption point: the thread will repeat its system call, and goes on where it left off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preempted;
