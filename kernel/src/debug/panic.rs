//! The end of the kernel: a report, then power off. Never a silent stop.

use crate::arch::aarch64::{cpu, psci, trap};
use crate::{kprint, kprintln};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicU32, Ordering};
use trap::TrapFrame;

static REPORTS: AtomicU32 = AtomicU32::new(0);

/// A report is being made already: say no more than that, and stop.
fn begin() {
    cpu::mask_all();
    match REPORTS.fetch_add(1, Ordering::Relaxed) {
        0 => {}
        1 => {
            super::console::write_str("\nKERNEL PANIC while reporting a panic\n");
            psci::system_off()
        }
        _ => psci::system_off(),
    }
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    begin();
    kprintln!("\nKERNEL PANIC: {}", info.message());
    if let Some(at) = info.location() {
        kprintln!("  at {}:{}:{}", at.file(), at.line(), at.column());
    }
    backtrace(cpu::frame_pointer());
    kprintln!("System powering off.");
    psci::system_off()
}

/// Reports an exception the kernel cannot go on from.
pub fn report_fault(what: &str, frame: &TrapFrame) -> ! {
    begin();
    kprintln!("\nKERNEL PANIC: {what}: {}", frame.syndrome);
    kprint!("  esr {:#010x}", frame.syndrome.0);
    if frame.syndrome.has_address() {
        kprint!("  far {:#018x}", frame.fault_address);
    }
    kprintln!("  vector {}", frame.vector);
    kprintln!("  pc  {:#018x}  sp  {:#018x}  pstate {:#010x}", frame.pc, frame.sp, frame.pstate);
    for (row, registers) in frame.x.chunks(4).enumerate() {
        for (column, value) in registers.iter().enumerate() {
            kprint!("  x{:<2} {value:#018x}", 4 * row + column);
        }
        kprintln!();
    }
    kprintln!("  backtrace:");
    kprintln!("    {:#018x}", frame.pc);
    walk(frame.x[29]);
    kprintln!("System powering off.");
    psci::system_off()
}

fn backtrace(frame_pointer: u64) {
    kprintln!("  backtrace:");
    walk(frame_pointer);
}

/// Follows frame records upwards. A stack that was overwritten ends the walk early; it cannot make it fault or loop.
fn walk(mut frame_pointer: u64) {
    for _ in 0..24 {
        let Some((next, return_address)) = trap::frame_record(frame_pointer) else { return };
        if return_address == 0 {
            return;
        }
        kprintln!("    {:#018x}", return_address);
        if next <= frame_pointer {
            return;
        }
        frame_pointer = next;
    }
    kprintln!("    ...");
}
