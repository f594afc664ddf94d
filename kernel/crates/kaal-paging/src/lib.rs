//! AArch64 stage-1 translation tables: 4 KiB granule, 48-bit addresses, four levels (Arm DDI 0487, D8.3).
//!
//! Everything that needs no hardware: descriptors as numbers, and the tree of tables over a [`TableMemory`].
//! TLB maintenance is the caller's: each method says what it changed.
#![no_std]
#![forbid(unsafe_code)]

/// Bytes in a page.
pub const PAGE_SIZE: u64 = 4096;
/// Bytes a level-2 block maps.
pub const BLOCK_SIZE: u64 = 2 << 20;
/// Entries in a table.
pub const ENTRIES: usize = 512;
/// Bits 47:12, where a descriptor holds an address.
pub const ADDRESS_MASK: u64 = 0x0000_ffff_ffff_f000;

/// MAIR_EL1 index of device memory, nGnRE.
pub const MAIR_DEVICE: u64 = 0;
/// MAIR_EL1 index of normal memory, write-back.
pub const MAIR_NORMAL: u64 = 1;
/// MAIR_EL1 index of normal memory, not cached.
pub const MAIR_UNCACHED: u64 = 2;
/// The value of MAIR_EL1 that gives the indices their meaning.
pub const MAIR: u64 = 0x04 << (8 * MAIR_DEVICE) | 0xff << (8 * MAIR_NORMAL) | 0x44 << (8 * MAIR_UNCACHED);

const VALID: u64 = 1;
const TABLE_OR_PAGE: u64 = 1 << 1;
const AP_EL0: u64 = 1 << 6;
const AP_READ_ONLY: u64 = 1 << 7;
const SH_INNER: u64 = 3 << 8;
const AF: u64 = 1 << 10;
const NG: u64 = 1 << 11;
const PXN: u64 = 1 << 53;
const UXN: u64 = 1 << 54;

/// What a mapping allows. Write together with execute cannot be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rights {
    /// Read only.
    Read,
    /// Read and write.
    ReadWrite,
    /// Read and execute, by the owner alone: user pages not by the kernel, nor the reverse.
    ReadExecute,
}

/// How memory behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Normal memory, cached.
    Normal,
    /// Normal memory, not cached.
    Uncached,
    /// Device memory, nGnRE.
    Device,
}

/// How memory behaves, and who may touch it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes {
    /// What is allowed.
    pub rights: Rights,
    /// EL0 may access it; such pages belong to one address space (nG).
    pub user: bool,
    /// How it behaves.
    pub behaviour: Behaviour,
}

impl Attributes {
    /// Kernel memory with these rights.
    pub const fn kernel(rights: Rights) -> Self {
        Self { rights, user: false, behaviour: Behaviour::Normal }
    }
    /// User memory with these rights.
    pub const fn user(rights: Rights) -> Self {
        Self { rights, user: true, behaviour: Behaviour::Normal }
    }
    /// Device registers, for the kernel.
    pub const DEVICE: Self = Self { rights: Rights::ReadWrite, user: false, behaviour: Behaviour::Device };
}

/// A descriptor, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// Maps nothing.
    Invalid,
    /// Points at the next level's table.
    Table(u64),
    /// Maps a page or block at this physical address.
    Leaf(u64, Attributes),
    /// Valid, but nothing this crate writes, such as memory both writable and executable.
    Foreign(u64),
}

/// The descriptor of a page (level 3) or block (levels 1 and 2) at physical address `pa`.
pub const fn leaf(pa: u64, level: u8, attributes: Attributes) -> u64 {
    let kind = if level == 3 { VALID | TABLE_OR_PAGE } else { VALID };
    let memory = match attributes.behaviour {
        Behaviour::Normal => MAIR_NORMAL << 2 | SH_INNER,
        Behaviour::Uncached => MAIR_UNCACHED << 2 | SH_INNER,
        Behaviour::Device => MAIR_DEVICE << 2,
    };
    let owner = if attributes.user { AP_EL0 | NG } else { 0 };
    let rights = match attributes.rights {
        Rights::Read => AP_READ_ONLY | PXN | UXN,
        Rights::ReadWrite => PXN | UXN,
        Rights::ReadExecute => AP_READ_ONLY | if attributes.user { PXN } else { UXN },
    };
    pa & ADDRESS_MASK | kind | memory | owner | rights | AF
}

/// The descriptor that points at a next-level table.
pub const fn table(pa: u64) -> u64 {
    pa & ADDRESS_MASK | VALID | TABLE_OR_PAGE
}

/// Takes apart a descriptor found at `level`.
pub fn decode(descriptor: u64, level: u8) -> Entry {
    if descriptor & VALID == 0 {
        return Entry::Invalid;
    }
    let pa = descriptor & ADDRESS_MASK;
    if level < 3 && descriptor & TABLE_OR_PAGE != 0 {
        return Entry::Table(pa);
    }
    for rights in [Rights::Read, Rights::ReadWrite, Rights::ReadExecute] {
        for behaviour in [Behaviour::Normal, Behaviour::Device, Behaviour::Uncached] {
            for user in [false, true] {
                let attributes = Attributes { rights, user, behaviour };
                if descriptor == leaf(pa, level, attributes) {
                    return Entry::Leaf(pa, attributes);
                }
            }
        }
    }
    Entry::Foreign(descriptor)
}

