//! What the root task is told at its start: the initial capability space and the boot information pages.
//!
//! It begins at its entry point with the address of the boot information in x0; all other registers are 0, SP too: it
//! brings its own stack. Its image is mapped as its program headers say, which must lie in its first segment.

/// Slots of the root task's CNode that the kernel fills, by index. Indices below [`slot::FIRST_FREE`] that are not named
/// here are empty.
pub mod slot {
    /// Always empty.
    pub const NULL: u64 = 0;
    /// The root task's own TCB.
    pub const TCB: u64 = 1;
    /// The root task's own CNode.
    pub const CNODE: u64 = 2;
    /// The root task's address space.
    pub const VSPACE: u64 = 3;
    /// The right to handle interrupts.
    pub const IRQ_CONTROL: u64 = 4;
    /// The page of the root task's IPC buffer.
    pub const IPC_BUFFER: u64 = 5;
    /// The right to set domains.
    pub const DOMAIN: u64 = 6;
    /// The right to end it all.
    pub const POWER: u64 = 7;
    /// The first slot of what the boot information describes: boot information pages, device tree pages, image pages,
    /// page tables, untyped memory, in this order.
    pub const FIRST_FREE: u64 = 16;
}

/// Log2 of the slots in the root task's CNode.
pub const CNODE_BITS: u64 = 12;

/// The header, 64-bit words by index, at the start of the first boot information page. Its address is in the root task's x0.
pub mod header {
    /// [`super::MAGIC`].
    pub const MAGIC: usize = 0;
    /// [`super::VERSION`].
    pub const VERSION: usize = 1;
    /// Bytes of boot information in all; it spans as many pages as it needs.
    pub const SIZE: usize = 2;
    /// Virtual address of the IPC buffer.
    pub const IPC_BUFFER: usize = 3;
    /// Log2 of the slots in the root task's CNode.
    pub const CNODE_BITS: usize = 4;
    /// First and one past the last slot of: empty slots.
    pub const EMPTY: usize = 5;
    /// Of the boot information's own pages.
    pub const BOOTINFO_PAGES: usize = 7;
    /// Of the device tree's pages.
    pub const FDT_PAGES: usize = 9;
    /// Of the pages of the root task's image, in the order of their addresses.
    pub const IMAGE_PAGES: usize = 11;
    /// Of the root task's page tables.
    pub const PAGE_TABLES: usize = 13;
    /// Of untyped memory.
    pub const UNTYPED: usize = 15;
    /// Virtual address and bytes of the device tree.
    pub const FDT: usize = 17;
    /// First and one past the last virtual address of the root task's image.
    pub const IMAGE: usize = 19;
    /// Byte offset of the untyped list, of [`super::untyped::WORDS`] words an entry, and how many entries.
    pub const UNTYPED_LIST: usize = 21;
    /// Byte offset of the list of memory regions, of [`super::region::WORDS`] words an entry, and how many entries.
    pub const REGIONS: usize = 23;
    /// Timer ticks a second.
    pub const TICK_HZ: usize = 25;
    /// The interrupt of the UART.
    pub const UART_IRQ: usize = 26;
    /// Physical address of the UART.
    pub const UART: usize = 27;
    /// Words in the header.
    pub const WORDS: usize = 28;
}

/// "KaaLboot", little-endian.
pub const MAGIC: u64 = u64::from_le_bytes(*b"KaaLboot");
/// The version of this layout. A reader refuses any other.
pub const VERSION: u64 = 1;

/// An entry of the untyped list; entry n describes the capability in slot `UNTYPED` + n.
pub mod untyped {
    /// Physical address.
    pub const ADDRESS: usize = 0;
    /// Log2 of its bytes.
    pub const BITS: usize = 1;
    /// 1 if it is device memory, which can become pages and untyped memory only.
    pub const DEVICE: usize = 2;
    /// Words in an entry.
    pub const WORDS: usize = 3;
}

/// An entry of the list of memory regions.
pub mod region {
    /// Physical address of its first byte.
    pub const START: usize = 0;
    /// One past its last byte.
    pub const END: usize = 1;
    /// What is there: one of the kinds below.
    pub const KIND: usize = 2;
    /// Words in an entry.
    pub const WORDS: usize = 3;
    /// RAM.
    pub const RAM: u64 = 0;
    /// RAM from the kernel's image to the end of its frame bitmap; the root task's image lies in it.
    pub const KERNEL: u64 = 1;
    /// RAM that the root task's image was loaded to.
    pub const ROOT_TASK: u64 = 2;
    /// RAM that the device tree reserves, that it is in, and that the initial RAM disk is in.
    pub const RESERVED: u64 = 3;
}
