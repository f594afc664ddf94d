//! The one frame allocator.

use crate::arch::aarch64::cell::KernelCell;
use crate::arch::aarch64::phys::Frame;
use kaal_frames::FrameAllocator;

static ALLOCATOR: KernelCell<Option<FrameAllocator<'static>>> = KernelCell::new(None);

/// Makes `allocator` the kernel's.
pub fn install(allocator: FrameAllocator<'static>) {
    ALLOCATOR.with(|slot| *slot = Some(allocator));
}

/// Calls `f` with the allocator. Before [`install`] this panics.
pub fn with<R>(f: impl FnOnce(&mut FrameAllocator<'static>) -> R) -> R {
    ALLOCATOR.with(|slot| f(slot.as_mut().expect("memory is not set up yet")))
}

/// A frame full of zeros; `None` when memory is exhausted.
pub fn allocate_zeroed() -> Option<u64> {
    let frame = with(|a| a.allocate())?;
    Frame::at(frame).clear();
    Some(frame)
}

/// Gives a frame back. Freeing what is not allocated is a bug in the kernel, and panics.
#[track_caller]
pub fn free(frame: u64) {
    if let Err(error) = with(|a| a.free(frame)) {
        panic!("freeing frame {frame:#x}: {error:?}");
    }
}

/// Frames that are free.
pub fn available() -> usize {
    with(|a| a.free_frames())
}
