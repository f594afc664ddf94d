//! What every program needs: its entry point, system calls, objects by type, messages, and a panic handler.
//!
//! Callers need no `unsafe`. What makes that sound: a system call changes x0 to x5, the caller's IPC buffer, and memory
//! that its capabilities give away; a program that hands out pages which its own Rust objects are in breaks only itself,
//! and the kernel sees to it that it breaks nobody else.
#![no_std]

pub mod child;
mod error;
pub mod fault;
pub mod message;
mod objects;
mod panic;
mod raw;
pub mod thread;
pub mod time;

pub use error::{Failure, Result};
pub use kaal_abi as abi;
pub use message::{Message, Received};
pub use objects::*;
pub use panic::{PANIC_BREAKPOINT, Text, report_panics_to};
pub use raw::{Registers, syscall};

core::arch::global_asm!(
    ".section .text.start, \"ax\"",
    ".global _start",
    ".type _start, %function",
    "_start:",
    "adrp x9, __stack_top",
    "add x9, x9, :lo12:__stack_top",
    "mov sp, x9",
    "mov x29, #0",
    "mov x30, #0",
    "bl main", // never returns
    "udf #0",
);
