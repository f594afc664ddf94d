//! Tests of mappings: each refusal, and random operations with the worst translation buffer there can be.

use super::*;
use crate::machine::Memory;
use crate::objects::fixture::*;
use crate::testing::Event;
use kaal_abi::{ObjectType, lookup, rights};
use std::collections::{BTreeMap, BTreeSet};

const MAP: Invocation = Invocation::PageMap;
const RW: u64 = rights::READ | rights::WRITE;
const VSPACE: u64 = 20;
const PAGE: u64 = 24;
const LARGE: u64 = 25;
/// Where the three tables of [`world`] translate.
const BASE: u64 = 0x7f00_4020_0000;

/// A world with an address space in slot 20, tables for 2 MiB at [`BASE`] in 21 to 23, a page in 24, a large one in 25.
fn world() -> World {
    let mut world = World::new();
    world.retype(ObjectType::VSpace, 0, VSPACE);
    for table in 21..24 {
        world.retype(ObjectType::PageTable, 0, table);
        world.must(table, Invocation::PageTableMap, &[BASE + 0x1234, 0], &[VSPACE]);
    }
    world.retype(ObjectType::Page, 0, PAGE);
    world.retype(ObjectType::LargePage, 0, LARGE);
    world
}

fn root(world: &World) -> u64 {
    match world.get(VSPACE) {
        Capability::VSpace { address, .. } => address,
        other => panic!("{other:?}"),
    }
}

/// Where an address leads: the descriptor and its level. Bits are taken apart as the manual has them (Arm DDI 0487, D8.3).
fn walk(memory: &impl Memory, root: u64, va: u64) -> Option<(u64, u8)> {
    let mut table = root;
    for level in 0..4 {
        let descriptor = memory.read(table + (va >> (39 - 9 * level) & 0x1ff) * 8);
        if descriptor & 1 == 0 {
            return None;
        }
        if level == 3 || descriptor & 2 == 0 {
            return Some((descriptor, level));
        }
        table = descriptor & 0xffff_ffff_f000;
    }
    None
}

#[test]
fn a_mapped_page_has_what_both_capability_and_caller_allow() {
    const EXECUTE: u64 = attributes::EXECUTE;
    let (read_only, no_execution) = (1 << 7, 1 << 54);
    for (has, asked, bits, expected) in [
        (RW, RW, 0, no_execution),
        (RW, rights::READ, 0, read_only | no_execution),
        (rights::READ, RW, 0, read_only | no_execution),
        (RW, rights::READ, EXECUTE, read_only),
        (rights::READ, rights::READ, EXECUTE, read_only),
    ] {
        let mut world = world();
        assert_eq!(world.copy(PAGE, 30, Rights::from_bits(has)), Ok(0));
        world.must(30, MAP, &[BASE, asked, bits], &[VSPACE]);
        let (descriptor, level) = walk(&world.kernel.machine, root(&world), BASE).unwrap();
        let Capability::Page { address, .. } = world.get(30) else { panic!() };
        assert_eq!((level, descriptor & 0xffff_ffff_f000), (3, address));
        assert_eq!(descriptor & (read_only | no_execution), expected);
        // For programs, of one address space, never executed by the kernel.
        assert_eq!(descriptor & (1 << 6 | 1 << 11 | 1 << 53), 1 << 6 | 1 << 11 | 1 << 53);
        assert_eq!(world.kernel.machine.events.last(), Some(&Event::Publish));
    }
}

#[test]
fn memory_types_are_kept_apart() {
    let mut world = world();
    let kind = |world: &World, va| walk(&world.kernel.machine, root(world), va).unwrap().0 >> 2 & 7;
    world.must(PAGE, MAP, &[BASE, RW, 0], &[VSPACE]);
    assert_eq!(kind(&world, BASE), kaal_paging::MAIR_NORMAL);
    world.must(PAGE, MAP, &[BASE, RW, attributes::UNCACHED], &[VSPACE]);
    assert_eq!(kind(&world, BASE), kaal_paging::MAIR_UNCACHED);
    let Capability::Page { address, .. } = world.get(PAGE) else { panic!() };
    let events = &world.kernel.machine.events;
    let cleaned = events.iter().position(|event| *event == Event::Clean(address, 4096)).unwrap();
    assert!(events[..cleaned].contains(&Event::InvalidatePage(BASE, 1)));
    assert_eq!(world.try_retype(DEVICE, ObjectType::Page, 0, 30, 1), Ok(0));
    for bits in [0, attributes::UNCACHED] {
        world.must(30, MAP, &[BASE + 0x1000, RW, bits], &[VSPACE]);
        assert_eq!(kind(&world, BASE + 0x1000), kaal_paging::MAIR_DEVICE);
    }
    let execute = [BASE + 0x1000, rights::READ, attributes::EXECUTE];
    assert_eq!(world.refused(30, MAP, &execute, &[VSPACE]), Refusal::argument(2));
    assert_eq!(world.refused(30, Invocation::PageUnifyInstruction, &[], &[]), Error::IllegalOperation.into());
}