/// Does this leaf descriptor let anyone both write and execute?
pub const fn is_writable_and_executable(descriptor: u64) -> bool {
    let writable = descriptor & AP_READ_ONLY == 0;
    writable && (descriptor & PXN == 0 || descriptor & UXN == 0)
}

/// Bytes that one entry of a table at `level` maps.
pub const fn span(level: u8) -> u64 {
    PAGE_SIZE << (9 * (3 - level))
}

/// The index of `va` in a table at `level`.
pub const fn index(va: u64, level: u8) -> usize {
    (va >> (12 + 9 * (3 - level as u32)) & 0x1ff) as usize
}

/// Which of the two base registers translates a table's addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// TTBR0: 0 to 0x0000_ffff_ffff_ffff.
    User,
    /// TTBR1: 0xffff_0000_0000_0000 up.
    Kernel,
}

impl Half {
    /// Does `va` belong to this half?
    pub const fn contains(self, va: u64) -> bool {
        match self {
            Half::User => va >> 48 == 0,
            Half::Kernel => va >> 48 == 0xffff,
        }
    }
}

/// The memory that tables live in.
pub trait TableMemory {
    /// Entry `index` of the table at physical address `table`.
    fn read(&self, table: u64, index: usize) -> u64;
    /// Writes that entry.
    fn write(&mut self, table: u64, index: usize, descriptor: u64);
    /// A zeroed frame for a new table; `None` when memory is exhausted.
    fn allocate(&mut self) -> Option<u64>;
    /// Takes back a table's frame.
    fn free(&mut self, table: u64);
}

/// Why a mapping could not be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapError {
    /// An address is not a multiple of the page size.
    Misaligned,
    /// The address is not in this half of the address space, or the range wraps.
    OutOfRange,
    /// Something is mapped there already.
    AlreadyMapped,
    /// Nothing is mapped there.
    NotMapped,
    /// The page lies within a larger block, which is not split.
    InBlock,
    /// No memory for a table.
    OutOfMemory,
}

/// Where an address leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mapping {
    /// The physical address of the very byte asked for.
    pub pa: u64,
    /// 3 for a page, 2 or 1 for a block.
    pub level: u8,
    /// The descriptor.
    pub descriptor: u64,
    /// Its meaning; `None` for what this crate would not write.
    pub attributes: Option<Attributes>,
}

/// A tree of tables.
#[derive(Debug)]
pub struct PageTable {
    root: u64,
    half: Half,
}

impl PageTable {
    /// An empty tree: its root, zeroed.
    pub fn new(memory: &mut impl TableMemory, half: Half) -> Result<Self, MapError> {
        Ok(Self { root: memory.allocate().ok_or(MapError::OutOfMemory)?, half })
    }

    /// The root table's physical address, for TTBR0_EL1 or TTBR1_EL1.
    pub fn root(&self) -> u64 {
        self.root
    }

    fn check(&self, va: u64) -> Result<(), MapError> {
        if !va.is_multiple_of(PAGE_SIZE) {
            return Err(MapError::Misaligned);
        }
        if self.half.contains(va) { Ok(()) } else { Err(MapError::OutOfRange) }
    }

    /// The table at `level` on the way to `va`, made if need be.
    fn descend(&self, memory: &mut impl TableMemory, va: u64, level: u8) -> Result<u64, MapError> {
        let mut current = self.root;
        for upper in 0..level {
            let slot = index(va, upper);
            current = match decode(memory.read(current, slot), upper) {
                Entry::Table(next) => next,
                Entry::Invalid => {
                    let next = memory.allocate().ok_or(MapError::OutOfMemory)?;
                    memory.write(current, slot, table(next));
                    next
                }
                _ => return Err(MapError::AlreadyMapped),
            };
        }
        Ok(current)
    }

    fn map_at(
        &mut self,
        memory: &mut impl TableMemory,
        va: u64,
        pa: u64,
        level: u8,
        attributes: Attributes,
    ) -> Result<(), MapError> {
        self.check(va)?;
        if !pa.is_multiple_of(span(level)) || !va.is_multiple_of(span(level)) {
            return Err(MapError::Misaligned);
        }
        let table = self.descend(memory, va, level)?;
        let slot = index(va, level);
        if memory.read(table, slot) != 0 {
            return Err(MapError::AlreadyMapped);
        }
        memory.write(table, slot, leaf(pa, level, attributes));
        Ok(())
    }

    /// Maps the page at `va` to the frame at `pa`. Only an invalid entry changes: no TLB maintenance is due.
    pub fn map(
        &mut self,
        memory: &mut impl TableMemory,
        va: u64,
        pa: u64,
        attributes: Attributes,
    ) -> Result<(), MapError> {
        self.map_at(memory, va, pa, 3, attributes)
    }

