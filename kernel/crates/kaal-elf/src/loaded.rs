//! A program already in memory, whose first segment holds the file's own headers: what its pages are for.

use super::{ElfError, PROGRAM_HEADER, Use, u16_at, u32_at, u64_at};

/// Where a segment of a loaded program lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadedSegment {
    /// Virtual address of the first byte.
    pub address: u64,
    /// Bytes in memory.
    pub size: u64,
    /// What the pages are for.
    pub usage: Use,
}

/// A loaded program's headers.
#[derive(Debug, Clone, Copy)]
pub struct Loaded<'a> {
    headers: &'a [u8],
}

impl<'a> Loaded<'a> {
    /// Reads the headers at the start of `image`, which begins with the program's first segment.
    pub fn parse(image: &'a [u8]) -> Result<Self, ElfError> {
        let executable = image.get(..6) == Some(b"\x7fELF\x02\x01")
            && u16_at(image, 18) == Some(183)
            && u16_at(image, 54) == Some(PROGRAM_HEADER as u16);
        if !executable {
            return Err(ElfError::NotAarch64Executable);
        }
        let start = u64_at(image, 32).ok_or(ElfError::Truncated)? as usize;
        let count = u16_at(image, 56).ok_or(ElfError::Truncated)? as usize;
        let end = start.checked_add(count * PROGRAM_HEADER).ok_or(ElfError::Truncated)?;
        let loaded = Self { headers: image.get(start..end).ok_or(ElfError::Truncated)? };
        for header in loaded.headers.chunks_exact(PROGRAM_HEADER) {
            let (kind, flags) = (u32_at(header, 0), u32_at(header, 4).unwrap_or(0));
            if kind == Some(1) && flags & 3 == 3 {
                return Err(ElfError::WritableAndExecutable);
            }
        }
        Ok(loaded)
    }

    /// The segments, in the order of the headers.
    pub fn segments(&self) -> impl Iterator<Item = LoadedSegment> + use<'a> {
        self.headers.chunks_exact(PROGRAM_HEADER).filter_map(|header| {
            let flags = u32_at(header, 4)?;
            let (address, size) = (u64_at(header, 16)?, u64_at(header, 40)?);
            let usage = match flags & 3 {
                2 => Use::Write,
                1 => Use::Execute,
                _ => Use::Read,
            };
            let loaded = u32_at(header, 0) == Some(1) && size > 0 && address.checked_add(size).is_some();
            loaded.then_some(LoadedSegment { address, size, usage })
        })
    }
}