#[test]
fn bad_mappings_are_refused() {
    let mut world = world();
    world.check_truncated(PAGE, MAP, &[VSPACE]);
    let mut refused = |page: u64, va: u64, asked: u64, bits: u64, vspace: u64| {
        world.refused(page, MAP, &[va, asked, bits], &[vspace])
    };
    let missing = |bits| refusal(Error::FailedLookup, [0, lookup::MISSING_CAPABILITY, bits]);
    assert_eq!(refused(PAGE, BASE, RW, 0, PAGE), Refusal::capability(1));
    for va in [1 << 48, 0xffff_0000_0000_0000, !0xfff] {
        assert_eq!(refused(PAGE, va, RW, 0, VSPACE), Refusal::argument(0));
    }
    assert_eq!(refused(PAGE, BASE + 0x800, RW, 0, VSPACE), Error::AlignmentError.into());
    assert_eq!(refused(LARGE, BASE + 0x1000, RW, 0, VSPACE), Error::AlignmentError.into());
    assert_eq!(refused(PAGE, BASE, RW, attributes::EXECUTE, VSPACE), Refusal::argument(2));
    assert_eq!(refused(PAGE, BASE, RW, 4, VSPACE), Refusal::argument(2));
    for asked in [0, rights::WRITE] {
        assert_eq!(refused(PAGE, BASE, asked, 0, VSPACE), Refusal::argument(1));
    }
    assert_eq!(refused(PAGE, 0, RW, 0, VSPACE), missing(39));
    assert_eq!(refused(PAGE, BASE + (1 << 30), RW, 0, VSPACE), missing(30));
    assert_eq!(refused(PAGE, BASE + (2 << 20), RW, 0, VSPACE), missing(21));
    assert_eq!(refused(LARGE, BASE + (1 << 30), RW, 0, VSPACE), missing(30));
    assert_eq!(refused(LARGE, BASE, RW, 0, VSPACE), Error::DeleteFirst.into());
    world.must(LARGE, MAP, &[BASE + (2 << 20), RW, 0], &[VSPACE]);
    let within = world.refused(PAGE, MAP, &[BASE + (2 << 20) + 0x3000, RW, 0], &[VSPACE]);
    assert_eq!(within, Error::DeleteFirst.into());
    assert_eq!(world.mapped(PAGE), None);
    assert_eq!(world.copy(PAGE, 30, Rights::from_bits(rights::WRITE)), Ok(0));
    assert_eq!(world.refused(30, MAP, &[BASE, RW, 0], &[VSPACE]), Error::IllegalOperation.into());
    // An address space that is no more: its number has nobody, or somebody else.
    let stale = world.get(VSPACE);
    world.kernel.delete(world.slot(VSPACE)).unwrap();
    world.put(VSPACE, stale);
    assert_eq!(world.refused(PAGE, MAP, &[BASE, RW, 0], &[VSPACE]), Refusal::capability(1));
}

#[test]
fn a_capability_maps_its_page_at_one_place() {
    let mut world = world();
    world.retype(ObjectType::VSpace, 0, 30);
    world.must(PAGE, MAP, &[BASE, RW, 0], &[VSPACE]);
    assert_eq!(world.mapped(PAGE), Some(Mapped { asid: 1, va: BASE }));
    assert_eq!(world.refused(PAGE, MAP, &[BASE + 0x1000, RW, 0], &[VSPACE]), Refusal::argument(0));
    assert_eq!(world.refused(PAGE, MAP, &[BASE, RW, 0], &[30]), Refusal::capability(1));
    // A copy is unmapped, and can be mapped elsewhere, but not over the first.
    assert_eq!(world.copy(PAGE, 31, Rights::ALL), Ok(0));
    assert_eq!(world.mapped(31), None);
    assert_eq!(world.refused(31, MAP, &[BASE, RW, 0], &[VSPACE]), Error::DeleteFirst.into());
    world.must(31, MAP, &[BASE + 0x1000, RW, 0], &[VSPACE]);
    world.must(PAGE, Invocation::PageUnmap, &[], &[]);
    assert_eq!(world.mapped(PAGE), None);
    assert_eq!(walk(&world.kernel.machine, root(&world), BASE), None);
    assert!(walk(&world.kernel.machine, root(&world), BASE + 0x1000).is_some());
    assert_eq!(world.kernel.machine.events.last(), Some(&Event::InvalidatePage(BASE, 1)));
    world.must(PAGE, Invocation::PageUnmap, &[], &[]);
}

