//! What can be done to threads.

use crate::env::*;
use core::arch::asm;
use kaal_sys::abi::{Error, Invocation, registers, rights};
use kaal_sys::child::{self, slot};
use kaal_sys::{CPtr, Endpoint, Message, Page, Tcb, VSpace, invoke, message, thread};

/// The tests.
pub const TESTS: &[Test] = &[
    ("thread: suspended and resumed where it was", suspend_resume),
    ("thread: suspended and resumed while it waits", suspend_waiting),
    ("thread: all registers are written and read", all_registers),
    ("thread: the state a thread runs with cannot be chosen", harmless_state),
    ("thread: registers are copied, those asked for", copy_registers),
    ("thread: a thread suspends itself", suspend_self),
    ("thread: register counts out of range are refused", register_errors),
    ("thread: spaces of the wrong type are refused", space_errors),
    ("thread: IPC buffers are checked", buffer_errors),
    ("thread: messages too short are refused", truncated),
    ("thread: the thread pointer", tls_base),
    ("thread: one that was never set up does no harm", unconfigured),
];

extern "C" fn count(_: u64) -> ! {
    loop {
        share(0, shared(0) + 1);
        thread::yield_now();
    }
}

fn suspend_resume(env: &mut Env) {
    let helper = env.spawn(SAME, count, 0);
    eventually(|| shared(0) >= 3);
    helper.tcb.suspend().unwrap();
    helper.tcb.suspend().unwrap();
    let before = shared(0);
    pass_time();
    assert_eq!(shared(0), before);
    helper.tcb.resume().unwrap();
    helper.tcb.resume().unwrap();
    eventually(|| shared(0) > before);
    let registers = helper.tcb.read_registers(true, 2).unwrap();
    assert!((helper.stack..=helper.stack + 2 * PAGE).contains(&registers[registers::SP]));
    let before = shared(0);
    pass_time();
    assert_eq!(shared(0), before);
}

extern "C" fn receive(cap: u64) -> ! {
    loop {
        log(Endpoint(CPtr(cap)).recv().label());
    }
}

fn suspend_waiting(env: &mut Env) {
    let endpoint = env.endpoint();
    let helper = env.spawn(HIGHER, receive, endpoint.0.0);
    helper.tcb.suspend().unwrap();
    endpoint.nb_send(Message::new(1, &[]));
    logged(&[]);
    helper.tcb.resume().unwrap();
    endpoint.nb_send(Message::new(2, &[]));
    logged(&[2]);
    // Resumed though it was not suspended, it waits again.
    helper.tcb.resume().unwrap();
    endpoint.nb_send(Message::new(3, &[]));
    logged(&[3]);
}

core::arch::global_asm!(
    // Stores x0 to x30, sp and the flags where TPIDR_EL0 points.
    ".section .text.store_all, \"ax\"",
    ".global store_all",
    "store_all:",
    "stp x29, x30, [sp, #-16]!",
    "mrs x29, tpidr_el0",
    "stp x0, x1, [x29]",
    "stp x2, x3, [x29, #16]",
    "stp x4, x5, [x29, #32]",
    "stp x6, x7, [x29, #48]",
    "stp x8, x9, [x29, #64]",
    "stp x10, x11, [x29, #80]",
    "stp x12, x13, [x29, #96]",
    "stp x14, x15, [x29, #112]",
    "stp x16, x17, [x29, #128]",
    "stp x18, x19, [x29, #144]",
    "stp x20, x21, [x29, #160]",
    "stp x22, x23, [x29, #176]",
    "stp x24, x25, [x29, #192]",
    "stp x26, x27, [x29, #208]",
    "str x28, [x29, #224]",
    "ldp x0, x1, [sp], #16",
    "stp x0, x1, [x29, #232]",
    "mov x0, sp",
    "str x0, [x29, #248]",
    "mrs x0, nzcv",
    "str x0, [x29, #256]",
    "mov x7, #-7",
    "1: svc #0", // yields for ever
    "b 1b",
);

unsafe extern "C" {
    fn store_all();
}

fn pattern(n: u64) -> u64 {
    0x0101_0101_0101_0101 * (n + 1)
}

/// Registers for `store_all`, which stores to `va`.
fn patterns(helper: &Helper, va: u64) -> [u64; registers::COUNT] {
    let mut values: [u64; registers::COUNT] = core::array::from_fn(|n| pattern(n as u64));
    values[registers::PC] = store_all as *const () as u64;
    values[registers::SP] = helper.stack + 2 * PAGE;
    values[registers::PSTATE] = 0xa000_0000;
    values[registers::THREAD_POINTER] = va;
    values
}

