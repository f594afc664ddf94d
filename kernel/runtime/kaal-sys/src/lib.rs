//! What every program needs: its entry point, system calls, printing.
#![no_std]

pub use kaal_abi as abi;
use kaal_abi::{Error, MAX_STRING, MessageInfo, Syscall};

core::arch::global_asm!(
    ".section .text.start, \"ax\"",
    ".global _start",
    "_start:",
    "mov x29, #0",
    "mov x30, #0",
    "bl main",
    "mov x2, x0", // main's result is the exit code
    "mov x0, #0",
    "mov x1, #1",
    "mov x7, #{exit}",
    "svc #0",
    "udf #0",
    exit = const Syscall::Exit as i64,
);

/// Makes a system call with up to four message registers; the message registers returned, or the error.
pub fn call_raw(number: i64, capability: u64, info: u64, message: [u64; 4]) -> (MessageInfo, [u64; 4]) {
    let [mut a, mut b, mut c, mut d] = message;
    let mut info = info;
    // SAFETY: the kernel changes x0 to x5 at most, and no memory of ours.
    unsafe {
        core::arch::asm!("svc #0", in("x7") number, inout("x0") capability => _, inout("x1") info,
            inout("x2") a, inout("x3") b, inout("x4") c, inout("x5") d, options(nostack));
    }
    (MessageInfo(info), [a, b, c, d])
}

/// Makes a system call.
pub fn call(call: Syscall, message: &[u64]) -> Result<[u64; 4], Error> {
    let mut registers = [0; 4];
    registers[..message.len()].copy_from_slice(message);
    let info = MessageInfo::new(0, message.len() as u64);
    let (info, registers) = call_raw(call as i64, 0, info.0, registers);
    match Error::from_label(info.label()) {
        Error::None => Ok(registers),
        error => Err(error),
    }
}

/// Gives up the processor.
pub fn yield_now() {
    let _ = call(Syscall::Yield, &[]);
}

/// Prints text.
pub fn print(text: &str) {
    for part in text.as_bytes().chunks(MAX_STRING as usize) {
        let _ = call(Syscall::DebugPutString, &[part.as_ptr() as u64, part.len() as u64]);
    }
}

/// Prints one byte.
pub fn print_byte(byte: u8) {
    let _ = call(Syscall::DebugPutChar, &[u64::from(byte)]);
}

/// A line of text under construction, so that it is printed by one system call and no other program's comes between.
pub struct Line {
    bytes: [u8; 128],
    length: usize,
}

impl Line {
    /// An empty line.
    pub const fn new() -> Self {
        Self { bytes: [0; 128], length: 0 }
    }

    /// Prints it.
    pub fn print(&self) {
        let _ = call(Syscall::DebugPutString, &[self.bytes.as_ptr() as u64, self.length as u64]);
    }
}

impl Default for Line {
    fn default() -> Self {
        Self::new()
    }
}

impl core::fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let end = self.length + text.len();
        let room = self.bytes.get_mut(self.length..end).ok_or(core::fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

/// Prints a formatted line of at most 127 bytes.
#[macro_export]
macro_rules! println {
    ($($argument:tt)*) => {{
        let mut line = $crate::Line::new();
        let _ = core::fmt::Write::write_fmt(&mut line, format_args!("{}\n", format_args!($($argument)*)));
        line.print();
    }};
}

/// A program that panics says so and ends with code 101.
#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    print("program panicked: ");
    print(info.message().as_str().unwrap_or("(no message)"));
    print("\n");
    let _ = call(Syscall::Exit, &[101]);
    loop {}
}
