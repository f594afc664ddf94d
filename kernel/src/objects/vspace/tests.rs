//! Tests of page tables and address spaces.

use super::*;
use crate::machine::Memory;
use crate::objects::capability::Rights;
use crate::objects::fixture::*;
use crate::testing::Event;
use kaal_abi::{ObjectType, lookup};

const MAP: Invocation = Invocation::PageTableMap;
const UNMAP: Invocation = Invocation::PageTableUnmap;
const VSPACE: u64 = 20;

/// A world with an address space in slot 20 and tables in slots 21 to 26.
fn world() -> World {
    let mut world = World::new();
    world.retype(ObjectType::VSpace, 0, VSPACE);
    for table in 21..27 {
        world.retype(ObjectType::PageTable, 0, table);
    }
    world
}

#[test]
fn tables_go_where_one_is_missing_from_the_top_down() {
    let mut world = world();
    let va = 0x8123_4567_89ab;
    for (table, size) in [(21, 1 << 39), (22, 1 << 30), (23, 1 << 21)] {
        world.must(table, MAP, &[va, 0], &[VSPACE]);
        assert_eq!(world.mapped(table), Some(Mapped { asid: 1, va: va & !(size - 1) }));
        assert_eq!(world.kernel.machine.events.last(), Some(&Event::Publish));
    }
    assert_eq!(world.refused(24, MAP, &[va, 0], &[VSPACE]), Error::DeleteFirst.into());
    world.must(24, MAP, &[va + (2 << 20), 0], &[VSPACE]);
    assert_eq!(world.refused(24, MAP, &[0, 0], &[VSPACE]), Refusal::capability(0));
}

#[test]
fn bad_requests_are_refused() {
    let mut world = world();
    world.check_truncated(21, MAP, &[VSPACE]);
    assert_eq!(world.refused(21, MAP, &[0, 0], &[22]), Refusal::capability(1));
    assert_eq!(world.refused(21, MAP, &[0, 1], &[VSPACE]), Refusal::argument(1));
    for va in [1 << 48, 0xffff_0000_0000_0000, u64::MAX] {
        assert_eq!(world.refused(21, MAP, &[va, 0], &[VSPACE]), Refusal::argument(0));
    }
    // Under a block there is no room for a table.
    world.must(21, MAP, &[0, 0], &[VSPACE]);
    world.must(22, MAP, &[0, 0], &[VSPACE]);
    world.retype(ObjectType::LargePage, 0, 30);
    world.must(30, Invocation::PageMap, &[0, 3, 0], &[VSPACE]);
    assert_eq!(world.refused(23, MAP, &[0x1000, 0], &[VSPACE]), Error::DeleteFirst.into());
}

#[test]
fn an_unmapped_table_is_empty_and_what_was_below_is_gone() {
    let mut world = world();
    for table in 21..24 {
        world.must(table, MAP, &[0, 0], &[VSPACE]);
    }
    world.retype(ObjectType::Page, 0, 30);
    world.must(30, Invocation::PageMap, &[0x3000, 3, 0], &[VSPACE]);
    world.must(22, UNMAP, &[], &[]);
    assert_eq!(world.kernel.machine.events.last(), Some(&Event::InvalidateAsid(1)));
    assert_eq!(world.mapped(22), None);
    let Capability::PageTable { address, .. } = world.get(22) else { panic!() };
    assert!((0..512).all(|n| world.kernel.machine.read(address + 8 * n) == 0));
    let missing = refusal(Error::FailedLookup, [0, lookup::MISSING_CAPABILITY, 30]);
    assert_eq!(world.refused(30, Invocation::PageMap, &[0x3000, 3, 0], &[VSPACE]), missing);
    // The table below still believes itself mapped, until it is told.
    assert_eq!(world.refused(23, MAP, &[0, 0], &[VSPACE]), Refusal::capability(0));
    world.must(23, UNMAP, &[], &[]);
    world.must(23, MAP, &[0, 0], &[VSPACE]);
    world.must(22, MAP, &[0, 0], &[VSPACE]);
    world.must(30, Invocation::PageMap, &[0x3000, 3, 0], &[VSPACE]);
}

#[test]
fn only_mapped_tables_are_copied_and_only_the_last_capability_unmaps() {
    let mut world = world();
    assert_eq!(world.copy(21, 30, Rights::ALL), Err(Error::IllegalOperation.into()));
    world.must(21, MAP, &[0, 0], &[VSPACE]);
    assert_eq!(world.copy(21, 30, Rights::ALL), Ok(0));
    assert_eq!(world.refused(21, UNMAP, &[], &[]), Error::RevokeFirst.into());
    world.kernel.delete(world.slot(21)).unwrap();
    assert_ne!(world.kernel.machine.read(MEMORY), 0);
    world.kernel.delete(world.slot(30)).unwrap();
    assert_eq!(world.kernel.machine.read(MEMORY), 0);
}

#[test]
fn the_last_capability_to_an_address_space_frees_its_number() {
    let mut world = world();
    let thread = world.thread();
    assert_eq!(world.kernel.vspace_of(thread), None);
    assert_eq!(world.copy(VSPACE, 30, Rights::ALL), Ok(0));
    let capability = world.get(VSPACE);
    let source = world.slot(VSPACE);
    world.kernel.insert(capability, source, thread.vspace());
    assert_eq!(world.kernel.vspace_of(thread), Some((MEMORY, 1)));
    world.kernel.delete(world.slot(VSPACE)).unwrap();
    world.kernel.delete(world.slot(30)).unwrap();
    assert_eq!((world.kernel.asids[1], &world.kernel.machine.events[..]), (MEMORY, &[][..]));
    world.kernel.delete(thread.vspace()).unwrap();
    assert_eq!(world.kernel.asids[1], 0);
    assert_eq!(world.kernel.machine.events, [Event::ClearMap, Event::InvalidateAsid(1)]);
}

#[test]
fn the_current_map_stays_when_another_address_space_ends() {
    let mut world = world();
    world.retype(ObjectType::VSpace, 0, 30);
    let (capability, source, thread) = (world.get(30), world.slot(30), world.thread());
    world.kernel.insert(capability, source, thread.vspace());
    world.kernel.delete(world.slot(VSPACE)).unwrap();
    assert_eq!(world.kernel.machine.events, [Event::InvalidateAsid(1)]);
}
