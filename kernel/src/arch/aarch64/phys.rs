//! Physical memory, as the kernel sees it: all RAM is mapped at a fixed offset.

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};
use kaal_paging::PAGE_SIZE;

/// The kernel's virtual address of a physical one, minus the latter.
pub const KERNEL_OFFSET: u64 = 0xffff_0000_0000_0000;

// Frames in here, outside the kernel's own image, are the frame allocator's to hand out. No Rust object lives in them.
static FIRST: AtomicU64 = AtomicU64::new(0);
static END: AtomicU64 = AtomicU64::new(0);
static IMAGE_FIRST: AtomicU64 = AtomicU64::new(0);
static IMAGE_END: AtomicU64 = AtomicU64::new(0);

/// Where the kernel sees physical address `pa`.
pub const fn to_virtual(pa: u64) -> u64 {
    pa | KERNEL_OFFSET
}

/// The physical address behind an address of the kernel's linear map.
pub const fn to_physical(va: u64) -> u64 {
    va & !KERNEL_OFFSET
}

/// Declares the memory that [`Frame`]s may be made of: the span `ram` without the span `image`.
///
/// # Safety
/// The span must be RAM that stays mapped, and hold no Rust object but in frames the frame allocator never hands out.
pub unsafe fn declare(ram: (u64, u64), image: (u64, u64)) {
    FIRST.store(ram.0, Ordering::Relaxed);
    END.store(ram.1, Ordering::Relaxed);
    IMAGE_FIRST.store(image.0, Ordering::Relaxed);
    IMAGE_END.store(image.1, Ordering::Relaxed);
}

fn within(pa: u64, first: &AtomicU64, end: &AtomicU64) -> bool {
    pa >= first.load(Ordering::Relaxed) && pa < end.load(Ordering::Relaxed)
}

/// A physical frame outside Rust's world: page tables and pages of programs.
#[derive(Clone, Copy)]
pub struct Frame(u64);

impl Frame {
    /// The frame at physical address `pa`, which must be one that the frame allocator handed out.
    #[track_caller]
    pub fn at(pa: u64) -> Self {
        let in_range = within(pa, &FIRST, &END) && !within(pa, &IMAGE_FIRST, &IMAGE_END);
        assert!(in_range && pa.is_multiple_of(PAGE_SIZE), "{pa:#x} is no allocated frame");
        Self(pa)
    }

    fn pointer(self) -> *mut u64 {
        to_virtual(self.0) as *mut u64
    }

    /// The 64-bit word at `index`, below 512.
    pub fn read(self, index: usize) -> u64 {
        assert!(index < 512);
        // SAFETY: within a mapped frame that holds no Rust object (`declare`). Volatile: the table walker reads it too.
        unsafe { self.pointer().add(index).read_volatile() }
    }

    /// Writes that word.
    pub fn write(self, index: usize, value: u64) {
        assert!(index < 512);
        // SAFETY: as for `read`.
        unsafe { self.pointer().add(index).write_volatile(value) }
    }

    /// Copies bytes into the frame; they must fit.
    pub fn write_bytes(self, offset: usize, bytes: &[u8]) {
        assert!(offset <= PAGE_SIZE as usize && bytes.len() <= PAGE_SIZE as usize - offset);
        // SAFETY: as for `read`; source and destination cannot overlap, since no Rust object is in the frame.
        unsafe {
            self.pointer().cast::<u8>().add(offset).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        }
    }

    /// Fills the frame with zeros.
    pub fn clear(self) {
        // SAFETY: a mapped frame that holds no Rust object (`declare`).
        unsafe { clear(self.0, PAGE_SIZE) };
    }
}

/// Fills RAM with zeros.
///
/// # Safety
/// The span must be mapped RAM without Rust objects; address and size are multiples of 16.
pub unsafe fn clear(pa: u64, size: u64) {
    let dczid = super::cpu::read_register!("dczid_el0");
    let line = 4u64 << (dczid & 15);
    let (start, end) = (to_virtual(pa), to_virtual(pa) + size);
    if dczid & 1 << 4 == 0 && (start | size).is_multiple_of(line) {
        for address in (start..end).step_by(line as usize) {
            // SAFETY: the caller's promise; whole blocks within the span.
            unsafe { asm!("dc zva, {}", in(reg) address, options(nostack, preserves_flags)) };
        }
    } else {
        // SAFETY: the caller's promise.
        unsafe { (start as *mut u64).write_bytes(0, size as usize / 8) };
    }
}

/// RAM as bytes that live for ever.
///
/// # Safety
/// The span must be mapped RAM that nobody writes to from now on.
pub unsafe fn bytes(pa: u64, size: usize) -> &'static [u8] {
    // SAFETY: the caller's promise.
    unsafe { core::slice::from_raw_parts(to_virtual(pa) as *const u8, size) }
}

/// RAM as words that are the caller's alone, for ever.
///
/// # Safety
/// The span must be mapped RAM that nobody else uses from now on, and 8-byte aligned.
pub unsafe fn words(pa: u64, count: usize) -> &'static mut [u64] {
    let start = to_virtual(pa) as *mut u64;
    // SAFETY: the caller's promise; any bytes are valid words, and zeroing makes them initialised.
    unsafe {
        start.write_bytes(0, count);
        core::slice::from_raw_parts_mut(start, count)
    }
}
