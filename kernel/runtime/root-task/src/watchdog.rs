//! A thread of the lowest priority: it runs only when nothing else can, and tells the runner when that lasts.

use crate::memory::Arena;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use kaal_sys::abi::bootinfo::slot as own;
use kaal_sys::abi::{ObjectType, registers, rights};
use kaal_sys::child::label;
use kaal_sys::{CNode, CPtr, Endpoint, Message, Page, Result, Tcb, VSpace, time};

/// Where its stack is, a page.
const STACK: u64 = 0x2010_0000;
/// How long nothing else may run: 1/PATIENCE seconds, and as many ticks. Interrupts come, and other domains have their turn,
/// meanwhile.
const PATIENCE: u64 = 8;
const TICKS: u64 = 64;

/// How many tests have begun.
static BEGUN: AtomicU64 = AtomicU64::new(0);
/// Counts of the counter to wait.
static WAIT: AtomicU64 = AtomicU64::new(0);

/// The thread.
pub struct Watchdog;

extern "C" fn watch(report: u64) -> ! {
    let report = Endpoint(CPtr(report));
    loop {
        let (begun, start) = (BEGUN.load(Relaxed), time::now());
        while time::now() - start < WAIT.load(Relaxed) {
            core::hint::spin_loop();
        }
        if BEGUN.load(Relaxed) == begun {
            report.send(Message::new(label::STUCK, &[]));
        }
    }
}

impl Watchdog {
    /// Starts it, on a machine with so many ticks a second. It sends to `report`.
    pub fn start(arena: &mut Arena, report: Endpoint, tick_hz: u64) -> Result<Watchdog> {
        WAIT.store((time::frequency() / PATIENCE).max(TICKS * time::frequency() / tick_hz), Relaxed);
        let (cnode, vspace) = (CNode(CPtr(own::CNODE)), VSpace(CPtr(own::VSPACE)));
        let stack = Page(arena.make(ObjectType::Page, 0)?);
        arena.map(vspace, stack, STACK, rights::READ | rights::WRITE, 0)?;
        let tcb = Tcb(arena.make(ObjectType::Tcb, 0)?);
        tcb.set_space(0, cnode, 0, vspace)?;
        tcb.set_sched_params(Tcb(CPtr(own::TCB)), 0, 0)?;
        tcb.set_name("watchdog");
        let mut values = [0; registers::COUNT];
        values[registers::PC] = watch as *const () as u64;
        values[registers::SP] = STACK + 4096;
        values[registers::X0] = report.0.0;
        tcb.write_registers(true, &values)?;
        Ok(Watchdog)
    }

    /// Something new begins: it has time from now on.
    pub fn begin(&self) {
        BEGUN.fetch_add(1, Relaxed);
    }
}
