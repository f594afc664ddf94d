//! Tests of operations on slots.

use super::*;
use crate::objects::fixture::*;
use kaal_abi::{ObjectType, lookup};

fn failed(source: u64, kind: u64, left: u64) -> Refusal {
    refusal(Error::FailedLookup, [source, kind, left])
}

/// A world with an endpoint in slot 20 and a notification in slot 21.
fn world() -> World {
    let mut world = World::new();
    world.retype(ObjectType::Endpoint, 0, 20);
    world.retype(ObjectType::Notification, 0, 21);
    world
}

fn badge_and_rights(capability: Capability) -> (u64, u64) {
    match capability {
        Capability::Endpoint { badge, rights, .. } | Capability::Notification { badge, rights, .. } => {
            (badge, rights.bits())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn rights_only_shrink_and_badges_are_given_once() {
    for source in [20, 21] {
        for first in 0..16 {
            for second in 0..16 {
                let mut world = world();
                assert_eq!(world.copy(source, 30, Rights::from_bits(first)), Ok(0));
                assert_eq!(world.mint(30, 31, Rights::from_bits(second), 77), Ok(0));
                assert_eq!(world.copy(31, 32, Rights::ALL), Ok(0));
                assert_eq!(badge_and_rights(world.get(30)), (0, first));
                assert_eq!(badge_and_rights(world.get(31)), (77, first & second));
                assert_eq!(badge_and_rights(world.get(32)), (77, first & second));
                for badge in [0, 77, 78] {
                    assert_eq!(world.mint(32, 33, Rights::ALL, badge), Err(Refusal::argument(5).into()));
                }
            }
        }
    }
}

#[test]
fn guards_of_every_size_that_fits() {
    for radix in [1, 4, 17] {
        let mut world = World::new();
        world.retype(ObjectType::CNode, radix, 20);
        for size in 0..64 {
            let guard = 0x03ff_1234_5678_9abc & ((1u64 << size) - 1);
            let answer = world.mint(20, 30, Rights::ALL, guard << 6 | size);
            if size + radix > 64 {
                assert_eq!(answer, Err(Refusal::argument(5).into()));
                continue;
            }
            assert_eq!(answer, Ok(0));
            let Capability::CNode { guard: has, guard_bits, .. } = world.get(30) else { panic!() };
            assert_eq!((has, guard_bits), (guard, size));
            world.kernel.delete(world.slot(30)).unwrap();
        }
    }
}

#[test]
fn what_cannot_be_copied_is_refused() {
    let mut world = world();
    let illegal = Err(Error::IllegalOperation.into());
    assert_eq!(world.copy(IRQ_CONTROL, 30, Rights::ALL), illegal);
    world.put(22, Capability::Reply { thread: 0x2000_0000, master: false, grant: true });
    world.put(23, Capability::Zombie { address: 0x5000_0000, radix: Some(1), left: 2 });
    world.retype(ObjectType::PageTable, 0, 24);
    for slot in 22..25 {
        assert_eq!(world.copy(slot, 30, Rights::ALL), illegal);
        assert_eq!(world.mint(slot, 30, Rights::ALL, 0), illegal);
    }
    assert_eq!(world.copy(UNTYPED, 30, Rights::ALL), Err(Error::RevokeFirst.into()));
    assert_eq!(world.copy(POWER, 30, Rights::ALL), Ok(0));
    // What cannot be copied can be moved.
    assert_eq!(world.invoke_root(Invocation::CNodeMove, &[31, RADIX, IRQ_CONTROL, RADIX], 1), Ok(0));
    assert_eq!((world.get(31), world.get(IRQ_CONTROL)), (Capability::IrqControl, Capability::Null));
}

#[test]
fn a_copy_of_untyped_memory_takes_all_of_it() {
    let mut world = World::new();
    assert_eq!(world.copy(UNTYPED, 30, Rights::ALL), Ok(0));
    let none = refusal(Error::NotEnoughMemory, [0, 0, 0]);
    assert_eq!(world.try_retype(UNTYPED, ObjectType::Endpoint, 0, 31, 1), Err(none.into()));
    assert_eq!(world.try_retype(30, ObjectType::Endpoint, 0, 31, 1), Ok(0));
    assert_eq!(world.invoke_root(Invocation::CNodeRevoke, &[UNTYPED, RADIX], 0), Ok(0));
    assert_eq!((world.get(30), world.get(31)), (Capability::Null, Capability::Null));
    assert_eq!(world.try_retype(UNTYPED, ObjectType::Endpoint, 0, 31, 1), Ok(0));
}

#[test]
fn slots_are_checked_in_every_operation() {
    let mut world = world();
    let moves =
        [Invocation::CNodeCopy, Invocation::CNodeMint, Invocation::CNodeMove, Invocation::CNodeMutate];
    for invocation in moves {
        world.check_truncated(CNODE, invocation, &[CNODE]);
        let mut refused = |to, to_depth, from, from_depth| {
            world.refused(CNODE, invocation, &[to, to_depth, from, from_depth, 15, 0], &[CNODE])
        };
        assert_eq!(refused(21, 8, 20, 8), Error::DeleteFirst.into());
        assert_eq!(refused(30, 8, 31, 8), failed(1, lookup::MISSING_CAPABILITY, 0));
        assert_eq!(refused(30, 7, 20, 8), failed(0, lookup::DEPTH_MISMATCH, 7));
        assert_eq!(refused(30, 8, 20 << 4, 12), failed(1, lookup::DEPTH_MISMATCH, 4));
        assert_eq!(refused(30, 0, 20, 8), Refusal::range(1, 64));
        assert_eq!(refused(30, 8, 20, 65), Refusal::range(1, 64));
        let wrong_root = world.refused(CNODE, invocation, &[30, 8, 20, 8, 15, 0], &[20]);
        assert_eq!(wrong_root, failed(1, lookup::INVALID_ROOT, 8));
    }
    let single = [
        Invocation::CNodeRevoke,
        Invocation::CNodeDelete,
        Invocation::CNodeCancelBadgedSends,
        Invocation::CNodeSaveCaller,
    ];
    for invocation in single {
        world.check_truncated(CNODE, invocation, &[]);
        assert_eq!(world.refused(CNODE, invocation, &[20, 7], &[]), failed(0, lookup::DEPTH_MISMATCH, 7));
    }
    world.check_truncated(CNODE, Invocation::CNodeRotate, &[CNODE, CNODE]);
}

#[test]
fn moving_keeps_the_family_together() {
    let mut world = world();
    assert_eq!(world.copy(20, 30, Rights::ALL), Ok(0));
    assert_eq!(world.invoke_root(Invocation::CNodeMove, &[40, RADIX, 20, RADIX], 1), Ok(0));
    assert_eq!(world.get(20), Capability::Null);
    assert_eq!(world.invoke_root(Invocation::CNodeRevoke, &[40, RADIX], 0), Ok(0));
    assert_eq!((world.get(30), badge_and_rights(world.get(40))), (Capability::Null, (0, 15)));
}

#[test]
fn a_badge_cannot_be_changed_by_moving_but_a_guard_can() {
    let mut world = world();
    let mutate = |world: &mut World, to, from, data| {
        world.invoke_root(Invocation::CNodeMutate, &[to, RADIX, from, RADIX, data], 1)
    };
    assert_eq!(mutate(&mut world, 30, 20, 5), Err(Refusal::argument(4).into()));
    assert_eq!(mutate(&mut world, 30, 20, 0), Ok(0));
    assert_eq!(badge_and_rights(world.get(30)), (0, 15));
    world.retype(ObjectType::CNode, 4, 22);
    assert_eq!(mutate(&mut world, 31, 22, 0x5 << 6 | 3), Ok(0));
    assert!(matches!(world.get(31), Capability::CNode { guard: 5, guard_bits: 3, radix: 4, .. }));
    assert_eq!(mutate(&mut world, 32, 31, 61), Err(Refusal::argument(4).into()));
}

#[test]
fn rotate_moves_two_or_exchanges_them() {
    let mut world = world();
    let (endpoint, notification) = (world.get(20), world.get(21));
    let rotate = |world: &mut World, to: u64, pivot: u64, from: u64| {
        let arguments = [to, RADIX, 0, pivot, RADIX, 0, from, RADIX];
        world.invoke_root(Invocation::CNodeRotate, &arguments, 2)
    };
    assert_eq!(rotate(&mut world, 30, 21, 20), Ok(0));
    assert_eq!([20, 21, 30].map(|n| world.get(n)), [Capability::Null, endpoint, notification]);
    assert_eq!(rotate(&mut world, 21, 30, 21), Ok(0));
    assert_eq!([21, 30].map(|n| world.get(n)), [notification, endpoint]);
    let illegal = Err(Error::IllegalOperation.into());
    assert_eq!(rotate(&mut world, 31, 30, 30), illegal);
    assert_eq!(rotate(&mut world, 30, 30, 21), illegal);
    assert_eq!(rotate(&mut world, POWER, 30, 21), Err(Error::DeleteFirst.into()));
    assert_eq!(rotate(&mut world, 31, 32, 21), Err(failed(0, lookup::MISSING_CAPABILITY, 0).into()));
    assert_eq!(rotate(&mut world, 31, 30, 32), Err(failed(1, lookup::MISSING_CAPABILITY, 0).into()));
    let mut badged = |pivot_badge, source_badge| {
        let arguments = [31, RADIX, pivot_badge, 30, RADIX, source_badge, 21, RADIX];
        world.invoke_root(Invocation::CNodeRotate, &arguments, 2)
    };
    assert_eq!(badged(1, 0), Err(Refusal::argument(2).into()));
    assert_eq!(badged(0, 1), Err(Refusal::argument(5).into()));
}

#[test]
fn sends_are_cancelled_by_a_full_endpoint_capability_only() {
    let mut world = world();
    let cancel =
        |world: &mut World, slot| world.invoke_root(Invocation::CNodeCancelBadgedSends, &[slot, RADIX], 0);
    assert_eq!(world.mint(20, 30, Rights::ALL, 5), Ok(0));
    assert_eq!(world.mint(20, 31, Rights::from_bits(7), 5), Ok(0));
    assert_eq!((cancel(&mut world, 20), cancel(&mut world, 30)), (Ok(0), Ok(0)));
    for slot in [21, 31, 32] {
        assert_eq!(cancel(&mut world, slot), Err(Error::IllegalOperation.into()));
    }
}

#[test]
fn the_reply_to_a_caller_can_be_saved() {
    let mut world = world();
    let save = |world: &mut World, slot| world.invoke_root(Invocation::CNodeSaveCaller, &[slot, RADIX], 0);
    assert_eq!(save(&mut world, 30), Ok(0));
    assert_eq!(world.get(30), Capability::Null);
    let reply = Capability::Reply { thread: 0x2000_0000, master: false, grant: false };
    let caller = world.thread().caller();
    world.kernel.insert_new(reply, None, caller);
    assert_eq!(save(&mut world, 20), Err(Error::DeleteFirst.into()));
    assert_eq!(save(&mut world, 30), Ok(0));
    assert_eq!((world.get(30), caller.get(&world.kernel.machine)), (reply, Capability::Null));
}

#[test]
fn revoking_a_badge_leaves_the_others() {
    let mut world = world();
    for (from, to, badge) in [(20, 30, 1), (20, 31, 2), (20, 32, 1), (20, 33, 0)] {
        assert_eq!(world.mint(from, to, Rights::ALL, badge), Ok(0));
    }
    assert_eq!(world.copy(30, 34, Rights::ALL), Ok(0));
    assert_eq!(world.invoke_root(Invocation::CNodeRevoke, &[30, RADIX], 0), Ok(0));
    let empty = |world: &World| [30, 31, 32, 33, 34].map(|n| world.get(n) == Capability::Null);
    assert_eq!(empty(&world), [false, false, false, false, true]);
    assert_eq!(world.invoke_root(Invocation::CNodeRevoke, &[33, RADIX], 0), Ok(0));
    assert_eq!(empty(&world), [false, false, false, false, true]);
    assert_eq!(world.invoke_root(Invocation::CNodeRevoke, &[20, RADIX], 0), Ok(0));
    assert_eq!(empty(&world), [true; 5]);
}
