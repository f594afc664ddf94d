//! The devices the kernel itself needs.

pub mod gicv2;
pub mod pl011;
