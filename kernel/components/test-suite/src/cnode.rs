//! Operations on slots.

use crate::env::*;
use kaal_sys::abi::{Error, Invocation, lookup, rights};
use kaal_sys::child::slot;
use kaal_sys::{CNode, CPtr, Endpoint, Notification, Path, invoke, invoke_raw};

/// The tests.
pub const TESTS: &[Test] = &[
    ("cnode: copy, move and delete", copy_move_delete),
    ("cnode: mint sets a badge once, mutate a guard", badges),
    ("cnode: rotate moves two capabilities, or swaps them", rotate),
    ("cnode: full destinations are refused", full_destination),
    ("cnode: empty sources are refused", empty_source),
    ("cnode: slots that cannot be reached are refused", unreachable),
    ("cnode: messages too short are refused", truncated),
    ("cnode: what cannot be copied or minted is refused", underivable),
    ("cnode: a capability of another type is refused", wrong_type),
    ("cnode: labels that no object knows are refused", unknown_labels),
];

fn copy_move_delete(env: &mut Env) {
    let endpoint = env.endpoint();
    let (copy, moved) = (env.slot(), env.slot());
    copy.copy(at(endpoint.0), rights::ALL).unwrap();
    assert_eq!((endpoint.0.kind(), copy.cptr().kind()), (kind::ENDPOINT, kind::ENDPOINT));
    moved.take(copy).unwrap();
    assert_eq!((copy.cptr().kind(), moved.cptr().kind()), (kind::EMPTY, kind::ENDPOINT));
    moved.delete().unwrap();
    assert_eq!((endpoint.0.kind(), moved.cptr().kind()), (kind::ENDPOINT, kind::EMPTY));
    // An empty slot may be deleted and revoked.
    moved.delete().unwrap();
    moved.revoke().unwrap();
    // From a CNode to another, and back.
    let other = env.cnode(1);
    other.at(1, 1).take(at(endpoint.0)).unwrap();
    assert_eq!(endpoint.0.kind(), kind::EMPTY);
    other.at(0, 1).copy(other.at(1, 1), rights::ALL).unwrap();
    copy.take(other.at(0, 1)).unwrap();
    assert_eq!(copy.cptr().kind(), kind::ENDPOINT);
}

/// The badge of a notification's capability, as a signal tells it.
fn badge(plain: Notification, cap: CPtr) -> u64 {
    Notification(cap).signal();
    plain.poll()
}

fn badges(env: &mut Env) {
    let plain = env.notification();
    let (minted, slot) = (env.slot(), env.slot());
    minted.mint(at(plain.0), rights::ALL, 0x55).unwrap();
    assert_eq!(badge(plain, minted.cptr()), 0x55);
    // A capability that is moved takes along what derives from it, so it keeps the badge it has, or that it has none.
    refused(slot.mutate(at(plain.0), 1), Error::InvalidArgument, &[4]);
    slot.mutate(minted, 0).unwrap();
    minted.take(slot).unwrap();
    // Once there is one, it stays.
    refused(slot.mint(minted, rights::ALL, 0x56), Error::InvalidArgument, &[5]);
    refused(slot.mutate(minted, 0x56), Error::InvalidArgument, &[4]);
    assert_eq!((badge(plain, minted.cptr()), slot.cptr().kind()), (0x55, kind::EMPTY));
    slot.copy(minted, rights::ALL).unwrap();
    assert_eq!(badge(plain, slot.cptr()), 0x55);
    slot.delete().unwrap();
    // CNodes: guards can be changed as often as one likes.
    let cnode = env.cnode(2);
    cnode.at(3, 2).take(minted).unwrap();
    slot.mutate(at(cnode.0), 5 << 6 | 4).unwrap();
    at(cnode.0).mutate(slot, 6 << 6 | 3).unwrap();
    minted.take(cnode.at(6 << 2 | 3, 5)).unwrap();
    assert_eq!(minted.cptr().kind(), kind::NOTIFICATION);
}

