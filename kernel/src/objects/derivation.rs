//! Which capability derives from which: the list that all slots in use form, and what a copy of a capability is.

use super::capability::Capability;
use super::slot::{Links, SLOT_SIZE, Slot};
use super::tcb::SLOTS_OFFSET;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::objects::capability::Rights;
use crate::syscall::request::Refusal;
use kaal_abi::Error;

/// The memory that belongs to what a capability names: its first byte and its size. A reply capability names no memory
/// of its own.
fn memory_of(capability: Capability) -> Option<(u64, u64)> {
    Some(match capability {
        Capability::Untyped { address, bits, .. } => (address, 1 << bits),
        Capability::Endpoint { address, .. } => (address, 1 << 4),
        Capability::Notification { address, .. } => (address, 1 << 5),
        Capability::CNode { address, radix, .. } => (address, SLOT_SIZE << radix),
        Capability::Thread { address } => (address, 1 << 11),
        Capability::VSpace { address, .. } | Capability::PageTable { address, .. } => (address, 1 << 12),
        Capability::Page { address, size, .. } => (address, 1 << size.bits()),
        Capability::Zombie { address, radix: Some(radix), .. } => (address, SLOT_SIZE << radix),
        Capability::Zombie { address, radix: None, .. } => (address - SLOTS_OFFSET, 1 << 11),
        Capability::Null
        | Capability::Reply { .. }
        | Capability::IrqControl
        | Capability::IrqHandler { .. }
        | Capability::Domain
        | Capability::Power => return None,
    })
}

/// Do both capabilities name the same object? Untyped memory is no object, and what is left of one is none either.
pub fn same_object(a: Capability, b: Capability) -> bool {
    use Capability::*;
    match (a, b) {
        (Endpoint { address: a, .. }, Endpoint { address: b, .. })
        | (Notification { address: a, .. }, Notification { address: b, .. })
        | (CNode { address: a, .. }, CNode { address: b, .. })
        | (Thread { address: a }, Thread { address: b })
        | (VSpace { address: a, .. }, VSpace { address: b, .. })
        | (PageTable { address: a, .. }, PageTable { address: b, .. })
        | (Page { address: a, .. }, Page { address: b, .. })
        | (Reply { thread: a, .. }, Reply { thread: b, .. })
        | (IrqHandler { irq: a }, IrqHandler { irq: b }) => a == b,
        (IrqControl, IrqControl) | (Domain, Domain) | (Power, Power) => true,
        _ => false,
    }
}

/// Can `b` come from `a`: the same object, something in its memory, or something it gives the right to?
fn covers(a: Capability, b: Capability) -> bool {
    match (a, b) {
        (Capability::Untyped { address, bits, .. }, b) => memory_of(b)
            .is_some_and(|(start, size)| start >= address && start + size <= address + (1u64 << bits)),
        (Capability::IrqControl, Capability::IrqHandler { .. }) => true,
        _ => same_object(a, b),
    }
}

fn badge(capability: Capability) -> u64 {
    match capability {
        Capability::Endpoint { badge, .. } | Capability::Notification { badge, .. } => badge,
        _ => 0,
    }
}

/// Can others derive from a capability that is made from `source`?
fn is_revocable(capability: Capability, source: Capability) -> bool {
    match capability {
        Capability::Endpoint { .. } | Capability::Notification { .. } => badge(capability) != badge(source),
        Capability::IrqHandler { .. } => matches!(source, Capability::IrqControl),
        Capability::Untyped { .. } => true,
        _ => false,
    }
}

/// A capability with no more rights than these.
pub fn masked(capability: Capability, mask: Rights) -> Capability {
    match capability {
        Capability::Endpoint { address, badge, rights } => {
            Capability::Endpoint { address, badge, rights: rights.and(mask) }
        }
        Capability::Notification { address, badge, rights } => {
            Capability::Notification { address, badge, rights: rights.and(mask) }
        }
        Capability::Reply { thread, master, grant } => {
            Capability::Reply { thread, master, grant: grant && mask.grant() }
        }
        Capability::Page { address, size, device, rights, mapped } => {
            Capability::Page { address, size, device, rights: rights.and(mask), mapped }
        }
        other => other,
    }
}

