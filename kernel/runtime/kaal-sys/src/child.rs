//! The contract between the root task and the programs it starts.

/// Slots of a child's CNode that the root task fills.
pub mod slot {
    /// Its TCB.
    pub const TCB: u64 = 1;
    /// Its CNode.
    pub const CNODE: u64 = 2;
    /// Its address space.
    pub const VSPACE: u64 = 3;
    /// The endpoint that it reports to and that its faults go to.
    pub const REPORT: u64 = 4;
    /// The page of its IPC buffer.
    pub const IPC_BUFFER: u64 = 5;
    /// Untyped memory of 2^[`super::UNTYPED_BITS`] bytes.
    pub const UNTYPED: u64 = 6;
    /// Untyped memory of 2 MiB.
    pub const LARGE_UNTYPED: u64 = 7;
    /// The handler of the UART's interrupt.
    pub const UART_IRQ: u64 = 8;
    /// The page of the UART.
    pub const UART: u64 = 9;
    /// The right to set domains.
    pub const DOMAIN: u64 = 10;
    /// The right to handle interrupts. The one there is: the root task takes it back when the child has ended.
    pub const IRQ_CONTROL: u64 = 11;
    /// Untyped device memory, in which no device is used.
    pub const DEVICE: u64 = 12;
    /// The first slot that is empty.
    pub const FIRST_FREE: u64 = 16;
}

/// Log2 of the slots in a child's CNode.
pub const CNODE_BITS: u64 = 10;
/// Log2 of the bytes of [`slot::UNTYPED`].
pub const UNTYPED_BITS: u64 = 20;
/// Where its IPC buffer is.
pub const IPC_BUFFER: u64 = 0x50_0000;
/// An address in the same 2 MiB as the program, from which on it may map pages as it likes without further page tables.
pub const SCRATCH: u64 = 0x51_0000;
/// Where the program's own 2 MiB end.
pub const SCRATCH_END: u64 = 0x60_0000;
/// The priority it starts with.
pub const PRIORITY: u64 = 100;
/// The highest priority that it may set.
pub const MCP: u64 = 200;
/// The argument that starts the bystander instead of a test.
pub const BYSTANDER: u64 = u64::MAX;

/// The argument that has all tests named instead of one run.
pub const NAMES: u64 = u64::MAX - 1;

/// Labels of the messages to [`slot::REPORT`], beside those of faults.
pub mod label {
    /// The test begins. MR0: how many tests there are; then its name, see [`super::super::message::Received::text`].
    pub const BEGIN: u64 = 0x100;
    /// The test has passed.
    pub const PASSED: u64 = 0x101;
    /// It has not: MR0: line; then why.
    pub const FAILED: u64 = 0x102;
    /// There is a test. MR0: its number; then its name.
    pub const NAME: u64 = 0x104;
    /// Sent by the root task itself, when nothing can run any more.
    pub const STUCK: u64 = 0x103;
}
