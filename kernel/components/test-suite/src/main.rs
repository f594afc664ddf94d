//! stub
#![no_std]
#![no_main]
#[unsafe(no_mangle)]
extern "C" fn main(_number: u64) -> ! { kaal_sys::report_panics_to(kaal_sys::CPtr(4)); panic!("x") }
