//! Memory at boot: frames, the kernel's own map. Afterwards all that is left belongs to the root task.

pub mod frames;
pub mod kernel_map;

use crate::arch::aarch64::phys::Frame;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use kaal_paging::TableMemory;

/// The root of a map with nothing in it, for when no thread runs.
static EMPTY_MAP: AtomicU64 = AtomicU64::new(0);

/// The root of the empty map.
pub fn empty_map() -> u64 {
    EMPTY_MAP.load(Relaxed)
}

/// Sets the root of the empty map.
pub fn set_empty_map(root: u64) {
    EMPTY_MAP.store(root, Relaxed);
}

/// Translation tables in allocated frames.
pub struct Tables;

impl TableMemory for Tables {
    fn read(&self, table: u64, index: usize) -> u64 {
        Frame::at(table).read(index)
    }

    fn write(&mut self, table: u64, index: usize, descriptor: u64) {
        Frame::at(table).write(index, descriptor);
    }

    fn allocate(&mut self) -> Option<u64> {
        frames::allocate_zeroed()
    }

    fn free(&mut self, table: u64) {
        frames::free(table);
    }
}
