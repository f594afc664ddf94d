//! An invocation as the objects see it: who asks, by which capability, with which arguments; and how they answer.

use crate::kernel::Preempted;
use crate::machine::Memory;
use crate::objects::capability::Capability;
use crate::objects::slot::Slot;
use crate::objects::tcb::Tcb;
use kaal_abi::{Error, MessageInfo, REGISTER_WORDS, buffer};

/// A request.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// Who asks.
    pub thread: Tcb,
    /// The message's information.
    pub info: MessageInfo,
    /// The slot of the invoked capability.
    pub slot: Slot,
    /// The invoked capability.
    pub capability: Capability,
    /// The slots of the capabilities sent along.
    pub extra: [Option<Slot>; MessageInfo::MAX_EXTRA_CAPS as usize],
    /// An answer is expected.
    pub call: bool,
}

/// Why an invocation did nothing: an error and what its message registers hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The label of the answer.
    pub error: Error,
    /// Its message registers.
    pub words: [u64; 3],
}

/// Why an invocation did not come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It did nothing.
    Refused(Refusal),
    /// It will be repeated.
    Preempted,
}

/// The outcome of an invocation: how many message registers the answer has, all of them set already.
pub type Answer = Result<usize, Stop>;

impl From<Preempted> for Stop {
    fn from(_: Preempted) -> Self {
        Stop::Preempted
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Stop::Refused(refusal)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Refusal { error, words: [0; 3] }
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Refused(error.into())
    }
}

impl Refusal {
    /// [`Error::InvalidArgument`]: argument number `which`.
    pub const fn argument(which: u64) -> Self {
        Self { error: Error::InvalidArgument, words: [which, 0, 0] }
    }
    /// [`Error::InvalidCapability`]: capability number `which`, 0 being the invoked one.
    pub const fn capability(which: u64) -> Self {
        Self { error: Error::InvalidCapability, words: [which, 0, 0] }
    }
    /// [`Error::RangeError`].
    pub const fn range(least: u64, most: u64) -> Self {
        Self { error: Error::RangeError, words: [least, most, 0] }
    }
}

/// Message register `n` of a thread; those beyond its registers read as 0 if it has no IPC buffer.
#[inline]
pub fn message(memory: &impl Memory, thread: Tcb, n: usize) -> u64 {
    if n < REGISTER_WORDS {
        return thread.x(memory, 2 + n as u64);
    }
    match thread.buffer(memory) {
        0 => 0,
        address => memory.read(address + 8 * (buffer::MESSAGE + n) as u64),
    }
}

/// Sets a message register; those beyond the registers are lost if there is no IPC buffer. Says whether it was set.
#[inline]
pub fn set_message(memory: &mut impl Memory, thread: Tcb, n: usize, value: u64) -> bool {
    if n < REGISTER_WORDS {
        thread.set_x(memory, 2 + n as u64, value);
        return true;
    }
    match thread.buffer(memory) {
        0 => false,
        address => {
            memory.write(address + 8 * (buffer::MESSAGE + n) as u64, value);
            true
        }
    }
}

impl Request {
    /// Argument `n`. Only below the message's length does it mean anything.
    #[inline]
    pub fn argument(&self, memory: &impl Memory, n: usize) -> u64 {
        message(memory, self.thread, n)
    }

    /// The slot of capability `n` sent along.
    pub fn extra(&self, n: usize) -> Result<Slot, Refusal> {
        self.extra.get(n).copied().flatten().ok_or(Error::TruncatedMessage.into())
    }
}
