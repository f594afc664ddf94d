//! What CNode capabilities do: copying, moving and deleting capabilities.

use super::capability::{Capability, Rights};
use super::cspace::LookupFault;
use super::derivation::{masked, updated};
use super::invocation;
use super::slot::Slot;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::syscall::request::{Answer, Refusal, Request, Stop};
use kaal_abi::{Error, Invocation};

/// [`updated`], or [`Error::InvalidArgument`] `which` if the capability cannot have this badge or guard.
fn with_data(capability: Capability, data: u64, moved: bool, which: u64) -> Result<Capability, Refusal> {
    match updated(capability, data, moved) {
        Capability::Null => Err(Refusal::argument(which)),
        updated => Ok(updated),
    }
}

impl<M: Machine> Kernel<M> {
    /// What a CNode capability does.
    pub fn invoke_cnode(&mut self, request: &Request) -> Answer {
        let invocation = invocation(request, Invocation::CNodeRevoke, Invocation::CNodeSaveCaller)?;
        match invocation {
            Invocation::CNodeRevoke => {
                let slot = self.slot_argument(request, 0)?;
                self.revoke(slot)?;
            }
            Invocation::CNodeDelete => {
                let slot = self.slot_argument(request, 0)?;
                self.delete(slot)?;
            }
            Invocation::CNodeCancelBadgedSends => self.cancel_sends(request)?,
            Invocation::CNodeCopy
            | Invocation::CNodeMint
            | Invocation::CNodeMove
            | Invocation::CNodeMutate => self.transfer(request, invocation)?,
            Invocation::CNodeRotate => self.rotate(request)?,
            Invocation::CNodeSaveCaller => self.save_caller(request)?,
            _ => return Err(Error::IllegalOperation.into()),
        }
        Ok(0)
    }

    /// The slot that arguments `n` and `n + 1` name below the invoked CNode.
    fn slot_argument(&self, request: &Request, n: usize) -> Result<Slot, Refusal> {
        let index = request.argument(&self.machine, n);
        let depth = request.argument(&self.machine, n + 1);
        self.lookup_target(request.capability, index, depth)
    }

    /// The slot, not an empty one, that arguments `n` and `n + 1` name below the CNode sent along as capability `extra`.
    fn source_argument(&self, request: &Request, n: usize, extra: usize) -> Result<Slot, Refusal> {
        let root = request.extra(extra)?.get(&self.machine);
        let index = request.argument(&self.machine, n);
        let depth = request.argument(&self.machine, n + 1);
        self.lookup_source(root, index, depth)
    }

    fn cancel_sends(&mut self, request: &Request) -> Result<(), Stop> {
        let slot = self.slot_argument(request, 0)?;
        match slot.get(&self.machine) {
            Capability::Endpoint { address, badge, rights: Rights::ALL } => {
                // Badge 0 is everybody's, not a family's.
                if badge != 0 {
                    self.cancel_badged_sends(address, badge)?;
                }
                Ok(())
            }
            _ => Err(Error::IllegalOperation.into()),
        }
    }

    fn transfer(&mut self, request: &Request, invocation: Invocation) -> Result<(), Refusal> {
        let destination = self.slot_argument(request, 0)?;
        self.ensure_empty(destination)?;
        let source = self.source_argument(request, 2, 0)?;
        let capability = source.get(&self.machine);
        let argument = |n| request.argument(&self.machine, n);
        let capability = match invocation {
            Invocation::CNodeCopy | Invocation::CNodeMint => {
                let mut copy = masked(capability, Rights::from_bits(argument(4)));
                if invocation == Invocation::CNodeMint {
                    copy = with_data(copy, argument(5), false, 5)?;
                }
                let copy = self.derive(source, copy)?;
                self.insert(copy, source, destination);
                return Ok(());
            }
            Invocation::CNodeMutate => with_data(capability, argument(4), true, 4)?,
            _ => capability,
        };
        self.move_slot(capability, source, destination);
        Ok(())
    }

    fn rotate(&mut self, request: &Request) -> Result<(), Refusal> {
        let argument = |n| request.argument(&self.machine, n);
        let destination = self.slot_argument(request, 0)?;
        let pivot_root = request.extra(0)?.get(&self.machine);
        let pivot = self.lookup_target(pivot_root, argument(3), argument(4))?;
        let source = self.source_argument(request, 6, 1)?;
        if source == pivot || destination == pivot {
            return Err(Error::IllegalOperation.into());
        }
        if source != destination {
            self.ensure_empty(destination)?;
        }
        let pivoted = pivot.get(&self.machine);
        if pivoted == Capability::Null {
            return Err(LookupFault::missing(0).refusal(false));
        }
        let pivoted = with_data(pivoted, argument(2), true, 2)?;
        let moved = with_data(source.get(&self.machine), argument(5), true, 5)?;
        if source == destination {
            self.swap(moved, source, pivoted, pivot);
        } else {
            self.move_slot(pivoted, pivot, destination);
            self.move_slot(moved, source, pivot);
        }
        Ok(())
    }

    fn save_caller(&mut self, request: &Request) -> Result<(), Refusal> {
        let destination = self.slot_argument(request, 0)?;
        self.ensure_empty(destination)?;
        let caller = request.thread.caller();
        let capability = caller.get(&self.machine);
        // Nobody called, or the reply was cancelled: nothing to save, and no error either.
        if let Capability::Reply { master: false, .. } = capability {
            self.move_slot(capability, caller, destination);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
