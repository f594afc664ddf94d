//! Who runs when.

use crate::env::*;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use kaal_sys::abi::{DOMAINS, Error};
use kaal_sys::child::{self, slot};
use kaal_sys::{CPtr, Domain, Endpoint, Message, Notification, Tcb, fault::Fault, message, thread, time};

/// The tests.
pub const TESTS: &[Test] = &[
    ("scheduling: a higher priority runs at once, a lower one later", priorities),
    ("scheduling: priorities changed take effect at once", changes),
    ("scheduling: yielding threads take turns", round_robin),
    ("scheduling: spinning threads are preempted, and lose no register", preemption),
    ("scheduling: nor a floating-point register, where the processor has any", floating_point),
    ("scheduling: a lower priority gets nothing of a higher one's time", starvation),
    ("scheduling: a thread that wakes preempts lower ones", wake_up),
    ("scheduling: no priority beyond the authority's maximum", maximum),
    ("scheduling: domains take turns, each with its own threads", domains),
    ("scheduling: domains out of range are refused", domain_errors),
    ("scheduling: the counter can be read and does not run backwards", counter),
];

extern "C" fn note(argument: u64) -> ! {
    log(argument);
    exit()
}

fn priorities(env: &mut Env) {
    let lower = env.spawn(LOWER, note, 1);
    env.spawn(HIGHER, note, 2);
    logged(&[2]);
    env.spawn(SAME, note, 3);
    thread::yield_now();
    logged(&[3]);
    thread::yield_now();
    logged(&[]);
    env.spawn(child::MCP, note, 4);
    logged(&[4]);
    lower.tcb.set_priority(TCB, HIGHER).unwrap();
    logged(&[1]);
}

fn changes(env: &mut Env) {
    env.spawn(LOWER, note, 1);
    env.spawn(LOWER - 2, note, 2);
    let waiting = env.spawn(LOWER - 4, note, 3);
    TCB.set_priority(TCB, LOWER - 1).unwrap();
    logged(&[1]);
    TCB.set_priority(TCB, LOWER - 3).unwrap();
    logged(&[2]);
    TCB.set_priority(TCB, SAME).unwrap();
    waiting.tcb.set_sched_params(TCB, 0, HIGHER).unwrap();
    logged(&[3]);
    // With less than the maximum that it had, it cannot raise itself again.
    TCB.set_mcp(TCB, SAME).unwrap();
    refused(TCB.set_priority(TCB, HIGHER), Error::RangeError, &[0, SAME]);
    refused(TCB.set_mcp(TCB, child::MCP), Error::RangeError, &[0, SAME]);
}

extern "C" fn take_turns(name: u64) -> ! {
    for round in 0..4 {
        log(name << 8 | round);
        thread::yield_now();
    }
    exit()
}

fn round_robin(env: &mut Env) {
    let helpers = [1, 2, 3].map(|name| (name, env.helper(LOWER)));
    let (done, last) = (env.notification(), env.helper(LOWER - 1));
    // A time slice that ends in between disturbs the order; some attempt will be without that.
    for _ in 0..50 {
        for (name, helper) in &helpers {
            helper.start(take_turns, *name);
        }
        last.start(signal, done.0.0);
        done.wait();
        assert_eq!(log_length(), 12);
        let turns: [u64; 12] = core::array::from_fn(|n| (n as u64 % 3 + 1) * 256 + n as u64 / 3);
        if take_log()[..12] == turns {
            return;
        }
    }
    panic!("they never took turns");
}

