//! Tests of the reader, on files made here.

extern crate std;
use super::*;
use std::vec::Vec;

/// Flags, virtual address, physical address, bytes in the file, bytes in memory.
type Header = (u32, u64, u64, u64, u64);

/// A file whose segments' bytes all begin right behind the headers.
fn file(entry: u64, segments: &[Header]) -> Vec<u8> {
    let mut f = Vec::new();
    f.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    f.extend(2u16.to_le_bytes());
    f.extend(183u16.to_le_bytes());
    f.extend(1u32.to_le_bytes());
    for v in [entry, 64, 0] {
        f.extend(v.to_le_bytes());
    }
    f.extend(0u32.to_le_bytes());
    for v in [64u16, 56, segments.len() as u16, 0, 0, 0] {
        f.extend(v.to_le_bytes());
    }
    let bytes = 64 + 56 * segments.len() as u64;
    for &(flags, address, physical, file_size, size) in segments {
        f.extend(1u32.to_le_bytes());
        f.extend(flags.to_le_bytes());
        for v in [bytes, address, physical, file_size, size, 0x1000] {
            f.extend(v.to_le_bytes());
        }
    }
    f.extend([0xaa; 16]);
    f
}

fn sample(flags: u32, file_size: u64, size: u64, entry: u64) -> Vec<u8> {
    file(entry, &[(flags, 0x40_0000, 0x4020_0000, file_size, size)])
}

fn refused(file: &[u8]) -> ElfError {
    Elf::parse(file).unwrap_err()
}

#[test]
fn reads_a_program() {
    let file = sample(5, 16, 32, 0x40_0008);
    let elf = Elf::parse(&file).unwrap();
    assert_eq!(elf.entry(), 0x40_0008);
    let all: Vec<_> = elf.segments().collect();
    assert_eq!(all.len(), 1);
    assert_eq!((all[0].address, all[0].size, all[0].usage), (0x40_0000, 32, Use::Execute));
    assert_eq!((all[0].physical, all[0].data), (0x4020_0000, &[0xaa; 16][..]));
}

#[test]
fn knows_how_far_segments_reach() {
    let file = file(0x8000, &[(5, 0x8000, 0x2000, 4, 0x1800), (6, 0xa000, 0x1000, 0, 0x1000)]);
    let elf = Elf::parse(&file).unwrap();
    assert_eq!(elf.span(), (0x8000, 0xb000));
    assert_eq!(elf.physical_span(), (0x1000, 0x3800));
}

#[test]
fn refuses_what_is_no_program() {
    assert_eq!(refused(b""), ElfError::NotAarch64Executable);
    assert_eq!(refused(&sample(7, 16, 16, 0x40_0000)), ElfError::WritableAndExecutable);
    assert_eq!(refused(&sample(5, 17, 17, 0x40_0000)), ElfError::Truncated);
    assert_eq!(refused(&sample(5, 16, 15, 0x40_0000)), ElfError::BadSegment);
    assert_eq!(refused(&sample(5, 16, 16, 0x40_0010)), ElfError::BadEntry);
    assert_eq!(refused(&sample(6, 16, 16, 0x40_0000)), ElfError::BadEntry);
}

#[test]
fn refuses_programs_for_other_machines() {
    // Class, byte order, version, type (relocatable), machine (x86-64), size of a program header.
    for (at, value) in [(4, 1), (5, 2), (6, 0), (16, 1), (18, 62), (54, 32)] {
        let mut foreign = sample(5, 16, 16, 0x40_0000);
        foreign[at] = value;
        assert_eq!(refused(&foreign), ElfError::NotAarch64Executable, "byte {at}");
    }
}

#[test]
fn refuses_segments_that_overlap_or_wrap() {
    let two =
        |address, physical| file(0x1000, &[(5, 0x1000, 0x9000, 8, 0x100), (6, address, physical, 0, 0x100)]);
    assert!(Elf::parse(&two(0x1100, 0x9100)).is_ok());
    assert!(Elf::parse(&two(0xf00, 0x8f00)).is_ok());
    for (address, physical) in [(0x10ff, 0xa000), (0xf01, 0xa000), (0x2000, 0x90ff), (0x2000, 0x8f01)] {
        assert_eq!(refused(&two(address, physical)), ElfError::Overlap);
    }
    assert_eq!(refused(&two(u64::MAX - 0xfe, 0xa000)), ElfError::BadSegment);
    assert_eq!(refused(&two(0x2000, u64::MAX - 0xfe)), ElfError::BadSegment);
}

#[test]
fn never_panics_on_damage() {
    let good = file(0x40_0000, &[(5, 0x40_0000, 0x40_0000, 16, 32), (6, 0x50_0000, 0x50_0000, 0, 32)]);
    let look = |bytes: &[u8]| Elf::parse(bytes).map(|e| (e.segments().count(), e.span(), e.physical_span()));
    for end in 0..good.len() {
        let _ = look(&good[..end]);
    }
    for at in 0..good.len() {
        for value in [0, 0x7f, 0xff] {
            let mut bad = good.clone();
            bad[at] = value;
            let _ = look(&bad);
        }
    }
}
