//! What an invocation that failed says.

use kaal_abi::Error;

/// An error, and what its message registers say about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// Which.
    pub error: Error,
    /// Message registers 0 to 2; [`Error`] says what they mean.
    pub words: [u64; 3],
}

/// The result of an invocation.
pub type Result<T = ()> = core::result::Result<T, Failure>;

impl Failure {
    /// The first word: which argument or capability it was, the least value allowed, or the bytes left.
    pub const fn which(self) -> u64 {
        self.words[0]
    }
}
