//! Results of invocations.

/// The result of an invocation: the label of the returned message information. Numbered as in seL4; what the message
/// registers hold with each is said beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Error {
    /// It worked.
    None = 0,
    /// An argument has a value that makes no sense. MR0: which, from 0.
    InvalidArgument = 1,
    /// The invoked capability (MR0: 0), or number MR0 of those sent along, from 1, is not one that will do.
    InvalidCapability = 2,
    /// The object does not do that, or not in the state it is in, or rights do not allow it.
    IllegalOperation = 3,
    /// A value is out of bounds. MR0: least, MR1: most.
    RangeError = 4,
    /// An address is not aligned as it must be.
    AlignmentError = 5,
    /// A capability address leads nowhere, or a page table is missing. MR0: 1 if a source, MR1: a [`lookup`] fault,
    /// MR2: bits left.
    FailedLookup = 6,
    /// The message, or the list of capabilities sent along, is shorter than the invocation needs.
    TruncatedMessage = 7,
    /// The destination slot is not empty, or the address is mapped already.
    DeleteFirst = 8,
    /// Other capabilities must go first: children, copies of a page table's, the handler of an interrupt.
    RevokeFirst = 9,
    /// The untyped memory is too small, or no address space number is left. MR0: bytes left.
    NotEnoughMemory = 10,
}

impl Error {
    /// The error of a label; `None` for a label that no kernel returns.
    pub const fn from_label(label: u64) -> Option<Error> {
        Some(match label {
            0 => Error::None,
            1 => Error::InvalidArgument,
            2 => Error::InvalidCapability,
            3 => Error::IllegalOperation,
            4 => Error::RangeError,
            5 => Error::AlignmentError,
            6 => Error::FailedLookup,
            7 => Error::TruncatedMessage,
            8 => Error::DeleteFirst,
            9 => Error::RevokeFirst,
            10 => Error::NotEnoughMemory,
            _ => return None,
        })
    }
}

/// Why a lookup failed, as [`Error::FailedLookup`] and capability faults report it.
pub mod lookup {
    /// The CSpace's root is no CNode.
    pub const INVALID_ROOT: u64 = 1;
    /// The slot is empty.
    pub const MISSING_CAPABILITY: u64 = 2;
    /// Bits are left when a slot is reached, or more bits are needed than there are.
    pub const DEPTH_MISMATCH: u64 = 3;
    /// A guard does not match.
    pub const GUARD_MISMATCH: u64 = 4;
}