#[test]
fn unmapping_leaves_what_others_mapped_there_since() {
    let mut world = world();
    world.must(PAGE, MAP, &[BASE, RW, 0], &[VSPACE]);
    world.must(23, Invocation::PageTableUnmap, &[], &[]);
    world.must(23, Invocation::PageTableMap, &[BASE, 0], &[VSPACE]);
    world.retype(ObjectType::Page, 0, 30);
    world.must(30, MAP, &[BASE, RW, 0], &[VSPACE]);
    assert_eq!(world.refused(PAGE, MAP, &[BASE, RW, 0], &[VSPACE]), Error::DeleteFirst.into());
    world.must(PAGE, Invocation::PageUnmap, &[], &[]);
    world.kernel.delete(world.slot(PAGE)).unwrap();
    assert!(walk(&world.kernel.machine, root(&world), BASE).is_some());
}

#[test]
fn an_address_space_can_be_made_without_invocations() {
    let mut world = World::new();
    let (root, page) = (0x5000_0000, 0x5100_0000);
    let vspace = (root, world.kernel.take_asid(root).unwrap());
    let capability =
        |size| Capability::Page { address: page, size, device: false, rights: Rights::ALL, mapped: None };
    for (size, va) in [(PageSize::Large, 0x4020_0000), (PageSize::Small, 0x4000_3000)] {
        let mut tables = Vec::new();
        while world.kernel.lacks_table(root, va, size) {
            let address = root + 0x1000 + ((va >> 12) & 0xf) * 0x1000 + 0x10_0000 * tables.len() as u64;
            tables.push(world.kernel.map_table(vspace, va, address).unwrap());
        }
        assert_eq!(tables.len(), if size == PageSize::Large { 2 } else { 1 });
        let mapped = world.kernel.map_new_page(vspace, va, capability(size), Rights::ALL, 0).unwrap();
        world.put(if size == PageSize::Large { 20 } else { 21 }, mapped);
        assert!(walk(&world.kernel.machine, root, va).is_some());
    }
    world.must(20, Invocation::PageUnmap, &[], &[]);
    assert_eq!(walk(&world.kernel.machine, root, 0x4020_0000), None);
    assert!(walk(&world.kernel.machine, root, 0x4000_3000).is_some());
}

#[test]
fn a_page_tells_its_address_and_has_its_instructions_seen() {
    let mut world = world();
    let Capability::Page { address, .. } = world.get(LARGE) else { panic!() };
    assert_eq!(world.invoke(LARGE, Invocation::PageGetAddress, &[], &[]), Ok(1));
    assert_eq!(world.thread().x(&world.kernel.machine, 2), address);
    world.must(LARGE, Invocation::PageUnifyInstruction, &[], &[]);
    assert_eq!(world.kernel.machine.events.last(), Some(&Event::Sync(address, 2 << 20)));
}

/// A translation buffer that has seen every translation as soon as there was one, and forgets only what it is told to.
#[derive(Default)]
struct Buffer(BTreeMap<(u16, u64), (u64, u8)>);

/// Addresses that the random operations use: every table entry that they can change has one.
fn addresses() -> Vec<u64> {
    let mut all = Vec::new();
    for top in [0, 1 << 39] {
        for middle in [0, 1 << 30] {
            for low in [0, 0x1000, 2 << 20, (2 << 20) + 0x1000] {
                all.push(top + middle + low);
            }
        }
    }
    all
}

