//! Nested inlining over several functions and moved code, for line tables.
#![no_std]
#![no_main]
#[inline(always)]
fn twice(x: u32) -> u32 {
    x.wrapping_mul(3) + 1
}
#[inline(always)]
fn mixed(x: u32, y: u32) -> u32 {
    let z = twice(x) ^ y;
    if z & 8 == 0 { twice(z) } else { z.rotate_left(7) }
}
#[inline(never)]
fn sum(n: u32) -> u32 {
    let mut s = 0;
    for i in 0..n {
        s ^= mixed(i, s);
    }
    s
}
#[inline(never)]
fn other(n: u32) -> u32 {
    if n > 1000 { cold(n) } else { mixed(n, 5) + sum(n) }
}
#[cold]
#[inline(never)]
fn cold(n: u32) -> u32 {
    twice(n) / 3
}
#[unsafe(no_mangle)]
pub extern "C" fn _start() -> ! {
    let mut n = 1;
    loop {
        n = other(n);
        unsafe { core::ptr::write_volatile(0x4000_0000 as *mut u32, n) }
    }
}
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
