//! Tests of Retype.

use super::*;
use crate::machine::Memory;
use crate::objects::fixture::*;
use crate::objects::tcb::State;

const RETYPE: Invocation = Invocation::UntypedRetype;

fn used(world: &World, index: u64) -> u64 {
    match world.get(index) {
        Capability::Untyped { used, .. } => used,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_type_becomes_what_it_says() {
    let mut world = World::new();
    for (i, kind) in ObjectType::ALL.into_iter().enumerate() {
        let size_bits = if matches!(kind, ObjectType::Untyped | ObjectType::CNode) { 5 } else { 0 };
        world.retype(kind, size_bits, FREE + i as u64);
    }
    let all = Rights::ALL;
    let page = |address, size| Capability::Page { address, size, device: false, rights: all, mapped: None };
    let expected = [
        Capability::Untyped { address: MEMORY, bits: 5, device: false, used: 0, zeroed: 0 },
        Capability::Thread { address: MEMORY + 0x800 },
        Capability::Endpoint { address: MEMORY + 0x1000, badge: 0, rights: all },
        Capability::Notification { address: MEMORY + 0x1020, badge: 0, rights: all },
        Capability::CNode { address: MEMORY + 0x1400, radix: 5, guard: 0, guard_bits: 0 },
        Capability::VSpace { address: MEMORY + 0x2000, asid: 1 },
        Capability::PageTable { address: MEMORY + 0x3000, mapped: None },
        page(MEMORY + 0x4000, PageSize::Small),
        page(MEMORY + 0x20_0000, PageSize::Large),
    ];
    for (i, expected) in expected.into_iter().enumerate() {
        assert_eq!(world.get(FREE + i as u64), expected);
    }
    assert_eq!(used(&world, UNTYPED), 0x40_0000);
    assert_eq!(world.kernel.asids[1], MEMORY + 0x2000);
}

#[test]
fn a_new_thread_is_inactive_and_of_its_makers_domain() {
    let mut world = World::new();
    let maker = world.thread();
    maker.set_domain(&mut world.kernel.machine, 3);
    world.kernel.machine.write(MEMORY + 8, 7);
    world.retype(ObjectType::Tcb, 0, FREE);
    let (thread, memory) = (Tcb(MEMORY), &world.kernel.machine);
    assert_eq!(thread.x(memory, 1), 0);
    assert_eq!((thread.domain(memory), thread.time_slice(memory)), (3, TIME_SLICE));
    assert_eq!((thread.state(memory), thread.priority(memory)), (State::Inactive, 0));
}

#[test]
fn objects_can_go_to_any_cnode_below_the_root() {
    let mut world = World::new();
    world.retype(ObjectType::CNode, 4, FREE);
    let arguments = [ObjectType::Endpoint as u64, 0, FREE, RADIX, 13, 3];
    world.must(UNTYPED, RETYPE, &arguments, &[CNODE]);
    for i in 13..16 {
        let slot = Slot(MEMORY).offset(i);
        assert!(matches!(slot.get(&world.kernel.machine), Capability::Endpoint { .. }));
    }
    assert_eq!(world.refused(UNTYPED, RETYPE, &arguments, &[CNODE]), Error::DeleteFirst.into());
}

#[test]
fn bad_arguments_are_told_apart() {
    let mut world = World::new();
    world.check_truncated(UNTYPED, RETYPE, &[CNODE]);
    world.put(FREE, Capability::Power);
    let (endpoint, cnode, untyped) = (ObjectType::Endpoint, ObjectType::CNode, ObjectType::Untyped);
    let mut refused = |kind: u64, size_bits, node: [u64; 2], offset, count| {
        world.refused(UNTYPED, RETYPE, &[kind, size_bits, node[0], node[1], offset, count], &[CNODE])
    };
    let to = FREE + 1;
    let failed = |kind, left| refusal(Error::FailedLookup, [0, kind, left]);
    assert_eq!(refused(9, 0, [0, 0], to, 1), Refusal::argument(0));
    for size_bits in [0, 43, 64, u64::MAX] {
        assert_eq!(refused(cnode as u64, size_bits, [0, 0], to, 1), Refusal::range(1, 42));
    }
    for size_bits in [0, 3, 48, u64::MAX] {
        assert_eq!(refused(untyped as u64, size_bits, [0, 0], to, 1), Refusal::range(4, 47));
    }
    let lookup = |kind, left| failed(kind, left);
    assert_eq!(
        refused(endpoint as u64, 0, [FREE, RADIX], to, 1),
        lookup(kaal_abi::lookup::MISSING_CAPABILITY, 8)
    );
    assert_eq!(
        refused(endpoint as u64, 0, [to, RADIX], to, 1),
        lookup(kaal_abi::lookup::MISSING_CAPABILITY, 8)
    );
    assert_eq!(refused(endpoint as u64, 0, [to, 7], to, 1), lookup(kaal_abi::lookup::DEPTH_MISMATCH, 7));
    assert_eq!(refused(endpoint as u64, 0, [to, 65], to, 1), Refusal::range(1, 64));
    assert_eq!(refused(endpoint as u64, 0, [0, 0], 256, 1), Refusal::range(0, 255));
    assert_eq!(refused(endpoint as u64, 0, [0, 0], u64::MAX, 1), Refusal::range(0, 255));
    for count in [0, RETYPE_LIMIT + 1, u64::MAX] {
        assert_eq!(refused(endpoint as u64, 0, [0, 0], to, count), Refusal::range(1, RETYPE_LIMIT));
    }
    assert_eq!(refused(endpoint as u64, 0, [0, 0], 250, 7), Refusal::range(1, 6));
    assert_eq!(refused(endpoint as u64, 0, [0, 0], FREE - 1, 2), Error::DeleteFirst.into());
    assert_eq!(refused(untyped as u64, 27, [0, 0], to, 1), refusal(Error::NotEnoughMemory, [1 << 26, 0, 0]));
    assert_eq!(
        refused(untyped as u64, 47, [0, 0], to, 200),
        refusal(Error::NotEnoughMemory, [1 << 26, 0, 0])
    );
    assert_eq!(used(&world, UNTYPED), 0);
}

#[test]
fn device_memory_becomes_pages_and_untyped_memory_only() {
    let mut world = World::new();
    world.kernel.machine.write(DEVICE_MEMORY, 0xdead);
    for kind in ObjectType::ALL {
        let size_bits = if kind == ObjectType::LargePage { 0 } else { 12 };
        let answer = world.try_retype(DEVICE, kind, size_bits, FREE + kind as u64, 1);
        if matches!(kind, ObjectType::Untyped | ObjectType::Page | ObjectType::LargePage) {
            assert_eq!(answer, Ok(0));
        } else {
            assert_eq!(answer, Err(Refusal::argument(0).into()), "{kind:?}");
        }
    }
    let index = FREE + ObjectType::Untyped as u64;
    assert!(matches!(world.get(index), Capability::Untyped { device: true, bits: 12, .. }));
    // Registers are not memory: nothing may write to them.
    assert_eq!(world.try_retype(index, ObjectType::Page, 0, 100, 1), Ok(0));
    assert_eq!(world.kernel.machine.read(DEVICE_MEMORY), 0xdead);
}

#[test]
fn memory_is_used_up_to_the_last_byte_and_again_when_all_is_deleted() {
    let mut world = World::new();
    world.retype(ObjectType::Untyped, 7, FREE);
    for _ in 0..3 {
        assert_eq!(world.try_retype(FREE, ObjectType::Endpoint, 0, 100, 3), Ok(0));
        assert_eq!(world.try_retype(FREE, ObjectType::CNode, 1, 103, 1), Ok(0));
        let none = refusal(Error::NotEnoughMemory, [0, 0, 0]);
        assert_eq!(world.try_retype(FREE, ObjectType::Endpoint, 0, 104, 1), Err(none.into()));
        for i in 100..104 {
            world.kernel.delete(world.slot(i)).unwrap();
        }
    }
    let left = refusal(Error::NotEnoughMemory, [48, 0, 0]);
    assert_eq!(world.try_retype(FREE, ObjectType::Endpoint, 0, 100, 5), Ok(0));
    assert_eq!(world.try_retype(FREE, ObjectType::Notification, 0, 105, 2), Err(left.into()));
}

#[test]
fn address_spaces_have_a_number_each_until_none_is_left() {
    let mut world = World::new();
    for asid in 2..crate::kernel::ASIDS {
        world.kernel.asids[asid] = 8;
    }
    let none = Error::NotEnoughMemory;
    match world.try_retype(UNTYPED, ObjectType::VSpace, 0, FREE, 2) {
        Err(crate::syscall::request::Stop::Refused(refusal)) => assert_eq!(refusal.error, none),
        other => panic!("{other:?}"),
    }
    assert_eq!(world.kernel.free_asids(), 1);
    world.retype(ObjectType::VSpace, 0, FREE);
    assert_eq!(world.kernel.free_asids(), 0);
    world.kernel.delete(world.slot(FREE)).unwrap();
    world.retype(ObjectType::VSpace, 0, FREE);
    assert!(matches!(world.get(FREE), Capability::VSpace { asid: 1, .. }));
}

/// Retypes with an interrupt at every preemption point; how often it was interrupted.
fn interrupted(world: &mut World, kind: ObjectType, size_bits: u64, to: u64, count: u64) -> u64 {
    world.kernel.machine.interrupt_after.set(Some(0));
    for times in 0..10_000 {
        match world.try_retype(UNTYPED, kind, size_bits, to, count) {
            Ok(_) => {
                world.kernel.machine.interrupt_after.set(None);
                return times;
            }
            Err(stop) => assert_eq!(stop, Preempted.into()),
        }
    }
    panic!("no end");
}

#[test]
fn clearing_goes_on_where_an_interrupt_stopped_it() {
    let mut world = World::new();
    let dirty = |world: &mut World| {
        for at in (MEMORY..MEMORY + (16 << 20)).step_by(0x1000) {
            world.kernel.machine.write(at, at);
        }
    };
    dirty(&mut world);
    world.retype(ObjectType::Endpoint, 0, FREE);
    // 2 MiB are 32 steps, of which all but the last can be interrupted.
    assert_eq!(interrupted(&mut world, ObjectType::LargePage, 0, 20, 2), 63);
    for at in (MEMORY + 0x20_0000..MEMORY + 0x60_0000).step_by(0x1000) {
        assert_eq!(world.kernel.machine.read(at), 0);
    }
    assert_eq!(world.kernel.machine.read(MEMORY + 0x60_0000), MEMORY + 0x60_0000);
    assert_eq!(interrupted(&mut world, ObjectType::CNode, 17, 22, 1), 63);
    assert!(
        matches!(world.get(22), Capability::CNode { address, radix: 17, .. } if address == MEMORY + 0x80_0000)
    );
    assert_eq!(interrupted(&mut world, ObjectType::Untyped, 22, 30, 1), 0);
}

#[test]
fn what_an_interrupted_retype_cleared_is_not_taken_for_more_than_it_is() {
    let mut chance = Chance::new(5);
    for round in 0..40 {
        let mut world = World::new();
        let mut dirty = Vec::new();
        for at in (MEMORY..MEMORY + (12 << 20)).step_by(0x2000) {
            dirty.push(at + chance.below(0x400) * 8);
            world.kernel.machine.write(dirty[dirty.len() - 1], 1);
        }
        // Several retypes are begun, and whichever is repeated last gets done.
        for to in 20..26 {
            let kind = chance.pick(&[ObjectType::LargePage, ObjectType::CNode, ObjectType::Page]);
            let bits = 12 + chance.below(6);
            let count = 1 + chance.below(2);
            world.kernel.machine.interrupt_after.set(Some(chance.pick(&[0, 5, 10, 100])));
            let answer = world.try_retype(UNTYPED, kind, bits, 10 * to - 190, count);
            if answer.is_err() {
                continue;
            }
            for slot in (10 * to - 190..).take(count as usize) {
                let (start, size) = match world.get(slot) {
                    Capability::Page { address, size, .. } => (address, 1 << size.bits()),
                    Capability::CNode { address, radix, .. } => (address, 32 << radix),
                    other => panic!("{other:?}"),
                };
                for &at in dirty.iter().filter(|&&at| (start..start + size).contains(&at)) {
                    assert_eq!(world.kernel.machine.read(at), 0, "round {round}: {at:#x}");
                }
            }
        }
    }
}
