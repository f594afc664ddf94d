//! Exceptions: the trap frame, and where each kind goes.

use super::cell::KernelCell;
use super::hardware::Hardware;
use super::{cpu, interrupt, phys, psci, uaccess};
use crate::debug;
use core::mem::offset_of;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use kaal_core::kernel::Kernel;
use kaal_core::objects::tcb::{Tcb, frame};
use kaal_syndrome::{Syndrome, class};

/// Everything of an interrupted context. vectors.S saves some fields in pairs, so they must stay neighbours.
#[derive(Clone)]
#[repr(C, align(16))]
pub struct TrapFrame {
    /// X0 to X30.
    pub x: [u64; 31],
    /// The stack pointer then in use: SP_EL0 of a program.
    pub sp: u64,
    /// Where to return to, ELR_EL1.
    pub pc: u64,
    /// The state to return to, SPSR_EL1.
    pub pstate: u64,
    /// Why, ESR_EL1.
    pub syndrome: Syndrome,
    /// The address that faulted, FAR_EL1.
    pub fault_address: u64,
    /// TPIDR_EL0 of a program.
    pub thread_pointer: u64,
    /// Which of the sixteen vectors; 16 for a kernel stack overflow.
    pub vector: u64,
    /// X29 and `pc` once more: a frame record, for backtraces through the exception.
    pub record: [u64; 2],
}

// The stack pointer is a multiple of 16 whenever it is used.
const _: () = assert!(size_of::<TrapFrame>().is_multiple_of(16));

/// Numbers of the vectors, and of the overflow that is found in one of them.
pub mod vector {
    pub const KERNEL_SYNC: u64 = 4;
    pub const KERNEL_IRQ: u64 = 5;
    pub const USER_SYNC: u64 = 8;
    pub const USER_IRQ: u64 = 9;
    pub const OVERFLOW: u64 = 16;
}

/// The immediate of [`super::cpu::breakpoint`].
const RESUMED_BREAKPOINT: u32 = 0x4b41;

static DEPTH: AtomicU64 = AtomicU64::new(0);
static DEEPEST: AtomicU64 = AtomicU64::new(0);
static BREAKPOINTS: AtomicU64 = AtomicU64::new(0);
static FIXUPS: AtomicU64 = AtomicU64::new(0);

// The kernel's logic knows the frame by these offsets.
const _: () = assert!(
    size_of::<TrapFrame>() == frame::SIZE as usize
        && offset_of!(TrapFrame, x) == frame::X0 as usize
        && offset_of!(TrapFrame, sp) == frame::SP as usize
        && offset_of!(TrapFrame, pc) == frame::PC as usize
        && offset_of!(TrapFrame, pstate) == frame::PSTATE as usize
        && offset_of!(TrapFrame, syndrome) == frame::ESR as usize
        && offset_of!(TrapFrame, fault_address) == frame::FAR as usize
        && offset_of!(TrapFrame, thread_pointer) == frame::THREAD_POINTER as usize
);

/// The kernel.
// SAFETY: the one machine there is. Memory is reached by what boot declared and handed out.
static KERNEL: KernelCell<Kernel<Hardware>> = KernelCell::new(Kernel::new(unsafe { Hardware::new() }, 0));

/// Calls `f` with the kernel.
pub fn with_kernel<R>(f: impl FnOnce(&mut Kernel<Hardware>) -> R) -> R {
    KERNEL.with(f)
}

unsafe extern "C" {
    #[link_name = "enter_user"]
    fn enter_user_asm(frame: *mut TrapFrame) -> !;
}

/// Runs threads, for ever.
pub fn run_threads() -> ! {
    let frame = KERNEL.with(next_frame);
    // SAFETY: the frame is the chosen thread's, its address space is in place, and its state is EL0's: whoever writes
    // PSTATE of a TCB lets only the flags through.
    unsafe { enter_user_asm(frame) }
}

/// Lets the scheduler choose, waiting for interrupts while it has nobody, and returns the chosen thread's frame.
fn next_frame(kernel: &mut Kernel<Hardware>) -> *mut TrapFrame {
    loop {
        if let Some(Tcb(address)) = kernel.activate() {
            return frame_of(kernel, address);
        }
        cpu::wait_for_interrupt();
        take_interrupt(kernel);
    }
}

/// The frame of the thread that goes on.
#[inline(always)]
fn frame_of(kernel: &mut Kernel<Hardware>, address: u64) -> *mut TrapFrame {
    kernel.machine.prepare_fp(address);
    phys::to_virtual(address) as *mut TrapFrame
}

fn take_interrupt(kernel: &mut Kernel<Hardware>) {
    if interrupt::take(|id| kernel.interrupt(u64::from(id))) {
        kernel.tick();
    }
}

