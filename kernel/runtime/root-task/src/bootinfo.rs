//! The boot information: what the kernel tells of the machine and of the initial capability space.

use kaal_fdt::Fdt;
use kaal_sys::abi::bootinfo::{MAGIC, VERSION, header, region, untyped};
use kaal_sys::{CPtr, Untyped};

/// The boot information pages.
#[derive(Clone, Copy)]
pub struct BootInfo {
    words: &'static [u64],
}

/// Slots or addresses from `start` up to, but without, `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The first.
    pub start: u64,
    /// One past the last.
    pub end: u64,
}

impl Range {
    /// How many there are.
    pub const fn len(self) -> u64 {
        self.end - self.start
    }
}

/// Untyped memory that the kernel handed out.
#[derive(Debug, Clone, Copy)]
pub struct UntypedEntry {
    /// The capability.
    pub cap: Untyped,
    /// Physical address.
    pub address: u64,
    /// Log2 of the bytes.
    pub bits: u64,
    /// Device memory.
    pub device: bool,
}

/// A region of memory and what is in it.
#[derive(Debug, Clone, Copy)]
pub struct RegionEntry {
    /// First address.
    pub start: u64,
    /// One past the last.
    pub end: u64,
    /// A kind of [`kaal_sys::abi::bootinfo::region`].
    pub kind: u64,
}

impl BootInfo {
    /// The boot information at `address`; `None` if what is there is none, or of another version.
    ///
    /// # Safety
    /// `address` is what the kernel passed in x0, and nobody writes to the pages there.
    pub unsafe fn at(address: u64) -> Option<Self> {
        // SAFETY: the caller's promise: at least a header is there, and stays.
        let header = unsafe { core::slice::from_raw_parts(address as *const u64, header::WORDS) };
        if header[header::MAGIC] != MAGIC || header[header::VERSION] != VERSION {
            return None;
        }
        // SAFETY: the header says how far it reaches.
        let words = unsafe {
            core::slice::from_raw_parts(address as *const u64, (header[header::SIZE] / 8) as usize)
        };
        Some(Self { words })
    }

    /// A word of the header.
    pub fn word(&self, index: usize) -> u64 {
        self.words[index]
    }

    /// Two words of the header that are a range.
    pub fn range(&self, index: usize) -> Range {
        Range { start: self.words[index], end: self.words[index + 1] }
    }

    fn list<const WORDS: usize>(&self, index: usize) -> impl Iterator<Item = [u64; WORDS]> + use<WORDS> {
        let first = (self.words[index] / 8) as usize;
        let words: &'static [u64] = &self.words[first..first + self.words[index + 1] as usize * WORDS];
        words.as_chunks::<WORDS>().0.iter().copied()
    }

    /// The value of `name=value` among the arguments, which the device tree has (`/chosen/bootargs`).
    pub fn argument(&self, name: &str) -> Option<&'static str> {
        let [address, size] = [self.word(header::FDT), self.word(header::FDT + 1)];
        // SAFETY: the kernel mapped the device tree there, and nobody writes to it.
        let tree = unsafe { core::slice::from_raw_parts(address as *const u8, size as usize) };
        let arguments = Fdt::new(tree).ok()?.bootargs()?;
        arguments.split_ascii_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    /// All untyped memory.
    pub fn untyped(&self) -> impl Iterator<Item = UntypedEntry> + use<> {
        let first = self.word(header::UNTYPED);
        self.list::<{ untyped::WORDS }>(header::UNTYPED_LIST).zip(first..).map(|(entry, slot)| UntypedEntry {
            cap: Untyped(CPtr(slot)),
            address: entry[untyped::ADDRESS],
            bits: entry[untyped::BITS],
            device: entry[untyped::DEVICE] != 0,
        })
    }

    /// All regions of memory.
    pub fn regions(&self) -> impl Iterator<Item = RegionEntry> + use<> {
        self.list::<{ region::WORDS }>(header::REGIONS).map(|entry| RegionEntry {
            start: entry[region::START],
            end: entry[region::END],
            kind: entry[region::KIND],
        })
    }
}
