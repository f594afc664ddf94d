//! Tests of address lookup.

use super::*;
use crate::objects::capability::Rights;
use crate::objects::fixture::*;

fn node(address: u64, radix: u64, guard: u64, guard_bits: u64) -> Capability {
    Capability::CNode { address, radix, guard, guard_bits }
}

/// The `depth` low bits of an address, the top one first.
fn bits(address: u64, depth: u64) -> Vec<bool> {
    (0..depth).rev().map(|n| address >> n & 1 != 0).collect()
}

fn number(bits: &[bool]) -> u64 {
    bits.iter().fold(0, |n, &bit| n << 1 | u64::from(bit))
}

/// The same walk over a list of bits: what is taken from its front cannot be shifted wrongly.
fn reference(world: &World, root: Capability, mut path: &[bool]) -> Result<(Slot, u64), LookupFault> {
    let fault = |kind, left: usize, guard, found| {
        Err(LookupFault { kind, bits_left: left as u64, guard, bits_found: found })
    };
    let Capability::CNode { address, radix, guard, guard_bits } = root else {
        return fault(lookup::INVALID_ROOT, path.len(), 0, 0);
    };
    let Some((front, rest)) = path.split_at_checked(guard_bits as usize) else {
        return fault(lookup::GUARD_MISMATCH, path.len(), guard, guard_bits);
    };
    if front != bits(guard, guard_bits) {
        return fault(lookup::GUARD_MISMATCH, path.len(), guard, guard_bits);
    }
    let Some((index, rest)) = rest.split_at_checked(radix as usize) else {
        return fault(lookup::DEPTH_MISMATCH, path.len(), 0, radix + guard_bits);
    };
    path = rest;
    let slot = Slot(address + 32 * number(index));
    match slot.get(&world.kernel.machine) {
        next @ Capability::CNode { .. } if !path.is_empty() => reference(world, next, path),
        _ => Ok((slot, path.len() as u64)),
    }
}

#[test]
fn lookup_agrees_with_a_walk_bit_by_bit() {
    let mut chance = Chance::new(1);
    let (mut found, mut kinds) = (0, [0; 5]);
    for _ in 0..3000 {
        let mut world = World::new();
        let any = chance.below(65);
        let depth = chance.pick(&[64, 64, 1, any]);
        // A chain of CNodes; the address follows it, sometimes with a bit wrong.
        let (mut address, mut left) = (0, depth);
        let mut nodes = Vec::new();
        for level in 0..1 + chance.below(5) {
            let radix = 1 + chance.below(12).min(left.saturating_sub(1));
            let guard_bits = match chance.below(4) {
                0 => 0,
                1 => (left.saturating_sub(radix)).min(63),
                _ => chance.below((left.saturating_sub(radix)).min(63) + 1),
            };
            let guard = chance.word() & ((1 << guard_bits) - 1);
            nodes.push(node(0x5000_0000 + (level << 24), radix, guard, guard_bits));
            if radix + guard_bits > left {
                break;
            }
            left -= radix + guard_bits;
            let index = chance.word() & ((1 << radix) - 1);
            let chunk = (guard << radix) | index;
            address |= chunk << left;
            if left == 0 {
                break;
            }
        }
        // Hang each CNode into the slot that the address leads to in the one before.
        for i in 1..nodes.len() {
            if let Ok((slot, _)) = reference(&world, nodes[0], &bits(address, depth)) {
                slot.set(&mut world.kernel.machine, nodes[i]);
            }
        }
        if chance.below(3) == 0 {
            address ^= 1 << chance.below(64);
        }
        let address = address | if depth < 64 { chance.word() << depth } else { 0 };
        let expected = reference(&world, nodes[0], &bits(address, depth));
        assert_eq!(world.kernel.lookup(nodes[0], address, depth), expected, "{nodes:x?} {address:x} {depth}");
        match expected {
            Ok(_) => found += 1,
            Err(fault) => kinds[fault.kind as usize] += 1,
        }
    }
    assert!(found > 1000 && kinds[lookup::GUARD_MISMATCH as usize] > 300, "{found} {kinds:?}");
}

#[test]
fn every_guard_and_radix_fit_one_address() {
    let world = World::new();
    for radix in 1..=42 {
        for guard_bits in 0..=64 - radix {
            let guard = 0xfedc_ba98_7654_3210 & ((1u64 << guard_bits) - 1);
            let root = node(0x5000_0000, radix, guard, guard_bits);
            let index = (1u64 << radix) - 1;
            let depth = radix + guard_bits;
            let address = (guard << radix) | index;
            let slot = Slot(0x5000_0000).offset(index);
            assert_eq!(world.kernel.lookup(root, address, depth), Ok((slot, 0)));
            assert_eq!(world.kernel.lookup_target(root, address, depth), Ok(slot));
            if guard_bits > 0 {
                let fault = world.kernel.lookup(root, address ^ 1 << (depth - 1), depth).unwrap_err();
                assert_eq!((fault.kind, fault.guard), (lookup::GUARD_MISMATCH, guard));
                assert_eq!(fault.words(), [lookup::GUARD_MISMATCH, depth]);
            }
            let fault = world.kernel.lookup(root, address, depth - 1).unwrap_err();
            let short =
                if radix > depth - 1 || guard_bits == 0 { lookup::DEPTH_MISMATCH } else { fault.kind };
            assert_eq!((fault.kind, fault.bits_left), (short, depth - 1));
        }
    }
}

#[test]
fn a_thread_finds_capabilities_however_many_bits_are_left() {
    let mut world = World::new();
    let short = node(0x5000_0000, 4, 0, 0);
    world.thread().cspace().set(&mut world.kernel.machine, short);
    let slot = Slot(0x5000_0000).offset(9);
    slot.set(&mut world.kernel.machine, Capability::Power);
    assert_eq!(world.kernel.lookup_slot(world.thread(), 0x9abc << 48), Ok(slot));
    assert_eq!(world.kernel.lookup_slot(world.thread(), 0x8 << 60), Ok(Slot(0x5000_0000).offset(8)));
    world.thread().cspace().set(&mut world.kernel.machine, Capability::Null);
    let fault = world.kernel.lookup_slot(world.thread(), 0).unwrap_err();
    assert_eq!(fault.words(), [lookup::INVALID_ROOT, 64]);
}

#[test]
fn operations_on_slots_need_exactly_the_depth() {
    let mut world = World::new();
    let root = world.get(CNODE);
    let endpoint = Capability::Endpoint { address: 0x6000_0000, badge: 0, rights: Rights::ALL };
    world.put(FREE, endpoint);
    let failed = |source: u64, kind, left| Err(refusal(Error::FailedLookup, [source, kind, left]));
    assert_eq!(world.kernel.lookup_target(root, FREE, RADIX), Ok(world.slot(FREE)));
    assert_eq!(world.kernel.lookup_target(root, FREE << 8, 16), failed(0, lookup::DEPTH_MISMATCH, 8));
    assert_eq!(world.kernel.lookup_source(root, FREE, 7), failed(1, lookup::DEPTH_MISMATCH, 7));
    assert_eq!(world.kernel.lookup_source(root, FREE + 1, RADIX), failed(1, lookup::MISSING_CAPABILITY, 0));
    assert_eq!(world.kernel.lookup_target(endpoint, 0, 64), failed(0, lookup::INVALID_ROOT, 64));
    for depth in [0, 65, u64::MAX] {
        assert_eq!(world.kernel.lookup_target(root, 0, depth), Err(Refusal::range(1, 64)));
    }
}
