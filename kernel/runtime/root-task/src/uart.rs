//! The console: a PL011 (Arm DDI 0183G) that the root task has a capability to and drives itself.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

const DATA: u64 = 0x00;
const FLAGS: u64 = 0x18;
const TRANSMIT_FULL: u32 = 1 << 5;

static ADDRESS: AtomicU64 = AtomicU64::new(0);

/// Prints through the registers at `address` from now on. The kernel has set the UART up.
///
/// # Safety
/// A PL011 is mapped there, and stays.
pub unsafe fn install(address: u64) {
    ADDRESS.store(address, Relaxed);
}

/// Prints nothing until [`install`] was called.
pub struct Console;

impl Console {
    fn put(byte: u8) {
        let address = ADDRESS.load(Relaxed);
        if address == 0 {
            return;
        }
        // SAFETY: `install`'s promise.
        unsafe {
            while ((address + FLAGS) as *const u32).read_volatile() & TRANSMIT_FULL != 0 {}
            ((address + DATA) as *mut u32).write_volatile(u32::from(byte));
        }
    }
}

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if byte == b'\n' {
                Self::put(b'\r');
            }
            Self::put(byte);
        }
        Ok(())
    }
}

/// Prints a line.
#[macro_export]
macro_rules! println {
    () => { $crate::println!("") };
    ($($argument:tt)*) => {{
        let _ = core::fmt::Write::write_fmt(&mut $crate::uart::Console, format_args!("{}\n", format_args!($($argument)*)));
    }};
}
