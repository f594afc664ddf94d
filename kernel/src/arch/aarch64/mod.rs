//! The AArch64 processor: registers, exceptions, translation, timer, firmware calls.

pub mod cell;
pub mod cpu;
pub mod crash;
pub mod interrupt;
pub mod mmio;
pub mod mmu;
pub mod phys;
pub mod probe;
pub mod psci;
pub mod timer;
pub mod trap;
pub mod uaccess;

core::arch::global_asm!(include_str!("vectors.S"));
core::arch::global_asm!(include_str!("uaccess.S"));
core::arch::global_asm!(include_str!("probe.S"));
