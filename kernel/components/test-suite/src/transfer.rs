//! Capabilities that come with messages.

use crate::env::*;
use kaal_sys::abi::{ObjectType, rights};
use kaal_sys::{CPtr, Endpoint, Message, Notification, message};

/// The tests.
pub const TESTS: &[Test] = &[
    ("transfer: a capability arrives in the receive slot", arrives),
    ("transfer: without the grant right none comes", without_grant),
    ("transfer: of several, one comes", several),
    ("transfer: capabilities to the endpoint itself become badges", unwrapped),
    ("transfer: a full or missing receive slot takes none", no_slot),
    ("transfer: a minted capability keeps its badge, and is moved on", minted),
    ("transfer: a reply brings one along, if the caller may receive it", with_reply),
    ("transfer: what cannot be copied does not come", underivable),
    ("transfer: what came is taken back by revocation", revoked),
];

/// Sends capabilities, as the words of the shared array say: endpoint in 0, how many in 1, which in 2 on.
extern "C" fn send(_: u64) -> ! {
    let caps = [CPtr(shared(2)), CPtr(shared(3)), CPtr(shared(4))];
    let caps = &caps[..shared(1) as usize];
    Endpoint(CPtr(shared(0))).send(Message { label: 1, words: &[5], caps });
    exit()
}

/// Lets a helper send `caps` by `by`, and receives that from `endpoint`.
fn exchange(env: &mut Env, endpoint: Endpoint, by: CPtr, caps: &[CPtr]) -> kaal_sys::Received {
    share(0, by.0);
    share(1, caps.len() as u64);
    caps.iter().enumerate().for_each(|(n, cap)| share(2 + n, cap.0));
    let helper = env.spawn(HIGHER, send, 0);
    let message = endpoint.recv();
    assert_eq!((message.label(), message.words[0]), (1, 5));
    helper.tcb.suspend().unwrap();
    message
}

fn arrives(env: &mut Env) {
    let (endpoint, object, slot) = (env.endpoint(), env.notification(), env.slot());
    message::set_receive_slot(CNODE.0, slot.index, slot.depth);
    let message = exchange(env, endpoint, endpoint.0, &[object.0]);
    assert_eq!((message.info.extra_caps(), message.info.caps_unwrapped()), (1, 0));
    assert_eq!((slot.cptr().kind(), object.0.kind()), (kind::NOTIFICATION, kind::NOTIFICATION));
    // Into a CNode further down.
    let (outer, inner) = (env.cnode(2), env.cnode(2));
    outer.at(1, 2).copy(at(inner.0), rights::ALL).unwrap();
    message::set_receive_slot(outer.0, 1 << 2 | 2, 4);
    exchange(env, endpoint, endpoint.0, &[object.0]);
    let slot = env.slot();
    slot.take(inner.at(2, 2)).unwrap();
    assert_eq!(slot.cptr().kind(), kind::NOTIFICATION);
}

fn without_grant(env: &mut Env) {
    let (endpoint, object, slot) = (env.endpoint(), env.notification(), env.slot());
    message::set_receive_slot(CNODE.0, slot.index, slot.depth);
    let weak = env.copy(endpoint.0, rights::ALL & !rights::GRANT);
    let message = exchange(env, endpoint, weak, &[object.0]);
    assert_eq!((message.info.extra_caps(), slot.cptr().kind()), (0, kind::EMPTY));
}

fn several(env: &mut Env) {
    let (endpoint, slot) = (env.endpoint(), env.slot());
    let objects = [env.notification().0, env.page().0, env.notification().0];
    message::set_receive_slot(CNODE.0, slot.index, slot.depth);
    let message = exchange(env, endpoint, endpoint.0, &objects);
    assert_eq!((message.info.extra_caps(), slot.cptr().kind()), (1, kind::NOTIFICATION));
}

