//! The processor itself: identification, interrupt masks, waiting.

use core::arch::asm;

/// Reads a system register by name. For registers whose reading has no side effect.
macro_rules! read_register {
    ($name:literal) => {{
        let value: u64;
        // SAFETY: reads a register that EL1 may read and that has no side effects.
        unsafe {
            core::arch::asm!(concat!("mrs {}, ", $name), out(reg) value, options(nomem, nostack, preserves_flags));
        }
        value
    }};
}
pub(crate) use read_register;

/// The exception level now.
pub fn exception_level() -> u64 {
    read_register!("CurrentEL") >> 2
}

/// What the processor calls itself, MIDR_EL1.
pub fn main_id() -> u64 {
    read_register!("midr_el1")
}

/// The marketing name of a MIDR_EL1 value.
pub fn name(midr: u64) -> &'static str {
    match (midr >> 24 & 0xff, midr >> 4 & 0xfff) {
        (0x41, 0xd03) => "ARM Cortex-A53",
        (0x41, 0xd05) => "ARM Cortex-A55",
        (0x41, 0xd07) => "ARM Cortex-A57",
        (0x41, 0xd08) => "ARM Cortex-A72",
        _ => "unknown processor",
    }
}

/// Lets interrupts in while `f` runs.
pub fn with_interrupts<R>(f: impl FnOnce() -> R) -> R {
    // SAFETY: the vectors and the interrupt controller are ready before anyone calls this, and the handlers touch no
    // state that `f` could hold: they borrow it by `KernelCell`, which would panic.
    unsafe { asm!("msr daifclr, #2", options(nostack)) };
    let result = f();
    // SAFETY: masking interrupts is always allowed.
    unsafe { asm!("msr daifset, #2", options(nostack)) };
    result
}

/// Masks every exception that can be masked.
pub fn mask_all() {
    // SAFETY: masking is always allowed.
    unsafe { asm!("msr daifset, #15", options(nostack)) };
}

/// Are interrupts (IRQ) masked?
pub fn interrupts_masked() -> bool {
    read_register!("daif") & 1 << 7 != 0
}

/// Is an interrupt pending, masked or not?
pub fn interrupt_pending() -> bool {
    let value: u64;
    // SAFETY: reads a register. Not `nomem`: it changes by itself.
    unsafe { asm!("mrs {}, isr_el1", out(reg) value, options(nostack, preserves_flags)) };
    value & 1 << 7 != 0
}

/// Waits for an interrupt, pending ones included, masked or not.
pub fn wait_for_interrupt() {
    // SAFETY: a hint.
    unsafe { asm!("dsb sy", "wfi", options(nostack, preserves_flags)) };
}

/// Executes `iterations` rounds of a two-instruction loop.
pub fn spin(iterations: u64) {
    if iterations > 0 {
        // SAFETY: counts a register down.
        unsafe {
            asm!("1: subs {n}, {n}, #1", "b.ne 1b", n = inout(reg) iterations => _, options(nomem, nostack))
        };
    }
}

/// Raises a breakpoint exception. The handler resumes after it.
pub fn breakpoint() {
    // SAFETY: `kernel_trap` steps over this very immediate.
    unsafe { asm!("brk #0x4b41", options(nostack)) };
}

/// Executes an undefined instruction. Never returns to the caller in any useful way.
pub fn undefined_instruction() {
    // SAFETY: takes an exception; nothing else.
    unsafe { asm!("udf #0", options(nostack)) };
}

/// The frame pointer, x29.
#[inline(always)]
pub fn frame_pointer() -> u64 {
    let value: u64;
    // SAFETY: copies a register.
    unsafe { asm!("mov {}, x29", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}
