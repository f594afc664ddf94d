//! Tests of what derives from what. Random families are for `model`.

use super::*;
use crate::objects::capability::PageSize;
use crate::objects::fixture::*;
use kaal_abi::rights;

fn endpoint(badge: u64) -> Capability {
    Capability::Endpoint { address: 0x5000_0000, badge, rights: Rights::ALL }
}

fn untyped(address: u64, bits: u64) -> Capability {
    Capability::Untyped { address, bits, device: false, used: 0, zeroed: 0 }
}

#[test]
fn untyped_memory_covers_what_lies_in_it_and_nothing_else() {
    let memory = untyped(0x5000_0000, 12);
    for (inside, capability) in [
        (true, untyped(0x5000_0000, 12)),
        (true, untyped(0x5000_0ff0, 4)),
        (false, untyped(0x5000_0000, 13)),
        (false, untyped(0x5000_1000, 4)),
        (true, Capability::Endpoint { address: 0x5000_0ff0, badge: 9, rights: Rights::ALL }),
        (true, Capability::Notification { address: 0x5000_0fe0, badge: 9, rights: Rights::ALL }),
        (true, Capability::Thread { address: 0x5000_0800 }),
        (false, Capability::Thread { address: 0x4fff_f800 }),
        (true, Capability::CNode { address: 0x5000_0000, radix: 7, guard: 0, guard_bits: 0 }),
        (false, Capability::CNode { address: 0x5000_0000, radix: 8, guard: 0, guard_bits: 0 }),
        (true, Capability::PageTable { address: 0x5000_0000, mapped: None }),
        (true, Capability::Zombie { address: 0x5000_0f00, radix: None, left: 5 }),
        (false, Capability::Zombie { address: 0x5000_0000, radix: Some(8), left: 0 }),
        (false, Capability::Reply { thread: 0x5000_0000, master: false, grant: false }),
        (false, Capability::Power),
        (false, Capability::Null),
    ] {
        assert_eq!(covers(memory, capability), inside, "{capability:x?}");
    }
}

#[test]
fn copies_are_children_of_originals_and_siblings_of_copies() {
    let mut world = World::new();
    world.put(20, endpoint(0));
    let [original, first, second] = [20, 21, 22].map(|n| world.slot(n));
    world.kernel.insert(endpoint(0), original, first);
    world.kernel.insert(endpoint(0), first, second);
    assert!(world.kernel.is_parent_of(original, first) && world.kernel.is_parent_of(original, second));
    assert!(!world.kernel.is_parent_of(first, second));
    assert!(world.kernel.ensure_no_children(first).is_ok());
    assert_eq!(world.kernel.ensure_no_children(original), Err(Error::RevokeFirst.into()));
    assert_eq!(world.kernel.ensure_empty(first), Err(Error::DeleteFirst.into()));
}

#[test]
fn the_last_of_a_family_is_final() {
    let mut world = World::new();
    world.put(20, endpoint(0));
    let [a, b, c] = [20, 21, 22].map(|n| world.slot(n));
    world.kernel.insert(endpoint(5), a, b);
    world.kernel.insert(endpoint(5), b, c);
    assert!([a, b, c].into_iter().all(|slot| !world.kernel.is_final(slot)));
    world.kernel.delete_one(a);
    assert!([b, c].into_iter().all(|slot| !world.kernel.is_final(slot)));
    world.kernel.delete_one(b);
    assert!(world.kernel.is_final(c));
}

#[test]
fn masks_take_rights_away_and_never_give_any() {
    for has in 0..16 {
        for mask in 0..16 {
            let (rights, mask) = (Rights::from_bits(has), Rights::from_bits(mask));
            let bits = Rights::from_bits(has & mask.bits());
            let page = |rights| Capability::Page {
                address: 0x5000_0000,
                size: PageSize::Large,
                device: true,
                rights,
                mapped: None,
            };
            assert_eq!(masked(page(rights), mask), page(bits));
            let grant = has & rights::GRANT != 0;
            let reply = |grant| Capability::Reply { thread: 0x5000_0000, master: false, grant };
            assert_eq!(masked(reply(grant), mask), reply(grant && mask.grant()));
            assert_eq!(masked(Capability::Domain, mask), Capability::Domain);
        }
    }
}

#[test]
fn exchanging_neighbours_keeps_the_list() {
    for (a, b) in [(0, 1), (1, 0), (0, 2), (2, 1), (1, 1), (0, 3), (3, 2), (3, 4)] {
        let mut world = World::new();
        let slots = [20, 21, 22, 23, 24].map(|n| world.slot(n));
        world.put(20, endpoint(0));
        world.kernel.insert(endpoint(2), slots[0], slots[2]);
        world.kernel.insert(endpoint(1), slots[0], slots[1]);
        // Slots 23 and 24 stay empty.
        let [in_a, in_b] = [a, b].map(|n: usize| slots[n].get(&world.kernel.machine));
        world.kernel.swap(in_a, slots[a], in_b, slots[b]);
        let mut order = [0, 1, 2];
        for n in &mut order {
            *n = if *n == a {
                b
            } else if *n == b {
                a
            } else {
                *n
            };
        }
        let mut previous = None;
        for (i, &n) in order.iter().enumerate() {
            let links = slots[n].links(&world.kernel.machine);
            assert_eq!(slots[n].get(&world.kernel.machine), endpoint(i as u64));
            assert_eq!(links.previous, previous);
            assert_eq!(links.next, order.get(i + 1).map(|&n| slots[n]));
            previous = Some(slots[n]);
        }
    }
}
