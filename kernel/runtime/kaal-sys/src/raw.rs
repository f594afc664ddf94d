//! The system call instruction.

/// What a system call takes and gives back: x0 to x5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Registers {
    /// x0: a capability; the badge on return.
    pub x0: u64,
    /// x1: message information.
    pub info: u64,
    /// x2 to x5: message registers 0 to 3.
    pub words: [u64; 4],
}

/// Makes the system call with this number.
pub fn syscall(number: i64, registers: Registers) -> Registers {
    let Registers { mut x0, mut info, words: [mut a, mut b, mut c, mut d] } = registers;
    // SAFETY: the kernel changes these registers only. Memory may change, which is asm's default.
    unsafe {
        core::arch::asm!("svc #0", in("x7") number, inout("x0") x0, inout("x1") info,
            inout("x2") a, inout("x3") b, inout("x4") c, inout("x5") d, options(nostack));
    }
    Registers { x0, info, words: [a, b, c, d] }
}
