//! Objects from untyped memory.

use crate::env::*;
use kaal_sys::abi::{Error, Invocation, MAX_UNTYPED_BITS, ObjectType, RETYPE_LIMIT, rights};
use kaal_sys::child::slot;
use kaal_sys::{CPtr, Page, Untyped, invoke};

/// The tests.
pub const TESTS: &[Test] = &[
    ("untyped: an object of every type", every_type),
    ("untyped: many objects at once, in the slots asked for", many),
    ("untyped: objects in a CNode further down", further_down),
    ("untyped: every argument that makes no sense is refused", refusals),
    ("untyped: a message too short is refused", truncated),
    ("untyped: memory ends, and begins anew after revocation", exhaustion),
    ("untyped: objects are aligned to their size", alignment),
    ("untyped: new objects are zeros, whatever was there before", cleared),
    ("untyped: memory with children cannot be copied", with_children),
    ("untyped: device memory becomes pages and nothing else", device),
];

fn every_type(env: &mut Env) {
    let kinds = [
        kind::UNTYPED,
        kind::TCB,
        kind::ENDPOINT,
        kind::NOTIFICATION,
        kind::CNODE,
        kind::VSPACE,
        kind::PAGE_TABLE,
        kind::PAGE,
    ];
    for (object, expected) in ObjectType::ALL.into_iter().zip(kinds) {
        assert_eq!(env.make(object, 4).kind(), expected, "{object:?}");
    }
    let large = env.slot();
    make_at(Untyped(CPtr(slot::LARGE_UNTYPED)), ObjectType::LargePage, 0, large).unwrap();
    assert_eq!(large.cptr().kind(), kind::PAGE);
}

fn many(env: &mut Env) {
    let memory = env.untyped(16);
    let first = env.slots(RETYPE_LIMIT + 1);
    memory.retype(ObjectType::Notification, 0, CNODE.itself(), first.index, RETYPE_LIMIT).unwrap();
    for n in 0..RETYPE_LIMIT {
        assert_eq!(CPtr(first.index + n).kind(), kind::NOTIFICATION, "number {n}");
    }
    assert_eq!(CPtr(first.index + RETYPE_LIMIT).kind(), kind::EMPTY);
}

fn further_down(env: &mut Env) {
    let (outer, inner) = (env.cnode(3), env.cnode(2));
    outer.at(5, 3).take(at(inner.0)).unwrap();
    let memory = env.untyped(12);
    memory.retype(ObjectType::Endpoint, 0, outer.at(5, 3), 1, 3).unwrap();
    let slot = env.slot();
    for n in 0..4 {
        let found = slot.take(outer.at(5 << 2 | n, 5)).is_ok();
        assert_eq!(found, n > 0, "slot {n}");
        slot.delete().unwrap();
    }
}

fn refusals(env: &mut Env) {
    let memory = env.untyped(12);
    let small = env.cnode(2);
    let full = at(env.endpoint().0).index;
    let empty = env.slots(4).index;
    let make = |kind: u64, bits, index, depth, offset, count| {
        let words = [kind, bits, index, depth, offset, count];
        invoke(memory.0, Invocation::UntypedRetype, &words, &[CNODE.0])
    };
    let endpoint = ObjectType::Endpoint as u64;
    let untyped = ObjectType::Untyped as u64;
    refused(make(9, 0, 0, 0, empty, 1), Error::InvalidArgument, &[0]);
    refused(make(u64::MAX, 0, 0, 0, empty, 1), Error::InvalidArgument, &[0]);
    refused(make(untyped, MAX_UNTYPED_BITS + 1, 0, 0, empty, 1), Error::RangeError, &[]);
    refused(make(untyped, u64::MAX, 0, 0, empty, 1), Error::RangeError, &[]);
    refused(make(untyped, 3, 0, 0, empty, 1), Error::RangeError, &[4, 47]);
    refused(make(ObjectType::CNode as u64, 0, 0, 0, empty, 1), Error::RangeError, &[1, 42]);
    refused(make(endpoint, 0, 0, 0, 1 << 10, 1), Error::RangeError, &[0, 1023]);
    refused(make(endpoint, 0, 0, 0, empty, 0), Error::RangeError, &[1, RETYPE_LIMIT]);
    refused(make(endpoint, 0, 0, 0, empty, RETYPE_LIMIT + 1), Error::RangeError, &[1, RETYPE_LIMIT]);
    refused(make(endpoint, 0, 0, 0, 1022, 3), Error::RangeError, &[1, 2]);
    refused(make(endpoint, 0, 0, 0, full, 1), Error::DeleteFirst, &[]);
    refused(make(endpoint, 0, full, 64, 0, 1), Error::FailedLookup, &[]);
    refused(make(endpoint, 0, empty, 64, 0, 1), Error::FailedLookup, &[]);
    refused(make(endpoint, 0, small.0.0, 65, 0, 1), Error::RangeError, &[]);
    refused(make(endpoint, 0, small.0.0, 64, 4, 1), Error::RangeError, &[0, 3]);
    let words = [endpoint, 0, 0, 0, empty, 1];
    let rootless = invoke(memory.0, Invocation::UntypedRetype, &words, &[CPtr(full)]);
    refused(rootless, Error::FailedLookup, &[0]);
    assert_eq!(CPtr(empty).kind(), kind::EMPTY);
    // None of this has cost memory.
    memory.retype(ObjectType::Untyped, 12, CNODE.itself(), empty, 1).unwrap();
}

