//! The AArch64 processor: registers, exceptions, translation, timer, firmware calls.

pub mod cell;
pub mod cpu;
pub mod crash;
pub mod fp;
pub mod hardware;
pub mod interrupt;
pub mod mmio;
pub mod mmu;
pub mod phys;
pub mod probe;
pub mod psci;
pub mod timer;
pub mod trap;
pub mod uaccess;

use core::mem::offset_of;
use trap::TrapFrame;

core::arch::global_asm!(
    include_str!("vectors.S"),
    FRAME_SIZE = const size_of::<TrapFrame>(),
    FRAME_SP = const offset_of!(TrapFrame, sp),
    FRAME_ELR = const offset_of!(TrapFrame, pc),
    FRAME_ESR = const offset_of!(TrapFrame, syndrome),
    FRAME_TPIDR = const offset_of!(TrapFrame, thread_pointer),
    FRAME_VECTOR = const offset_of!(TrapFrame, vector),
    FRAME_RECORD = const offset_of!(TrapFrame, record),
    STACK_BIT = const 14,
    VECTOR_OVERFLOW = const trap::vector::OVERFLOW,
);
// One text, so that both know the macro `may_fault`.
core::arch::global_asm!(include_str!("uaccess.S"), include_str!("fp.S"));
core::arch::global_asm!(include_str!("probe.S"));
