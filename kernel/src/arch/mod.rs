//! What depends on the processor. `unsafe` lives here and in `boot`, nowhere else.

pub mod aarch64;
