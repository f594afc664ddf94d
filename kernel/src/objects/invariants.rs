//! What must hold of all capabilities together, whatever was done; and random invocations that try to break it.

use super::capability::{Capability, PageSize};
use super::derivation::same_object;
use super::fixture::*;
use super::slot::{SLOT_SIZE, Slot};
use super::tcb::{SLOTS, SLOTS_OFFSET, Tcb};
use crate::machine::Machine;
use std::collections::{BTreeMap, BTreeSet};

/// Slots in the order of the list, each with its parent as the kernel would tell it.
pub type List = Vec<(u64, Option<u64>)>;

/// The memory of an object, and the slots that are in it.
pub fn extent(capability: Capability) -> Option<(u64, u64)> {
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
pub fn slots_of(capability: Capability) -> Option<(u64, u64)> {
    Some(match capability {
        Capability::CNode { address, radix, .. } => (address, 1 << radix),
        Capability::Thread { address } => (Tcb(address).cspace().0, SLOTS),
        Capability::Zombie { address, radix, .. } => (address, radix.map_or(SLOTS, |radix| 1 << radix)),
        _ => return None,
    })
}

impl World {
    /// The list from its first slot on. Checks that it is one.
    fn list(&self, head: Slot, seen: &mut BTreeSet<u64>) -> List {
        let memory = &self.kernel.machine;
        let (mut all, mut above) = (Vec::new(), Vec::<Slot>::new());
        let (mut previous, mut next) = (None, Some(head));
        while let Some(slot) = next {
            let links = slot.links(memory);
            assert!(seen.insert(slot.0), "{:#x} is in a list twice", slot.0);
            assert_eq!(links.previous, previous, "previous of {:#x}", slot.0);
            assert_ne!(slot.get(memory), Capability::Null, "{:#x} is in the list and empty", slot.0);
            while above.last().is_some_and(|&parent| !self.kernel.is_parent_of(parent, slot)) {
                above.pop();
            }
            all.push((slot.0, above.last().map(|slot| slot.0)));
            above.push(slot);
            (previous, next) = (Some(slot), links.next);
        }
        all
    }

    /// Slots that belong to no object made from memory: where all lists have an end.
    fn homes(&self) -> Vec<(u64, u64)> {
        let handled = |irq: &u64| self.kernel.irqs_handled[*irq as usize / 64] >> (irq % 64) & 1 != 0;
        let irqs = (0..self.kernel.machine.interrupts()).filter(handled);
        let mut homes = vec![(self.slot(0).0, 1 << RADIX), (self.thread().cspace().0, SLOTS)];
        homes.extend(irqs.map(|irq| (self.kernel.irq_slot(irq).0, 1)));
        homes
    }

    fn lists(&self) -> Vec<List> {
        let (mut lists, mut seen) = (Vec::new(), BTreeSet::new());
        for (first, count) in self.homes() {
            for index in 0..count {
                let mut slot = Slot(first).offset(index);
                if slot.is_empty(&self.kernel.machine) || seen.contains(&slot.0) {
                    continue;
                }
                while let Some(previous) = slot.links(&self.kernel.machine).previous {
                    slot = previous;
                }
                lists.push(self.list(slot, &mut seen));
            }
        }
        // A thread's master reply capability comes from nowhere and begins a list.
        let mut masters = Vec::new();
        for &(slot, _) in lists.iter().flatten() {
            let of_thread = match Slot(slot).get(&self.kernel.machine) {
                Capability::Thread { address } => Tcb(address).reply(),
                Capability::Zombie { address, radix: None, .. } => Slot(address).offset(2),
                _ => continue,
            };
            masters.push(of_thread);
        }
        for master in masters {
            if !seen.contains(&master.0) && !master.is_empty(&self.kernel.machine) {
                lists.push(self.list(master, &mut seen));
            }
        }
        lists
    }

    /// Checks what must always hold. The lists.
    pub fn check(&self) -> Vec<List> {
        let lists = self.lists();
        let memory = &self.kernel.machine;
        let get = |slot: u64| Slot(slot).get(memory);
        let all: Vec<(u64, Option<u64>)> = lists.iter().flatten().copied().collect();
        let parents: BTreeMap<u64, Option<u64>> = all.iter().copied().collect();
        let (mut objects, mut untyped, mut homes) = (BTreeMap::new(), Vec::new(), self.homes());
        for &(slot, parent) in &all {
            let capability = get(slot);
            homes.extend(slots_of(capability));
            let Some((start, size)) = extent(capability) else { continue };
            if matches!(capability, Capability::Untyped { .. }) {
                untyped.push(slot);
            } else if let Some((old, ..)) = objects.insert(start, (capability, size, slot)) {
                assert!(same_object(old, capability), "{old:x?} and {capability:x?}");
            }
            if let Some(Capability::Untyped { address, used, .. }) = parent.map(get)
                && !matches!(capability, Capability::Untyped { .. })
            {
                assert!(start + size <= address + used, "{capability:x?} is behind the watermark");
            }
            if let Capability::Zombie { address, left, .. } = capability {
                for index in left..slots_of(capability).unwrap().1 {
                    let inside = Slot(address).offset(index);
                    assert!(inside.0 == slot || inside.is_empty(memory), "{capability:x?} has more left");
                }
            }
        }
        // Objects do not overlap, and all that lies in untyped memory descends from it.
        let mut end = 0;
        for (&start, &(capability, size, slot)) in &objects {
            assert!(start >= end, "{capability:x?} overlaps another object");
            end = start + size;
            for &above in &untyped {
                let (from, bytes) = extent(get(above)).unwrap();
                if start < from || start >= from + bytes {
                    continue;
                }
                let mut at = Some(slot);
                while at.is_some_and(|slot| slot != above) {
                    at = at.and_then(|slot| parents[&slot]);
                }
                assert!(at.is_some(), "{capability:x?} does not descend from {:x?}", get(above));
            }
        }
        // Every slot in use is in a list, and every slot in a list is in memory that still belongs to slots.
        for &(first, count) in &homes {
            for slot in (0..count).map(|index| first + index * SLOT_SIZE) {
                assert_eq!(parents.contains_key(&slot), !Slot(slot).is_empty(memory), "{slot:#x}");
            }
        }
        for slot in parents.keys() {
            let covered = |&(first, n): &(u64, u64)| (first..first + n * SLOT_SIZE).contains(slot);
            assert!(homes.iter().any(covered), "{slot:#x}");
        }
        lists
    }
}

#[cfg(test)]
mod tests;
