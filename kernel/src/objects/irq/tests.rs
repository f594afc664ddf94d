//! Tests of interrupts.

use super::*;
use crate::machine::Memory;
use crate::objects::capability::Rights;
use crate::objects::fixture::*;
use crate::testing::Event;
use kaal_abi::{ObjectType, lookup};

const GET: Invocation = Invocation::IrqControlGet;
const SET: Invocation = Invocation::IrqHandlerSetNotification;
const HANDLER: u64 = 20;
const NOTIFICATION: u64 = 21;

/// A world with a handler of interrupt 33 in slot 20 and a notification in slot 21.
fn world() -> World {
    let mut world = World::new();
    world.must(IRQ_CONTROL, GET, &[33, HANDLER, RADIX], &[CNODE]);
    world.retype(ObjectType::Notification, 0, NOTIFICATION);
    world
}

/// The badges that the notification has been signalled with.
fn signals(world: &World) -> u64 {
    match world.get(NOTIFICATION) {
        Capability::Notification { address, .. } => world.kernel.machine.read(address + 16),
        other => panic!("{other:?}"),
    }
}

fn slot_holds(world: &World, irq: u64) -> Capability {
    world.kernel.irq_slot(irq).get(&world.kernel.machine)
}

#[test]
fn each_interrupt_has_one_handler() {
    let mut world = world();
    world.check_truncated(IRQ_CONTROL, GET, &[CNODE]);
    assert_eq!(world.get(HANDLER), Capability::IrqHandler { irq: 33 });
    assert_eq!(world.kernel.machine.events, [Event::Unmask(33)]);
    let mut refused = |irq, to, depth| world.refused(IRQ_CONTROL, GET, &[irq, to, depth], &[CNODE]);
    assert_eq!(refused(33, 30, RADIX), Error::RevokeFirst.into());
    assert_eq!(refused(34, HANDLER, RADIX), Error::DeleteFirst.into());
    assert_eq!(refused(34, 30, 7), refusal(Error::FailedLookup, [0, lookup::DEPTH_MISMATCH, 7]));
    for irq in [288, 1023, u64::MAX] {
        assert_eq!(refused(irq, 30, RADIX), Refusal::range(0, 287));
    }
    for irq in [0, 15, 27] {
        assert_eq!(refused(irq, 30, RADIX), Refusal::argument(0));
    }
    // A refusal leaves the interrupt free.
    world.must(IRQ_CONTROL, GET, &[34, 30, RADIX], &[CNODE]);
}

#[test]
fn an_interrupt_stays_masked_until_it_is_acknowledged() {
    let mut world = world();
    world.must(HANDLER, SET, &[], &[NOTIFICATION]);
    world.kernel.machine.events.clear();
    world.kernel.interrupt(33);
    assert_eq!(world.kernel.machine.events, [Event::Mask(33)]);
    world.must(HANDLER, Invocation::IrqHandlerAck, &[], &[]);
    assert_eq!(world.kernel.machine.events, [Event::Mask(33), Event::Unmask(33)]);
}

#[test]
fn an_interrupt_signals_with_the_badge_of_its_notification() {
    let mut world = world();
    assert_eq!(world.mint(NOTIFICATION, 30, Rights::ALL, 6), Ok(0));
    assert_eq!(world.mint(NOTIFICATION, 31, Rights::ALL, 9), Ok(0));
    world.must(HANDLER, SET, &[], &[30]);
    world.kernel.interrupt(33);
    world.must(HANDLER, SET, &[], &[31]);
    world.kernel.interrupt(33);
    assert_eq!(signals(&world), 6 | 9);
    world.must(HANDLER, Invocation::IrqHandlerClear, &[], &[]);
    assert_eq!(slot_holds(&world, 33), Capability::Null);
    world.kernel.interrupt(33);
    assert_eq!(signals(&world), 6 | 9);
}

#[test]
fn only_a_notification_to_signal_can_be_set() {
    let mut world = world();
    world.check_truncated(HANDLER, SET, &[NOTIFICATION]);
    world.retype(ObjectType::Endpoint, 0, 30);
    assert_eq!(world.copy(NOTIFICATION, 31, Rights::from_bits(kaal_abi::rights::READ)), Ok(0));
    for wrong in [30, 31, 32, HANDLER] {
        assert_eq!(world.refused(HANDLER, SET, &[], &[wrong]), Refusal::capability(1));
    }
}

#[test]
fn the_last_handler_takes_the_notification_along() {
    let mut world = world();
    world.must(HANDLER, SET, &[], &[NOTIFICATION]);
    assert_eq!(world.copy(HANDLER, 30, Rights::ALL), Ok(0));
    world.kernel.machine.events.clear();
    world.kernel.delete(world.slot(HANDLER)).unwrap();
    assert_ne!(slot_holds(&world, 33), Capability::Null);
    assert_eq!(world.kernel.machine.events, []);
    world.kernel.delete(world.slot(30)).unwrap();
    assert_eq!(slot_holds(&world, 33), Capability::Null);
    assert_eq!(world.kernel.machine.events, [Event::Mask(33)]);
    world.must(IRQ_CONTROL, GET, &[33, 30, RADIX], &[CNODE]);
    // Revoking the control takes every handler away.
    world.kernel.revoke(world.slot(IRQ_CONTROL)).unwrap();
    assert_eq!(world.get(30), Capability::Null);
}

#[test]
fn an_interrupt_without_handler_is_masked() {
    let mut world = World::new();
    for irq in [40, 287, 288, 1023] {
        world.kernel.machine.events.clear();
        world.kernel.interrupt(irq);
        assert_eq!(world.kernel.machine.events, [Event::Mask(irq)]);
    }
}

#[test]
fn deleting_the_notification_empties_the_interrupts_slot() {
    let mut world = world();
    world.must(HANDLER, SET, &[], &[NOTIFICATION]);
    world.kernel.revoke(world.slot(UNTYPED)).unwrap();
    assert_eq!(slot_holds(&world, 33), Capability::Null);
    world.kernel.interrupt(33);
}

#[test]
fn power_goes_off() {
    let mut world = World::new();
    world.must(POWER, Invocation::PowerOff, &[], &[]);
    assert_eq!(world.kernel.machine.events, [Event::PowerOff]);
    world.check_truncated(POWER, Invocation::PowerOff, &[]);
}
