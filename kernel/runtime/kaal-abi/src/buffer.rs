//! The IPC buffer: a thread's window for what does not fit its registers. 64-bit words, by index.
//!
//! It lies in a normal 4 KiB or 2 MiB page, at a multiple of [`ALIGNMENT`]; the kernel checks that once, when the thread
//! is given the buffer, and reaches it by its physical address from then on.

/// Bytes whose multiple its address is; it never crosses a page.
pub const ALIGNMENT: u64 = 1024;
/// Message registers: message register n is word n, and 0 to 3 are in CPU registers instead.
pub const MESSAGE: usize = 0;
/// Where extra capabilities are named when sending, and where badges of unwrapped ones are found after receiving.
pub const CAPS_OR_BADGES: usize = 64;
/// Address, in the receiver's CSpace, of the CNode capability under which received capabilities are put.
pub const RECEIVE_CNODE: usize = 67;
/// Address of the receive slot below that CNode.
pub const RECEIVE_INDEX: usize = 68;
/// Bits of that address to use.
pub const RECEIVE_DEPTH: usize = 69;
/// For the program's own use.
pub const USER_DATA: usize = 70;
/// Words in all.
pub const WORDS: usize = 71;
