//! The image of the KaaL microkernel: boot, hardware, and the logic of `kaal_core` between them.
#![no_std]
#![no_main]

mod arch;
mod boot;
mod debug;
mod drivers;
mod memory;
