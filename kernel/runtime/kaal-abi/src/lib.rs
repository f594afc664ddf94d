//! The contract between the kernel and its programs: system calls, invocations, messages, errors, boot information.
//!
//! Registers are seL4's for AArch64: x7 = system call number, x0 = capability (badge on return), x1 = message
//! information, x2 to x5 = message registers 0 to 3. All other registers are preserved. Further message registers,
//! capabilities to transfer and the receive path lie in the thread's IPC buffer ([`buffer`]).
#![no_std]
#![forbid(unsafe_code)]

pub mod bootinfo;
pub mod buffer;
mod error;
pub mod fault;
mod info;
mod invocation;
mod syscall;

pub use error::{Error, lookup};
pub use info::MessageInfo;
pub use invocation::Invocation;
pub use syscall::Syscall;

/// Message registers that travel in x2 to x5.
pub const REGISTER_WORDS: usize = 4;

/// What a capability lets its holder do with an endpoint, a notification or a page: any of these bits.
pub mod rights {
    /// Send or signal; write to a page.
    pub const WRITE: u64 = 1 << 0;
    /// Receive or wait; read a page.
    pub const READ: u64 = 1 << 1;
    /// Send capabilities along, and a reply capability with Call.
    pub const GRANT: u64 = 1 << 2;
    /// Send a reply capability with Call, but no others.
    pub const GRANT_REPLY: u64 = 1 << 3;
    /// All of them.
    pub const ALL: u64 = 15;
}

/// What [`Invocation::UntypedRetype`] can make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum ObjectType {
    /// Memory to retype in its turn, of 2^size_bits bytes: 4 to 47.
    Untyped = 0,
    /// A thread; 2^11 bytes.
    Tcb = 1,
    /// A place to meet for messages; 2^4 bytes.
    Endpoint = 2,
    /// A word of signals; 2^5 bytes.
    Notification = 3,
    /// 2^size_bits capability slots of 2^5 bytes each: 1 to 42.
    CNode = 4,
    /// The root of an address space: a level-0 translation table; 2^12 bytes.
    VSpace = 5,
    /// A translation table of level 1, 2 or 3, whichever is missing where it is mapped; 2^12 bytes.
    PageTable = 6,
    /// A 4 KiB page.
    Page = 7,
    /// A 2 MiB page.
    LargePage = 8,
}

impl ObjectType {
    /// Every type there is, in the order of its number.
    pub const ALL: [ObjectType; 9] = [
        ObjectType::Untyped,
        ObjectType::Tcb,
        ObjectType::Endpoint,
        ObjectType::Notification,
        ObjectType::CNode,
        ObjectType::VSpace,
        ObjectType::PageTable,
        ObjectType::Page,
        ObjectType::LargePage,
    ];

    /// The type of this number.
    pub const fn from_number(number: u64) -> Option<ObjectType> {
        if number < Self::ALL.len() as u64 { Some(Self::ALL[number as usize]) } else { None }
    }

    /// Log2 of the bytes that one object takes; `size_bits` is the argument of Retype.
    pub const fn bits(self, size_bits: u64) -> u64 {
        match self {
            ObjectType::Untyped => size_bits,
            ObjectType::Tcb => 11,
            ObjectType::Endpoint => 4,
            ObjectType::Notification => 5,
            ObjectType::CNode => SLOT_BITS + size_bits,
            ObjectType::VSpace | ObjectType::PageTable | ObjectType::Page => 12,
            ObjectType::LargePage => 21,
        }
    }
}

/// Log2 of the bytes in a capability slot.
pub const SLOT_BITS: u64 = 5;
/// Size of an untyped object: log2 of its bytes, at least.
pub const MIN_UNTYPED_BITS: u64 = 4;
/// Size of an untyped object: log2 of its bytes, at most.
pub const MAX_UNTYPED_BITS: u64 = 47;
/// Most objects that one Retype makes.
pub const RETYPE_LIMIT: u64 = 256;
/// Depth of a capability address that uses all of its bits.
pub const WORD_BITS: u64 = 64;

/// Memory attributes for [`Invocation::PageMap`]: any of these bits. 0 is normal cacheable memory without execution.
pub mod attributes {
    /// Instructions may be fetched. Refused together with [`super::rights::WRITE`].
    pub const EXECUTE: u64 = 1 << 0;
    /// Normal memory that is not cached. Device memory is never cached, whatever is asked.
    pub const UNCACHED: u64 = 1 << 1;
}

/// Thread priorities are below this number.
pub const PRIORITIES: u64 = 256;
/// Domains are below this number.
pub const DOMAINS: u64 = 4;
/// Timer ticks in a thread's time slice.
pub const TIME_SLICE: u64 = 5;

/// Registers as [`Invocation::TcbReadRegisters`] and [`Invocation::TcbWriteRegisters`] order them: pc, sp, pstate, x0 to
/// x30, thread pointer (TPIDR_EL0).
pub mod registers {
    /// Program counter.
    pub const PC: usize = 0;
    /// Stack pointer, SP_EL0.
    pub const SP: usize = 1;
    /// Flags; only bits 31:28 can be written.
    pub const PSTATE: usize = 2;
    /// X0; the others follow.
    pub const X0: usize = 3;
    /// TPIDR_EL0.
    pub const THREAD_POINTER: usize = 34;
    /// How many there are.
    pub const COUNT: usize = 35;
}

#[cfg(test)]
mod tests;
