//! The one line that tells why nothing was started, and the end of it all.

use core::arch::asm;

/// The PL011 of QEMU's `virt` board: data, and the flags that say whether there is room for more.
const UART_DATA: *mut u32 = 0x0900_0000 as *mut u32;
const UART_FLAGS: *const u32 = 0x0900_0018 as *const u32;
const UART_CONTROL: *mut u32 = 0x0900_0030 as *mut u32;
const FULL: u32 = 1 << 5;
const BUSY: u32 = 1 << 3;
/// PSCI's SYSTEM_OFF (Arm DEN 0022D, 5.1.9).
const SYSTEM_OFF: u64 = 0x8400_0008;

/// Prints the texts as a line, and turns the machine off.
pub fn stop(texts: &[&str]) -> ! {
    // SAFETY: the UART's registers; nobody else uses them yet. With EL2 to ourselves the firmware is called by SMC.
    unsafe {
        UART_CONTROL.write_volatile(1 << 9 | 1 << 8 | 1);
        for text in ["elfloader: "].iter().chain(texts).chain(&["\n"]) {
            for byte in text.bytes() {
                while UART_FLAGS.read_volatile() & FULL != 0 {}
                UART_DATA.write_volatile(u32::from(byte));
            }
        }
        while UART_FLAGS.read_volatile() & BUSY != 0 {}
        let level: u64;
        asm!("mrs {}, CurrentEL", out(reg) level);
        if level >> 2 == 2 {
            asm!("smc #0", in("x0") SYSTEM_OFF);
        } else {
            asm!("hvc #0", in("x0") SYSTEM_OFF);
        }
        loop {
            asm!("wfi");
        }
    }
}