impl Buffer {
    /// Does what the kernel asked for, then checks that nothing is left that is not so any more, then learns what is.
    fn follow(&mut self, world: &mut World) {
        for event in world.kernel.machine.events.drain(..) {
            match event {
                Event::InvalidatePage(va, asid) => {
                    self.0.retain(|&(a, v), &mut (_, level)| {
                        let size = 1 << (39 - 9 * u64::from(level));
                        a != asid || v & !(size - 1) != va & !(size - 1)
                    });
                }
                Event::InvalidateAsid(asid) => self.0.retain(|&(a, _), _| a != asid),
                _ => {}
            }
        }
        for (&(asid, va), &seen) in &self.0 {
            let root = world.kernel.asids[usize::from(asid)];
            assert_ne!(root, 0, "translations of address space {asid} outlive it");
            assert_eq!(walk(&world.kernel.machine, root, va), Some(seen), "{va:#x} in {asid}");
        }
        for asid in 1..8 {
            let root = world.kernel.asids[usize::from(asid)];
            for va in addresses().into_iter().filter(|_| root != 0) {
                if let Some(found) = walk(&world.kernel.machine, root, va) {
                    self.0.insert((asid, va), found);
                }
            }
        }
    }

    /// Every translation leads to a page that some capability says is mapped there, and none is writable and executable.
    fn check(&self, world: &World) {
        let pages: BTreeSet<_> = (FREE..1 << RADIX)
            .filter_map(|n| match world.get(n) {
                Capability::Page { address, mapped: Some(mapped), .. } => {
                    Some((mapped.asid, mapped.va, address))
                }
                _ => None,
            })
            .collect();
        for (&(asid, va), &(descriptor, level)) in &self.0 {
            let start = va & !((1u64 << (39 - 9 * level)) - 1);
            assert!(pages.contains(&(asid, start, descriptor & 0xffff_ffff_f000)), "{va:#x} in {asid}");
            assert!(!kaal_paging::is_writable_and_executable(descriptor));
        }
    }
}

#[test]
fn no_translation_outlives_its_mapping() {
    let (mut longest, mut done) = (0, 0);
    for seed in 0..25 {
        let (mut world, mut chance, mut buffer) = (World::new(), Chance::new(seed), Buffer::default());
        let addresses = addresses();
        let slots = FREE..FREE + 40;
        for _ in 0..300 {
            let kind = |n: u64| move |capability: &Capability| capability.number() == n;
            let mut some = |world: &World, of: &dyn Fn(&Capability) -> bool| {
                let all: Vec<u64> = slots.clone().filter(|&n| of(&world.get(n))).collect();
                if all.is_empty() { None } else { Some(chance.pick(&all)) }
            };
            let empty = some(&world, &kind(0));
            let vspace = some(&world, &kind(Capability::VSpace { address: 16, asid: 1 }.number()));
            let table = some(&world, &kind(Capability::PageTable { address: 16, mapped: None }.number()));
            let page = some(&world, &|capability| matches!(capability, Capability::Page { .. }));
            let any = some(&world, &|capability| *capability != Capability::Null);
            let va = chance.pick(&addresses);
            let asked = chance.pick(&[RW, RW, rights::READ]);
            let result = match (chance.below(16), vspace, table, page, any, empty) {
                (0..4, .., Some(to)) => {
                    let types = [ObjectType::VSpace, ObjectType::PageTable, ObjectType::PageTable];
                    let pages = [ObjectType::Page, ObjectType::LargePage];
                    let kind = if chance.below(2) == 0 { chance.pick(&types) } else { chance.pick(&pages) };
                    world.try_retype(UNTYPED, kind, 0, to, 1)
                }
                (4..8, Some(vspace), Some(table), ..) => {
                    world.invoke(table, Invocation::PageTableMap, &[va, 0], &[vspace])
                }
                (8..12, Some(vspace), _, Some(page), ..) => {
                    world.invoke(page, MAP, &[va, asked, chance.below(4)], &[vspace])
                }
                (12, .., Some(page), _, _) => world.invoke(page, Invocation::PageUnmap, &[], &[]),
                (13, _, Some(table), ..) => world.invoke(table, Invocation::PageTableUnmap, &[], &[]),
                (14, .., Some(from), Some(to)) => world.copy(from, to, Rights::ALL),
                (15, .., Some(any), _) if chance.below(2) == 0 => {
                    world.kernel.delete(world.slot(any)).map(|()| 0).map_err(|stop| stop.into())
                }
                _ => continue,
            };
            done += u64::from(result.is_ok());
            buffer.follow(&mut world);
            buffer.check(&world);
            longest = longest.max(buffer.0.len());
        }
    }
    assert!(longest > 6 && done > 2000, "{longest} {done}");
}
