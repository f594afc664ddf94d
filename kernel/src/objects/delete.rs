//! Deletion: emptying slots, and what ends with the last capability to an object.
//!
//! Deleting the last capability to a CNode or thread empties its slots too, and those may hold last capabilities in their
//! turn, to any depth and in circles. There is no recursion and no memory to keep track: the slots that die hold the state.
//!
//! * A CNode or thread that dies is a [`Capability::Zombie`], of which only one exists. It stays in the list of capabilities
//!   as a child of its untyped memory until every slot in that memory is empty.
//! * The slots of a zombie are emptied from the last to the first. If one holds another zombie, that one comes first: it takes
//!   the outer one's place, and the outer one waits in its first slot, so it is met again when all else there is done. The
//!   capability that was in this slot moves to where the inner zombie was.
//! * A zombie that lies in a slot of its own memory must be the last thing there. Zombies in its other slots are worked off
//!   where they are.
//!
//! Every step leaves a state from which deletion, of the same slot or of any other, goes on. That makes it preemptible: the
//! system call is repeated and continues.

use super::capability::Capability;
use super::slot::{SLOT_SIZE, Slot};
use super::tcb::{SLOTS, Tcb};
use crate::kernel::{Kernel, Preempted};
use crate::machine::Machine;

/// Steps of deletion between two looks for interrupts.
const STEPS: u32 = 16;
/// Empty slots that one step passes over.
const EMPTY_SLOTS: u32 = 32;

/// What is left of a CNode or thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Zombie {
    address: u64,
    radix: Option<u64>,
    left: u64,
}

impl Zombie {
    fn of(capability: Capability) -> Option<Zombie> {
        match capability {
            Capability::Zombie { address, radix, left } => Some(Zombie { address, radix, left }),
            _ => None,
        }
    }

    fn capability(self) -> Capability {
        Capability::Zombie { address: self.address, radix: self.radix, left: self.left }
    }

    fn slot(self, index: u64) -> Slot {
        Slot(self.address).offset(index)
    }

    /// Is `slot` one of its own?
    fn contains(self, slot: Slot) -> bool {
        let slots = self.radix.map_or(SLOTS, |radix| 1 << radix);
        slot.0.wrapping_sub(self.address) < slots * SLOT_SIZE
    }
}

impl<M: Machine> Kernel<M> {
    fn preemption_point(&self, steps: &mut u32) -> Result<(), Preempted> {
        *steps += 1;
        if steps.is_multiple_of(STEPS) && self.machine.interrupt_pending() { Err(Preempted) } else { Ok(()) }
    }

    /// Empties a slot. If that was the last capability to an object, the object ends, with all that it holds. Preempted:
    /// call it again.
    pub fn delete(&mut self, slot: Slot) -> Result<(), Preempted> {
        self.delete_counting(slot, &mut 0)
    }

    fn delete_counting(&mut self, slot: Slot, steps: &mut u32) -> Result<(), Preempted> {
        while !self.advance(slot) {
            self.preemption_point(steps)?;
        }
        Ok(())
    }

    /// A step towards emptying a slot, be it somewhere else; true if it is empty now.
    pub(super) fn advance(&mut self, slot: Slot) -> bool {
        let place = self.place_of_work(slot);
        self.delete_step(place) && place == slot
    }

    /// Empties a slot at once. It must not hold the last capability to a CNode or a thread, nor what is left of one: it is
    /// meant for replies, notifications and the like.
    pub fn delete_one(&mut self, slot: Slot) {
        let done = self.delete_step(slot);
        debug_assert!(done, "slot {:#x} takes longer to delete", slot.0);
    }

    /// Deletes everything that derives from the capability in a slot. Preempted: call it again.
    pub fn revoke(&mut self, slot: Slot) -> Result<(), Preempted> {
        let mut steps = 0;
        while let Some(child) = slot.links(&self.machine).next {
            if !self.is_parent_of(slot, child) {
                break;
            }
            self.preemption_point(&mut steps)?;
            self.delete_counting(child, &mut steps)?;
        }
        Ok(())
    }

    /// Where the next step of emptying `slot` is to be done: there, or in the slot of a zombie that lies in its own memory.
    fn place_of_work(&self, slot: Slot) -> Slot {
        let Some(zombie) = Zombie::of(slot.get(&self.machine)) else { return slot };
        if zombie.left == 0 || !zombie.contains(slot) {
            return slot;
        }
        let inner = zombie.slot(zombie.left - 1);
        let nested = inner != slot && Zombie::of(inner.get(&self.machine)).is_some();
        if nested { inner } else { slot }
    }