core::arch::global_asm!(
    // compute(rounds, seed): 1 if every register kept its value over a loop of that many rounds.
    ".section .text.compute, \"ax\"",
    ".global compute",
    "compute:",
    "stp x29, x30, [sp, #-96]!",
    "stp x19, x20, [sp, #16]",
    "stp x21, x22, [sp, #32]",
    "stp x23, x24, [sp, #48]",
    "stp x25, x26, [sp, #64]",
    "stp x27, x28, [sp, #80]",
    ".irp n, 2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30",
    "add x\\n, x1, #\\n",
    ".endr",
    "1: subs x0, x0, #1",
    "b.ne 1b",
    ".irp n, 2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30",
    "sub x\\n, x\\n, #\\n",
    "cmp x\\n, x1",
    "b.ne 2f",
    ".endr",
    "2: cset x0, eq",
    "ldp x19, x20, [sp, #16]",
    "ldp x21, x22, [sp, #32]",
    "ldp x23, x24, [sp, #48]",
    "ldp x25, x26, [sp, #64]",
    "ldp x27, x28, [sp, #80]",
    "ldp x29, x30, [sp], #96",
    "ret",
    // compute_floating(rounds, seed): the same for floating-point registers.
    ".arch_extension fp",
    ".arch_extension simd",
    ".global compute_floating",
    "compute_floating:",
    ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
    "dup v\\n\\().2d, x1",
    ".endr",
    "1: subs x0, x0, #1",
    "b.ne 1b",
    ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
    "mov x2, v\\n\\().d[0]",
    "mov x3, v\\n\\().d[1]",
    "cmp x2, x1",
    "ccmp x3, x1, #0, eq",
    "b.ne 2f",
    ".endr",
    "2: cset x0, eq",
    "ret",
    ".arch_extension nosimd",
    ".arch_extension nofp",
);

unsafe extern "C" {
    safe fn compute(rounds: u64, seed: u64) -> u64;
    safe fn compute_floating(rounds: u64, seed: u64) -> u64;
}

const SPINNERS: usize = 3;
/// How often the spinners have been round.
static ROUNDS: [AtomicU64; SPINNERS] = [const { AtomicU64::new(0) }; SPINNERS];

/// Computes; signals the notification in shared word 0 + its number when it has been preempted and come back 3 times.
fn spin_with(number: u64, compute: fn(u64) -> u64) -> ! {
    let own = number as usize;
    let others = || (0..SPINNERS).filter(|&n| n != own).map(|n| ROUNDS[n].load(Relaxed)).sum::<u64>();
    let (mut seen, mut preempted) = (others(), 0);
    loop {
        assert_eq!(compute(number), 1, "spinner {number} lost a register");
        ROUNDS[own].fetch_add(1, Relaxed);
        let now = others();
        if now != seen {
            seen = now;
            preempted += 1;
            if preempted == 3 {
                Notification(CPtr(shared(own))).signal();
            }
        }
    }
}

fn seed(number: u64) -> u64 {
    0x1234_5678_9abc_0000 << number
}

extern "C" fn spin(number: u64) -> ! {
    spin_with(number, |number| compute(1000 + number, seed(number)))
}

extern "C" fn spin_floating(number: u64) -> ! {
    spin_with(number, |number| compute_floating(1000 + number, seed(number)))
}

fn preempt(env: &mut Env, program: Program) {
    let done = env.notification();
    for n in 0..SPINNERS {
        share(n, env.badged(done.0, 1 << n).0);
        env.spawn(SAME, program, n as u64);
    }
    let mut all = 0;
    while all != (1 << SPINNERS) - 1 {
        all |= done.wait();
    }
}

fn preemption(env: &mut Env) {
    preempt(env, spin);
}

extern "C" fn try_floating(_: u64) -> ! {
    compute_floating(1, 0);
    exit()
}

fn floating_point(env: &mut Env) {
    let faults = env.endpoint();
    env.spawn_handled(faults, HIGHER, try_floating, 0);
    match Fault::from(&faults.nb_recv()) {
        None => preempt(env, spin_floating),
        // Floating point is not there (Arm DDI 0487, D17.2.37, EC 7).
        Some(Fault::UserException { class: 7, .. }) => {}
        Some(fault) => panic!("another fault: {fault}"),
    }
}

extern "C" fn count(n: u64) -> ! {
    loop {
        SHARED[n as usize].fetch_add(1, Relaxed);
    }
}

fn starvation(env: &mut Env) {
    let lower = env.spawn(LOWER, count, 0);
    pass_time();
    assert_eq!(shared(0), 0);
    lower.tcb.set_priority(TCB, SAME).unwrap();
    pass_time();
    assert!(shared(0) > 0, "a thread of the same priority had no turn");
}