fn check_stored(helper: &Helper, va: u64) {
    for n in 0..31 {
        assert_eq!(word(va + 8 * n), pattern(n + registers::X0 as u64), "x{n}");
    }
    assert_eq!((word(va + 248), word(va + 256)), (helper.stack + 2 * PAGE, 0xa000_0000));
}

fn all_registers(env: &mut Env) {
    let helper = env.helper(SAME);
    let (_, va) = env.mapped_page();
    let values = patterns(&helper, va);
    helper.tcb.write_registers(false, &values).unwrap();
    assert_eq!(helper.tcb.read_registers(false, registers::COUNT).unwrap(), values);
    helper.tcb.resume().unwrap();
    eventually(|| word(va + 256) != 0);
    check_stored(&helper, va);
    let after = helper.tcb.read_registers(true, registers::COUNT).unwrap();
    assert_eq!(after[registers::X0 + 28], pattern(28 + registers::X0 as u64));
    // A few registers leave the others alone.
    helper.tcb.write_registers(false, &values[..5]).unwrap();
    let mixed = helper.tcb.read_registers(false, registers::COUNT).unwrap();
    assert_eq!((mixed[..5] == values[..5], mixed[5..] == after[5..]), (true, true));
}

fn harmless_state(env: &mut Env) {
    let helper = env.helper(SAME);
    let (_, va) = env.mapped_page();
    let mut values = patterns(&helper, va);
    // EL1 and masked interrupts are asked for, besides the flags.
    values[registers::PSTATE] = 0xa000_03c5 | 1 << 21 | 1 << 20;
    helper.tcb.write_registers(true, &values).unwrap();
    assert_eq!(helper.tcb.read_registers(false, 3).unwrap()[registers::PSTATE], 0xa000_0000);
    eventually(|| word(va + 256) != 0);
    check_stored(&helper, va);
}

fn copy_registers(env: &mut Env) {
    let (source, target) = (env.helper(SAME), env.helper(SAME));
    let values = patterns(&source, 0x1234_5000);
    source.tcb.write_registers(false, &values).unwrap();
    let before = [7; registers::COUNT];
    let frame = |n: usize| matches!(n, 0..=11 | 19..=21 | 33);
    for (flags, copied) in [(4, 1), (8, 2), (12, 3)] {
        let mut expected = before;
        expected[registers::PSTATE] = 0;
        let mut start = before;
        start[registers::PSTATE] = 0;
        target.tcb.write_registers(false, &start).unwrap();
        target.tcb.copy_registers(source.tcb, flags).unwrap();
        for (n, value) in expected.iter_mut().enumerate().take(registers::THREAD_POINTER) {
            if (copied & 1 != 0 && frame(n)) || (copied & 2 != 0 && !frame(n)) {
                *value = values[n];
            }
        }
        let after = target.tcb.read_registers(false, registers::THREAD_POINTER).unwrap();
        assert_eq!(
            after[..registers::THREAD_POINTER],
            expected[..registers::THREAD_POINTER],
            "flags {flags}"
        );
    }
    // Suspends the source, resumes the target.
    let running = env.spawn(SAME, count, 0);
    let second = env.helper(SAME);
    second.tcb.copy_registers(running.tcb, 1 | 2 | 4 | 8).unwrap();
    let before = shared(0);
    eventually(|| shared(0) > before + 1);
    second.tcb.suspend().unwrap();
    let before = shared(0);
    pass_time();
    assert_eq!(shared(0), before);
    refused(second.tcb.copy_registers(Tcb(CNODE.0), 4), Error::InvalidCapability, &[1]);
}

extern "C" fn stop(argument: u64) -> ! {
    log(1);
    message::send(CPtr(argument), Message::new(Invocation::TcbSuspend as u64, &[]));
    log(2);
    exit()
}

fn suspend_self(env: &mut Env) {
    let helper = env.helper(HIGHER);
    helper.start(stop, helper.tcb.0.0);
    logged(&[1]);
    helper.tcb.resume().unwrap();
    logged(&[2]);
}

fn register_errors(env: &mut Env) {
    let helper = env.helper(LOWER);
    let most = registers::COUNT as u64;
    for count in [0, most + 1, u64::MAX] {
        let read = invoke(helper.tcb.0, Invocation::TcbReadRegisters, &[0, count], &[]);
        refused(read, Error::RangeError, &[1, most]);
    }
    refused(TCB.read_registers(false, 1), Error::IllegalOperation, &[]);
    refused(TCB.write_registers(false, &[0]), Error::IllegalOperation, &[]);
    let fewer = invoke(helper.tcb.0, Invocation::TcbWriteRegisters, &[0, 3, 1, 2], &[]);
    refused(fewer, Error::TruncatedMessage, &[]);
}

