extern crate std;
use super::*;
use std::collections::BTreeMap;
use std::vec::Vec;

/// Tables in a map; frames count up from 0x4000_0000, at most `limit` of them.
struct Host {
    tables: BTreeMap<u64, [u64; ENTRIES]>,
    next: u64,
    limit: usize,
}

impl Host {
    fn new() -> Self {
        Self { tables: BTreeMap::new(), next: 0x4000_0000, limit: usize::MAX }
    }
}

impl TableMemory for Host {
    fn read(&self, table: u64, index: usize) -> u64 {
        self.tables[&table][index]
    }
    fn write(&mut self, table: u64, index: usize, descriptor: u64) {
        self.tables.get_mut(&table).unwrap()[index] = descriptor;
    }
    fn allocate(&mut self) -> Option<u64> {
        if self.tables.len() >= self.limit {
            return None;
        }
        self.next += PAGE_SIZE;
        self.tables.insert(self.next, [0; ENTRIES]);
        Some(self.next)
    }
    fn free(&mut self, table: u64) {
        assert!(self.tables.remove(&table).is_some(), "table {table:#x} freed twice");
    }
}

const USER_RW: Attributes = Attributes::user(Rights::ReadWrite);

#[test]
fn descriptors_are_the_manuals_bits() {
    assert_eq!(leaf(0x4020_0000, 3, Attributes::kernel(Rights::ReadExecute)), 0x0040_0000_4020_0787);
    assert_eq!(leaf(0x4020_0000, 3, Attributes::kernel(Rights::ReadWrite)), 0x0060_0000_4020_0707);
    assert_eq!(leaf(0x4020_0000, 2, Attributes::kernel(Rights::ReadWrite)), 0x0060_0000_4020_0705);
    assert_eq!(leaf(0x0900_0000, 3, Attributes::DEVICE), 0x0060_0000_0900_0403);
    assert_eq!(leaf(0x4800_1000, 3, Attributes::user(Rights::ReadExecute)), 0x0020_0000_4800_1fc7);
    assert_eq!(leaf(0x4800_1000, 3, Attributes::user(Rights::Read)), 0x0060_0000_4800_1fc7);
    assert_eq!(table(0x4100_0000), 0x4100_0003);
    let uncached = Attributes { behaviour: Behaviour::Uncached, ..Attributes::user(Rights::ReadWrite) };
    assert_eq!(leaf(0x4800_1000, 3, uncached), 0x0060_0000_4800_1f4b);
    assert_eq!(MAIR, 0x44_ff04);
}

#[test]
fn decode_is_the_inverse_of_leaf() {
    for level in 1..4 {
        for rights in [Rights::Read, Rights::ReadWrite, Rights::ReadExecute] {
            let behaviours = [Behaviour::Normal, Behaviour::Uncached, Behaviour::Device];
            for (user, behaviour) in behaviours.into_iter().flat_map(|b| [(false, b), (true, b)]) {
                let a = Attributes { rights, user, behaviour };
                let descriptor = leaf(0x8000_0000, level, a);
                assert_eq!(decode(descriptor, level), Entry::Leaf(0x8000_0000, a));
                assert!(!is_writable_and_executable(descriptor));
            }
        }
    }
    assert_eq!(decode(0x4000_0002, 3), Entry::Invalid);
    assert_eq!(decode(0x4000_0003, 2), Entry::Table(0x4000_0000));
    assert!(matches!(decode(0x4000_0703, 3), Entry::Foreign(_)));
    assert!(is_writable_and_executable(0x4000_0703));
}

#[test]
fn indices_split_the_address() {
    let va = 1 << 39 | 2 << 30 | 3 << 21 | 4 << 12 | 5;
    assert_eq!([0, 1, 2, 3].map(|l| index(va, l)), [1, 2, 3, 4]);
    assert_eq!([0, 1, 2, 3].map(span), [1 << 39, 1 << 30, 2 << 20, 4096]);
}

