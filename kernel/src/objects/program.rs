//! Programs: ELF images turned into threads.

use super::thread::Thread;
use crate::arch::aarch64::phys::{self, Frame};
use crate::arch::aarch64::{mmu, trap::TrapFrame};
use crate::memory::{frames, vspace::VSpace};
use kaal_elf::{Elf, ElfError, Segment, Use};
use kaal_paging::{MapError, PAGE_SIZE, Rights};

/// The programs in the kernel's image.
pub mod images {
    /// Makes system calls, touches lazy pages, then faults.
    pub static HELLO: &[u8] = include_bytes!(concat!(env!("KAAL_PROGRAMS"), "/kaal-hello"));
    /// Computes, to be preempted.
    pub static WORKER: &[u8] = include_bytes!(concat!(env!("KAAL_PROGRAMS"), "/kaal-worker"));
    /// Faults, in the way its argument says.
    pub static FAULTY: &[u8] = include_bytes!(concat!(env!("KAAL_PROGRAMS"), "/kaal-faulty"));
}

/// One past the end of a program's stack.
pub const STACK_TOP: u64 = 0x0000_7fff_ffff_f000;
/// Bytes of stack, supplied as they are touched.
pub const STACK_SIZE: u64 = 16 * PAGE_SIZE;
/// Where a program has memory of its own to use.
pub const HEAP: u64 = 0x0000_0010_0000_0000;
/// Bytes of it, supplied as they are touched.
pub const HEAP_SIZE: u64 = 64 * PAGE_SIZE;

/// Why a program could not be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadError {
    /// The image is no program.
    Image(ElfError),
    /// Its address space could not be made.
    Memory(MapError),
}

fn load_segment(vspace: &mut VSpace, segment: &Segment) -> Result<(), MapError> {
    let rights = match segment.usage {
        Use::Read => Rights::Read,
        Use::Write => Rights::ReadWrite,
        Use::Execute => Rights::ReadExecute,
    };
    let end = segment.address + segment.size;
    let file_end = segment.address + segment.data.len() as u64;
    let mut page = segment.address & !(PAGE_SIZE - 1);
    while page < end {
        let frame = frames::allocate_zeroed().ok_or(MapError::OutOfMemory)?;
        let (from, to) = (page.max(segment.address), (page + PAGE_SIZE).min(file_end));
        if from < to {
            let bytes = &segment.data[(from - segment.address) as usize..(to - segment.address) as usize];
            Frame::at(frame).write_bytes((from - page) as usize, bytes);
        }
        if segment.usage == Use::Execute {
            mmu::sync_instructions(phys::to_virtual(frame), PAGE_SIZE);
        }
        if let Err(error) = vspace.map(page, frame, rights) {
            frames::free(frame);
            return Err(error);
        }
        page += PAGE_SIZE;
    }
    Ok(())
}

/// A thread that will run the program `image`, with `argument` in x0.
pub fn load(name: &'static str, image: &[u8], argument: u64) -> Result<Thread, LoadError> {
    let elf = Elf::parse(image).map_err(LoadError::Image)?;
    let mut vspace = VSpace::new().map_err(LoadError::Memory)?;
    let filled = elf
        .segments()
        .try_for_each(|segment| load_segment(&mut vspace, &segment))
        .and_then(|()| vspace.add_lazy(STACK_TOP - STACK_SIZE, STACK_TOP, Rights::ReadWrite))
        .and_then(|()| vspace.add_lazy(HEAP, HEAP + HEAP_SIZE, Rights::ReadWrite));
    match filled {
        Ok(()) => Ok(Thread::new(name, vspace, TrapFrame::new(elf.entry(), STACK_TOP, argument))),
        Err(error) => {
            vspace.destroy();
            Err(LoadError::Memory(error))
        }
    }
}
