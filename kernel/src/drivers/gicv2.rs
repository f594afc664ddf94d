//! The GICv2 interrupt controller (Arm IHI 0048B).

use crate::arch::aarch64::mmio::Mmio;

const GICD_CTLR: usize = 0x000;
const GICD_TYPER: usize = 0x004;
const GICD_ISENABLER: usize = 0x100;
const GICD_ICENABLER: usize = 0x180;
const GICD_ICPENDR: usize = 0x280;
const GICD_IPRIORITYR: usize = 0x400;
const GICD_ITARGETSR: usize = 0x800;
const GICD_SGIR: usize = 0xf00;

const GICC_CTLR: usize = 0x000;
const GICC_PMR: usize = 0x004;
const GICC_BPR: usize = 0x008;
const GICC_IAR: usize = 0x00c;
const GICC_EOIR: usize = 0x010;

const PRIORITY: u8 = 0x80;

/// The distributor and this processor's interface.
pub struct Gic {
    distributor: Mmio,
    interface: Mmio,
}

impl Gic {
    /// The controller with these registers.
    pub const fn new(distributor: Mmio, interface: Mmio) -> Self {
        Self { distributor, interface }
    }

    /// Interrupts that exist, a multiple of 32.
    pub fn lines(&self) -> usize {
        32 * ((self.distributor.read(GICD_TYPER) & 31) as usize + 1)
    }

    /// Everything disabled and directed to processor 0, then distributor and interface on.
    pub fn start(&self) {
        let d = self.distributor;
        d.write(GICD_CTLR, 0);
        for word in 0..self.lines() / 32 {
            d.write(GICD_ICENABLER + 4 * word, u32::MAX);
            d.write(GICD_ICPENDR + 4 * word, u32::MAX);
        }
        for word in 8..self.lines() / 4 {
            d.write(GICD_IPRIORITYR + 4 * word, u32::from_ne_bytes([PRIORITY; 4]));
            d.write(GICD_ITARGETSR + 4 * word, 0x0101_0101);
        }
        d.write(GICD_CTLR, 1);
        self.interface.write(GICC_PMR, 0xf0);
        self.interface.write(GICC_BPR, 0);
        self.interface.write(GICC_CTLR, 1);
    }

    /// Lets interrupt `id` through.
    pub fn enable(&self, id: u32) {
        let id = id as usize;
        self.distributor.write_byte(GICD_IPRIORITYR + id, PRIORITY);
        self.distributor.write(GICD_ISENABLER + id / 32 * 4, 1 << (id % 32));
    }

    /// Holds interrupt `id` back.
    pub fn disable(&self, id: u32) {
        let id = id as usize;
        self.distributor.write(GICD_ICENABLER + id / 32 * 4, 1 << (id % 32));
    }

    /// Sends software interrupt `id` (below 16) to this processor.
    pub fn send_to_self(&self, id: u32) {
        self.distributor.write(GICD_SGIR, 2 << 24 | id & 15);
    }

    /// Takes the most urgent pending interrupt; `None` if there is none any more. The value goes to [`Self::complete`].
    pub fn acknowledge(&self) -> Option<u32> {
        let value = self.interface.read(GICC_IAR);
        (value & 0x3ff < 1020).then_some(value)
    }

    /// Ends an interrupt taken.
    pub fn complete(&self, acknowledged: u32) {
        self.interface.write(GICC_EOIR, acknowledged);
    }
}