/// The deepest nesting of exceptions taken in the kernel so far.
pub fn deepest_nesting() -> u64 {
    DEEPEST.load(Relaxed)
}

/// Breakpoints resumed so far.
pub fn breakpoints() -> u64 {
    BREAKPOINTS.load(Relaxed)
}

/// Faults in the kernel that were expected and fixed up so far.
pub fn fixups() -> u64 {
    FIXUPS.load(Relaxed)
}

/// An exception taken in the kernel.
#[unsafe(no_mangle)]
extern "C" fn kernel_trap(frame: &mut TrapFrame) {
    let depth = DEPTH.fetch_add(1, Relaxed) + 1;
    DEEPEST.fetch_max(depth, Relaxed);
    match frame.vector {
        vector::KERNEL_SYNC => kernel_fault(frame),
        vector::KERNEL_IRQ => interrupt::handle_at_boot(),
        vector::OVERFLOW => debug::panic::report_fault("kernel stack overflow", frame),
        _ => debug::panic::report_fault("unexpected exception in the kernel", frame),
    }
    DEPTH.fetch_sub(1, Relaxed);
}

fn kernel_fault(frame: &mut TrapFrame) {
    let syndrome = frame.syndrome;
    match syndrome.class() {
        class::BRK64 if syndrome.iss() & 0xffff == RESUMED_BREAKPOINT => {
            BREAKPOINTS.fetch_add(1, Relaxed);
            frame.pc += 4;
            return;
        }
        class::DATA_ABORT | class::UNKNOWN => {
            if let Some(target) = uaccess::fixup(frame.pc) {
                FIXUPS.fetch_add(1, Relaxed);
                frame.pc = target;
                return;
            }
        }
        class::INSTRUCTION_ABORT => {
            // `probe_execute` looked itself up by where its call would return to.
            if let Some(target) = uaccess::fixup(frame.x[30]) {
                FIXUPS.fetch_add(1, Relaxed);
                frame.pc = target;
                return;
            }
        }
        _ => {}
    }
    debug::panic::report_fault("fault in the kernel", frame);
}

/// An exception taken from EL0. Returns the frame to resume.
#[unsafe(no_mangle)]
extern "C" fn user_trap(_frame: *mut TrapFrame, vector: u64) -> *mut TrapFrame {
    // The frame is the current thread's own; the kernel reaches it through the TCB, so that no reference to it exists.
    KERNEL.with(|kernel| {
        match vector {
            vector::USER_SYNC => {
                let syscall = syndrome_of(kernel).class() == class::SVC64;
                if syscall && let Some(Tcb(address)) = kernel.fast_syscall() {
                    return frame_of(kernel, address);
                }
                user_exception(kernel);
            }
            vector::USER_IRQ => take_interrupt(kernel),
            _ => kernel.user_exception(),
        }
        next_frame(kernel)
    })
}

/// Why the current thread has entered the kernel.
#[inline(always)]
fn syndrome_of(kernel: &Kernel<Hardware>) -> Syndrome {
    Syndrome(kernel.current.map_or(0, |thread| thread.frame(&kernel.machine, frame::ESR)))
}

fn user_exception(kernel: &mut Kernel<Hardware>) {
    match syndrome_of(kernel).class() {
        class::SVC64 => kernel.handle_syscall(),
        class::INSTRUCTION_ABORT_LOWER | class::DATA_ABORT_LOWER => kernel.memory_fault(),
        class::FP_SIMD if kernel.current.is_some_and(|thread| kernel.machine.switch_fp(thread.0)) => {}
        _ => kernel.user_exception(),
    }
}

/// The emergency stack overflowed as well.
#[unsafe(no_mangle)]
extern "C" fn double_fault() -> ! {
    debug::console::write_str("\nKERNEL PANIC: fault while reporting a stack overflow\n");
    psci::system_off()
}

/// The bounds of the stacks: of the kernel's, and of the one that overflows are reported from.
pub fn stacks() -> [(u64, u64); 2] {
    unsafe extern "C" {
        static __stack_bottom: u8;
        static __stack_top: u8;
        static __emergency_bottom: u8;
        static __emergency_top: u8;
    }
    [
        (&raw const __stack_bottom as u64, &raw const __stack_top as u64),
        (&raw const __emergency_bottom as u64, &raw const __emergency_top as u64),
    ]
}

/// Reads the frame record (saved x29, return address) at `address`, if that lies within a kernel stack.
pub fn frame_record(address: u64) -> Option<(u64, u64)> {
    let inside = |&(bottom, top): &(u64, u64)| address >= bottom && address + 16 <= top;
    if !address.is_multiple_of(8) || !stacks().iter().any(inside) {
        return None;
    }
    Some((uaccess::try_read(address)?, uaccess::try_read(address + 8)?))
}