/// A capability with a badge (endpoint, notification) or guard (CNode: guard << 6 | guard size); others have neither and
/// stay as they are. Null if it cannot have this one: it has a badge, or guard and index would exceed an address.
///
/// A capability that is `moved` takes its descendants along, whose badge would not fit any more: it can only keep its own,
/// by asking for badge 0.
pub fn updated(capability: Capability, data: u64, moved: bool) -> Capability {
    match capability {
        Capability::Endpoint { .. } | Capability::Notification { .. } if moved => {
            if data == 0 {
                capability
            } else {
                Capability::Null
            }
        }
        Capability::Endpoint { address, badge: 0, rights } => {
            Capability::Endpoint { address, badge: data, rights }
        }
        Capability::Notification { address, badge: 0, rights } => {
            Capability::Notification { address, badge: data, rights }
        }
        Capability::Endpoint { .. } | Capability::Notification { .. } => Capability::Null,
        Capability::CNode { address, radix, .. } => {
            let guard_bits = data & 0x3f;
            if guard_bits + radix > kaal_abi::WORD_BITS {
                return Capability::Null;
            }
            let guard = data >> 6 & ((1 << guard_bits) - 1);
            Capability::CNode { address, radix, guard, guard_bits }
        }
        other => other,
    }
}

impl<M: Machine> Kernel<M> {
    /// Tells the neighbours of a place in the list that this slot is there now.
    fn link_neighbours(&mut self, place: Links, slot: Slot) {
        if let Some(previous) = place.previous {
            let links = previous.links(&self.machine);
            previous.set_links(&mut self.machine, Links { next: Some(slot), ..links });
        }
        if let Some(next) = place.next {
            let links = next.links(&self.machine);
            next.set_links(&mut self.machine, Links { previous: Some(slot), ..links });
        }
    }

    /// Puts a capability into an empty slot, directly behind another one in the list.
    fn insert_behind(&mut self, capability: Capability, before: Option<Slot>, slot: Slot, marks: bool) {
        debug_assert!(slot.is_empty(&self.machine), "slot {:#x} is not empty", slot.0);
        let next = before.and_then(|before| before.links(&self.machine).next);
        let links = Links { previous: before, next, revocable: marks, first_badged: marks };
        slot.set(&mut self.machine, capability);
        slot.set_links(&mut self.machine, links);
        self.link_neighbours(links, slot);
    }

    /// Puts what was made from the capability in `source` into an empty slot.
    pub fn insert(&mut self, capability: Capability, source: Slot, destination: Slot) {
        let original = source.get(&self.machine);
        self.insert_behind(capability, Some(source), destination, is_revocable(capability, original));
        // Memory can be given out by one capability only: the copy has all that is left.
        if let (Capability::Untyped { address, bits, device, .. }, Capability::Untyped { .. }) =
            (original, capability)
        {
            source.set(
                &mut self.machine,
                Capability::Untyped { address, bits, device, used: 1 << bits, zeroed: 0 },
            );
        }
    }

    /// Puts the first capability to an object into an empty slot, as a child of the one it was made by, if any.
    pub fn insert_new(&mut self, capability: Capability, parent: Option<Slot>, destination: Slot) {
        self.insert_behind(capability, parent, destination, true);
    }

    /// Moves a capability into an empty slot and makes it `capability`; whatever derives from it stays so.
    pub fn move_slot(&mut self, capability: Capability, source: Slot, destination: Slot) {
        debug_assert!(destination.is_empty(&self.machine), "slot {:#x} is not empty", destination.0);
        let links = source.links(&self.machine);
        self.clear_slot(source);
        destination.set(&mut self.machine, capability);
        destination.set_links(&mut self.machine, links);
        self.link_neighbours(links, destination);
    }

    /// Exchanges what two slots hold, and makes it `capability_a` (from `a`, now in `b`) and `capability_b`.
    pub fn swap(&mut self, capability_a: Capability, a: Slot, capability_b: Capability, b: Slot) {
        if a == b {
            return;
        }
        let of_a = a.links(&self.machine);
        let of_b = b.links(&self.machine);
        // A neighbour that is the other slot moves to where this one was.
        let turn = |links: Links, from: Slot, to: Slot| {
            let turned = |link: Option<Slot>| if link == Some(to) { Some(from) } else { link };
            Links { previous: turned(links.previous), next: turned(links.next), ..links }
        };
        let (now_b, now_a) = (turn(of_a, a, b), turn(of_b, b, a));
        for (slot, capability, links) in [(a, capability_b, now_a), (b, capability_a, now_b)] {
            slot.set(&mut self.machine, capability);
            slot.set_links(&mut self.machine, links);
        }
        // An empty slot is in no list: its links name nobody.
        self.link_neighbours(now_a, a);
        self.link_neighbours(now_b, b);
    }

