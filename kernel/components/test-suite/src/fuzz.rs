//! Stub.
use crate::env::*;
/// The tests.
pub const TESTS: &[Test] = &[];
