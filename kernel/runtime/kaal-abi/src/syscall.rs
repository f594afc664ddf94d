//! System calls, by the number in x7. -1 to -8 follow seL4's order; the rest is KaaL's.

macro_rules! syscalls {
    ($($(#[$doc:meta])* $name:ident = $number:literal;)*) => {
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
        }
    };
}

syscalls! {
    /// Sends to an endpoint with a reply capability and waits for the reply; invokes any other object.
    Call = -1;
    /// Replies to the last caller, then receives.
    ReplyRecv = -2;
    /// Sends to an endpoint, waiting for a receiver; signals a notification; invokes any other object without answer.
    Send = -3;
    /// As Send; but nothing happens if no receiver waits at an endpoint, or if there is no such capability.
    NbSend = -4;
    /// Receives from an endpoint or waits for a notification.
    Recv = -5;
    /// Replies to the last caller.
    Reply = -6;
    /// Gives up the rest of the time slice.
    Yield = -7;
    /// Receives if a message or signal is there; otherwise badge 0 is returned at once.
    NbRecv = -8;
    /// Writes the byte x0 to the kernel's console.
    DebugPutChar = -9;
    /// Returns in x0 the type of the capability at x0 (the number of `Capability`'s variant; 0: none).
    DebugCapType = -10;
    /// Names the thread whose TCB capability is at x0, for panic reports and debuggers: up to 16 bytes in x2 and x3.
    DebugNameThread = -11;
}
