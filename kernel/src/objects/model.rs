//! Random operations, held against a model that is nothing but a map of slots: what each holds and what that derives from.

use super::capability::{Capability, PageSize};
use super::derivation::same_object;
use super::fixture::*;
use super::slot::{SLOT_SIZE, Slot};
use super::tcb::{SLOTS, SLOTS_OFFSET, Tcb};
use crate::kernel::Preempted;
use crate::machine::Memory;
use std::collections::{BTreeMap, BTreeSet};

/// What the model knows about a slot that is in use.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Node {
    capability: Capability,
    parent: Option<u64>,
    /// Copies are its children; else they are its siblings.
    original: bool,
}

/// The memory of an object, and the slots that are in it.
fn extent(capability: Capability) -> Option<(u64, u64)> {
    Some(match capability {
        Capability::Untyped { address, bits, .. } => (address, 1 << bits),
        Capability::Endpoint { address, .. } => (address, 16),
        Capability::Notification { address, .. } => (address, 32),
        Capability::CNode { address, radix, .. } => (address, 32 << radix),
        Capability::Thread { address } => (address, 2048),
        Capability::VSpace { address, .. } | Capability::PageTable { address, .. } => (address, 4096),
        Capability::Page { address, size: PageSize::Small, .. } => (address, 4096),
        Capability::Page { address, size: PageSize::Large, .. } => (address, 2 << 20),
        Capability::Zombie { address, radix: Some(radix), .. } => (address, 32 << radix),
        Capability::Zombie { address, radix: None, .. } => (address - SLOTS_OFFSET, 2048),
        _ => return None,
    })
}

/// The slots of a CNode, a thread or what is left of one: the first, and how many.
fn slots_of(capability: Capability) -> Option<(u64, u64)> {
    Some(match capability {
        Capability::CNode { address, radix, .. } => (address, 1 << radix),
        Capability::Thread { address } => (Tcb(address).cspace().0, SLOTS),
        Capability::Zombie { address, radix, .. } => (address, radix.map_or(SLOTS, |radix| 1 << radix)),
        _ => return None,
    })
}

/// A kernel and its model.
pub struct Duel {
    world: World,
    chance: Chance,
    nodes: BTreeMap<u64, Node>,
    /// Where the walk along the list begins: the untyped memory, which is never deleted or moved.
    root: Slot,
    preemptions: u64,
}

impl Duel {
    fn new(seed: u64) -> Self {
        let world = World::new();
        let root = world.slot(UNTYPED);
        let capability = world.get(UNTYPED);
        let nodes = BTreeMap::from([(root.0, Node { capability, parent: None, original: true })]);
        Self { world, chance: Chance::new(seed), nodes, root, preemptions: 0 }
    }

    fn memory(&self) -> &crate::testing::TestMachine {
        &self.world.kernel.machine
    }

    /// The list as it is, each slot with its parent as the kernel would tell it. Checks that the list is one.
    fn list(&self) -> Vec<(u64, Option<u64>)> {
        let (mut all, mut seen, mut above) = (Vec::new(), BTreeSet::new(), Vec::<Slot>::new());
        let (mut previous, mut next) = (None, Some(self.root));
        while let Some(slot) = next {
            let links = slot.links(self.memory());
            assert!(seen.insert(slot.0), "{:#x} is in the list twice", slot.0);
            assert_eq!(links.previous, previous, "previous of {:#x}", slot.0);
            assert_ne!(slot.get(self.memory()), Capability::Null, "{:#x} is in the list and empty", slot.0);
            while above.last().is_some_and(|&parent| !self.world.kernel.is_parent_of(parent, slot)) {
                above.pop();
            }
            all.push((slot.0, above.last().map(|slot| slot.0)));
            above.push(slot);
            (previous, next) = (Some(slot), links.next);
        }
        all
    }

