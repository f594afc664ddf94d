//! The KaaL microkernel: chapters 0 to 3 (boot, memory, exceptions and system calls).
#![no_std]
#![no_main]

mod arch;
mod boot;
mod debug;
mod drivers;
mod memory;
mod objects;
mod scheduler;
mod syscall;