#[test]
fn maps_walks_protects_and_unmaps() {
    let mut m = Host::new();
    let mut t = PageTable::new(&mut m, Half::User).unwrap();
    t.map(&mut m, 0x40_0000, 0x4800_0000, USER_RW).unwrap();
    let w = t.walk(&m, 0x40_0123).unwrap();
    assert_eq!((w.pa, w.level, w.attributes), (0x4800_0123, 3, Some(USER_RW)));
    assert_eq!(t.walk(&m, 0x40_1000), None);
    t.protect(&mut m, 0x40_0000, Rights::Read).unwrap();
    assert_eq!(t.walk(&m, 0x40_0000).unwrap().attributes.unwrap().rights, Rights::Read);
    assert_eq!(t.unmap(&mut m, 0x40_0000), Ok(0x4800_0000));
    assert_eq!(t.walk(&m, 0x40_0000), None);
    assert_eq!(t.unmap(&mut m, 0x40_0000), Err(MapError::NotMapped));
    assert_eq!(t.protect(&mut m, 0x40_0000, Rights::Read), Err(MapError::NotMapped));
}

#[test]
fn refuses_bad_requests() {
    let mut m = Host::new();
    let mut t = PageTable::new(&mut m, Half::User).unwrap();
    assert_eq!(t.map(&mut m, 0x1001, 0x2000, USER_RW), Err(MapError::Misaligned));
    assert_eq!(t.map(&mut m, 0x1000, 0x2001, USER_RW), Err(MapError::Misaligned));
    assert_eq!(t.map(&mut m, 1 << 48, 0x2000, USER_RW), Err(MapError::OutOfRange));
    assert_eq!(t.map(&mut m, 0xffff_0000_0000_0000, 0x2000, USER_RW), Err(MapError::OutOfRange));
    t.map(&mut m, 0x1000, 0x2000, USER_RW).unwrap();
    assert_eq!(t.map(&mut m, 0x1000, 0x3000, USER_RW), Err(MapError::AlreadyMapped));
}

#[test]
fn ranges_use_blocks_where_they_fit() {
    let mut m = Host::new();
    let mut t = PageTable::new(&mut m, Half::Kernel).unwrap();
    let va = 0xffff_0000_401f_f000;
    let kernel = Attributes::kernel(Rights::ReadWrite);
    t.map_range(&mut m, va, 0x401f_f000, BLOCK_SIZE + 2 * PAGE_SIZE, kernel).unwrap();
    let mut leaves = Vec::new();
    t.for_each_leaf(&m, |va, level, _| leaves.push((va, level)));
    assert_eq!(leaves, [(va, 3), (va + PAGE_SIZE, 2), (va + PAGE_SIZE + BLOCK_SIZE, 3)]);
    assert_eq!(t.walk(&m, va + PAGE_SIZE + 0x12345).unwrap().pa, 0x4021_2345);
    assert_eq!(t.unmap(&mut m, va + 2 * PAGE_SIZE), Err(MapError::InBlock));
    assert_eq!(t.map(&mut m, va + 2 * PAGE_SIZE, 0, kernel), Err(MapError::AlreadyMapped));
}

#[test]
fn destroy_returns_every_table_and_page() {
    let mut m = Host::new();
    let mut t = PageTable::new(&mut m, Half::User).unwrap();
    for i in 0..20 {
        t.map(&mut m, i << 33 | i << 22, 0x5000_0000 + i * PAGE_SIZE, USER_RW).unwrap();
    }
    let mut pages = Vec::new();
    t.destroy(&mut m, |_, pa| pages.push(pa));
    assert_eq!(pages.len(), 20);
    assert!(m.tables.is_empty());
}

#[test]
fn runs_out_of_memory_politely() {
    let mut m = Host::new();
    m.limit = 3;
    let mut t = PageTable::new(&mut m, Half::User).unwrap();
    assert_eq!(t.map(&mut m, 0x1000, 0x2000, USER_RW), Err(MapError::OutOfMemory));
    assert_eq!(t.walk(&m, 0x1000), None);
    m.limit = 4;
    assert_eq!(t.map(&mut m, 0x1000, 0x2000, USER_RW), Ok(()));
}