    /// Maps `size` bytes, by 2 MiB blocks where both addresses allow, else by pages.
    pub fn map_range(
        &mut self,
        memory: &mut impl TableMemory,
        va: u64,
        pa: u64,
        size: u64,
        attributes: Attributes,
    ) -> Result<(), MapError> {
        if !size.is_multiple_of(PAGE_SIZE) {
            return Err(MapError::Misaligned);
        }
        va.checked_add(size.saturating_sub(1)).ok_or(MapError::OutOfRange)?;
        let mut done = 0;
        while done < size {
            let (v, p) = (va + done, pa + done);
            let block = (v | p).is_multiple_of(BLOCK_SIZE) && size - done >= BLOCK_SIZE;
            let level = if block { 2 } else { 3 };
            self.map_at(memory, v, p, level, attributes)?;
            done += span(level);
        }
        Ok(())
    }

    fn find(&self, memory: &impl TableMemory, va: u64) -> Option<(u64, usize, u8, u64)> {
        if !self.half.contains(va) {
            return None;
        }
        let mut current = self.root;
        for level in 0..4 {
            let slot = index(va, level);
            let descriptor = memory.read(current, slot);
            match decode(descriptor, level) {
                Entry::Invalid => return None,
                Entry::Table(next) => current = next,
                _ => return Some((current, slot, level, descriptor)),
            }
        }
        None
    }

    /// Where `va` (any byte of a page) leads, without changing anything.
    pub fn walk(&self, memory: &impl TableMemory, va: u64) -> Option<Mapping> {
        let (_, _, level, descriptor) = self.find(memory, va)?;
        let attributes = match decode(descriptor, level) {
            Entry::Leaf(_, attributes) => Some(attributes),
            _ => None,
        };
        let pa = (descriptor & ADDRESS_MASK) + va % span(level);
        Some(Mapping { pa, level, descriptor, attributes })
    }

    fn find_page(&self, memory: &impl TableMemory, va: u64) -> Result<(u64, usize, u64), MapError> {
        self.check(va)?;
        match self.find(memory, va) {
            None => Err(MapError::NotMapped),
            Some((table, slot, 3, descriptor)) => Ok((table, slot, descriptor)),
            Some(_) => Err(MapError::InBlock),
        }
    }

    /// Unmaps the page at `va` and returns the frame it led to. The caller must invalidate `va` in the TLB before
    /// the frame is used again. Tables stay until [`Self::destroy`].
    pub fn unmap(&mut self, memory: &mut impl TableMemory, va: u64) -> Result<u64, MapError> {
        let (table, slot, descriptor) = self.find_page(memory, va)?;
        memory.write(table, slot, 0);
        Ok(descriptor & ADDRESS_MASK)
    }

    /// Changes what the page at `va` allows. The caller must invalidate `va` in the TLB.
    pub fn protect(
        &mut self,
        memory: &mut impl TableMemory,
        va: u64,
        rights: Rights,
    ) -> Result<(), MapError> {
        let (table, slot, descriptor) = self.find_page(memory, va)?;
        let Entry::Leaf(pa, attributes) = decode(descriptor, 3) else {
            return Err(MapError::NotMapped);
        };
        memory.write(table, slot, leaf(pa, 3, Attributes { rights, ..attributes }));
        Ok(())
    }

    /// Calls `f(va, level, descriptor)` for every page and block mapped, in order of address.
    pub fn for_each_leaf(&self, memory: &impl TableMemory, mut f: impl FnMut(u64, u8, u64)) {
        let base = if self.half == Half::Kernel { 0xffff_0000_0000_0000 } else { 0 };
        Self::visit(memory, self.root, 0, base, &mut f);
    }

    fn visit(memory: &impl TableMemory, table: u64, level: u8, base: u64, f: &mut impl FnMut(u64, u8, u64)) {
        for slot in 0..ENTRIES {
            let descriptor = memory.read(table, slot);
            if descriptor == 0 {
                continue;
            }
            let va = base + slot as u64 * span(level);
            match decode(descriptor, level) {
                Entry::Invalid => {}
                Entry::Table(next) => Self::visit(memory, next, level + 1, va, f),
                _ => f(va, level, descriptor),
            }
        }
    }

    /// Frees every table, after calling `release(memory, pa)` for every page mapped. The caller must have
    /// invalidated the address space in the TLB.
    pub fn destroy<M: TableMemory>(self, memory: &mut M, mut release: impl FnMut(&mut M, u64)) {
        Self::tear_down(memory, self.root, 0, &mut release);
    }

    fn tear_down<M: TableMemory>(
        memory: &mut M,
        table: u64,
        level: u8,
        release: &mut impl FnMut(&mut M, u64),
    ) {
        for slot in 0..ENTRIES {
            let descriptor = memory.read(table, slot);
            if descriptor == 0 {
                continue;
            }
            match decode(descriptor, level) {
                Entry::Table(next) => Self::tear_down(memory, next, level + 1, release),
                Entry::Leaf(pa, _) if level == 3 => release(memory, pa),
                _ => {}
            }
        }
        memory.free(table);
    }
}

#[cfg(test)]
mod tests;
