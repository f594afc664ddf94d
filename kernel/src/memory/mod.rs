//! Memory: frames, the kernel's own map, address spaces of programs.

pub mod frames;
pub mod kernel_map;
pub mod vspace;

use crate::arch::aarch64::phys::Frame;
use kaal_paging::TableMemory;

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
