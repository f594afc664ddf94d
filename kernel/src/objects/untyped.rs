//! Untyped memory, and how it becomes objects.
//!
//! Objects are made from the watermark up. When nothing derives from the capability any more the watermark falls to 0. Memory
//! is cleared when it becomes an object, in steps with preemption points between; how far that has come is kept behind the
//! watermark, in the capability.

use super::capability::{Capability, PageSize, Rights, ZEROED_STEP};
use super::cspace::LookupFault;
use super::invocation;
use super::slot::Slot;
use super::tcb::Tcb;
use crate::kernel::{Kernel, Preempted};
use crate::machine::Machine;
use crate::syscall::request::{Answer, Refusal, Request};
use kaal_abi::{
    Error, Invocation, MAX_UNTYPED_BITS, MIN_UNTYPED_BITS, ObjectType, RETYPE_LIMIT, SLOT_BITS, TIME_SLICE,
};

/// Slots in a row.
#[derive(Debug, Clone, Copy)]
struct Window {
    first: Slot,
    count: u64,
}

impl<M: Machine> Kernel<M> {
    /// What an Untyped capability does: [`Invocation::UntypedRetype`].
    pub fn invoke_untyped(&mut self, request: &Request) -> Answer {
        let Capability::Untyped { address, bits, device, used, zeroed } = request.capability else {
            return Err(Refusal::capability(0).into());
        };
        let Invocation::UntypedRetype =
            invocation(request, Invocation::UntypedRetype, Invocation::UntypedRetype)?
        else {
            return Err(Error::IllegalOperation.into());
        };
        let [number, size_bits] = [0, 1].map(|n| request.argument(&self.machine, n));
        let kind = ObjectType::from_number(number).ok_or(Refusal::argument(0))?;
        let (least, most) = match kind {
            ObjectType::Untyped => (MIN_UNTYPED_BITS, MAX_UNTYPED_BITS),
            ObjectType::CNode => (1, MAX_UNTYPED_BITS - SLOT_BITS),
            _ => (0, u64::MAX),
        };
        if size_bits < least || size_bits > most {
            return Err(Refusal::range(least, most).into());
        }
        let window = self.retype_window(request)?;
        if device && !matches!(kind, ObjectType::Untyped | ObjectType::Page | ObjectType::LargePage) {
            return Err(Refusal::argument(0).into());
        }

        let memory = |used, zeroed| Capability::Untyped { address, bits, device, used, zeroed };
        // Below the watermark there may be objects, unless nothing derives from this capability.
        let (used, zeroed) =
            if used == 0 || self.has_children(request.slot) { (used, zeroed) } else { (0, 0) };
        let object_bits = kind.bits(size_bits);
        // Untyped memory begins at a multiple of its size, so this aligns the address too if the object fits at all.
        let start = used.next_multiple_of(1 << object_bits);
        let end = start + (window.count << object_bits);
        if end > 1 << bits {
            return Err(Refusal { error: Error::NotEnoughMemory, words: [(1 << bits) - used, 0, 0] }.into());
        }
        if kind == ObjectType::VSpace && (self.free_asids() as u64) < window.count {
            let left = (1 << bits) - used;
            return Err(Refusal { error: Error::NotEnoughMemory, words: [left, 0, 0] }.into());
        }

        if !device && kind != ObjectType::Untyped {
            let mut zeroed = if start == used { zeroed } else { 0 };
            if let Err(Preempted) = self.clear_objects(address + start, end - start, &mut zeroed) {
                request.slot.set(&mut self.machine, memory(start, zeroed));
                return Err(Preempted.into());
            }
        }
        request.slot.set(&mut self.machine, memory(end, 0));
        for i in 0..window.count {
            let object = address + start + (i << object_bits);
            let capability = self.new_object(request.thread, kind, object, size_bits, device);
            self.insert_new(capability, Some(request.slot), window.first.offset(i));
        }
        Ok(0)
    }

    /// The slots that the objects are to be put into: there are so many, and they are empty.
    fn retype_window(&self, request: &Request) -> Result<Window, Refusal> {
        let [index, depth, offset, count] = [2, 3, 4, 5].map(|n| request.argument(&self.machine, n));
        let mut node = request.extra(0)?.get(&self.machine);
        if depth != 0 {
            node = self.lookup_target(node, index, depth)?.get(&self.machine);
        }
        let Capability::CNode { address, radix, .. } = node else {
            return Err(LookupFault::missing(depth).refusal(false));
        };
        let slots = 1 << radix;
        if offset >= slots {
            return Err(Refusal::range(0, slots - 1));
        }
        if !(1..=RETYPE_LIMIT).contains(&count) {
            return Err(Refusal::range(1, RETYPE_LIMIT));
        }
        if count > slots - offset {
            return Err(Refusal::range(1, slots - offset));
        }
        let first = Slot(address).offset(offset);
        for i in 0..count {
            self.ensure_empty(first.offset(i))?;
        }
        Ok(Window { first, count })
    }

    /// Clears memory of which the first `zeroed` bytes need it no more. Preempted: `zeroed` tells how far it came.
    fn clear_objects(&mut self, address: u64, bytes: u64, zeroed: &mut u64) -> Result<(), Preempted> {
        while *zeroed < bytes {
            let step = ZEROED_STEP.min(bytes - *zeroed);
            self.machine.clear(address + *zeroed, step);
            *zeroed += step;
            if *zeroed < bytes && self.machine.interrupt_pending() {
                return Err(Preempted);
            }
        }
        Ok(())
    }

    /// The first capability to an object in memory that has been cleared. An address space gets its number; there is one.
    fn new_object(
        &mut self,
        maker: Tcb,
        kind: ObjectType,
        address: u64,
        size_bits: u64,
        device: bool,
    ) -> Capability {
        let page = |size| Capability::Page { address, size, device, rights: Rights::ALL, mapped: None };
        match kind {
            ObjectType::Untyped => {
                Capability::Untyped { address, bits: size_bits, device, used: 0, zeroed: 0 }
            }
            ObjectType::Tcb => {
                let thread = Tcb(address);
                let domain = maker.domain(&self.machine);
                thread.set_domain(&mut self.machine, domain);
                thread.set_time_slice(&mut self.machine, TIME_SLICE);
                Capability::Thread { address }
            }
            ObjectType::Endpoint => Capability::Endpoint { address, badge: 0, rights: Rights::ALL },
            ObjectType::Notification => Capability::Notification { address, badge: 0, rights: Rights::ALL },
            ObjectType::CNode => Capability::CNode { address, radix: size_bits, guard: 0, guard_bits: 0 },
            ObjectType::VSpace => match self.take_asid(address) {
                Some(asid) => Capability::VSpace { address, asid },
                None => unreachable!("address space numbers were counted before"),
            },
            ObjectType::PageTable => Capability::PageTable { address, mapped: None },
            ObjectType::Page => page(PageSize::Small),
            ObjectType::LargePage => page(PageSize::Large),
        }
    }
}

#[cfg(test)]
mod tests;
