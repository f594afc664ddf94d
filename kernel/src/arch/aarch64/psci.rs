//! Calls to the firmware by PSCI (Arm DEN 0022D), through HVC or SMC as the device tree says.

use core::arch::asm;
use core::sync::atomic::{AtomicBool, Ordering};

const VERSION: u32 = 0x8400_0000;
const AFFINITY_INFO: u32 = 0xc400_0004;
const SYSTEM_OFF: u32 = 0x8400_0008;

static BY_SMC: AtomicBool = AtomicBool::new(false);

/// Chooses the conduit: SMC, or else HVC.
pub fn use_smc(smc: bool) {
    BY_SMC.store(smc, Ordering::Relaxed);
}

fn call(function: u32, argument: u64, second: u64) -> i64 {
    let result: i64;
    // SAFETY: the SMC calling convention: x0 to x17 may change, and memory is left alone by the functions used here.
    unsafe {
        if BY_SMC.load(Ordering::Relaxed) {
            asm!("smc #0", inout("x0") u64::from(function) => result, inout("x1") argument => _,
                inout("x2") second => _, inout("x3") 0u64 => _, out("x4") _, out("x5") _, out("x6") _, out("x7") _,
                out("x8") _, out("x9") _, out("x10") _, out("x11") _, out("x12") _, out("x13") _, out("x14") _,
                out("x15") _, out("x16") _, out("x17") _, options(nostack));
        } else {
            asm!("hvc #0", inout("x0") u64::from(function) => result, inout("x1") argument => _,
                inout("x2") second => _, inout("x3") 0u64 => _, out("x4") _, out("x5") _, out("x6") _, out("x7") _,
                out("x8") _, out("x9") _, out("x10") _, out("x11") _, out("x12") _, out("x13") _, out("x14") _,
                out("x15") _, out("x16") _, out("x17") _, options(nostack));
        }
    }
    result
}

/// The version of PSCI: major and minor.
pub fn version() -> (u16, u16) {
    let version = call(VERSION, 0, 0) as u32;
    ((version >> 16) as u16, version as u16)
}

/// Is the processor with this affinity on? `None` if there is none such.
pub fn is_on(affinity: u64) -> Option<bool> {
    match call(AFFINITY_INFO, affinity, 0) as i32 {
        0 => Some(true),
        1 => Some(false),
        _ => None,
    }
}

/// Turns the machine off.
pub fn system_off() -> ! {
    crate::debug::console::flush();
    call(SYSTEM_OFF, 0, 0);
    // Reached only where the firmware refuses. There is nothing left to do but to say so and stop.
    crate::kprintln!("PSCI SYSTEM_OFF was refused; halted.");
    super::cpu::mask_all();
    loop {
        super::cpu::wait_for_interrupt();
    }
}
