//! What belongs to the thread that runs: its IPC buffer, whose address it keeps in TPIDR_EL0.

use core::arch::asm;
use kaal_abi::buffer;

/// Tells this crate where the running thread's IPC buffer is; 0: it has none.
///
/// # Safety
/// The thread's IPC buffer must be mapped there, writable, for as long as the thread sends or receives through this
/// crate, and nothing else may be in that memory.
pub unsafe fn set_ipc_buffer(address: u64) {
    // SAFETY: TPIDR_EL0 is the thread's own, and softfloat bare-metal Rust has no thread-local variables in it.
    unsafe { asm!("msr tpidr_el0, {}", in(reg) address, options(nostack)) };
}

/// The address of the running thread's IPC buffer, or 0.
pub fn ipc_buffer() -> u64 {
    let address;
    // SAFETY: reads a register of the thread's own.
    unsafe { asm!("mrs {}, tpidr_el0", out(reg) address, options(nostack, nomem)) };
    address
}

fn pointer(word: usize) -> *mut u64 {
    let address = ipc_buffer();
    assert!(address != 0, "this thread has no IPC buffer");
    assert!(word < buffer::WORDS, "the IPC buffer has no such word");
    (address as *mut u64).wrapping_add(word)
}

/// A word of the IPC buffer, by its index in [`kaal_abi::buffer`].
///
/// # Panics
/// If the thread has no IPC buffer, or that no such word.
pub fn buffer_word(word: usize) -> u64 {
    // SAFETY: `set_ipc_buffer`'s promise; the kernel writes to it only during system calls.
    unsafe { pointer(word).read_volatile() }
}

/// Sets a word of the IPC buffer.
///
/// # Panics
/// As [`buffer_word`].
pub fn set_buffer_word(word: usize, value: u64) {
    // SAFETY: as above; no reference to a word exists.
    unsafe { pointer(word).write_volatile(value) }
}

/// Gives up the rest of the time slice.
pub fn yield_now() {
    crate::syscall(kaal_abi::Syscall::Yield as i64, crate::Registers::default());
}
