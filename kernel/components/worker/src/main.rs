//! Computes with every register in use until it has been preempted, and checks that nothing was lost.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use kaal_sys::abi::Syscall;
use kaal_sys::{call, println, yield_now};

/// At the same virtual address as the other program's.
#[unsafe(link_section = ".data.first")]
static SECRET: AtomicU64 = AtomicU64::new(0x2222_2222);

/// Rounds of computing, each far shorter than a tick, before giving up on being preempted.
const ROUNDS: u64 = 1000;

core::arch::global_asm!(
    // compute(rounds) -> 1 if every register kept its value over a loop of that many rounds
    ".section .text.compute, \"ax\"",
    ".global compute",
    "compute:",
    "stp x29, x30, [sp, #-96]!",
    "stp x19, x20, [sp, #16]",
    "stp x21, x22, [sp, #32]",
    "stp x23, x24, [sp, #48]",
    "stp x25, x26, [sp, #64]",
    "stp x27, x28, [sp, #80]",
    "msr tpidr_el0, x0",
    "mov x1, x0",
    ".irp n, 2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30",
    "mov x\\n, #(0x3c00 + \\n)",
    ".endr",
    "1: subs x0, x0, #1",
    "b.ne 1b",
    ".irp n, 2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30",
    "sub x\\n, x\\n, #0x3000",
    "sub x\\n, x\\n, #0xc00",
    "cmp x\\n, #\\n",
    "b.ne 2f",
    ".endr",
    "mrs x0, tpidr_el0",
    "cmp x0, x1",
    "2: cset x0, eq",
    "ldp x19, x20, [sp, #16]",
    "ldp x21, x22, [sp, #32]",
    "ldp x23, x24, [sp, #48]",
    "ldp x25, x26, [sp, #64]",
    "ldp x27, x28, [sp, #80]",
    "ldp x29, x30, [sp], #96",
    "ret",
);

unsafe extern "C" {
    safe fn compute(rounds: u64) -> u64;
}

fn preemptions() -> u64 {
    call(Syscall::GetUsage, &[]).map_or(0, |usage| usage[0])
}

#[unsafe(no_mangle)]
extern "C" fn main(argument: u64) -> u64 {
    println!("[worker {argument}] secret at {:p}: {:#x}", &SECRET, SECRET.load(Relaxed));
    SECRET.fetch_add(argument, Relaxed);
    // SAFETY: a hint; the kernel takes it for a yield.
    unsafe { core::arch::asm!("wfi", options(nostack)) };
    for _ in 0..ROUNDS {
        if compute(5000 + argument) != 1 {
            println!("[worker {argument}] a register was lost");
            return 1;
        }
        if preemptions() >= 2 {
            let right = SECRET.load(Relaxed) == 0x2222_2222 + argument;
            println!("[worker {argument}] preempted, and nothing lost");
            yield_now();
            return if right { 0 } else { 2 };
        }
    }
    println!("[worker {argument}] never preempted");
    3
}
