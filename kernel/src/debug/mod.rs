//! Telling people what happens: console, panic reports, self tests, faults on demand.

pub mod console;
pub mod faults;
pub mod panic;
pub mod selftest;
