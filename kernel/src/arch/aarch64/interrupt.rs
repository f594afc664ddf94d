//! Interrupts: the controller, the tick, and a software interrupt for tests.

use super::mmio::Mmio;
use super::{cpu, phys, timer, uaccess};
use crate::drivers::gicv2::Gic;
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};

/// The software interrupt that [`raise_software`] sends.
const SOFTWARE: u32 = 1;

static DISTRIBUTOR: AtomicUsize = AtomicUsize::new(0);
static INTERFACE: AtomicUsize = AtomicUsize::new(0);
static TIMER: AtomicU32 = AtomicU32::new(0);
static SOFTWARE_TAKEN: AtomicU64 = AtomicU64::new(0);
static SPURIOUS: AtomicU64 = AtomicU64::new(0);

fn controller() -> Gic {
    // SAFETY: `start` stored addresses that the kernel map has as device memory.
    unsafe { Gic::new(Mmio::new(DISTRIBUTOR.load(Relaxed)), Mmio::new(INTERFACE.load(Relaxed))) }
}

/// Starts the controller and the tick. Interrupts stay masked.
///
/// # Safety
/// The physical addresses must be a GICv2's, and mapped in the kernel's linear map as device memory.
pub unsafe fn start(distributor: u64, interface: u64, timer_interrupt: u32) {
    DISTRIBUTOR.store(phys::to_virtual(distributor) as usize, Relaxed);
    INTERFACE.store(phys::to_virtual(interface) as usize, Relaxed);
    TIMER.store(timer_interrupt, Relaxed);
    let gic = controller();
    gic.start();
    gic.enable(SOFTWARE);
    gic.enable(timer_interrupt);
    timer::start();
}

/// Takes the pending interrupt that has come while the kernel itself runs with interrupts let in, at boot.
pub fn handle_at_boot() {
    let _ = take(|id| {
        crate::kprintln!("[kernel] interrupt {id} has no handler; masked");
        mask(id);
    });
}

/// Takes the pending interrupt: its own the kernel handles here, a device's goes to `device`. True if it was the tick.
pub fn take(device: impl FnOnce(u32)) -> bool {
    let gic = controller();
    let Some(acknowledged) = gic.acknowledge() else {
        SPURIOUS.fetch_add(1, Relaxed);
        return false;
    };
    let id = acknowledged & 0x3ff;
    let is_tick = id == TIMER.load(Relaxed);
    if is_tick {
        timer::tick();
    } else if id == SOFTWARE {
        // Exceptions inside a handler: the state of the outer one must survive both.
        cpu::breakpoint();
        if uaccess::try_read(UNMAPPED).is_none() {
            SOFTWARE_TAKEN.fetch_add(1, Relaxed);
        }
    } else {
        device(id);
    }
    gic.complete(acknowledged);
    is_tick
}

/// Lets a device's interrupt come.
pub fn unmask(id: u32) {
    controller().enable(id);
}

/// Keeps a device's interrupt from coming.
pub fn mask(id: u32) {
    controller().disable(id);
}

/// Is this interrupt the kernel's, private to the processor, or none at all?
pub fn is_reserved(id: u64) -> bool {
    id < 32 || id >= lines() as u64
}

/// A kernel address that is never mapped.
pub const UNMAPPED: u64 = 0xffff_ffff_ffff_f000;

/// Sends the software interrupt to this processor; [`handle`] gets it once interrupts are let in.
pub fn raise_software() {
    controller().send_to_self(SOFTWARE);
}

/// Software interrupts that were taken and whose nested faults were survived.
pub fn software_taken() -> u64 {
    SOFTWARE_TAKEN.load(Relaxed)
}

/// Interrupts that were gone when the kernel asked for them.
pub fn spurious() -> u64 {
    SPURIOUS.load(Relaxed)
}

/// Interrupt lines the controller has.
pub fn lines() -> usize {
    controller().lines()
}
