//! Kernel objects: what they are made of, and what can be asked of them.

pub mod capability;
pub mod slot;
pub mod tcb;