fn truncated(env: &mut Env) {
    let memory = env.untyped(12);
    let words = [ObjectType::Endpoint as u64, 0, 0, 0, env.slot().index, 1];
    for length in 0..words.len() {
        let short = invoke(memory.0, Invocation::UntypedRetype, &words[..length], &[CNODE.0]);
        refused(short, Error::TruncatedMessage, &[]);
    }
    refused(invoke(memory.0, Invocation::UntypedRetype, &words, &[]), Error::TruncatedMessage, &[]);
    invoke(memory.0, Invocation::UntypedRetype, &words, &[CNODE.0]).unwrap();
}

fn exhaustion(env: &mut Env) {
    let memory = env.untyped(13);
    let slots = env.slots(5).index;
    for _ in 0..3 {
        memory.retype(ObjectType::Tcb, 0, CNODE.itself(), slots, 3).unwrap();
        let two = memory.retype(ObjectType::Tcb, 0, CNODE.itself(), slots + 3, 2);
        refused(two, Error::NotEnoughMemory, &[2048]);
        memory.retype(ObjectType::Tcb, 0, CNODE.itself(), slots + 3, 1).unwrap();
        let none = memory.retype(ObjectType::Endpoint, 0, CNODE.itself(), slots + 4, 1);
        refused(none, Error::NotEnoughMemory, &[0]);
        at(memory.0).revoke().unwrap();
        assert!((slots..slots + 5).all(|n| CPtr(n).kind() == kind::EMPTY));
    }
    // Without children left, it begins anew even if nobody revokes.
    memory.retype(ObjectType::Tcb, 0, CNODE.itself(), slots, 4).unwrap();
    (slots..slots + 4).for_each(|n| CNODE.slot(n).delete().unwrap());
    memory.retype(ObjectType::Untyped, 13, CNODE.itself(), slots, 1).unwrap();
}

fn alignment(env: &mut Env) {
    let memory = env.untyped(15);
    let slots = env.slots(8).index;
    memory.retype(ObjectType::Endpoint, 0, CNODE.itself(), slots, 1).unwrap();
    memory.retype(ObjectType::Page, 0, CNODE.itself(), slots + 1, 1).unwrap();
    memory.retype(ObjectType::Notification, 0, CNODE.itself(), slots + 2, 1).unwrap();
    memory.retype(ObjectType::Page, 0, CNODE.itself(), slots + 3, 1).unwrap();
    let address = |n| Page(CPtr(slots + n)).address().unwrap();
    assert!(address(1).is_multiple_of(PAGE) && address(3) == address(1) + 2 * PAGE);
    // 2^15 bytes less four pages used up.
    let rest = memory.retype(ObjectType::Page, 0, CNODE.itself(), slots + 4, 4);
    rest.unwrap();
    let full = memory.retype(ObjectType::Endpoint, 0, CNODE.itself(), slots + 5, 1);
    refused(full, Error::DeleteFirst, &[]);
}

fn cleared(env: &mut Env) {
    let memory = env.untyped(12);
    let slot = env.slot();
    let va = env.addresses(1);
    for round in 0..3 {
        make_at(memory, ObjectType::Page, 0, slot).unwrap();
        Page(slot.cptr()).map(VSPACE, va, RW, 0).unwrap();
        for n in 0..512 {
            assert_eq!(word(va + 8 * n), 0, "word {n}");
            set_word(va + 8 * n, !(n + round));
        }
        slot.delete().unwrap();
        // As a CNode it must be empty, too.
        make_at(memory, ObjectType::CNode, 7, slot).unwrap();
        let other = env.slot();
        for n in 0..128 {
            assert!(other.take(kaal_sys::CNode(slot.cptr()).at(n, 7)).is_err(), "slot {n}");
        }
        slot.delete().unwrap();
    }
}

fn with_children(env: &mut Env) {
    let memory = env.untyped(12);
    let (child, copy) = (env.slot(), env.slot());
    copy.copy(at(memory.0), rights::ALL).unwrap();
    copy.delete().unwrap();
    make_at(memory, ObjectType::Endpoint, 0, child).unwrap();
    refused(copy.copy(at(memory.0), rights::ALL), Error::RevokeFirst, &[]);
    child.delete().unwrap();
    copy.copy(at(memory.0), rights::ALL).unwrap();
}

fn device(env: &mut Env) {
    let device = Untyped(CPtr(slot::DEVICE));
    let into = env.slot();
    for object in
        [ObjectType::Tcb, ObjectType::Endpoint, ObjectType::CNode, ObjectType::VSpace, ObjectType::PageTable]
    {
        refused(make_at(device, object, 4, into), Error::InvalidArgument, &[]);
    }
    make_at(device, ObjectType::Page, 0, into).unwrap();
    assert_eq!(into.cptr().kind(), kind::PAGE);
    // The kernel writes to IPC buffers, and never to devices.
    let helper = env.helper(LOWER);
    let buffer = helper.tcb.set_ipc_buffer(helper.buffer_va, Page(into.cptr()));
    refused(buffer, Error::IllegalOperation, &[]);
}
