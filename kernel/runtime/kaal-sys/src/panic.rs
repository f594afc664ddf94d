//! A program that panics reports that where it was told to, and stops at a breakpoint, which is a fault.

use crate::{CPtr, Message, Registers, child, message, syscall};
use core::fmt::Write;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use kaal_abi::Syscall;

/// The immediate of the BRK that a program which has panicked ends with.
pub const PANIC_BREAKPOINT: u64 = 0x4b41;

static REPORT: AtomicU64 = AtomicU64::new(0);

/// Panics from now on are sent to this endpoint, with label [`child::label::FAILED`]; without one they are written to the
/// kernel's console.
pub fn report_panics_to(endpoint: CPtr) {
    REPORT.store(endpoint.0, Relaxed);
}

/// Text under construction, cut where it is full.
pub struct Text<const SIZE: usize> {
    bytes: [u8; SIZE],
    length: usize,
}

impl<const SIZE: usize> Text<SIZE> {
    /// An empty text.
    pub const fn new() -> Self {
        Self { bytes: [0; SIZE], length: 0 }
    }

    /// What has been written.
    pub fn as_str(&self) -> &str {
        let bytes = &self.bytes[..self.length];
        match core::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => core::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or(""),
        }
    }

    /// Appends bytes.
    pub fn push(&mut self, bytes: impl Iterator<Item = u8>) {
        for byte in bytes {
            if let Some(place) = self.bytes.get_mut(self.length) {
                *place = byte;
                self.length += 1;
            }
        }
    }
}

impl<const SIZE: usize> Default for Text<SIZE> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const SIZE: usize> Write for Text<SIZE> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.push(text.bytes());
        Ok(())
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    let mut text = Text::<400>::new();
    let _ = match info.location() {
        Some(place) => write!(text, "{}:{}: {}", place.file(), place.line(), info.message()),
        None => write!(text, "{}", info.message()),
    };
    let endpoint = CPtr(REPORT.load(Relaxed));
    if endpoint.0 == 0 || crate::thread::ipc_buffer() == 0 {
        for byte in "program panicked: ".bytes().chain(text.as_str().bytes()).chain([b'\n']) {
            let registers = Registers { x0: u64::from(byte), ..Registers::default() };
            syscall(Syscall::DebugPutChar as i64, registers);
        }
    } else {
        let line = info.location().map_or(0, |place| u64::from(place.line()));
        Message::with_text(child::label::FAILED, line, text.as_str(), |message| {
            message::send(endpoint, message)
        });
    }
    loop {
        // SAFETY: a breakpoint: the thread stops there, and its fault handler is told.
        unsafe { core::arch::asm!("brk #{}", const PANIC_BREAKPOINT, options(nostack)) };
    }
}
