//! Floating-point registers, kept lazily: they stay in the processor until another thread uses them.

use super::{phys, uaccess};
use core::arch::asm;
use core::sync::atomic::{AtomicU8, Ordering::Relaxed};
use kaal_core::objects::tcb::FP_OFFSET;

/// CPACR_EL1.FPEN: EL0 and EL1 may use floating point (Arm DDI 0487, D17.2.30).
const ENABLED: u64 = 3 << 20;

unsafe extern "C" {
    fn fp_save(to: *mut u8);
    fn fp_load(from: *const u8);
}

fn set_access(value: u64) {
    // SAFETY: decides who traps; the kernel itself uses no floating point but in fp_save and fp_load.
    unsafe { asm!("msr cpacr_el1, {}", "isb", in(reg) value, options(nostack, preserves_flags)) };
}

/// Whose registers the processor holds.
pub struct Owner {
    thread: u64,
    enabled: bool,
}

/// 0: not asked yet, 1: absent, 2: present.
static PRESENT: AtomicU8 = AtomicU8::new(0);

/// Does the processor have floating point? Where the identification registers say so but the instructions are undefined,
/// it does not.
fn present() -> bool {
    if PRESENT.load(Relaxed) == 0 {
        set_access(ENABLED);
        let works = uaccess::try_floating_point();
        set_access(0);
        PRESENT.store(1 + u8::from(works), Relaxed);
    }
    PRESENT.load(Relaxed) == 2
}

impl Owner {
    /// Nobody's.
    pub const fn new() -> Self {
        Self { thread: 0, enabled: false }
    }

    /// Sets up traps for a thread about to run.
    pub fn prepare(&mut self, thread: u64) {
        let enabled = thread == self.thread;
        if enabled != self.enabled {
            self.enabled = enabled;
            set_access(if enabled { ENABLED } else { 0 });
        }
    }

    /// Gives the registers to a thread. False if there are none.
    pub fn switch(&mut self, thread: u64) -> bool {
        if !present() {
            return false;
        }
        set_access(ENABLED);
        self.enabled = true;
        // SAFETY: TCBs have room for the registers at this offset, and access is enabled.
        unsafe {
            if self.thread != 0 {
                fp_save(phys::to_virtual(self.thread + FP_OFFSET) as *mut u8);
            }
            fp_load(phys::to_virtual(thread + FP_OFFSET) as *const u8);
        }
        self.thread = thread;
        true
    }

    /// The thread is being deleted.
    pub fn forget(&mut self, thread: u64) {
        if self.thread == thread {
            self.thread = 0;
            self.enabled = false;
            set_access(0);
        }
    }
}
