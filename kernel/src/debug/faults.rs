//! What the command line can ask for after a boot: faults of every kind, endless waiting, endless work.
//!
//! `fault=null|wx|exec|undef|stack|panic`, `hang`, `spin=N`.

use crate::arch::aarch64::{cpu, timer, uaccess};
use crate::boot::params::Params;
use crate::kprintln;
use core::hint::black_box;

/// Does what the command line asks for. Returns if the machine is to go on to power off.
pub fn run(params: &Params) {
    if let Some(count) = params.argument("spin") {
        match count.parse::<u64>() {
            Ok(millions) => spin(millions),
            Err(_) => kprintln!("spin={count}: not a number of millions"),
        }
    }
    if let Some(kind) = params.argument("fault") {
        kprintln!("Faulting on request: {kind}");
        match kind {
            "null" => crate::arch::aarch64::crash::read_null(),
            "wx" => crate::arch::aarch64::crash::write_text(),
            "exec" => crate::arch::aarch64::crash::execute_data(),
            "undef" => cpu::undefined_instruction(),
            "stack" => kprintln!("{}", deeper(1)),
            "panic" => panic!("asked for on the command line"),
            _ => kprintln!("fault={kind}: not one of null, wx, exec, undef, stack, panic"),
        }
    }
    if params.has_argument("hang") {
        kprintln!("Waiting for ever: no interrupt can come.");
        timer::stop();
        cpu::mask_all();
        loop {
            cpu::wait_for_interrupt();
        }
    }
}

fn spin(millions: u64) {
    let before = timer::ticks();
    cpu::with_interrupts(|| (0..millions).for_each(|_| cpu::spin(1_000_000)));
    let ticked = timer::ticks() > before;
    kprintln!("Spun {millions} million times, {}.", if ticked { "ticking" } else { "without a tick" });
}

/// Recursion without end, through a frame that the compiler cannot fold away.
#[inline(never)]
#[allow(unconditional_recursion)]
fn deeper(depth: u64) -> u64 {
    let local = black_box([depth; 16]);
    deeper(black_box(depth + 1)).wrapping_add(local[black_box(3)])
}

/// Kernel text, for those who want to see it protected.
pub fn text_is_protected() -> bool {
    !uaccess::try_write_read_only(run as *const () as u64)
}
