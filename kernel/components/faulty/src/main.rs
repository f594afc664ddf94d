//! Commits the fault that its argument names, and must not survive it.
#![no_std]
#![no_main]

use core::arch::asm;
use core::hint::black_box;
use kaal_sys::abi::faulty;

#[inline(never)]
#[allow(unconditional_recursion)]
fn overflow(depth: u64) -> u64 {
    let local = black_box([depth; 64]);
    overflow(black_box(depth + 1)).wrapping_add(local[black_box(1)])
}

#[unsafe(no_mangle)]
extern "C" fn main(argument: u64) -> u64 {
    let ret: u32 = 0xd65f_03c0;
    // SAFETY: none is claimed: each is a fault that ends this program, and nobody else.
    unsafe {
        match argument {
            faulty::NULL => asm!("ldr {0}, [{0}]", inout(reg) 0u64 => _),
            faulty::WRITE_CODE => asm!("str wzr, [{}]", in(reg) main as *const () as u64),
            faulty::EXECUTE_DATA => asm!("blr {}", in(reg) &raw const ret, out("x30") _),
            faulty::READ_KERNEL => asm!("ldr {0}, [{0}]", inout(reg) 0xffff_0000_4020_1000u64 => _),
            faulty::UNDEFINED => asm!("udf #0"),
            faulty::FLOATING_POINT => asm!(".inst 0x1e604000"), // FMOV D0, D0
            faulty::PRIVILEGED => asm!(".inst 0xd5381000"),     // MRS X0, SCTLR_EL1
            faulty::COUNTER => asm!("mrs {}, cntvct_el0", out(reg) _),
            faulty::BREAKPOINT => asm!("brk #7"),
            faulty::MISALIGNED_PC => asm!("blr {}", in(reg) main as *const () as u64 + 2, out("x30") _),
            faulty::NON_CANONICAL => asm!("ldr {0}, [{0}]", inout(reg) 0x0001_0000_0000_0000u64 => _),
            faulty::STACK => return overflow(1),
            faulty::LOOP => asm!("1: b 1b"),
            _ => {}
        }
    }
    0
}
