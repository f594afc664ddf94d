//! Makes system calls, good and bad, touches lazy pages, shows memory of its own, and faults in the end.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use kaal_sys::abi::{Error, MessageInfo, Syscall};
use kaal_sys::{call, call_raw, print_byte, println, yield_now};

/// At the same virtual address in every program that begins like this one; each has its own.
#[unsafe(link_section = ".data.first")]
static SECRET: AtomicU64 = AtomicU64::new(0x1111_1111);

const HEAP: u64 = 0x10_0000_0000;
const PAGE: u64 = 4096;
/// Pages of the heap to touch, far apart.
const TOUCHED: u64 = 8;

fn heap(offset: u64) -> &'static AtomicU64 {
    // SAFETY: the kernel supplies zeroed memory there, and this program uses it as words only.
    unsafe { AtomicU64::from_ptr((HEAP + offset) as *mut u64) }
}

fn pages_supplied() -> u64 {
    call(Syscall::GetUsage, &[]).map_or(0, |usage| usage[1])
}

#[unsafe(no_mangle)]
extern "C" fn main(_argument: u64) -> u64 {
    println!("[hello] Hello from EL0!");
    b"[hello] byte by byte\n".iter().for_each(|&byte| print_byte(byte));

    let refused = [
        call_raw(-9999, 0, 0, [0; 4]),
        call_raw(Syscall::DebugPutChar as i64, 0xffff_0000_4020_0000, 1, [65, 0, 0, 0]),
        call_raw(Syscall::DebugPutChar as i64, 0, 0, [65, 0, 0, 0]),
        call_raw(Syscall::DebugPutChar as i64, 0, 1, [256, 0, 0, 0]),
        call_raw(Syscall::DebugPutString as i64, 0, 2, [0xffff_0000_4020_1000, 16, 0, 0]),
        call_raw(Syscall::DebugPutString as i64, 0, 2, [0x10, 16, 0, 0]),
        call_raw(Syscall::DebugPutString as i64, 0, 2, [HEAP, 1 << 40, 0, 0]),
    ]
    .map(|(info, _): (MessageInfo, _)| Error::from_label(info.label()));
    let expected = [
        Error::IllegalOperation,
        Error::InvalidCapability,
        Error::TruncatedMessage,
        Error::InvalidArgument,
        Error::InvalidArgument,
        Error::InvalidArgument,
        Error::RangeError,
    ];
    if refused != expected {
        return 1;
    }
    println!("[hello] {} bad system calls refused", refused.len());

    let (Ok(first), Ok(second)) = (call(Syscall::GetTime, &[]), call(Syscall::GetTime, &[])) else {
        return 2;
    };
    if second[0] < first[0] || first[1] == 0 {
        return 3;
    }
    println!("[hello] time does not run backwards");

    let before = pages_supplied();
    for page in 0..TOUCHED {
        let word = heap(5 * page * PAGE + 8 * page);
        if word.swap(page + 1, Relaxed) != 0 {
            return 4;
        }
    }
    let sum: u64 = (0..TOUCHED).map(|page| heap(5 * page * PAGE + 8 * page).load(Relaxed)).sum();
    let supplied = pages_supplied() - before;
    println!("[hello] {supplied} lazy pages, sum {sum}");
    if supplied != TOUCHED || sum != TOUCHED * (TOUCHED + 1) / 2 {
        return 5;
    }
    // Two pages that nobody touched before, read by the kernel on this program's behalf: sixteen zero bytes.
    if call(Syscall::DebugPutString, &[HEAP + 3 * PAGE - 8, 16]).is_err() {
        return 6;
    }

    println!("[hello] secret at {:p}: {:#x}", &SECRET, SECRET.load(Relaxed));
    for turn in 0..3 {
        SECRET.fetch_add(turn, Relaxed);
        yield_now();
    }
    if SECRET.load(Relaxed) != 0x1111_1114 {
        return 7;
    }
    println!("[hello] secret unharmed; now for a write to address 0xdead0000");
    // SAFETY: none: this is the fault that ends the program.
    unsafe { (0xdead_0000 as *mut u64).write_volatile(1) };
    8
}