    fn clear_slot(&mut self, slot: Slot) {
        slot.set(&mut self.machine, Capability::Null);
        slot.set_links(&mut self.machine, Links::default());
    }

    /// Takes a capability out of the list and out of its slot. Its children become its parent's.
    pub(super) fn remove(&mut self, slot: Slot) {
        let links = slot.links(&self.machine);
        if let Some(previous) = links.previous {
            let of_previous = previous.links(&self.machine);
            previous.set_links(&mut self.machine, Links { next: links.next, ..of_previous });
        }
        if let Some(next) = links.next {
            let of_next = next.links(&self.machine);
            // Without this mark the rest of this badge's family would become part of the one before it.
            let first_badged = of_next.first_badged || links.first_badged;
            let of_next = Links { previous: links.previous, first_badged, ..of_next };
            next.set_links(&mut self.machine, of_next);
        }
        self.clear_slot(slot);
    }

    /// Does the capability in `child`, which stands behind `parent` in the list with none but descendants between,
    /// derive from it?
    pub fn is_parent_of(&self, parent: Slot, child: Slot) -> bool {
        if !parent.links(&self.machine).revocable {
            return false;
        }
        let (a, b) = (parent.get(&self.machine), child.get(&self.machine));
        covers(a, b) && (badge(a) == 0 || badge(a) == badge(b) && !child.links(&self.machine).first_badged)
    }

    /// Is the capability the only one to its object?
    pub fn is_final(&self, slot: Slot) -> bool {
        let capability = slot.get(&self.machine);
        let links = slot.links(&self.machine);
        ![links.previous, links.next]
            .into_iter()
            .flatten()
            .any(|neighbour| same_object(capability, neighbour.get(&self.machine)))
    }

    /// Does something derive from the capability?
    pub fn has_children(&self, slot: Slot) -> bool {
        slot.links(&self.machine).next.is_some_and(|next| self.is_parent_of(slot, next))
    }

    /// [`Error::RevokeFirst`] if something derives from the capability.
    pub fn ensure_no_children(&self, slot: Slot) -> Result<(), Refusal> {
        if self.has_children(slot) { Err(Error::RevokeFirst.into()) } else { Ok(()) }
    }

    /// [`Error::DeleteFirst`] if the slot holds a capability.
    pub fn ensure_empty(&self, slot: Slot) -> Result<(), Refusal> {
        if slot.is_empty(&self.machine) { Ok(()) } else { Err(Error::DeleteFirst.into()) }
    }

    /// What a copy of the capability in `slot` is, if `capability` is what it would be apart from that. Errors:
    /// [`Error::RevokeFirst`] for untyped memory with children, [`Error::IllegalOperation`] for what cannot be copied.
    pub fn derive(&self, slot: Slot, capability: Capability) -> Result<Capability, Refusal> {
        match capability {
            Capability::Untyped { .. } => {
                self.ensure_no_children(slot)?;
                Ok(capability)
            }
            Capability::Page { address, size, device, rights, .. } => {
                Ok(Capability::Page { address, size, device, rights, mapped: None })
            }
            // Copies of a table tell where it is mapped. If none is, one of them could be mapped unknown to the others.
            Capability::PageTable { mapped: None, .. }
            | Capability::Null
            | Capability::Reply { .. }
            | Capability::IrqControl
            | Capability::Zombie { .. } => Err(Error::IllegalOperation.into()),
            Capability::PageTable { .. }
            | Capability::Endpoint { .. }
            | Capability::Notification { .. }
            | Capability::CNode { .. }
            | Capability::Thread { .. }
            | Capability::VSpace { .. }
            | Capability::IrqHandler { .. }
            | Capability::Domain
            | Capability::Power => Ok(capability),
        }
    }
}

#[cfg(test)]
mod tests;
