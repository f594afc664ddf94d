//! The PL011 UART (Arm DDI 0183G), output only.

use crate::arch::aarch64::mmio::Mmio;

const DR: usize = 0x00;
const FR: usize = 0x18;
const IBRD: usize = 0x24;
const FBRD: usize = 0x28;
const LCR_H: usize = 0x2c;
const CR: usize = 0x30;
const IMSC: usize = 0x38;
const ICR: usize = 0x44;

const FR_BUSY: u32 = 1 << 3;
const FR_TXFF: u32 = 1 << 5;

/// A UART.
pub struct Pl011(Mmio);

impl Pl011 {
    /// The UART with these registers.
    pub const fn new(registers: Mmio) -> Self {
        Self(registers)
    }

    /// 115200 baud from a 24 MHz clock, 8N1, FIFOs on, no interrupts.
    pub fn start(&self) {
        self.0.write(CR, 0);
        self.0.write(IMSC, 0);
        self.0.write(ICR, 0x7ff);
        self.0.write(IBRD, 13);
        self.0.write(FBRD, 1);
        self.0.write(LCR_H, 3 << 5 | 1 << 4);
        self.0.write(CR, 1 << 9 | 1 << 8 | 1);
    }

    /// Sends a byte, once there is room for it.
    pub fn send(&self, byte: u8) {
        while self.0.read(FR) & FR_TXFF != 0 {}
        self.0.write(DR, u32::from(byte));
    }

    /// Waits until the last byte is out.
    pub fn flush(&self) {
        while self.0.read(FR) & FR_BUSY != 0 {}
    }
}
