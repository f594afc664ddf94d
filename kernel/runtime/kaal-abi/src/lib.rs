//! The contract between the kernel and its programs: system call numbers, message information, errors.
//!
//! Registers are seL4's for AArch64: x7 = system call number, x0 = capability (badge on return),
//! x1 = message information, x2 to x5 = message registers 0 to 3. All other registers are preserved.
#![no_std]
#![forbid(unsafe_code)]

macro_rules! syscalls {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $mrs:literal;)*) => {
        /// A system call, numbered as x7 carries it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(i64)]
        pub enum Syscall { $($(#[$doc])* $name = $number,)* }

        impl Syscall {
            /// Every system call there is.
            pub const ALL: &'static [Syscall] = &[$(Syscall::$name,)*];

            /// The call with this number in x7.
            pub const fn from_number(number: i64) -> Option<Syscall> {
                match number { $($number => Some(Syscall::$name),)* _ => None }
            }

            /// Message registers the call needs: the least length its message information may state.
            pub const fn arguments(self) -> usize {
                match self { $(Syscall::$name => $mrs,)* }
            }
        }
    };
}

// The one table of system calls: name = number in x7, message registers needed.
// -1 to -8 follow seL4's order (Call, ReplyRecv, Send, NBSend, Recv, Reply, Yield, NBRecv) and -9 on are for debugging;
// those that need capabilities are still to come.
syscalls! {
    /// Gives up the processor to the next runnable thread.
    Yield = -7, 0;
    /// Writes one byte, MR0, to the console.
    DebugPutChar = -9, 1;
    /// Writes the UTF-8 text at address MR0 with length MR1 (at most [`MAX_STRING`]) to the console,
    /// up to its first NUL if it has one.
    DebugPutString = -10, 2;
    /// Ends the calling thread with exit code MR0. Does not return.
    Exit = -32, 1;
    /// Returns the virtual counter in MR0 and its frequency in Hz in MR1.
    GetTime = -33, 0;
    /// Returns how often this thread: was preempted (MR0), had a page supplied (MR1), made a system call (MR2).
    GetUsage = -34, 0;
}

/// Longest text that [`Syscall::DebugPutString`] takes, in bytes.
pub const MAX_STRING: u64 = 256;

/// The result of a system call: the label of the returned message information. Numbered as in seL4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Error {
    /// It worked.
    None = 0,
    /// A message register has a value that makes no sense.
    InvalidArgument = 1,
    /// The capability does not exist.
    InvalidCapability = 2,
    /// No such system call.
    IllegalOperation = 3,
    /// A value or memory range is out of bounds.
    RangeError = 4,
    /// The message is shorter than the system call needs.
    TruncatedMessage = 7,
}

impl Error {
    /// The error of a label; unknown ones read as [`Error::IllegalOperation`].
    pub const fn from_label(label: u64) -> Error {
        match label {
            0 => Error::None,
            1 => Error::InvalidArgument,
            2 => Error::InvalidCapability,
            4 => Error::RangeError,
            7 => Error::TruncatedMessage,
            _ => Error::IllegalOperation,
        }
    }
}

/// What x1 carries: bits 6:0 length in words, 8:7 extra capabilities, 11:9 capabilities unwrapped, 63:12 label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageInfo(pub u64);

impl MessageInfo {
    /// Most words a message may have.
    pub const MAX_LENGTH: u64 = 120;

    /// A message of `length` words (at most [`Self::MAX_LENGTH`]) and no capabilities.
    pub const fn new(label: u64, length: u64) -> Self {
        assert!(length <= Self::MAX_LENGTH && label < 1 << 52);
        Self(label << 12 | length)
    }

    /// What the message means to its receiver.
    pub const fn label(self) -> u64 {
        self.0 >> 12
    }

    /// Message words that are valid.
    pub const fn length(self) -> u64 {
        self.0 & 0x7f
    }

    /// Capabilities sent along.
    pub const fn extra_caps(self) -> u64 {
        self.0 >> 7 & 3
    }

    /// Capabilities that were unwrapped to badges on receipt.
    pub const fn caps_unwrapped(self) -> u64 {
        self.0 >> 9 & 7
    }

    /// Is the length within bounds?
    pub const fn is_valid(self) -> bool {
        self.length() <= Self::MAX_LENGTH
    }
}

/// Arguments of the program `faulty`: which fault to commit.
pub mod faulty {
    /// Reads address 0.
    pub const NULL: u64 = 0;
    /// Writes to its own code.
    pub const WRITE_CODE: u64 = 1;
    /// Jumps into its stack.
    pub const EXECUTE_DATA: u64 = 2;
    /// Reads the kernel's memory.
    pub const READ_KERNEL: u64 = 3;
    /// Executes an undefined instruction.
    pub const UNDEFINED: u64 = 4;
    /// Uses floating point.
    pub const FLOATING_POINT: u64 = 5;
    /// Reads a system register that EL0 may not.
    pub const PRIVILEGED: u64 = 6;
    /// Reads the counter, which traps.
    pub const COUNTER: u64 = 7;
    /// Executes a breakpoint.
    pub const BREAKPOINT: u64 = 8;
    /// Jumps to an address that is no multiple of 4.
    pub const MISALIGNED_PC: u64 = 9;
    /// Reads an address that is neither half's.
    pub const NON_CANONICAL: u64 = 10;
    /// Overflows its stack.
    pub const STACK: u64 = 11;
    /// Loops for ever.
    pub const LOOP: u64 = 12;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_information_has_sel4s_fields() {
        let info = MessageInfo(0x1234_5000 | 5 << 9 | 2 << 7 | 4);
        assert_eq!(
            (info.label(), info.caps_unwrapped(), info.extra_caps(), info.length()),
            (0x12345, 5, 2, 4)
        );
        assert_eq!(MessageInfo::new(7, 3).0, 0x7003);
        assert!(MessageInfo(120).is_valid() && !MessageInfo(121).is_valid());
    }

    #[test]
    fn numbers_go_both_ways_and_are_distinct() {
        for (i, &call) in Syscall::ALL.iter().enumerate() {
            assert_eq!(Syscall::from_number(call as i64), Some(call));
            assert!(call.arguments() <= 4);
            assert!(Syscall::ALL[..i].iter().all(|&other| other as i64 != call as i64));
        }
        assert_eq!(Syscall::from_number(0), None);
        assert_eq!(Syscall::from_number(i64::MIN), None);
    }

    #[test]
    fn errors_go_both_ways() {
        for label in 0..8 {
            let error = Error::from_label(label);
            assert!(error as u64 == label || error == Error::IllegalOperation);
        }
    }
}
