//! Signals.

use crate::env::*;
use kaal_sys::abi::Error;
use kaal_sys::{CPtr, Endpoint, Message, Notification, message};

/// The tests.
pub const TESTS: &[Test] = &[
    ("notification: signal, then wait and poll", signal_first),
    ("notification: wait, then signal", wait_first),
    ("notification: badges of several signals are or'ed", accumulate),
    ("notification: waiters are woken in the order they came", in_order),
    ("notification: a bound one ends a receive on an endpoint", bound),
    ("notification: a bound one that is signalled already is received at once", bound_before),
    ("notification: binding is refused twice, and ends", bind_errors),
    ("notification: a call is not ended by a bound one", bound_call),
];

fn signal_first(env: &mut Env) {
    let plain = env.notification();
    let badged = Notification(env.badged(plain.0, 0x10));
    assert_eq!(plain.poll(), 0);
    badged.signal();
    assert_eq!(plain.wait(), 0x10);
    assert_eq!(plain.poll(), 0);
    badged.signal();
    badged.signal();
    assert_eq!((plain.poll(), plain.poll()), (0x10, 0));
    // A signal without a badge wakes a waiter, too.
    plain.signal();
    assert_eq!(plain.wait(), 0);
}

extern "C" fn wait(argument: u64) -> ! {
    let badge = Notification(CPtr(argument >> 8)).wait();
    log(badge << 8 | argument & 0xff);
    exit()
}

fn wait_first(env: &mut Env) {
    let plain = env.notification();
    let badged = Notification(env.badged(plain.0, 0x10));
    env.spawn(HIGHER, wait, plain.0.0 << 8 | 1);
    logged(&[]);
    badged.signal();
    logged(&[0x1001]);
    assert_eq!(plain.poll(), 0);
}

fn accumulate(env: &mut Env) {
    let plain = env.notification();
    let badges = [1, 2, 4, 1 << 63].map(|badge| Notification(env.badged(plain.0, badge)));
    badges.iter().for_each(|badge| badge.signal());
    assert_eq!(plain.wait(), 7 | 1 << 63);
    badges[2].signal();
    message::nb_send(badges[0].0, Message::default());
    message::call(badges[1].0, Message::default());
    assert_eq!(plain.wait(), 7);
}

fn in_order(env: &mut Env) {
    let plain = env.notification();
    for n in 0..4 {
        env.spawn(HIGHER + [2, 0, 3, 1][n as usize], wait, plain.0.0 << 8 | n);
    }
    for n in 0..4 {
        Notification(env.badged(plain.0, n + 1)).signal();
        logged(&[(n + 1) << 8 | n]);
    }
}

extern "C" fn receive(cap: u64) -> ! {
    loop {
        let message = Endpoint(CPtr(cap)).recv();
        log(message.badge);
        log(message.label());
    }
}

fn bound(env: &mut Env) {
    let (plain, endpoint) = (env.notification(), env.endpoint());
    let signal = Notification(env.badged(plain.0, 0x20));
    let helper = env.spawn(HIGHER, receive, endpoint.0.0);
    helper.tcb.bind(plain).unwrap();
    signal.signal();
    logged(&[0x20, 0]);
    Endpoint(env.badged(endpoint.0, 3)).send(Message::new(4, &[]));
    logged(&[3, 4]);
    signal.signal();
    logged(&[0x20, 0]);
    helper.tcb.unbind().unwrap();
    signal.signal();
    logged(&[]);
    assert_eq!(plain.poll(), 0x20);
}

fn bound_before(env: &mut Env) {
    let (plain, endpoint) = (env.notification(), env.endpoint());
    let signal = Notification(env.badged(plain.0, 0x20));
    TCB.bind(plain).unwrap();
    signal.signal();
    assert_eq!(endpoint.recv().badge, 0x20);
    assert_eq!(endpoint.nb_recv().badge, 0);
    signal.signal();
    assert_eq!(endpoint.nb_recv().badge, 0x20);
    // Its thread may wait for it directly.
    signal.signal();
    assert_eq!(plain.wait(), 0x20);
}

fn bind_errors(env: &mut Env) {
    let (one, two) = (env.notification(), env.notification());
    let other = env.helper(LOWER);
    TCB.bind(one).unwrap();
    refused(TCB.bind(two), Error::IllegalOperation, &[]);
    refused(other.tcb.bind(one), Error::IllegalOperation, &[]);
    let endpoint = env.endpoint();
    refused(other.tcb.bind(Notification(endpoint.0)), Error::IllegalOperation, &[]);
    let weak = env.copy(two.0, kaal_sys::abi::rights::WRITE);
    refused(other.tcb.bind(Notification(weak)), Error::IllegalOperation, &[]);
    refused(other.tcb.unbind(), Error::IllegalOperation, &[]);
    TCB.unbind().unwrap();
    other.tcb.bind(one).unwrap();
    // Deleted, it unbinds itself.
    at(one.0).delete().unwrap();
    other.tcb.bind(two).unwrap();
}

extern "C" fn call(cap: u64) -> ! {
    let answer = Endpoint(CPtr(cap)).call(Message::new(6, &[]));
    log(answer.label());
    exit()
}

fn bound_call(env: &mut Env) {
    let (plain, endpoint) = (env.notification(), env.endpoint());
    let helper = env.spawn(HIGHER, call, endpoint.0.0);
    helper.tcb.bind(plain).unwrap();
    endpoint.recv();
    Notification(env.badged(plain.0, 1)).signal();
    logged(&[]);
    message::reply(Message::new(8, &[]));
    logged(&[8]);
    // Nobody else may wait for it, or poll it, while it is bound.
    helper.tcb.unbind().unwrap();
    assert_eq!(plain.poll(), 1);
}