    /// A step, done in the slot itself; true if it is empty now.
    fn delete_step(&mut self, slot: Slot) -> bool {
        let capability = slot.get(&self.machine);
        if matches!(capability, Capability::Null) {
            return true;
        }
        if let Some(zombie) = Zombie::of(capability) {
            return self.reduce(slot, zombie);
        }
        match self.finalise(capability, slot) {
            None => {
                self.remove(slot);
                true
            }
            Some(zombie) => {
                slot.set(&mut self.machine, zombie.capability());
                false
            }
        }
    }

    /// A step towards emptying the slots of the zombie in `slot`; true if that one is empty now.
    fn reduce(&mut self, slot: Slot, mut zombie: Zombie) -> bool {
        for _ in 0..EMPTY_SLOTS {
            if zombie.left == 0 {
                self.remove(slot);
                return true;
            }
            let last = zombie.slot(zombie.left - 1);
            if last != slot && !last.is_empty(&self.machine) {
                break;
            }
            zombie.left -= 1;
        }
        slot.set(&mut self.machine, zombie.capability());
        if zombie.left == 0 {
            return false;
        }
        let last = zombie.slot(zombie.left - 1);
        if last == slot {
            return false;
        }
        match last.get(&self.machine) {
            Capability::Null => false,
            Capability::Zombie { address, radix, left } => {
                if !zombie.contains(slot) {
                    self.exchange(slot, zombie, last, Zombie { address, radix, left });
                }
                false
            }
            capability => {
                match self.finalise(capability, last) {
                    None => self.remove(last),
                    Some(inner) => last.set(&mut self.machine, inner.capability()),
                }
                false
            }
        }
    }

    /// Puts the zombie `inner`, found in slot `last` of the zombie `outer`, into the latter's place `slot`.
    fn exchange(&mut self, slot: Slot, outer: Zombie, last: Slot, inner: Zombie) {
        if outer.left == 1 {
            // Nothing else is left of the outer one.
            self.remove(slot);
            self.move_slot(inner.capability(), last, slot);
            return;
        }
        let index = u64::from(inner.slot(0) == slot);
        let waiting = inner.slot(index);
        let inner = Zombie { left: inner.left.max(index + 1), ..inner };
        self.swap(outer.capability(), slot, inner.capability(), last);
        let displaced = waiting.get(&self.machine);
        self.swap(outer.capability(), last, displaced, waiting);
    }

    /// Does what is due when the capability in a slot goes. Some: what it is to become, for it cannot go at once.
    fn finalise(&mut self, capability: Capability, slot: Slot) -> Option<Zombie> {
        match capability {
            Capability::Page { address, size, mapped: Some(mapped), .. } => {
                self.unmap_page(mapped, address, size);
                return None;
            }
            // Only these have anything to end with their last capability.
            Capability::Endpoint { .. }
            | Capability::Notification { .. }
            | Capability::CNode { .. }
            | Capability::Thread { .. }
            | Capability::VSpace { .. }
            | Capability::PageTable { .. }
            | Capability::IrqHandler { .. }
                if self.is_final(slot) => {}
            _ => return None,
        }
        match capability {
            Capability::Endpoint { address, .. } => self.cancel_all_ipc(address),
            Capability::Notification { address, .. } => self.end_notification(address),
            Capability::CNode { address, radix, .. } => {
                return Some(Zombie { address, radix: Some(radix), left: 1 << radix });
            }
            Capability::Thread { address } => {
                let thread = Tcb(address);
                self.unbind_notification(thread);
                self.suspend(thread);
                self.machine.forget_fp(address);
                return Some(Zombie { address: thread.cspace().0, radix: None, left: SLOTS });
            }
            Capability::VSpace { address, asid } => self.end_vspace(address, asid),
            Capability::PageTable { address, mapped: Some(mapped) } => self.unmap_table(mapped, address),
            Capability::IrqHandler { irq } => self.end_irq(irq),
            _ => {}
        }
        None
    }

    fn end_notification(&mut self, address: u64) {
        self.unbind_maybe(address);
        self.cancel_all_signals(address);
    }

    /// The last handler of an interrupt goes.
    fn end_irq(&mut self, irq: u64) {
        self.machine.mask_interrupt(irq);
        self.release_irq(irq);
        self.clear_irq_slot(irq);
    }

    /// Empties the slot of an interrupt, which holds a notification if anything.
    pub(super) fn clear_irq_slot(&mut self, irq: u64) {
        let slot = self.irq_slot(irq);
        if let Capability::Notification { address, .. } = slot.get(&self.machine) {
            if self.is_final(slot) {
                self.end_notification(address);
            }
            self.remove(slot);
        }
    }
}

#[cfg(test)]
mod tests;
