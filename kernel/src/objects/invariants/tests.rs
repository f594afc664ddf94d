//! Invocations that make no sense at all.

use super::*;
use crate::syscall::request::Stop;
use kaal_abi::{Error, Invocation, ObjectType};

/// A number that some argument might mean something by.
fn any_number(chance: &mut Chance) -> u64 {
    match chance.below(8) {
        0 => chance.word(),
        1 => 1 << chance.below(64),
        2 => (1u64 << chance.below(64)).wrapping_sub(1),
        3 => chance.below(1 << RADIX),
        4 => RADIX,
        5 => 0x1000 * chance.below(64),
        _ => chance.below(40),
    }
}

fn is_invoked_here(capability: Capability) -> bool {
    use Capability::*;
    matches!(
        capability,
        Untyped { .. }
            | CNode { .. }
            | PageTable { .. }
            | Page { .. }
            | IrqControl
            | IrqHandler { .. }
            | Power
            | Thread { .. }
    )
}

/// Arguments that have a good chance to be right, where that takes more than luck.
fn likely(chance: &mut Chance, label: u64, arguments: &mut [u64]) {
    let slot = |chance: &mut Chance| chance.below(48);
    let mut set = |n: usize, value: u64| arguments[n] = value;
    match Invocation::from_label(label) {
        Some(Invocation::UntypedRetype) => {
            let kind = chance.pick(&ObjectType::ALL);
            for (n, value) in
                [kind as u64, 1 + chance.below(14), 0, 0, slot(chance), 1].into_iter().enumerate()
            {
                set(n, value);
            }
        }
        Some(Invocation::IrqControlGet) => [chance.below(40), slot(chance), RADIX]
            .into_iter()
            .enumerate()
            .for_each(|(n, value)| set(n, value)),
        Some(Invocation::CNodeRotate) => {
            for (n, value) in
                [slot(chance), RADIX, 0, slot(chance), RADIX, 0, slot(chance), RADIX].into_iter().enumerate()
            {
                set(n, value);
            }
        }
        // All that may not be 0 in Configure, SetSpace and SetIpcBuffer is the capabilities sent along.
        Some(Invocation::TcbConfigure | Invocation::TcbSetSpace | Invocation::TcbSetIpcBuffer) => {
            let buffer = chance.below(4) << 10;
            for n in 0..4 {
                set(n, if n == 3 || label == Invocation::TcbSetIpcBuffer as u64 { buffer } else { 0 });
            }
        }
        Some(Invocation::PageTableMap | Invocation::PageMap) => {
            let rights = chance.below(16);
            for (n, value) in [chance.below(4) << chance.pick(&[11, 12, 21]), 0, 0].into_iter().enumerate() {
                set(n, if n == 1 && label == Invocation::PageMap as u64 { rights } else { value });
            }
        }
        _ => {
            for n in [0, 2] {
                set(n, slot(chance));
                set(n + 1, RADIX);
            }
        }
    }
}

#[test]
fn no_invocation_breaks_what_must_hold() {
    let (mut done, mut errors) = (0, BTreeSet::new());
    for seed in 0..80 {
        let (mut world, mut chance) = (World::new(), Chance::new(seed));
        let kinds =
            [ObjectType::Tcb, ObjectType::Tcb, ObjectType::VSpace, ObjectType::Page, ObjectType::CNode];
        for (to, kind) in (FREE..).zip(kinds) {
            world.retype(kind, 3, to);
        }
        for _ in 0..250 {
            let some = |world: &World, chance: &mut Chance, which: fn(Capability) -> bool| {
                let used: Vec<u64> = (0..1 << RADIX).filter(|&n| which(world.get(n))).collect();
                if used.is_empty() { CNODE } else { chance.pick(&used) }
            };
            if world.get(CNODE) == Capability::Null {
                // Without this one nothing goes on.
                let Capability::CNode { address, radix, .. } =
                    world.thread().cspace().get(&world.kernel.machine)
                else {
                    break;
                };
                let (from, to) = (world.thread().cspace(), world.slot(CNODE));
                world.kernel.insert(Capability::CNode { address, radix, guard: 0, guard_bits: 0 }, from, to);
            }
            let invoked =
                if chance.below(2) == 0 { CNODE } else { some(&world, &mut chance, is_invoked_here) };
            if !is_invoked_here(world.get(invoked)) {
                break;
            }
            let mut label = chance.below(38);
            if invoked == CNODE && chance.below(4) > 0 {
                label = Invocation::CNodeRevoke as u64 + chance.below(9);
            }
            let mut arguments = [0; 9].map(|_| any_number(&mut chance));
            if chance.below(3) > 0 {
                likely(&mut chance, label, &mut arguments);
            }
            let mut extra = [CNODE; 3];
            for slot in &mut extra {
                if invoked != CNODE && chance.below(2) == 0 || chance.below(8) == 0 {
                    *slot = some(&world, &mut chance, |capability| capability != Capability::Null);
                }
            }
            if matches!(world.get(invoked), Capability::Thread { .. }) && chance.below(2) == 0 {
                label = chance.pick(&[Invocation::TcbConfigure, Invocation::TcbSetSpace]) as u64;
                let node = |capability| matches!(capability, Capability::CNode { .. });
                let vspace = |capability| matches!(capability, Capability::VSpace { .. });
                let page = |capability| matches!(capability, Capability::Page { device: false, .. });
                extra = [node, vspace, page].map(|which| some(&world, &mut chance, which));
                likely(&mut chance, label, &mut arguments);
            }
            let (words, caps) =
                if chance.below(8) == 0 { (chance.below(9), chance.below(4)) } else { (9, 3) };
            world.kernel.machine.interrupt_after.set(Some(chance.below(4)));
            let request =
                world.request(invoked, label, &arguments[..words as usize], &extra[..caps as usize]);
            match world.dispatch(&request) {
                Ok(_) => done += 1,
                Err(Stop::Refused(refusal)) => {
                    assert!(refusal.error != Error::None);
                    errors.insert(refusal.error as u64);
                }
                Err(Stop::Preempted) => {}
            }
            world.check();
        }
    }
    assert!(done > 2500, "{done}");
    assert!(errors.len() >= 8, "{errors:?}");
}
