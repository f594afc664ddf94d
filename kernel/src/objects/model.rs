//! Random operations, held against a model that is nothing but a map of slots: what each holds and what that derives from.

use super::capability::Capability;
use super::derivation::same_object;
use super::fixture::*;
use super::invariants::{List, extent, slots_of};
use super::slot::{SLOT_SIZE, Slot};
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

    /// What must hold between any two steps does; and the list, each slot with its parent as the kernel would tell it.
    fn check(&self) -> List {
        let lists = self.world.check();
        lists.into_iter().find(|list| list[0].0 == self.root.0).unwrap()
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
