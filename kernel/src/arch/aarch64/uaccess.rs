//! Accesses to memory that may not be there, or not be ours to touch.

use kaal_paging::Half;

unsafe extern "C" {
    safe fn probe_read(address: u64, to: &mut u64) -> u64;
    fn probe_write(address: u64, value: u64) -> u64;
    fn probe_execute(address: u64) -> u64;
    #[link_name = "copy_from_user"]
    fn copy_from_user_asm(to: *mut u8, from: u64, size: u64) -> u64;
    static __fixups_start: [u64; 2];
    static __fixups_end: [u64; 2];
}

/// Copies from the running program's memory, with its rights, faulting lazy pages in. False if any byte is not its own.
pub fn copy_from_user(to: &mut [u8], from: u64) -> bool {
    // A program's addresses are the lower half's: LDTR alone would not keep out kernel pages that EL0 may read, but
    // there are none; the check is here so that this does not rest on it.
    if from.checked_add(to.len() as u64).is_none_or(|end| end > 1 << 48) {
        return false;
    }
    // SAFETY: writes at most `to.len()` bytes to `to`; a fault on the way ends the copy.
    unsafe { copy_from_user_asm(to.as_mut_ptr(), from, to.len() as u64) == 0 }
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

/// Tries to write a word in the lower half, and says whether that worked.
pub fn try_write_user(address: u64, value: u64) -> bool {
    assert!(Half::User.contains(address));
    // SAFETY: no Rust object of the kernel is in the lower half.
    unsafe { try_write(address, value) }
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
