//! Interrupts, by the UART's: it has sent characters before, so its transmit interrupt is there once it is let through.

use crate::env::*;
use kaal_sys::abi::{Error, Invocation, rights};
use kaal_sys::child::slot;
use kaal_sys::{CPtr, Endpoint, IrqControl, IrqHandler, Notification, Page, invoke, time};

/// The tests.
pub const TESTS: &[Test] = &[
    ("irq: an interrupt is delivered as a signal, once until acknowledged", delivered),
    ("irq: delivered to a thread that waits, and through a bound notification", waited_for),
    ("irq: without a notification it stays away", cleared),
    ("irq: handlers are made once, and again when deleted", control),
    ("irq: arguments that make no sense are refused", errors),
];

const HANDLER: IrqHandler = IrqHandler(CPtr(slot::UART_IRQ));
const CONTROL: IrqControl = IrqControl(CPtr(slot::IRQ_CONTROL));
/// An interrupt that nothing on the board has (an SPI far up).
const UNUSED: u64 = 200;

/// Registers of the PL011 (Arm DDI 0183G, 3.3).
const IMSC: u64 = 0x38;
const RIS: u64 = 0x3c;
const TRANSMIT: u32 = 1 << 5;

/// The UART's registers, mapped.
struct Uart(u64);

impl Uart {
    fn map(env: &mut Env) -> Self {
        let va = env.addresses(1);
        Page(CPtr(slot::UART)).map(VSPACE, va, RW, 0).unwrap();
        let uart = Uart(va);
        assert!(uart.read(RIS) & TRANSMIT != 0, "no transmit interrupt is pending");
        uart
    }

    fn read(&self, register: u64) -> u32 {
        // SAFETY: a register of the UART, mapped.
        unsafe { ((self.0 + register) as *const u32).read_volatile() }
    }

    /// Lets the transmit interrupt through, or not.
    fn let_through(&self, yes: bool) {
        // SAFETY: as above. It changes nothing that printing needs.
        unsafe { ((self.0 + IMSC) as *mut u32).write_volatile(if yes { TRANSMIT } else { 0 }) };
        // The interrupt takes its way through the distributor.
        let start = time::now();
        while time::now() - start < time::frequency() / 50_000 {}
    }
}

fn delivered(env: &mut Env) {
    let uart = Uart::map(env);
    let plain = env.notification();
    let badged = Notification(env.badged(plain.0, 0x400));
    HANDLER.set_notification(badged).unwrap();
    HANDLER.acknowledge().unwrap();
    assert_eq!(plain.poll(), 0);
    uart.let_through(true);
    assert_eq!(plain.wait(), 0x400);
    // It is pending all the time, and comes again only when acknowledged.
    uart.let_through(true);
    assert_eq!(plain.poll(), 0);
    for _ in 0..3 {
        HANDLER.acknowledge().unwrap();
        assert_eq!(plain.wait(), 0x400);
    }
    uart.let_through(false);
    HANDLER.acknowledge().unwrap();
    assert_eq!(plain.poll(), 0);
    HANDLER.clear().unwrap();
}

extern "C" fn handle(cap: u64) -> ! {
    loop {
        log(Endpoint(CPtr(cap)).recv().badge);
    }
}

fn waited_for(env: &mut Env) {
    let uart = Uart::map(env);
    let (plain, endpoint) = (env.notification(), env.endpoint());
    HANDLER.set_notification(Notification(env.badged(plain.0, 0x8))).unwrap();
    HANDLER.acknowledge().unwrap();
    let waiter = env.spawn(HIGHER, handle, plain.0.0);
    uart.let_through(true);
    logged(&[8]);
    HANDLER.acknowledge().unwrap();
    uart.let_through(true);
    logged(&[8]);
    waiter.tcb.suspend().unwrap();
    let bound = env.spawn(HIGHER, handle, endpoint.0.0);
    bound.tcb.bind(plain).unwrap();
    HANDLER.acknowledge().unwrap();
    uart.let_through(true);
    logged(&[8]);
    uart.let_through(false);
    HANDLER.clear().unwrap();
}

fn cleared(env: &mut Env) {
    let uart = Uart::map(env);
    let plain = Notification(env.notification().0);
    let badged = Notification(env.badged(plain.0, 1));
    HANDLER.set_notification(badged).unwrap();
    HANDLER.acknowledge().unwrap();
    HANDLER.clear().unwrap();
    HANDLER.clear().unwrap();
    uart.let_through(true);
    assert_eq!(plain.poll(), 0);
    // Deleted, a notification is signalled no more.
    HANDLER.set_notification(badged).unwrap();
    at(plain.0).revoke().unwrap();
    at(plain.0).delete().unwrap();
    HANDLER.acknowledge().unwrap();
    uart.let_through(true);
    uart.let_through(false);
    HANDLER.acknowledge().unwrap();
}

fn control(env: &mut Env) {
    let (handler, copy, second) = (env.slot(), env.slot(), env.slot());
    CONTROL.get(UNUSED, handler).unwrap();
    assert_eq!(handler.cptr().kind(), kind::IRQ_HANDLER);
    refused(CONTROL.get(UNUSED, second), Error::RevokeFirst, &[]);
    copy.copy(handler, rights::ALL).unwrap();
    handler.delete().unwrap();
    refused(CONTROL.get(UNUSED, second), Error::RevokeFirst, &[]);
    copy.delete().unwrap();
    CONTROL.get(UNUSED, second).unwrap();
    let other = env.slot();
    CONTROL.get(UNUSED + 1, other).unwrap();
    second.delete().unwrap();
    assert_eq!((other.cptr().kind(), CPtr(slot::UART_IRQ).kind()), (kind::IRQ_HANDLER, kind::IRQ_HANDLER));
}

fn errors(env: &mut Env) {
    let slot = env.slot();
    for irq in [1020, 1 << 32, u64::MAX] {
        refused(CONTROL.get(irq, slot), Error::RangeError, &[0]);
    }
    // The kernel's own: the timer's.
    assert!(CONTROL.get(27, slot).is_err());
    let full = at(env.endpoint().0);
    refused(CONTROL.get(UNUSED, full), Error::DeleteFirst, &[]);
    let endpoint = env.endpoint().0;
    refused(HANDLER.set_notification(Notification(endpoint)), Error::InvalidCapability, &[]);
    let weak = env.notification().0;
    let weak = env.copy(weak, rights::READ);
    refused(HANDLER.set_notification(Notification(weak)), Error::InvalidCapability, &[]);
    for length in 0..3 {
        let short =
            invoke(CONTROL.0, Invocation::IrqControlGet, &[UNUSED, slot.index, 64][..length], &[CNODE.0]);
        refused(short, Error::TruncatedMessage, &[]);
    }
    refused(invoke(HANDLER.0, Invocation::IrqHandlerSetNotification, &[], &[]), Error::TruncatedMessage, &[]);
    assert_eq!(slot.cptr().kind(), kind::EMPTY);
}
