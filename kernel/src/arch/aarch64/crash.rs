//! Faults on purpose, for `fault=` on the command line. None returns in any useful way.

use core::arch::asm;

/// Reads through a null pointer.
pub fn read_null() {
    // SAFETY: nothing is mapped at address 0; the kernel reports the fault and stops.
    unsafe { asm!("ldr {0}, [{0}]", inout(reg) 0u64 => _, options(nostack)) };
}

/// Writes to the kernel's code.
pub fn write_text() {
    // SAFETY: code is mapped read-only; the kernel reports the fault and stops.
    unsafe { asm!("str wzr, [{}]", in(reg) write_text as *const () as u64, options(nostack)) };
}

/// Jumps into the kernel's data.
pub fn execute_data() {
    static DATA: core::sync::atomic::AtomicU64 = core::sync::atomic::AtomicU64::new(0xd65f_03c0);
    // SAFETY: data is mapped execute-never; the kernel reports the fault and stops.
    unsafe { asm!("br {}", in(reg) DATA.as_ptr(), options(nostack)) };
}
