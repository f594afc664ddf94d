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
        let executable = file.get(..6) == Some(b"\x7fELF\x02\x01")
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
        let (offset, address, file_size, size) = (word(8)?, word(16)?, word(32)?, word(40)?);
        if file_size > size || address.checked_add(size).is_none() {
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
        Ok((size > 0).then_some(Segment { address, size, data, usage }))
    }

    /// The loadable segments, in the order of the file.
    pub fn segments(&self) -> impl Iterator<Item = Segment<'a>> + '_ {
        (0..self.count).filter_map(|index| self.segment(index).ok().flatten())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    fn sample(flags: u32, file_size: u64, size: u64, entry: u64) -> Vec<u8> {
        let mut f = Vec::new();
        f.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
        f.extend(2u16.to_le_bytes());
        f.extend(183u16.to_le_bytes());
        f.extend(1u32.to_le_bytes());
        for v in [entry, 64, 0] {
            f.extend(v.to_le_bytes());
        }
        f.extend(0u32.to_le_bytes());
        for v in [64u16, 56, 1, 0, 0, 0] {
            f.extend(v.to_le_bytes());
        }
        f.extend(1u32.to_le_bytes());
        f.extend(flags.to_le_bytes());
        for v in [120u64, 0x40_0000, 0x40_0000, file_size, size, 0x1000] {
            f.extend(v.to_le_bytes());
        }
        f.extend([0xaa; 16]);
        f
    }

    #[test]
    fn reads_a_program() {
        let file = sample(5, 16, 32, 0x40_0008);
        let elf = Elf::parse(&file).unwrap();
        assert_eq!(elf.entry(), 0x40_0008);
        let all: Vec<_> = elf.segments().collect();
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].address, all[0].size, all[0].usage), (0x40_0000, 32, Use::Execute));
        assert_eq!(all[0].data, [0xaa; 16]);
    }

    #[test]
    fn refuses_what_is_no_program() {
        assert_eq!(Elf::parse(b"").unwrap_err(), ElfError::NotAarch64Executable);
        assert_eq!(Elf::parse(&sample(7, 16, 16, 0x40_0000)).unwrap_err(), ElfError::WritableAndExecutable);
        assert_eq!(Elf::parse(&sample(5, 17, 17, 0x40_0000)).unwrap_err(), ElfError::Truncated);
        assert_eq!(Elf::parse(&sample(5, 16, 15, 0x40_0000)).unwrap_err(), ElfError::BadSegment);
        assert_eq!(Elf::parse(&sample(5, 16, 16, 0x40_0010)).unwrap_err(), ElfError::BadEntry);
        assert_eq!(Elf::parse(&sample(6, 16, 16, 0x40_0000)).unwrap_err(), ElfError::BadEntry);
    }

    #[test]
    fn never_panics_on_damage() {
        let good = sample(5, 16, 32, 0x40_0000);
        for end in 0..good.len() {
            let _ = Elf::parse(&good[..end]).map(|e| e.segments().count());
        }
        for at in 0..good.len() {
            for value in [0, 0x7f, 0xff] {
                let mut bad = good.clone();
                bad[at] = value;
                let _ = Elf::parse(&bad).map(|e| e.segments().count());
            }
        }
    }
}