    /// What must hold between any two steps.
    fn check(&self) -> Vec<(u64, Option<u64>)> {
        let list = self.list();
        let listed: BTreeSet<u64> = list.iter().map(|&(slot, _)| slot).collect();
        let get = |slot: u64| Slot(slot).get(self.memory());
        let mut extents = BTreeMap::new();
        let mut homes = vec![(self.world.slot(0).0, 1 << RADIX)];
        for &(slot, parent) in &list {
            let capability = get(slot);
            let (start, size) = extent(capability).expect("all come from memory");
            if let Some(parent) = parent {
                let (from, bytes) = extent(get(parent)).unwrap();
                assert!(start >= from && start + size <= from + bytes);
                if let Capability::Untyped { used, address, .. } = get(parent)
                    && !matches!(capability, Capability::Untyped { .. })
                {
                    assert!(start + size <= address + used, "{capability:x?} is behind the watermark");
                }
            }
            if !matches!(capability, Capability::Untyped { .. })
                && let Some((old, _)) = extents.insert(start, (capability, size))
            {
                assert!(same_object(old, capability), "{old:x?} and {capability:x?}");
            }
            homes.extend(slots_of(capability));
            if let Capability::Zombie { address, left, .. } = capability {
                for index in left..slots_of(capability).unwrap().1 {
                    let inside = Slot(address).offset(index);
                    assert!(
                        inside.0 == slot || inside.is_empty(self.memory()),
                        "{capability:x?} has more left"
                    );
                }
            }
        }
        let mut end = 0;
        for (&start, &(capability, size)) in &extents {
            assert!(start >= end, "{capability:x?} overlaps another object");
            end = start + size;
        }
        // Every slot in use is in the list, and every slot in the list is in memory that still belongs to slots.
        for &(first, count) in &homes[1..] {
            for slot in (0..count).map(|index| first + index * SLOT_SIZE) {
                assert_eq!(listed.contains(&slot), get(slot) != Capability::Null, "{slot:#x}");
            }
        }
        for slot in &listed {
            assert!(
                homes.iter().any(|&(first, n)| (first..first + n * SLOT_SIZE).contains(slot)),
                "{slot:#x}"
            );
        }
        list
    }

    /// The kernel and the model agree.
    fn compare(&self) {
        let list = self.check();
        let real: BTreeSet<u64> = list.iter().map(|&(slot, _)| slot).collect();
        let model: BTreeSet<u64> = self.nodes.keys().copied().collect();
        assert_eq!(real, model);
        for (slot, parent) in list {
            let node = self.nodes[&slot];
            let capability = Slot(slot).get(self.memory());
            assert_eq!(parent, node.parent, "parent of {capability:x?}");
            assert_eq!(capability, node.capability);
        }
    }

    /// Takes the model's slots out of use, and with the last capability to an object those in it.
    fn forget(&mut self, slots: &[u64]) {
        let mut work = slots.to_vec();
        while let Some(slot) = work.pop() {
            let Some(node) = self.nodes.remove(&slot) else { continue };
            for other in self.nodes.values_mut().filter(|other| other.parent == Some(slot)) {
                other.parent = node.parent;
            }
            let Some((first, count)) = slots_of(node.capability) else { continue };
            if !self.nodes.values().any(|other| same_object(other.capability, node.capability)) {
                work.extend((0..count).map(|index| first + index * SLOT_SIZE));
            }
        }
    }

    fn descendants(&self, slot: u64) -> Vec<u64> {
        let below = |mut at: u64| {
            while let Some(parent) = self.nodes.get(&at).and_then(|node| node.parent) {
                if parent == slot {
                    return true;
                }
                at = parent;
            }
            false
        };
        self.nodes.keys().copied().filter(|&at| below(at)).collect()
    }

    /// Repeats an operation with an interrupt coming at any time, until it is done.
    fn persist(&mut self, mut operation: impl FnMut(&mut World) -> Result<(), Preempted>) {
        for _ in 0..10_000 {
            let after = self.chance.below(3);
            self.world.kernel.machine.interrupt_after.set(Some(after));
            let done = operation(&mut self.world);
            self.world.kernel.machine.interrupt_after.set(None);
            match done {
                Ok(()) => return,
                Err(Preempted) => {
                    self.preemptions += 1;
                    self.check();
                }
            }
        }
        panic!("no end");
    }
}

mod tests;
