//! Reader of statically linked AArch64 ELF programs: checks the header, then yields what is to be loaded.
#![no_std]
#![forbid(unsafe_code)]

mod loaded;

pub use loaded::{Loaded, LoadedSegment};

/// Why a file is no program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElfError {
    /// Not a 64-bit little-endian ELF executable for AArch64.
    NotAarch64Executable,
    /// The program headers or a segment's bytes reach past the end of the file.
    Truncated,
    /// A segment is larger in the file than in memory, or wraps around the address space.
    BadSegment,
    /// A segment is both writable and executable.
    WritableAndExecutable,
    /// The entry point lies in no executable segment.
    BadEntry,
    /// Two segments share an address, virtual or physical.
    Overlap,
}

impl ElfError {
    /// What is wrong with the file, for people.
    pub const fn text(self) -> &'static str {
        match self {
            ElfError::NotAarch64Executable => "it is no 64-bit little-endian ELF executable for AArch64",
            ElfError::Truncated => "it ends before its headers or segments do",
            ElfError::BadSegment => "a segment has more bytes than memory, or wraps around",
            ElfError::WritableAndExecutable => "a segment is both writable and executable",
            ElfError::BadEntry => "its entry point lies in no executable segment",
            ElfError::Overlap => "two of its segments overlap",
        }
    }
}

/// What a segment's pages may be used for, beside reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Constants: neither written nor executed.
    Read,
    /// Data.
    Write,
    /// Code.
    Execute,
}

/// A loadable segment: `data`, followed by zeros up to `size` bytes, at virtual address `address`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Virtual address of the first byte.
    pub address: u64,
    /// Physical address to load it at, for programs that are linked to one (kernels).
    pub physical: u64,
    /// Bytes in memory.
    pub size: u64,
    /// The bytes that stand in the file.
    pub data: &'a [u8],
    /// What the pages are for.
    pub usage: Use,
}

/// A program whose headers have been checked.
#[derive(Debug)]
pub struct Elf<'a> {
    file: &'a [u8],
    entry: u64,
    headers: usize,
    count: usize,
}

const PROGRAM_HEADER: usize = 56;

/// Do `a` bytes from `first` and `b` bytes from `second` on share one?
const fn overlap(first: u64, a: u64, second: u64, b: u64) -> bool {
    first < second + b && second < first + a
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

impl<'a> Elf<'a> {
    /// Checks the file header and every program header.
    pub fn parse(file: &'a [u8]) -> Result<Self, ElfError> {
        let executable = file.get(..7) == Some(b"\x7fELF\x02\x01\x01")
            && u16_at(file, 16) == Some(2)
            && u16_at(file, 18) == Some(183)
            && u16_at(file, 54) == Some(PROGRAM_HEADER as u16);
        if !executable {
            return Err(ElfError::NotAarch64Executable);
        }
        let entry = u64_at(file, 24).ok_or(ElfError::Truncated)?;
        let headers = u64_at(file, 32).ok_or(ElfError::Truncated)? as usize;
        let count = u16_at(file, 56).ok_or(ElfError::Truncated)? as usize;
        let elf = Elf { file, entry, headers, count };
        let mut entry_found = false;
        for index in 0..count {
            if let Some(s) = elf.segment(index)? {
                entry_found |= s.usage == Use::Execute && entry.wrapping_sub(s.address) < s.size;
                for earlier in 0..index {
                    let Some(e) = elf.segment(earlier)? else { continue };
                    if overlap(s.address, s.size, e.address, e.size)
                        || overlap(s.physical, s.size, e.physical, e.size)
                    {
                        return Err(ElfError::Overlap);
                    }
                }
            }
        }
        if entry_found { Ok(elf) } else { Err(ElfError::BadEntry) }
    }

    /// Where the program starts.
    pub fn entry(&self) -> u64 {
        self.entry
    }

    fn segment(&self, index: usize) -> Result<Option<Segment<'a>>, ElfError> {
        let at = self.headers.checked_add(index * PROGRAM_HEADER).ok_or(ElfError::Truncated)?;
        let header = at
            .checked_add(PROGRAM_HEADER)
            .and_then(|end| self.file.get(at..end))
            .ok_or(ElfError::Truncated)?;
        let word = |at| u64_at(header, at).ok_or(ElfError::Truncated);
        if u32_at(header, 0) != Some(1) {
            return Ok(None);
        }
        let flags = u32_at(header, 4).ok_or(ElfError::Truncated)?;
        let (offset, address, physical) = (word(8)?, word(16)?, word(24)?);
        let (file_size, size) = (word(32)?, word(40)?);
        let wraps = address.checked_add(size).is_none() || physical.checked_add(size).is_none();
        if file_size > size || wraps {
            return Err(ElfError::BadSegment);
        }
        let end = offset.checked_add(file_size).ok_or(ElfError::Truncated)?;
        let data = self.file.get(offset as usize..end as usize).ok_or(ElfError::Truncated)?;
        let usage = match flags & 3 {
            3 => return Err(ElfError::WritableAndExecutable),
            2 => Use::Write,
            1 => Use::Execute,
            _ => Use::Read,
        };
        Ok((size > 0).then_some(Segment { address, physical, size, data, usage }))
    }

    /// The loadable segments, in the order of the file.
    pub fn segments(&self) -> impl Iterator<Item = Segment<'a>> + '_ {
        (0..self.count).filter_map(|index| self.segment(index).ok().flatten())
    }

    /// The lowest virtual address of a segment, and one past the highest.
    pub fn span(&self) -> (u64, u64) {
        self.extent(|s| s.address)
    }

    /// The lowest physical address of a segment, and one past the highest.
    pub fn physical_span(&self) -> (u64, u64) {
        self.extent(|s| s.physical)
    }

    fn extent(&self, start: impl Fn(&Segment) -> u64) -> (u64, u64) {
        self.segments()
            .fold((u64::MAX, 0), |(low, high), s| (low.min(start(&s)), high.max(start(&s) + s.size)))
    }
}

#[cfg(test)]
mod tests;
