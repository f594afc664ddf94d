//! Exceptions: the trap frame, and where each kind goes.

use super::{interrupt, psci, uaccess};
use crate::{debug, scheduler, syscall};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use kaal_paging::Half;
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

/// SPSR_EL1 of a new program: EL0, AArch64, nothing masked, flags clear.
const USER_PSTATE: u64 = 0;
/// The immediate of [`super::cpu::breakpoint`].
const RESUMED_BREAKPOINT: u32 = 0x4b41;

static DEPTH: AtomicU64 = AtomicU64::new(0);
static DEEPEST: AtomicU64 = AtomicU64::new(0);
static BREAKPOINTS: AtomicU64 = AtomicU64::new(0);
static FIXUPS: AtomicU64 = AtomicU64::new(0);
static RUNNING_PROGRAM: AtomicBool = AtomicBool::new(false);

impl TrapFrame {
    /// The context of a program about to begin at `pc`.
    pub const fn new(pc: u64, sp: u64, argument: u64) -> Self {
        let mut x = [0; 31];
        x[0] = argument;
        Self {
            x,
            sp,
            pc,
            pstate: USER_PSTATE,
            syndrome: Syndrome(0),
            fault_address: 0,
            thread_pointer: 0,
            vector: 0,
            record: [0; 2],
        }
    }
}

unsafe extern "C" {
    #[link_name = "enter_user"]
    fn enter_user_asm(frame: *mut TrapFrame);
}

/// Runs threads until the scheduler has none left.
pub fn run_threads() {
    let frame = scheduler::next_frame();
    if frame.is_null() {
        return;
    }
    RUNNING_PROGRAM.store(true, Relaxed);
    // SAFETY: the frame is the chosen thread's, its address space is in place, and its state is EL0's: `TrapFrame::new`
    // made it so, and since then only the processor has written it.
    unsafe { enter_user_asm(frame) };
    RUNNING_PROGRAM.store(false, Relaxed);
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
        vector::KERNEL_IRQ => {
            interrupt::handle();
        }
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
        class::DATA_ABORT => {
            if let Some(target) = uaccess::fixup(frame.pc) {
                let address = frame.fault_address;
                let is_users = RUNNING_PROGRAM.load(Relaxed) && Half::User.contains(address);
                if is_users && scheduler::with_current(|t| t.page_fault(address, syndrome)) {
                    return;
                }
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

/// An exception taken from EL0. Returns the frame to resume, or null when no program is left.
#[unsafe(no_mangle)]
extern "C" fn user_trap(_frame: *mut TrapFrame) -> *mut TrapFrame {
    // The frame is the current thread's own; it is reached through the scheduler, so that no two references exist.
    let (vector, syndrome, address) =
        scheduler::with_current(|t| (t.frame.vector, t.frame.syndrome, t.frame.fault_address));
    match vector {
        vector::USER_IRQ => {
            if interrupt::handle() {
                scheduler::tick();
            }
        }
        vector::USER_SYNC => match syndrome.class() {
            class::SVC64 => syscall::handle(),
            class::WFX => {
                scheduler::with_current(|t| t.frame.pc += 4);
                scheduler::yield_now();
            }
            _ if syndrome.is_abort() && scheduler::with_current(|t| t.page_fault(address, syndrome)) => {}
            _ => scheduler::kill_current(),
        },
        _ => scheduler::kill_current(),
    }
    scheduler::next_frame()
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
