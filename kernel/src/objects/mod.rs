//! Kernel objects.

pub mod program;
pub mod thread;
