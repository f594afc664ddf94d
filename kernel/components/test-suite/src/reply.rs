//! Reply capabilities.

use crate::env::*;
use kaal_sys::abi::{Error, MessageInfo};
use kaal_sys::{CPtr, Endpoint, Message, message};

/// The tests.
pub const TESTS: &[Test] = &[
    ("reply: saved, and used once", saved),
    ("reply: three callers are answered in another order", any_order),
    ("reply: a saved one dies with its caller", dies),
    ("reply: a saved one dies when its caller is suspended", cancelled),
    ("reply: sixty-four words through a saved one", long),
    ("reply: a receive throws the last caller away", thrown_away),
];

extern "C" fn call(cap: u64) -> ! {
    let answer = Endpoint(CPtr(cap)).call(Message::new(1, &[]));
    log(answer.label());
    for n in (0..answer.info.length() as usize).take(50) {
        log(answer.word(n));
    }
    exit()
}

fn saved(env: &mut Env) {
    let endpoint = env.endpoint();
    let slot = env.slot();
    env.spawn(HIGHER, call, endpoint.0.0);
    endpoint.recv();
    slot.save_caller().unwrap();
    assert_eq!(slot.cptr().kind(), kind::REPLY);
    message::reply(Message::new(9, &[]));
    logged(&[]);
    message::send(slot.cptr(), Message::new(5, &[6, 7]));
    logged(&[5, 6, 7]);
    assert_eq!(slot.cptr().kind(), kind::EMPTY);
    let again = message::call(slot.cptr(), Message::new(5, &[]));
    assert_eq!(again.label(), Error::InvalidCapability as u64);
}

fn any_order(env: &mut Env) {
    let endpoint = env.endpoint();
    let caps = [1, 2, 3].map(|badge| env.badged(endpoint.0, badge));
    for cap in caps {
        env.spawn(HIGHER, call, cap.0);
    }
    let slots = caps.map(|_| {
        endpoint.recv();
        let slot = env.slot();
        slot.save_caller().unwrap();
        slot
    });
    for n in [1, 2, 0] {
        message::send(slots[n].cptr(), Message::new(0x70 + n as u64, &[]));
        logged(&[0x70 + n as u64]);
    }
}

fn dies(env: &mut Env) {
    let endpoint = env.endpoint();
    let slot = env.slot();
    let helper = env.spawn(HIGHER, call, endpoint.0.0);
    endpoint.recv();
    slot.save_caller().unwrap();
    at(helper.tcb.0).delete().unwrap();
    assert_eq!(slot.cptr().kind(), kind::EMPTY);
}

fn cancelled(env: &mut Env) {
    let endpoint = env.endpoint();
    let slot = env.slot();
    let helper = env.spawn(HIGHER, call, endpoint.0.0);
    endpoint.recv();
    slot.save_caller().unwrap();
    helper.tcb.suspend().unwrap();
    assert_eq!(slot.cptr().kind(), kind::EMPTY);
    // It begins again with the call.
    helper.tcb.resume().unwrap();
    assert_eq!(endpoint.recv().label(), 1);
    message::reply(Message::new(3, &[]));
    logged(&[3]);
}

fn long(env: &mut Env) {
    let endpoint = env.endpoint();
    let slot = env.slot();
    env.spawn(HIGHER, call, endpoint.0.0);
    endpoint.recv();
    slot.save_caller().unwrap();
    let words: [u64; MessageInfo::MAX_LENGTH as usize] = core::array::from_fn(|n| n as u64 * 3);
    message::send(slot.cptr(), Message::new(0x64, &words));
    let mut expected = [0x64; 51];
    expected[1..].copy_from_slice(&words[..50]);
    logged(&expected);
}

fn thrown_away(env: &mut Env) {
    let endpoint = env.endpoint();
    let caller = env.spawn(HIGHER, call, endpoint.0.0);
    endpoint.recv();
    assert_eq!(endpoint.nb_recv().badge, 0);
    message::reply(Message::new(9, &[]));
    logged(&[]);
    // Stopped and started, it calls again.
    caller.tcb.suspend().unwrap();
    caller.tcb.resume().unwrap();
    endpoint.recv();
    message::reply(Message::new(8, &[]));
    logged(&[8]);
}
