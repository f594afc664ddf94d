//! Who derives from whom, and what revocation takes away.

use crate::env::*;
use kaal_sys::abi::{ObjectType, rights};
use kaal_sys::child::slot;
use kaal_sys::{CNode, CPtr, Path};

/// The tests.
pub const TESTS: &[Test] = &[
    ("derivation: revoking an original takes every copy", copies),
    ("derivation: revoking a badge takes that badge's copies only", badge_families),
    ("derivation: copies are no parents", siblings),
    ("derivation: revoking memory takes all that was made from it", untyped_tree),
    ("derivation: a moved capability keeps its children", moved),
    ("derivation: deleting a parent leaves its children to the grandparent", orphans),
    ("derivation: capabilities in other CNodes are found", elsewhere),
    ("derivation: a chain of five hundred is revoked", long),
    ("derivation: an interrupt handler goes with nobody else's", handlers),
];

fn there(slots: &[Path]) -> u64 {
    slots.iter().rev().fold(0, |bits, slot| bits << 1 | u64::from(slot.cptr().kind() != kind::EMPTY))
}

fn copies(env: &mut Env) {
    let original = at(env.endpoint().0);
    let all = [env.slot(), env.slot(), env.slot(), env.slot()];
    all[0].copy(original, rights::ALL).unwrap();
    all[1].copy(all[0], rights::READ).unwrap();
    all[2].mint(original, rights::ALL, 1).unwrap();
    all[3].copy(all[2], rights::ALL).unwrap();
    assert_eq!(there(&all), 0b1111);
    original.revoke().unwrap();
    assert_eq!((there(&all), original.cptr().kind()), (0, kind::ENDPOINT));
}

fn badge_families(env: &mut Env) {
    let original = at(env.endpoint().0);
    let all = [env.slot(), env.slot(), env.slot(), env.slot(), env.slot()];
    all[0].mint(original, rights::ALL, 1).unwrap();
    all[1].copy(all[0], rights::ALL).unwrap();
    all[2].mint(original, rights::ALL, 2).unwrap();
    all[3].copy(all[2], rights::WRITE).unwrap();
    all[4].copy(original, rights::ALL).unwrap();
    all[0].revoke().unwrap();
    assert_eq!(there(&all), 0b11101);
    all[2].revoke().unwrap();
    assert_eq!(there(&all), 0b10101);
    original.revoke().unwrap();
    assert_eq!(there(&all), 0);
}

fn siblings(env: &mut Env) {
    let original = at(env.endpoint().0);
    let all = [env.slot(), env.slot(), env.slot()];
    all[0].copy(original, rights::ALL).unwrap();
    all[1].copy(all[0], rights::ALL).unwrap();
    all[2].copy(all[1], rights::ALL).unwrap();
    all[1].revoke().unwrap();
    assert_eq!((there(&all), original.cptr().kind()), (0b111, kind::ENDPOINT));
}

fn untyped_tree(env: &mut Env) {
    let root = at(env.untyped(16).0);
    let (left, right) = (env.slot(), env.slot());
    let memory = |slot: Path| kaal_sys::Untyped(slot.cptr());
    make_at(memory(root), ObjectType::Untyped, 14, left).unwrap();
    make_at(memory(root), ObjectType::Untyped, 14, right).unwrap();
    let leaves = [env.slot(), env.slot(), env.slot(), env.slot()];
    make_at(memory(left), ObjectType::Endpoint, 0, leaves[0]).unwrap();
    make_at(memory(left), ObjectType::Untyped, 12, leaves[1]).unwrap();
    make_at(memory(leaves[1]), ObjectType::Page, 0, leaves[2]).unwrap();
    make_at(memory(right), ObjectType::Tcb, 0, leaves[3]).unwrap();
    left.revoke().unwrap();
    assert_eq!((there(&leaves), there(&[left, right])), (0b1000, 0b11));
    make_at(memory(left), ObjectType::Untyped, 14, leaves[0]).unwrap();
    root.revoke().unwrap();
    assert_eq!((there(&leaves), there(&[left, right])), (0, 0));
    make_at(memory(root), ObjectType::Untyped, 16, left).unwrap();
}

fn moved(env: &mut Env) {
    let original = at(env.endpoint().0);
    let all = [env.slot(), env.slot(), env.slot()];
    all[0].mint(original, rights::ALL, 1).unwrap();
    all[1].copy(all[0], rights::ALL).unwrap();
    all[2].take(all[0]).unwrap();
    all[2].revoke().unwrap();
    assert_eq!(there(&all), 0b100);
    all[0].copy(all[2], rights::ALL).unwrap();
    all[1].take(original).unwrap();
    all[1].revoke().unwrap();
    assert_eq!(there(&all), 0b010);
}

fn orphans(env: &mut Env) {
    let root = at(env.untyped(14).0);
    let (middle, leaf) = (env.slot(), env.slot());
    make_at(kaal_sys::Untyped(root.cptr()), ObjectType::Untyped, 13, middle).unwrap();
    make_at(kaal_sys::Untyped(middle.cptr()), ObjectType::Endpoint, 0, leaf).unwrap();
    middle.delete().unwrap();
    assert_eq!(there(&[middle, leaf]), 0b10);
    root.revoke().unwrap();
    assert_eq!(there(&[middle, leaf]), 0);
}

fn elsewhere(env: &mut Env) {
    let original = at(env.endpoint().0);
    let (outer, inner) = (env.cnode(2), env.cnode(2));
    outer.at(1, 2).copy(original, rights::ALL).unwrap();
    inner.at(3, 2).copy(original, rights::ALL).unwrap();
    outer.at(2, 2).take(at(inner.0)).unwrap();
    original.revoke().unwrap();
    let slot = env.slot();
    assert!(slot.take(outer.at(1, 2)).is_err());
    assert!(slot.take(outer.at(2 << 2 | 3, 4)).is_err());
    slot.take(outer.at(2, 2)).unwrap();
    assert_eq!(slot.cptr().kind(), kind::CNODE);
}

fn long(env: &mut Env) {
    const COUNT: u64 = 500;
    let original = at(env.endpoint().0);
    let first = env.slots(COUNT).index;
    for n in 0..COUNT {
        let source = if n % 3 == 0 { original } else { CNODE.slot(first + n - 1) };
        CNODE.slot(first + n).copy(source, rights::ALL).unwrap();
    }
    original.revoke().unwrap();
    for n in 0..COUNT {
        assert_eq!(CPtr(first + n).kind(), kind::EMPTY, "number {n}");
    }
}

fn handlers(env: &mut Env) {
    let handler = at(CPtr(slot::UART_IRQ));
    let (copy, control) = (env.slot(), at(CPtr(slot::IRQ_CONTROL)));
    copy.copy(handler, rights::ALL).unwrap();
    copy.revoke().unwrap();
    assert_eq!(there(&[handler, copy, control]), 0b111);
    copy.delete().unwrap();
    let cnode = CNode(env.cnode(1).0);
    cnode.at(0, 1).copy(handler, rights::ALL).unwrap();
    at(cnode.0).delete().unwrap();
    assert_eq!(there(&[handler, copy, control]), 0b101);
}
