//! Random operations, held against a model that is nothing but a map of slots: what each holds and what that derives from.

use super::capability::{Capability, PageSize, Rights};
use super::derivation::same_object;
use super::fixture::*;
use super::slot::{SLOT_SIZE, Slot};
use super::tcb::{SLOTS, SLOTS_OFFSET, Tcb};
use crate::kernel::Preempted;
use crate::machine::Memory;
use crate::syscall::request::Stop;
use kaal_abi::{Error, Invocation, ObjectType};
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
struct Duel {
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
            if !matches!(capability, Capability::Untyped { .. }) {
                if let Some((old, _)) = extents.insert(start, (capability, size)) {
                    assert!(same_object(old, capability), "{old:x?} and {capability:x?}");
                }
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

    /// A slot in use, other than the first one.
    fn any_used(&mut self) -> Option<u64> {
        let used: Vec<u64> = self.nodes.keys().copied().filter(|&slot| slot != self.root.0).collect();
        if used.is_empty() { None } else { Some(self.chance.pick(&used)) }
    }

    /// An empty slot of the thread's CNode, or of any other CNode.
    fn any_empty(&mut self) -> u64 {
        loop {
            let mut homes = vec![(self.world.slot(FREE).0, (1 << RADIX) - FREE)];
            let nodes = self.nodes.values().map(|node| node.capability);
            homes.extend(nodes.filter_map(slots_of));
            let (first, count) = self.chance.pick(&homes);
            let slot = first + self.chance.below(count) * SLOT_SIZE;
            if !self.nodes.contains_key(&slot) {
                return slot;
            }
        }
    }

    fn retype(&mut self) {
        // From untyped memory, of which the thread needs to hold the capability.
        let sources: Vec<u64> = (UNTYPED..1 << RADIX)
            .filter(|&n| matches!(self.world.get(n), Capability::Untyped { device: false, .. }))
            .collect();
        let from = self.chance.pick(&sources);
        let slot = self.world.slot(from).0;
        let (kind, size_bits) = match self.chance.below(12) {
            0..4 => (ObjectType::CNode, 1 + self.chance.below(3)),
            4..6 => (ObjectType::Tcb, 0),
            6 => (ObjectType::Page, 0),
            7 => (ObjectType::Notification, 0),
            8 => (ObjectType::Untyped, 4 + self.chance.below(12)),
            9 => (ObjectType::PageTable, 0),
            _ => (ObjectType::Endpoint, 0),
        };
        let count = 1 + self.chance.below(3);
        let to = FREE + self.chance.below((1 << RADIX) - FREE - 3);
        let answer = loop {
            let after = self.chance.below(2);
            self.world.kernel.machine.interrupt_after.set(Some(after));
            match self.world.try_retype(from, kind, size_bits, to, count) {
                Err(Stop::Preempted) => continue,
                answer => break answer,
            }
        };
        self.world.kernel.machine.interrupt_after.set(None);

        let Capability::Untyped { address, bits, used, .. } = self.nodes[&slot].capability else { panic!() };
        let used = if self.nodes.values().any(|node| node.parent == Some(slot)) { used } else { 0 };
        let size = 1 << kind.bits(size_bits);
        let start = used.div_ceil(size) * size;
        let slots: Vec<u64> = (to..to + count).map(|n| self.world.slot(n).0).collect();
        let expected = if slots.iter().any(|slot| self.nodes.contains_key(slot)) {
            Err(Error::DeleteFirst.into())
        } else if start + count * size > 1 << bits {
            Err(refusal(Error::NotEnoughMemory, [(1 << bits) - used, 0, 0]).into())
        } else {
            Ok(0)
        };
        assert_eq!(answer, expected);
        if answer.is_err() {
            return;
        }
        self.nodes.get_mut(&slot).unwrap().capability =
            Capability::Untyped { address, bits, device: false, used: start + count * size, zeroed: 0 };
        for (i, &to) in slots.iter().enumerate() {
            let at = address + start + i as u64 * size;
            let capability = Slot(to).get(self.memory());
            assert_eq!(extent(capability), Some((at, size)));
            self.nodes.insert(to, Node { capability, parent: Some(slot), original: true });
            let is_tcb = kind == ObjectType::Tcb;
            if kind != ObjectType::Untyped {
                for word in (at..at + size).step_by(8).filter(|_| !is_tcb) {
                    assert_eq!(self.memory().read(word), 0, "{kind:?} is not clear at {word:#x}");
                }
            }
            // What is no slot may be scribbled on: it is to be cleared before it becomes something else.
            if matches!(kind, ObjectType::Page | ObjectType::Endpoint | ObjectType::Notification) {
                let word = at + self.chance.below(size / 8) * 8;
                self.world.kernel.machine.write(word, u64::MAX);
            }
        }
    }

    /// Copy or Mint between any two slots.
    fn copy(&mut self) {
        let Some(from) = self.any_used() else { return };
        let to = self.any_empty();
        let rights = Rights::from_bits(self.chance.below(16));
        let mint = self.chance.below(2) == 0;
        let data = self.chance.below(4);
        let node = self.nodes[&from];

        let kernel = &mut self.world.kernel;
        let asked = super::derivation::masked(node.capability, rights);
        let asked = if mint { super::derivation::updated(asked, data, false) } else { asked };
        let copy = kernel.derive(Slot(from), asked);
        if let Ok(copy) = copy
            && copy != Capability::Null
        {
            kernel.insert(copy, Slot(from), Slot(to));
        }

        let has_children = self.nodes.values().any(|node| node.parent == Some(from));
        let (expected, original) = match node.capability {
            Capability::Endpoint { address, badge, rights: old } => {
                let new = if mint { data } else { badge };
                let rights = Rights::from_bits(old.bits() & rights.bits());
                let allowed = !mint || badge == 0;
                (allowed.then_some(Capability::Endpoint { address, badge: new, rights }), new != badge)
            }
            Capability::Notification { address, badge, rights: old } => {
                let new = if mint { data } else { badge };
                let rights = Rights::from_bits(old.bits() & rights.bits());
                let allowed = !mint || badge == 0;
                (allowed.then_some(Capability::Notification { address, badge: new, rights }), new != badge)
            }
            Capability::CNode { address, radix, .. } if mint => {
                // `data` is below 4: a guard of so many zeros.
                (Some(Capability::CNode { address, radix, guard: 0, guard_bits: data }), false)
            }
            Capability::Page { address, size, device, rights: old, .. } => {
                let rights = Rights::from_bits(old.bits() & rights.bits());
                (Some(Capability::Page { address, size, device, rights, mapped: None }), false)
            }
            Capability::Untyped { .. } => ((!has_children).then_some(node.capability), true),
            Capability::PageTable { .. } => (None, false),
            other => (Some(other), false),
        };
        assert_eq!(copy.ok(), expected, "copy of {:x?}", node.capability);
        let Some(capability) = expected else { return };
        let parent = if node.original { Some(from) } else { node.parent };
        self.nodes.insert(to, Node { capability, parent, original });
        if let Capability::Untyped { address, bits, device, .. } = capability {
            self.nodes.get_mut(&from).unwrap().capability =
                Capability::Untyped { address, bits, device, used: 1 << bits, zeroed: 0 };
        }
    }

    fn renamed(&mut self, pairs: &[(u64, u64)]) {
        let new = |slot: u64| pairs.iter().find(|pair| pair.0 == slot).map_or(slot, |pair| pair.1);
        let nodes = std::mem::take(&mut self.nodes);
        for (slot, node) in nodes {
            self.nodes.insert(new(slot), Node { parent: node.parent.map(new), ..node });
        }
    }

    fn relocate(&mut self) {
        let (Some(a), Some(b)) = (self.any_used(), self.any_used()) else { return };
        let (in_a, in_b) = (self.nodes[&a].capability, self.nodes[&b].capability);
        match self.chance.below(2) {
            0 => {
                let to = self.any_empty();
                self.world.kernel.move_slot(in_a, Slot(a), Slot(to));
                self.renamed(&[(a, to)]);
            }
            _ => {
                self.world.kernel.swap(in_a, Slot(a), in_b, Slot(b));
                self.renamed(&[(a, b), (b, a)]);
            }
        }
    }

    fn delete(&mut self) {
        let Some(slot) = self.any_used() else { return };
        self.persist(|world| world.kernel.delete(Slot(slot)));
        self.forget(&[slot]);
    }

    fn revoke(&mut self) {
        let Some(slot) = self.any_used() else { return };
        let descendants = self.descendants(slot);
        self.persist(|world| world.kernel.revoke(Slot(slot)));
        self.forget(&descendants);
        if self.nodes.contains_key(&slot) {
            assert!(!self.world.kernel.has_children(Slot(slot)));
        } else {
            // It went with its own descendants: those that were left then are nobody's.
            self.adopt();
        }
    }

    /// Takes the kernel's state for the model's.
    fn adopt(&mut self) {
        let list = self.list();
        self.nodes = list
            .into_iter()
            .map(|(slot, parent)| {
                let slot_ = Slot(slot);
                let original = slot_.links(self.memory()).revocable;
                (slot, Node { capability: slot_.get(self.memory()), parent, original })
            })
            .collect();
    }

    /// Deletes several slots at once, as threads would that are preempted in the middle.
    fn delete_many(&mut self) {
        let slots: Vec<u64> = (0..2 + self.chance.below(4)).filter_map(|_| self.any_used()).collect();
        let mut open = slots.clone();
        let mut tries = 0;
        while !open.is_empty() {
            let i = self.chance.below(open.len() as u64) as usize;
            self.world.kernel.machine.interrupt_after.set(Some(0));
            let done = self.world.kernel.delete(Slot(open[i]));
            self.world.kernel.machine.interrupt_after.set(None);
            self.check();
            match done {
                Ok(()) => drop(open.swap_remove(i)),
                Err(Preempted) => self.preemptions += 1,
            }
            tries += 1;
            assert!(tries < 10_000, "no end");
        }
        self.forget(&slots);
    }

    fn step(&mut self) {
        match self.chance.below(40) {
            0..10 => self.retype(),
            10..24 => self.copy(),
            24..32 => self.relocate(),
            32..37 => self.delete(),
            37 => self.delete_many(),
            _ => self.revoke(),
        }
        self.compare();
    }

    /// Deletes everything.
    fn end(&mut self) {
        let root = self.root;
        self.persist(|world| world.kernel.revoke(root));
        self.forget(&self.descendants(root.0));
        assert_eq!(self.list(), [(root.0, None)]);
        for slot in (FREE..1 << RADIX).map(|n| self.world.slot(n)) {
            assert!(slot.is_empty(self.memory()));
        }
    }
}

#[test]
fn random_operations_agree_with_the_model() {
    let mut preemptions = 0;
    for seed in 0..60 {
        let mut duel = Duel::new(seed);
        for _ in 0..250 {
            duel.step();
        }
        duel.end();
        preemptions += duel.preemptions;
    }
    assert!(preemptions > 100, "{preemptions}");
}
