//! Every right, missing in turn.

use crate::env::*;
use kaal_sys::abi::{Error, Syscall, rights};
use kaal_sys::{CPtr, Endpoint, Message, Notification, Registers, fault::Fault, message, syscall};

/// The tests.
pub const TESTS: &[Test] = &[
    ("rights: endpoint and notification without write", without_write),
    ("rights: endpoint and notification without read", without_read),
    ("rights: a call without grant and grant-reply gets no reply", without_grant_reply),
    ("rights: a copy has no right that its source lacks", copies),
];

fn without_write(env: &mut Env) {
    for object in [env.endpoint().0, env.notification().0] {
        let weak = env.copy(object, rights::ALL & !rights::WRITE);
        let answer = message::call(weak, Message::new(5, &[1]));
        assert_eq!((answer.label(), answer.words[0]), (Error::InvalidCapability as u64, 0));
        // Without an answer, nothing at all happens.
        message::send(weak, Message::new(5, &[1]));
        message::nb_send(weak, Message::new(5, &[1]));
        assert_eq!(message::nb_recv(object).badge, 0);
    }
}

extern "C" fn receive(cap: u64) -> ! {
    message::recv(CPtr(cap));
    panic!("it did not fault");
}

fn without_read(env: &mut Env) {
    for object in [env.endpoint().0, env.notification().0] {
        let weak = env.copy(object, rights::ALL & !rights::READ);
        let faults = env.endpoint();
        env.spawn_handled(faults, HIGHER, receive, weak.0);
        let Some(Fault::Capability { address, receiving, .. }) = Fault::from(&faults.recv()) else {
            panic!("no capability fault");
        };
        assert_eq!((address, receiving), (weak.0, true));
    }
}

extern "C" fn call(cap: u64) -> ! {
    log(1);
    Endpoint(CPtr(cap)).call(Message::new(7, &[]));
    log(2);
    exit()
}

fn without_grant_reply(env: &mut Env) {
    let endpoint = env.endpoint();
    for (rights, replied) in [
        (rights::WRITE, false),
        (rights::WRITE | rights::READ, false),
        (rights::WRITE | rights::GRANT, true),
        (rights::WRITE | rights::GRANT_REPLY, true),
    ] {
        let weak = env.copy(endpoint.0, rights);
        let helper = env.spawn(HIGHER, call, weak.0);
        assert_eq!(endpoint.recv().label(), 7);
        message::reply(Message::new(0, &[]));
        logged(if replied { &[1, 2] } else { &[1] });
        helper.tcb.suspend().unwrap();
    }
}

fn copies(env: &mut Env) {
    let plain = env.notification();
    let (weak, strong) = (env.copy(plain.0, rights::READ), env.slot());
    strong.copy(at(weak), rights::ALL).unwrap();
    Notification(strong.cptr()).signal();
    assert_eq!(plain.poll(), 0);
    let badged = env.slot();
    badged.mint(at(plain.0), rights::WRITE, 3).unwrap();
    Notification(badged.cptr()).signal();
    assert_eq!(Notification(weak).poll(), 3);
    // Rights beyond the four mean nothing.
    let odd = env.copy(plain.0, u64::MAX);
    let signal = Registers { x0: odd.0, ..Registers::default() };
    syscall(Syscall::NbSend as i64, signal);
    assert_eq!(Notification(odd).poll(), 0);
}
