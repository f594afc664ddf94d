//! Address translation hardware: base registers, TLB and cache maintenance, address probes.

use super::cpu::read_register;
use core::arch::asm;

unsafe extern "C" {
    fn switch_kernel_map(root: u64);
}

/// Replaces the kernel's map by the one at `root`.
///
/// # Safety
/// The new map must map the kernel's code, data, stacks and devices where they are now, and TTBR0_EL1 must still hold
/// the boot code's identity map.
pub unsafe fn install_kernel_map(root: u64) {
    let switch = switch_kernel_map as *const () as usize;
    // SAFETY: `switch` is in .boot, linked at its physical address, which the identity map makes executable.
    unsafe {
        let switch: unsafe extern "C" fn(u64) = core::mem::transmute(switch);
        asm!("dsb ish", options(nostack, preserves_flags));
        switch(root);
    }
}

/// Makes the tables at `root` the lower half of the address space, tagged `asid`. `root` must be a table that stays
/// valid until the next switch.
pub fn switch_user_map(root: u64, asid: u16) {
    // SAFETY: the kernel runs in the upper half; the lower half can be anything.
    unsafe {
        asm!("dsb ish", "msr ttbr0_el1, {}", "isb", in(reg) root | u64::from(asid) << 48,
            options(nostack, preserves_flags));
    }
}

/// Forgets every translation.
pub fn invalidate_all() {
    // SAFETY: invalidating translations never invalidates memory.
    unsafe { asm!("dsb ishst", "tlbi vmalle1is", "dsb ish", "isb", options(nostack, preserves_flags)) };
}

/// Forgets every translation of an address space.
pub fn invalidate_asid(asid: u16) {
    // SAFETY: as above.
    unsafe {
        asm!("dsb ishst", "tlbi aside1is, {}", "dsb ish", "isb", in(reg) u64::from(asid) << 48,
            options(nostack, preserves_flags));
    }
}

/// Forgets one page's translation in an address space. Of the tables nothing but its last-level entry may have changed.
pub fn invalidate_page(va: u64, asid: u16) {
    // SAFETY: as above.
    unsafe {
        asm!("dsb ishst", "tlbi vale1is, {}", "dsb ish", "isb",
            in(reg) u64::from(asid) << 48 | va >> 12 & 0xfff_ffff_ffff, options(nostack, preserves_flags));
    }
}

/// Waits until table entries just made valid are visible to the table walker.
pub fn publish_tables() {
    // SAFETY: barriers.
    unsafe { asm!("dsb ishst", "isb", options(nostack, preserves_flags)) };
}

/// Makes instructions written through the kernel's map visible to fetches. `va` and `size` must lie in mapped memory.
pub fn sync_instructions(va: u64, size: u64) {
    let ctr = read_register!("ctr_el0");
    let data_line = 4u64 << (ctr >> 16 & 15);
    let instruction_line = 4u64 << (ctr & 15);
    for line in (va & !(data_line - 1)..va + size).step_by(data_line as usize) {
        // SAFETY: cleaning a mapped line changes nothing that can be seen.
        unsafe { asm!("dc cvau, {}", in(reg) line, options(nostack, preserves_flags)) };
    }
    // SAFETY: a barrier.
    unsafe { asm!("dsb ish", options(nostack, preserves_flags)) };
    for line in (va & !(instruction_line - 1)..va + size).step_by(instruction_line as usize) {
        // SAFETY: invalidating instruction lines changes nothing that can be seen.
        unsafe { asm!("ic ivau, {}", in(reg) line, options(nostack, preserves_flags)) };
    }
    // SAFETY: barriers.
    unsafe { asm!("dsb ish", "isb", options(nostack, preserves_flags)) };
}

/// Writes lines of memory back to where everybody sees them. `va` and `size` must lie in mapped memory.
pub fn clean_data(va: u64, size: u64) {
    let line = 4u64 << (read_register!("ctr_el0") >> 16 & 15);
    for line in (va & !(line - 1)..va + size).step_by(line as usize) {
        // SAFETY: cleaning and invalidating a mapped line changes nothing that can be seen.
        unsafe { asm!("dc civac, {}", in(reg) line, options(nostack, preserves_flags)) };
    }
    // SAFETY: a barrier.
    unsafe { asm!("dsb sy", options(nostack, preserves_flags)) };
}

/// An access to ask the hardware about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// AT S1E1R: a read by the kernel.
    KernelRead,
    /// AT S1E1W: a write by the kernel.
    KernelWrite,
    /// AT S1E0R: a read by a program.
    UserRead,
}

/// Asks the hardware to translate `va`: the physical address, or the fault status code (Arm DDI 0487, D17.2.102).
pub fn translate(va: u64, access: Probe) -> Result<u64, u8> {
    // SAFETY: an AT instruction changes PAR_EL1 alone.
    unsafe {
        match access {
            Probe::KernelRead => asm!("at s1e1r, {}", "isb", in(reg) va, options(nostack, preserves_flags)),
            Probe::KernelWrite => asm!("at s1e1w, {}", "isb", in(reg) va, options(nostack, preserves_flags)),
            Probe::UserRead => asm!("at s1e0r, {}", "isb", in(reg) va, options(nostack, preserves_flags)),
        }
    }
    let par = read_par();
    if par & 1 == 0 { Ok(par & 0x0000_ffff_ffff_f000 | va & 0xfff) } else { Err((par >> 1 & 0x3f) as u8) }
}

fn read_par() -> u64 {
    let value: u64;
    // SAFETY: reads a register. Not `nomem`, so that it stays behind the AT that sets it.
    unsafe { asm!("mrs {}, par_el1", out(reg) value, options(nostack, preserves_flags)) };
    value
}

/// SCTLR_EL1: is the MMU on, are caches on, is writable memory never executed?
pub fn control() -> u64 {
    read_register!("sctlr_el1")
}