extern "C" fn answer(cap: u64) -> ! {
    let endpoint = Endpoint(CPtr(cap));
    let mut message = endpoint.recv();
    loop {
        log(message.label());
        message = endpoint.reply_recv(Message::default());
    }
}

extern "C" fn ask(cap: u64) -> ! {
    log(1);
    Endpoint(CPtr(cap)).call(Message::new(2, &[]));
    log(3);
    exit()
}

fn wake_up(env: &mut Env) {
    let (high, low) = (env.endpoint(), env.endpoint());
    env.spawn(HIGHER + 1, answer, high.0.0);
    env.spawn(HIGHER, ask, high.0.0);
    logged(&[1, 2, 3]);
    env.spawn(LOWER, answer, low.0.0);
    env.spawn(HIGHER, ask, low.0.0);
    logged(&[1]);
    low.nb_send(Message::default());
    let waits = env.notification();
    env.spawn(LOWER - 1, signal, waits.0.0);
    waits.wait();
    logged(&[2, 3]);
}

extern "C" fn signal(cap: u64) -> ! {
    Notification(CPtr(cap)).signal();
    exit()
}

fn maximum(env: &mut Env) {
    let (helper, weak) = (env.helper(LOWER), env.helper(LOWER));
    weak.tcb.set_mcp(TCB, 50).unwrap();
    let tcb = helper.tcb;
    refused(tcb.set_priority(TCB, child::MCP + 1), Error::RangeError, &[0, child::MCP]);
    refused(tcb.set_priority(TCB, 256), Error::RangeError, &[0, child::MCP]);
    refused(tcb.set_priority(TCB, u64::MAX), Error::RangeError, &[0, child::MCP]);
    refused(tcb.set_mcp(TCB, child::MCP + 1), Error::RangeError, &[0, child::MCP]);
    refused(tcb.set_sched_params(TCB, child::MCP + 1, 1), Error::RangeError, &[0, child::MCP]);
    refused(tcb.set_sched_params(TCB, 1, child::MCP + 1), Error::RangeError, &[0, child::MCP]);
    refused(tcb.set_priority(weak.tcb, 51), Error::RangeError, &[0, 50]);
    tcb.set_priority(weak.tcb, 50).unwrap();
    refused(tcb.set_priority(Tcb(CNODE.0), 1), Error::InvalidCapability, &[1]);
    refused(tcb.set_mcp(Tcb(CNODE.0), 1), Error::InvalidCapability, &[1]);
}

fn domains(env: &mut Env) {
    let domain = Domain(CPtr(slot::DOMAIN));
    let done = env.notification();
    for n in 0..DOMAINS {
        let cap = env.badged(done.0, 1 << n);
        let helper = env.helper(LOWER);
        domain.set(n, helper.tcb).unwrap();
        helper.start(signal, cap.0);
    }
    let mut all = 0;
    while all != (1 << DOMAINS) - 1 {
        all |= done.wait();
    }
    // And messages cross from domain to domain.
    let endpoint = env.endpoint();
    let server = env.helper(HIGHER);
    domain.set(DOMAINS - 1, server.tcb).unwrap();
    server.start(answer, endpoint.0.0);
    endpoint.call(Message::new(5, &[]));
    logged(&[5]);
    domain.set(0, server.tcb).unwrap();
    endpoint.call(Message::new(6, &[]));
    logged(&[6]);
}

fn domain_errors(env: &mut Env) {
    let domain = Domain(CPtr(slot::DOMAIN));
    let helper = env.helper(LOWER);
    refused(domain.set(DOMAINS, helper.tcb), Error::InvalidArgument, &[0]);
    refused(domain.set(u64::MAX, helper.tcb), Error::InvalidArgument, &[0]);
    assert!(domain.set(1, Tcb(CNODE.0)).is_err());
    let none = message::call(domain.0, Message::new(35, &[1]));
    assert_eq!(none.label(), Error::TruncatedMessage as u64);
}

fn counter(_: &mut Env) {
    assert!(time::frequency() > 0);
    let mut last = time::now();
    for _ in 0..1000 {
        let now = time::now();
        assert!(now >= last);
        last = now;
    }
    pass_time();
    assert!(time::now() > last);
}
