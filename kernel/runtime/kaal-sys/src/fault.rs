//! Faults, as the message to a fault endpoint tells them.

use crate::Received;
use core::fmt;
use kaal_abi::fault::Kind;

/// What a program did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It named a capability that is not there.
    Capability {
        /// Program counter.
        pc: u64,
        /// The capability's address.
        address: u64,
        /// While receiving.
        receiving: bool,
        /// A lookup fault, see [`kaal_abi::lookup`].
        lookup: u64,
        /// Bits left.
        bits: u64,
    },
    /// It made a system call that does not exist.
    UnknownSyscall {
        /// Program counter.
        pc: u64,
        /// The number.
        number: i64,
    },
    /// It did something else that is not allowed.
    UserException {
        /// Program counter.
        pc: u64,
        /// ESR_EL1's class.
        class: u64,
        /// ESR_EL1.
        syndrome: u64,
    },
    /// It touched memory that it must not.
    Memory {
        /// Program counter.
        pc: u64,
        /// The address.
        address: u64,
        /// An instruction was to be fetched.
        fetch: bool,
        /// ESR_EL1.
        syndrome: u64,
    },
}

impl Fault {
    /// The fault that a message tells of; `None` if it is no fault message.
    pub fn from(message: &Received) -> Option<Fault> {
        let word = |n| message.word(n);
        let label = message.label();
        Some(if label == Kind::Capability as u64 {
            let (receiving, lookup) = (word(2) != 0, word(3));
            Fault::Capability { pc: word(0), address: word(1), receiving, lookup, bits: word(4) }
        } else if label == Kind::UnknownSyscall as u64 {
            Fault::UnknownSyscall { pc: word(8), number: word(12) as i64 }
        } else if label == Kind::UserException as u64 {
            Fault::UserException { pc: word(0), class: word(3), syndrome: word(4) }
        } else if label == Kind::Memory as u64 {
            Fault::Memory { pc: word(0), address: word(1), fetch: word(2) != 0, syndrome: word(3) }
        } else {
            return None;
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match *self {
            Fault::Capability { pc, address, receiving, lookup, .. } => {
                let what = if receiving { "received from" } else { "invoked" };
                write!(
                    f,
                    "{what} capability {address:#x}, which is not there (lookup fault {lookup}), at pc {pc:#x}"
                )
            }
            Fault::UnknownSyscall { pc, number } => {
                write!(f, "made unknown system call {number} at pc {pc:#x}")
            }
            Fault::UserException { pc, class, syndrome } => {
                write!(f, "exception of class {class:#x}, esr {syndrome:#x}, at pc {pc:#x}")
            }
            Fault::Memory { pc, address, fetch, syndrome } => {
                let what = if fetch { "instruction fetch" } else { "access to data" };
                write!(f, "{what} at {address:#x}, esr {syndrome:#x}, at pc {pc:#x}")
            }
        }
    }
}
