//! The console: text to the first UART.

use crate::boot;
use core::fmt;

/// Prints to the console, as `print!` does elsewhere.
#[macro_export]
macro_rules! kprint {
    ($($argument:tt)*) => { $crate::debug::console::print(format_args!($($argument)*)) };
}

/// Prints a line to the console, as `println!` does elsewhere.
#[macro_export]
macro_rules! kprintln {
    () => { $crate::debug::console::write_str("\n") };
    ($($argument:tt)*) => { $crate::debug::console::print(format_args!("{}\n", format_args!($($argument)*))) };
}

struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write_str(text);
        Ok(())
    }
}

/// Prints formatted text.
pub fn print(arguments: fmt::Arguments) {
    // A UART cannot fail to take text.
    let _ = fmt::write(&mut Console, arguments);
}

/// Prints text.
pub fn write_str(text: &str) {
    text.bytes().for_each(write_byte);
}

/// Sends a byte, a carriage return before each line feed.
pub fn write_byte(byte: u8) {
    let uart = boot::console();
    if byte == b'\n' {
        uart.send(b'\r');
    }
    uart.send(byte);
}

/// Waits until everything is out.
pub fn flush() {
    boot::console().flush();
}