fn space_errors(env: &mut Env) {
    let helper = env.helper(LOWER);
    let not = env.endpoint().0;
    let as_cnode = kaal_sys::CNode(not);
    let buffer = (helper.buffer_va, helper.buffer);
    assert!(helper.tcb.set_space(0, as_cnode, 0, VSPACE).is_err());
    assert!(helper.tcb.set_space(0, CNODE, 0, VSpace(not)).is_err());
    assert!(helper.tcb.configure(0, as_cnode, 0, VSPACE, buffer).is_err());
    assert!(helper.tcb.configure(0, CNODE, 0, VSpace(not), buffer).is_err());
    assert!(helper.tcb.configure(0, CNODE, 0, VSPACE, (helper.buffer_va, Page(not))).is_err());
    helper.tcb.configure(0, CNODE, 0, VSPACE, buffer).unwrap();
}

fn buffer_errors(env: &mut Env) {
    let helper = env.helper(LOWER);
    for address in [helper.buffer_va + 8, helper.buffer_va + 512, 1] {
        refused(helper.tcb.set_ipc_buffer(address, helper.buffer), Error::AlignmentError, &[]);
    }
    let endpoint = env.endpoint();
    assert!(helper.tcb.set_ipc_buffer(helper.buffer_va, Page(endpoint.0)).is_err());
    // Anywhere in the page will do.
    helper.tcb.set_ipc_buffer(helper.buffer_va + 3072, helper.buffer).unwrap();
    let none = invoke(helper.tcb.0, Invocation::TcbSetIpcBuffer, &[helper.buffer_va], &[]);
    refused(none, Error::TruncatedMessage, &[]);
}

fn truncated(env: &mut Env) {
    let helper = env.helper(LOWER);
    let words = [0; 8];
    for what in Invocation::ALL.iter().filter(|&&what| (2..=15).contains(&(what as u64))) {
        let caps = &[CNODE.0, VSPACE.0, helper.buffer.0][..what.capabilities()];
        for length in 0..what.arguments() {
            let short = invoke(helper.tcb.0, *what, &words[..length], caps);
            refused(short, Error::TruncatedMessage, &[]);
        }
        for count in 0..caps.len() {
            let fewer = invoke(helper.tcb.0, *what, &words[..what.arguments()], &caps[..count]);
            refused(fewer, Error::TruncatedMessage, &[]);
        }
    }
}

extern "C" fn tell_pointer(_: u64) -> ! {
    let mut pointer: u64;
    // SAFETY: reads a register of the thread's own.
    unsafe { asm!("mrs {}, tpidr_el0", out(reg) pointer) };
    share(0, pointer);
    while shared(2) == 0 {
        thread::yield_now();
    }
    // SAFETY: as above.
    unsafe { asm!("mrs {}, tpidr_el0", out(reg) pointer) };
    share(1, pointer);
    loop {
        thread::yield_now();
    }
}

fn tls_base(env: &mut Env) {
    let own = thread::ipc_buffer();
    let helper = env.spawn(SAME, tell_pointer, 0);
    eventually(|| shared(0) != 0);
    assert_eq!(shared(0), helper.buffer_va);
    helper.tcb.set_tls_base(0x1234_5678_9abc).unwrap();
    share(2, 1);
    eventually(|| shared(1) != 0);
    assert_eq!((shared(1), thread::ipc_buffer()), (0x1234_5678_9abc, own));
    TCB.set_tls_base(own + 8).unwrap();
    let moved = thread::ipc_buffer();
    // SAFETY: where it was.
    unsafe { thread::set_ipc_buffer(own) };
    assert_eq!(moved, own + 8);
}

fn unconfigured(env: &mut Env) {
    let tcb = Tcb(env.make(kaal_sys::abi::ObjectType::Tcb, 0));
    tcb.set_sched_params(TCB, child::MCP, HIGHER).unwrap();
    tcb.resume().unwrap();
    let mut values = [0; registers::COUNT];
    values[registers::PC] = 0x40_0000;
    tcb.write_registers(true, &values).unwrap();
    tcb.suspend().unwrap();
    let copy = env.copy(tcb.0, rights::ALL);
    at(tcb.0).delete().unwrap();
    at(copy).delete().unwrap();
    assert_eq!(CPtr(slot::TCB).kind(), kind::TCB);
}
