//! Tests of what ends with an object. That everything is deleted which must be, and nothing else, is for `model` to show.

use super::*;
use crate::kernel::Preempted;
use crate::objects::capability::Rights;
use crate::objects::fixture::*;
use crate::objects::tcb::State;
use crate::testing::Event;
use kaal_abi::ObjectType;

/// Deletes with an interrupt at every preemption point; how often it was interrupted.
fn interrupted(world: &mut World, slot: Slot) -> u64 {
    world.kernel.machine.interrupt_after.set(Some(0));
    for times in 0..10_000 {
        match world.kernel.delete(slot) {
            Ok(()) => return times,
            Err(Preempted) => assert!(!slot.is_empty(&world.kernel.machine)),
        }
    }
    panic!("no end");
}

#[test]
fn a_large_cnode_is_deleted_bit_by_bit() {
    let mut world = World::new();
    world.retype(ObjectType::CNode, 12, 20);
    let Capability::CNode { address, .. } = world.get(20) else { panic!() };
    world.retype(ObjectType::Endpoint, 0, 21);
    for index in 0..1 << 12 {
        let (endpoint, source) = (world.get(21), world.slot(21));
        world.kernel.insert(endpoint, source, Slot(address).offset(index));
    }
    let slot = world.slot(20);
    // A step a capability, so many steps between two looks for interrupts.
    let times = interrupted(&mut world, slot);
    assert!((250..=260).contains(&times), "{times}");
    assert!(world.kernel.is_final(world.slot(21)));
}

#[test]
fn an_empty_cnode_goes_in_few_steps() {
    let mut world = World::new();
    world.retype(ObjectType::CNode, 12, 20);
    let slot = world.slot(20);
    assert!(interrupted(&mut world, slot) < 12);
}

#[test]
fn a_thread_ends_with_its_last_capability() {
    let mut world = World::new();
    world.retype(ObjectType::Tcb, 0, 20);
    world.retype(ObjectType::CNode, 2, 21);
    assert_eq!(world.copy(20, 22, Rights::ALL), Ok(0));
    let thread = Tcb(MEMORY);
    let (cspace, from) = (world.get(21), world.slot(21));
    world.kernel.move_slot(cspace, from, thread.cspace());
    thread.set_state(&mut world.kernel.machine, State::BlockedOnReply);
    world.kernel.delete(world.slot(20)).unwrap();
    assert_eq!(thread.state(&world.kernel.machine), State::BlockedOnReply);
    world.kernel.delete(world.slot(22)).unwrap();
    assert_eq!(thread.state(&world.kernel.machine), State::Inactive);
    assert!(thread.cspace().is_empty(&world.kernel.machine));
    assert_eq!(world.kernel.machine.events, [Event::ForgetFp(MEMORY)]);
    assert!(!world.kernel.has_children(world.slot(UNTYPED)));
}

#[test]
fn a_buffer_is_lost_with_its_page() {
    let mut world = World::new();
    let thread = world.thread();
    assert_ne!(thread.buffer(&world.kernel.machine), 0);
    world.kernel.delete(thread.buffer_page()).unwrap();
    assert_eq!(thread.buffer(&world.kernel.machine), 0);
}

#[test]
fn memory_with_what_is_left_of_a_cnode_is_not_free() {
    let mut world = World::new();
    world.retype(ObjectType::Untyped, 12, 20);
    assert_eq!(world.try_retype(20, ObjectType::CNode, 6, 21, 1), Ok(0));
    let Capability::CNode { address, .. } = world.get(21) else { panic!() };
    for index in 0..64 {
        let slot = Slot(address).offset(index);
        world.kernel.insert_new(Capability::Power, None, slot);
    }
    world.kernel.machine.interrupt_after.set(Some(0));
    assert_eq!(world.kernel.delete(world.slot(21)), Err(Preempted));
    assert!(matches!(world.get(21), Capability::Zombie { .. }));
    assert!(world.kernel.has_children(world.slot(20)));
    assert_eq!(world.kernel.revoke(world.slot(20)), Err(Preempted));
    world.kernel.machine.interrupt_after.set(None);
    world.kernel.revoke(world.slot(20)).unwrap();
    assert!(!world.kernel.has_children(world.slot(20)));
}

#[test]
fn a_chain_of_cnodes_of_any_length_is_deleted() {
    let mut world = World::new();
    const LENGTH: u64 = 500;
    let mut last = world.slot(20);
    let mut addresses = Vec::new();
    for _ in 0..LENGTH {
        world.retype(ObjectType::CNode, 1, 21);
        let (capability, from) = (world.get(21), world.slot(21));
        let Capability::CNode { address, .. } = capability else { panic!() };
        world.kernel.move_slot(capability, from, last);
        last = Slot(address).offset(1);
        addresses.push(address);
    }
    let slot = world.slot(20);
    interrupted(&mut world, slot);
    for address in addresses {
        assert!((0..2).all(|n| Slot(address).offset(n).is_empty(&world.kernel.machine)));
    }
    assert!(!world.kernel.has_children(world.slot(UNTYPED)));
}
