//! Device registers.

/// A device's registers.
#[derive(Clone, Copy)]
pub struct Mmio {
    base: usize,
}

impl Mmio {
    /// The registers at virtual address `base`.
    ///
    /// # Safety
    /// `base` must be mapped as device memory whenever the registers are used, and nothing but a device be there.
    pub const unsafe fn new(base: usize) -> Self {
        Self { base }
    }

    /// Reads the 32-bit register at `offset`.
    pub fn read(self, offset: usize) -> u32 {
        // SAFETY: `new`'s caller vouched for the address. Assembly, so that the access is exactly one LDR.
        unsafe {
            let value: u32;
            core::arch::asm!("ldr {v:w}, [{a}]", v = out(reg) value, a = in(reg) self.base + offset,
                options(nostack, preserves_flags));
            value
        }
    }

    /// Writes the 32-bit register at `offset`.
    pub fn write(self, offset: usize, value: u32) {
        // SAFETY: as for `read`.
        unsafe {
            core::arch::asm!("str {v:w}, [{a}]", v = in(reg) value, a = in(reg) self.base + offset,
                options(nostack, preserves_flags));
        }
    }

    /// Writes the byte at `offset`.
    pub fn write_byte(self, offset: usize, value: u8) {
        // SAFETY: as for `read`.
        unsafe {
            core::arch::asm!("strb {v:w}, [{a}]", v = in(reg) u32::from(value), a = in(reg) self.base + offset,
                options(nostack, preserves_flags));
        }
    }
}
