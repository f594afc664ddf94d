//! System calls: from registers to operations.

pub mod request;