fn unwrapped(env: &mut Env) {
    let (endpoint, slot) = (env.endpoint(), env.slot());
    let (seven, nine) = (env.badged(endpoint.0, 7), env.badged(endpoint.0, 9));
    let object = env.notification().0;
    message::set_receive_slot(CNODE.0, slot.index, slot.depth);
    let message = exchange(env, endpoint, endpoint.0, &[seven, object, nine]);
    assert_eq!((message.info.extra_caps(), message.info.caps_unwrapped()), (3, 0b101));
    assert_eq!((message.unwrapped(0), message.unwrapped(1), message.unwrapped(2)), (Some(7), None, Some(9)));
    assert_eq!(slot.cptr().kind(), kind::NOTIFICATION);
}

fn no_slot(env: &mut Env) {
    let (endpoint, object) = (env.endpoint(), env.notification().0);
    let full = at(env.page().0);
    for (root, index, depth) in
        [(CNODE.0, full.index, 64), (CPtr(0), 1, 64), (CNODE.0, 1 << 62, 64), (object, 1, 1)]
    {
        message::set_receive_slot(root, index, depth);
        let message = exchange(env, endpoint, endpoint.0, &[object]);
        assert_eq!(message.info.extra_caps(), 0);
    }
    assert_eq!(full.cptr().kind(), kind::PAGE);
}

fn minted(env: &mut Env) {
    let (endpoint, object, slot) = (env.endpoint(), env.notification(), env.slot());
    let badged = env.slot();
    badged.mint(at(object.0), rights::WRITE, 0x31).unwrap();
    message::set_receive_slot(CNODE.0, slot.index, slot.depth);
    exchange(env, endpoint, endpoint.0, &[badged.cptr()]);
    let moved = env.slot();
    moved.take(slot).unwrap();
    Notification(moved.cptr()).signal();
    assert_eq!(object.poll(), 0x31);
    assert!(moved.root.slot(env.slot().index).mint(moved, rights::ALL, 1).is_err());
    badged.revoke().unwrap();
    assert_eq!(moved.cptr().kind(), kind::EMPTY);
}

/// Calls the endpoint in shared word 0, with a receive slot in word 1.
extern "C" fn call(_: u64) -> ! {
    message::set_receive_slot(CNODE.0, shared(1), 64);
    let answer = Endpoint(CPtr(shared(0))).call(Message::new(1, &[]));
    log(answer.label());
    log(answer.info.extra_caps());
    log(CPtr(shared(1)).kind());
    exit()
}

fn with_reply(env: &mut Env) {
    let (endpoint, object, slot) = (env.endpoint(), env.notification(), env.slot());
    share(0, endpoint.0.0);
    share(1, slot.index);
    env.spawn(HIGHER, call, 0);
    endpoint.recv();
    message::reply(Message { label: 2, words: &[], caps: &[object.0] });
    logged(&[2, 1, kind::NOTIFICATION]);
    slot.delete().unwrap();
    // The receiver's capability decides: one without grant makes replies that bring nothing.
    let weak = env.copy(endpoint.0, rights::READ);
    env.spawn(HIGHER, call, 0);
    Endpoint(weak).recv();
    message::reply(Message { label: 3, words: &[], caps: &[object.0] });
    logged(&[3, 0, kind::EMPTY]);
}

fn underivable(env: &mut Env) {
    let (endpoint, slot) = (env.endpoint(), env.slot());
    message::set_receive_slot(CNODE.0, slot.index, slot.depth);
    let memory = env.untyped(12);
    make_at(memory, ObjectType::Endpoint, 0, env.slot()).unwrap();
    let control = CPtr(kaal_sys::child::slot::IRQ_CONTROL);
    for cap in [memory.0, control, env.slot().cptr()] {
        let message = exchange(env, endpoint, endpoint.0, &[cap]);
        assert_eq!((message.info.extra_caps(), slot.cptr().kind()), (0, kind::EMPTY));
    }
}

fn revoked(env: &mut Env) {
    let (endpoint, object, slot) = (env.endpoint(), env.notification(), env.slot());
    message::set_receive_slot(CNODE.0, slot.index, slot.depth);
    exchange(env, endpoint, endpoint.0, &[object.0]);
    assert_eq!(slot.cptr().kind(), kind::NOTIFICATION);
    at(object.0).revoke().unwrap();
    assert_eq!((slot.cptr().kind(), object.0.kind()), (kind::EMPTY, kind::NOTIFICATION));
}