fn rotate(env: &mut Env) {
    let (a, b) = (env.endpoint().0, env.notification().0);
    let empty = env.slot();
    // a to the empty slot, b to where a was.
    empty.rotate(0, at(a), 0, at(b)).unwrap();
    let kinds = || [empty.cptr().kind(), a.kind(), b.kind()];
    assert_eq!(kinds(), [kind::ENDPOINT, kind::NOTIFICATION, kind::EMPTY]);
    // Destination and source may be one: a swap.
    empty.rotate(0, at(a), 0, empty).unwrap();
    assert_eq!(kinds(), [kind::NOTIFICATION, kind::ENDPOINT, kind::EMPTY]);
    refused(at(b).rotate(0, empty, 0, empty), Error::IllegalOperation, &[]);
    refused(empty.rotate(0, empty, 0, at(a)), Error::IllegalOperation, &[]);
    let full = env.endpoint().0;
    refused(at(full).rotate(0, empty, 0, at(a)), Error::DeleteFirst, &[]);
    let none = env.slot();
    refused(at(b).rotate(0, none, 0, at(a)), Error::FailedLookup, &[0, lookup::MISSING_CAPABILITY]);
    refused(at(b).rotate(0, at(a), 0, none), Error::FailedLookup, &[1, lookup::MISSING_CAPABILITY]);
    assert_eq!(kinds(), [kind::NOTIFICATION, kind::ENDPOINT, kind::EMPTY]);
    // With guards, for CNodes.
    let (one, two, free) = (env.cnode(2), env.cnode(2), env.slot());
    one.at(1, 2).copy(at(a), rights::ALL).unwrap();
    two.at(2, 2).copy(at(empty.cptr()), rights::ALL).unwrap();
    free.rotate(1 << 6 | 1, at(one.0), 2 << 6 | 2, at(two.0)).unwrap();
    at(b).take(CNode(free.cptr()).at(0b101, 3)).unwrap();
    assert_eq!(b.kind(), kind::ENDPOINT);
    at(b).delete().unwrap();
    at(b).take(one.at(0b1010, 4)).unwrap();
    assert_eq!((b.kind(), two.0.kind()), (kind::NOTIFICATION, kind::EMPTY));
}

fn full_destination(env: &mut Env) {
    let (source, full) = (at(env.endpoint().0), at(env.endpoint().0));
    refused(full.copy(source, rights::ALL), Error::DeleteFirst, &[]);
    refused(full.mint(source, rights::ALL, 1), Error::DeleteFirst, &[]);
    refused(full.take(source), Error::DeleteFirst, &[]);
    refused(full.mutate(source, 1), Error::DeleteFirst, &[]);
    refused(source.copy(source, rights::ALL), Error::DeleteFirst, &[]);
    refused(full.save_caller(), Error::DeleteFirst, &[]);
}

fn empty_source(env: &mut Env) {
    let (dest, empty) = (env.slot(), env.slot());
    let missing = [1, lookup::MISSING_CAPABILITY];
    refused(dest.copy(empty, rights::ALL), Error::FailedLookup, &missing);
    refused(dest.mint(empty, rights::ALL, 1), Error::FailedLookup, &missing);
    refused(dest.take(empty), Error::FailedLookup, &missing);
    refused(dest.mutate(empty, 1), Error::FailedLookup, &missing);
}

fn unreachable(env: &mut Env) {
    let source = at(env.endpoint().0);
    let small = env.cnode(4);
    let ways: [(Path, u64, &[u64]); 6] = [
        (small.at(0, 0), Error::RangeError as u64, &[1, 64]),
        (small.at(0, 65), Error::RangeError as u64, &[1, 64]),
        (small.at(0, u64::MAX), Error::RangeError as u64, &[1, 64]),
        (small.at(0, 3), Error::FailedLookup as u64, &[0, lookup::DEPTH_MISMATCH]),
        (small.at(0, 5), Error::FailedLookup as u64, &[0]),
        (CNODE.at(1 << 63, 64), Error::FailedLookup as u64, &[0, lookup::GUARD_MISMATCH]),
    ];
    for (path, error, words) in ways {
        let error = Error::from_label(error).unwrap();
        refused(path.copy(source, rights::ALL), error, words);
        refused(path.delete(), error, words);
        refused(path.revoke(), error, words);
    }
    let dest = env.slot();
    refused(dest.copy(small.at(0, 3), rights::ALL), Error::FailedLookup, &[1, lookup::DEPTH_MISMATCH]);
    // Not a CNode.
    let endpoint = CNode(source.cptr());
    assert!(dest.copy(endpoint.at(0, 4), rights::ALL).is_err());
    assert_eq!(dest.cptr().kind(), kind::EMPTY);
}

