//! What is done at random, on both sides; and the tests.

use super::*;
use crate::objects::capability::Rights;
use crate::objects::derivation::{masked, updated};
use crate::syscall::request::Stop;
use kaal_abi::{Error, ObjectType};

impl Duel {
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
        self.make(from, kind, size_bits, to, count);
    }

    fn make(&mut self, from: u64, kind: ObjectType, size_bits: u64, to: u64, count: u64) {
        let slot = self.world.slot(from).0;
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
            let scribble = match kind {
                ObjectType::Page => Some(at + self.chance.below(size / 8) * 8),
                // The signals, which mean nothing while there are none.
                ObjectType::Notification => Some(at + 16),
                _ => None,
            };
            if let Some(word) = scribble {
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
        let asked = masked(node.capability, rights);
        let asked = if mint { updated(asked, data, false) } else { asked };
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
        let list = self.check();
        self.nodes = list
            .into_iter()
            .map(|(slot, parent)| {
                let slot_ = Slot(slot);
                let original = slot_.links(self.memory()).revocable;
                (slot, Node { capability: slot_.get(self.memory()), parent, original })
            })
            .collect();
    }

    /// Deletes several slots at once, a step here and a step there.
    fn delete_many(&mut self) {
        let slots: Vec<u64> = (0..2 + self.chance.below(4)).filter_map(|_| self.any_used()).collect();
        let mut open = slots.clone();
        let mut steps = 0;
        while !open.is_empty() {
            let i = self.chance.below(open.len() as u64) as usize;
            if self.world.kernel.advance(Slot(open[i])) {
                open.swap_remove(i);
            }
            self.check();
            steps += 1;
            assert!(steps < 10_000, "no end");
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
        assert_eq!(self.check(), [(root.0, None)]);
        for slot in (FREE..1 << RADIX).map(|n| self.world.slot(n)) {
            assert!(slot.is_empty(self.memory()));
        }
    }
}

#[test]
fn random_operations_agree_with_the_model() {
    let mut preemptions = 0;
    for seed in 0..20 {
        let mut duel = Duel::new(seed);
        for _ in 0..250 {
            duel.step();
        }
        duel.end();
        preemptions += duel.preemptions;
    }
    assert!(preemptions > 30, "{preemptions}");
}

/// CNodes and threads whose last capabilities lie in each other, in circles too.
fn knot(duel: &mut Duel) {
    let objects = 2 + duel.chance.below(6);
    for i in 0..objects {
        let (kind, bits) = duel.chance.pick(&[
            (ObjectType::CNode, 1),
            (ObjectType::CNode, 2),
            (ObjectType::Tcb, 0),
            (ObjectType::Endpoint, 0),
        ]);
        duel.make(UNTYPED, kind, bits, FREE + i, 1);
    }
    // One or two capabilities each, anywhere in the slots of the others.
    for _ in 0..duel.chance.below(4) {
        duel.copy();
    }
    for i in 0..objects {
        if duel.chance.below(6) > 0 {
            let from = duel.world.slot(FREE + i).0;
            let to = duel.any_empty();
            let capability = duel.nodes[&from].capability;
            duel.world.kernel.move_slot(capability, Slot(from), Slot(to));
            duel.renamed(&[(from, to)]);
        }
    }
    duel.compare();
}

#[test]
fn knots_of_last_capabilities_come_undone_step_by_step() {
    let mut largest = 0;
    for seed in 0..2000 {
        let mut duel = Duel::new(seed);
        knot(&mut duel);
        for _ in 0..2 {
            let before = duel.nodes.len();
            duel.delete_many();
            duel.compare();
            largest = largest.max(before - duel.nodes.len());
        }
        duel.end();
    }
    assert!(largest >= 8, "{largest}");
}
