//! Accesses to memory that may not be there, or not be ours to touch.

unsafe extern "C" {
    safe fn probe_read(address: u64, to: &mut u64) -> u64;
    fn probe_write(address: u64, value: u64) -> u64;
    fn probe_execute(address: u64) -> u64;
    safe fn probe_fp() -> u64;
    static __fixups_start: [u64; 2];
    static __fixups_end: [u64; 2];
}

/// Reads a word wherever it is; `None` if that faults.
pub fn try_read(address: u64) -> Option<u64> {
    let mut value = 0;
    (probe_read(address, &mut value) == 0).then_some(value)
}

/// Tries to write a word, and says whether that worked.
///
/// # Safety
/// If the address is writable, nobody else may use the word there.
unsafe fn try_write(address: u64, value: u64) -> bool {
    // SAFETY: the caller's promise; a fault is caught.
    unsafe { probe_write(address, value) == 0 }
}

/// Tries a floating-point instruction, access to which is enabled, and says whether the processor knows it.
pub fn try_floating_point() -> bool {
    probe_fp() == 0
}

/// Tries to write to kernel code or constants, which must fail.
pub fn try_write_read_only(address: u64) -> bool {
    let Some(value) = try_read(address) else { return false };
    // SAFETY: writes back what is there, should it work at all.
    unsafe { try_write(address, value) }
}

/// Tries to call a word of kernel data that holds the instruction RET, which must fail.
pub fn try_execute_data() -> bool {
    static RET: core::sync::atomic::AtomicU32 = core::sync::atomic::AtomicU32::new(0xd65f_03c0);
    RET.store(0xd65f_03c0, core::sync::atomic::Ordering::Relaxed);
    // SAFETY: should the call work, it returns at once.
    unsafe { probe_execute(RET.as_ptr() as u64) == 0 }
}

/// Where to go on after a fault at `pc` in one of this file's accesses.
pub fn fixup(pc: u64) -> Option<u64> {
    // SAFETY: the linker script puts whole entries between the two symbols, and they are never written.
    let entries = unsafe {
        let start = &raw const __fixups_start;
        core::slice::from_raw_parts(start, (&raw const __fixups_end).offset_from(start) as usize)
    };
    entries.iter().find(|entry| entry[0] == pc).map(|entry| entry[1])
}