fn truncated(env: &mut Env) {
    let words = [env.slot().index, 64, env.endpoint().0.0, 64, rights::ALL, 0, 0, 0];
    for what in Invocation::ALL.iter().filter(|&&what| (16..=24).contains(&(what as u64))) {
        let caps = &[CNODE.0, CNODE.0][..what.capabilities()];
        for length in 0..what.arguments() {
            refused(invoke(CNODE.0, *what, &words[..length], caps), Error::TruncatedMessage, &[]);
        }
        for count in 0..caps.len() {
            let fewer = invoke(CNODE.0, *what, &words[..what.arguments()], &caps[..count]);
            refused(fewer, Error::TruncatedMessage, &[]);
        }
    }
    assert_eq!(CPtr(words[0]).kind(), kind::EMPTY);
}

fn underivable(env: &mut Env) {
    let dest = env.slot();
    refused(dest.copy(at(CPtr(slot::IRQ_CONTROL)), rights::ALL), Error::IllegalOperation, &[]);
    // Guards that do not fit beside the radix.
    let cnode = env.cnode(4);
    refused(dest.mint(at(cnode.0), rights::ALL, 61), Error::InvalidArgument, &[5]);
    assert_eq!(dest.cptr().kind(), kind::EMPTY);
    dest.mint(at(cnode.0), rights::ALL, 60).unwrap();
}

fn wrong_type(env: &mut Env) {
    // An invocation of one type of object, on all others.
    let caps: [CPtr; 8] = [
        CPtr(slot::TCB),
        CNODE.0,
        VSPACE.0,
        env.untyped(12).0,
        CPtr(slot::UART_IRQ),
        CPtr(slot::IRQ_CONTROL),
        CPtr(slot::DOMAIN),
        env.page().0,
    ];
    let owner = |what: Invocation| match what as u64 {
        1 => 3,
        2..=15 => 0,
        16..=24 => 1,
        25 => 5,
        26..=28 => 4,
        31..=34 => 7,
        35 => 6,
        _ => 8,
    };
    for &what in Invocation::ALL {
        for (n, &cap) in caps.iter().enumerate().filter(|&(n, _)| n != owner(what)) {
            let words = [0; 8];
            let extra = &[CNODE.0, CNODE.0, CNODE.0][..what.capabilities()];
            let error =
                invoke(cap, what, &words[..what.arguments()], extra).expect_err("it was not refused").error;
            assert!(matches!(error, Error::IllegalOperation), "{what:?} of capability {n}: {error:?}");
        }
    }
    let empty = env.slot().cptr();
    refused(invoke(empty, Invocation::TcbSuspend, &[], &[]), Error::InvalidCapability, &[0]);
    let unbadged = Endpoint(env.endpoint().0);
    let nobody = unbadged.nb_recv();
    assert_eq!(nobody.badge, 0);
}

fn unknown_labels(env: &mut Env) {
    let caps =
        [CPtr(slot::TCB), CNODE.0, VSPACE.0, env.untyped(12).0, CPtr(slot::UART_IRQ), CPtr(slot::DOMAIN)];
    for cap in caps {
        for label in [0, 37, 1 << 32, (1 << 52) - 1] {
            refused(invoke_raw(cap, label, &[], &[]), Error::IllegalOperation, &[]);
        }
    }
}
