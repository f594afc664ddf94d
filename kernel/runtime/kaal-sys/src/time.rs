//! Time, as the virtual counter tells it.

use core::arch::asm;

/// The virtual counter, CNTVCT_EL0.
pub fn now() -> u64 {
    let value;
    // SAFETY: reads a counter that the kernel lets programs read.
    unsafe { asm!("isb", "mrs {}, cntvct_el0", out(reg) value, options(nostack)) };
    value
}

/// Counts a second, CNTFRQ_EL0.
pub fn frequency() -> u64 {
    let value;
    // SAFETY: reads a constant that programs may read wherever they may read the counter.
    unsafe { asm!("mrs {}, cntfrq_el0", out(reg) value, options(nostack, nomem)) };
    value
}
