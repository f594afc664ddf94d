//! Faults of programs, as messages to their fault endpoint. The label is the kind; a reply with label 0 resumes the thread.

/// The label of a fault message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Kind {
    /// No fault is pending.
    None = 0,
    /// A capability address led nowhere. MR0: pc, MR1: the address, MR2: 1 while receiving, MR3: a
    /// [`super::lookup`] fault, MR4: bits left.
    Capability = 1,
    /// An unknown system call. MR0 to MR7: x0 to x7, MR8: pc, of the SVC itself, which a handler has to move on, MR9: sp, MR10: x30, MR11: pstate, MR12: the number.
    UnknownSyscall = 2,
    /// An exception that is no system call and no memory fault. MR0: pc, MR1: sp, MR2: pstate, MR3: ESR_EL1's class, MR4: ESR_EL1.
    UserException = 3,
    /// A memory fault. MR0: pc, MR1: address, MR2: 1 if an instruction fetch, MR3: ESR_EL1.
    Memory = 5,
}

/// Words of a [`Kind::Capability`] message.
pub const CAPABILITY_WORDS: usize = 5;
/// Words of a [`Kind::UnknownSyscall`] message. A reply, whatever its label, writes as many of MR0 to MR11 back as it has.
pub const UNKNOWN_SYSCALL_WORDS: usize = 13;
/// Words of a [`Kind::UserException`] message. A reply, whatever its label, writes as many of MR0 to MR2 back as it has.
pub const USER_EXCEPTION_WORDS: usize = 5;
/// Words of a [`Kind::Memory`] message.
pub const MEMORY_WORDS: usize = 4;
