//! The virtual timer: a tick at a steady rate (Arm DDI 0487, D11).

use super::cpu::read_register;
use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

/// Ticks a second, unless [`set_rate`] says otherwise.
const TICK_HZ: u64 = 10_000;

static RATE: AtomicU64 = AtomicU64::new(TICK_HZ);
static TICKS: AtomicU64 = AtomicU64::new(0);

/// Ticks a second.
pub fn rate() -> u64 {
    RATE.load(Ordering::Relaxed)
}

/// Sets the ticks a second, from the next deadline on.
pub fn set_rate(hz: u64) {
    RATE.store(hz, Ordering::Relaxed);
}

/// Counts a second.
pub fn frequency() -> u64 {
    read_register!("cntfrq_el0")
}

/// The virtual counter, never read ahead of time.
pub fn counter() -> u64 {
    let value: u64;
    // SAFETY: reads a register; the barrier keeps it in program order.
    unsafe { asm!("isb", "mrs {}, cntvct_el0", out(reg) value, options(nostack, preserves_flags)) };
    value
}

fn interval() -> u64 {
    (frequency() / rate()).max(1)
}

fn set_deadline(deadline: u64) {
    // SAFETY: the timer raises interrupts only, which are masked or handled.
    unsafe { asm!("msr cntv_cval_el0, {}", in(reg) deadline, options(nostack, preserves_flags)) };
}

fn set_control(control: u64) {
    // SAFETY: as above.
    unsafe { asm!("msr cntv_ctl_el0, {}", "isb", in(reg) control, options(nostack, preserves_flags)) };
}

/// Starts ticking. Programs may read the virtual counter; all else of the timers traps.
pub fn start() {
    // SAFETY: EL0VCTEN; decides what EL0 may read.
    unsafe { asm!("msr cntkctl_el1, {}", in(reg) 2u64, options(nostack, preserves_flags)) };
    set_deadline(counter() + interval());
    set_control(1);
}

/// Stops ticking.
pub fn stop() {
    set_control(0);
}

/// Is the timer's condition met?
pub fn is_due() -> bool {
    read_register!("cntv_ctl_el0") & 4 != 0
}

/// Counts a tick and sets the next deadline: one interval after the last, or after now if that has passed too.
pub fn tick() {
    TICKS.fetch_add(1, Ordering::Relaxed);
    let (now, interval) = (counter(), interval());
    let next = read_register!("cntv_cval_el0") + interval;
    set_deadline(if next > now { next } else { now + interval });
}

/// Ticks since boot.
pub fn ticks() -> u64 {
    TICKS.load(Ordering::Relaxed)
}
