//! A program that no test knows of: it looks now and then whether its memory is still what it was.

use core::hint::black_box;
use kaal_sys::child::{label, slot};
use kaal_sys::{CPtr, Message, Notification, message};

const WORDS: usize = 1024;
static mut DATA: [u64; WORDS] = [0x5eed_0000_0000_0001; WORDS];
static mut ZEROS: [u64; WORDS] = [0; WORDS];

fn word(address: *const u64, n: usize) -> u64 {
    // SAFETY: within one of the arrays above, to which there are no references.
    unsafe { address.add(n).read_volatile() }
}

/// Answers each signal with a message: all is well, or it is not.
pub fn run() -> ! {
    let local = black_box([0x10ca_1000_u64; 64]);
    loop {
        Notification(CPtr(slot::UNTYPED)).wait();
        let data = (0..WORDS).all(|n| word(&raw const DATA as *const u64, n) == 0x5eed_0000_0000_0001);
        let zeros = (0..WORDS).all(|n| word(&raw const ZEROS as *const u64, n) == 0);
        let stack = black_box(&local).iter().all(|&word| word == 0x10ca_1000);
        let label = if data && zeros && stack { label::PASSED } else { label::FAILED };
        message::send(CPtr(slot::REPORT), Message::new(label, &[]));
    }
}
