//! The kernel's logic: capabilities, messages, scheduling, system calls. Safe code that needs no hardware.
//!
//! Everything is a method of [`kernel::Kernel`] over a [`machine::Machine`]: physical memory and what little hardware the
//! logic asks for. The image (`main.rs`) brings the real machine; host tests bring one of their own.
//!
//! Objects live in physical memory that came from untyped memory, as words at the offsets their modules say. There is no
//! allocator and no reference to an object: only addresses, each wrapped in the type of what is there.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod ipc;
pub mod kernel;
pub mod machine;
pub mod objects;
pub mod scheduler;
pub mod syscall;
#[cfg(test)]
pub mod testing;
