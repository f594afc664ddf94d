//! Shared kernel state for a kernel on one processor that does not preempt itself.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

/// A value that one caller at a time may use, by [`KernelCell::with`]. A second, nested use is a bug and panics.
pub struct KernelCell<T> {
    busy: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: `with` gives out at most one reference at a time, whoever asks.
unsafe impl<T: Send> Sync for KernelCell<T> {}

impl<T> KernelCell<T> {
    /// A cell holding `value`.
    pub const fn new(value: T) -> Self {
        Self { busy: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    /// Calls `f` with the value.
    #[track_caller]
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        assert!(!self.busy.swap(true, Ordering::Acquire), "kernel state is in use already");
        // SAFETY: `busy` was clear, so no other reference exists until it is cleared below. (A panic ends the kernel.)
        let result = f(unsafe { &mut *self.value.get() });
        self.busy.store(false, Ordering::Release);
        result
    }
}
