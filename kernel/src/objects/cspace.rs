//! Capability spaces: which slot an address names.
//!
//! An address is used from its top bits down. Each CNode on the way takes its guard, which must match, then the index of
//! a slot. The walk ends where the bits do, or at a slot that leads no further.

use super::capability::Capability;
use super::slot::Slot;
use super::tcb::Tcb;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::syscall::request::Refusal;
use kaal_abi::{Error, WORD_BITS, lookup};

/// Why an address names no slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookupFault {
    /// One of the numbers in [`kaal_abi::lookup`].
    pub kind: u64,
    /// Bits of the address that were left where the walk ended.
    pub bits_left: u64,
    /// [`lookup::GUARD_MISMATCH`]: the guard that the CNode has.
    pub guard: u64,
    /// [`lookup::GUARD_MISMATCH`]: its bits. [`lookup::DEPTH_MISMATCH`]: bits that the CNode needs, 0 if too many are left.
    pub bits_found: u64,
}

impl LookupFault {
    const fn new(kind: u64, bits_left: u64) -> Self {
        Self { kind, bits_left, guard: 0, bits_found: 0 }
    }

    /// The slot that the address names is empty.
    pub const fn missing(bits_left: u64) -> Self {
        Self::new(lookup::MISSING_CAPABILITY, bits_left)
    }

    /// As fault messages and errors carry it: kind, bits left.
    pub const fn words(self) -> [u64; 2] {
        [self.kind, self.bits_left]
    }

    /// As the error of an invocation.
    pub const fn refusal(self, source: bool) -> Refusal {
        Refusal { error: Error::FailedLookup, words: [source as u64, self.kind, self.bits_left] }
    }
}

/// The lowest `bits` bits of a word, 0 to 63.
#[inline]
const fn low(word: u64, bits: u64) -> u64 {
    word & ((1 << bits) - 1)
}

impl<M: Machine> Kernel<M> {
    /// The slot that the low `depth` bits (0 to 64) of `address` name below `root`, and how many bits were left when the
    /// walk met a slot that holds no CNode.
    #[inline]
    pub fn lookup(&self, root: Capability, address: u64, depth: u64) -> Result<(Slot, u64), LookupFault> {
        let mut node = root;
        let mut left = depth;
        loop {
            let Capability::CNode { address: slots, radix, guard, guard_bits } = node else {
                return Err(LookupFault::new(lookup::INVALID_ROOT, left));
            };
            // radix is at least 1, so guard_bits is at most 63, and `left - guard_bits` is less than 64 unless there is
            // no guard.
            if guard_bits > 0
                && (guard_bits > left || low(address >> (left - guard_bits), guard_bits) != guard)
            {
                return Err(LookupFault {
                    guard,
                    bits_found: guard_bits,
                    ..LookupFault::new(lookup::GUARD_MISMATCH, left)
                });
            }
            let behind_guard = left - guard_bits;
            if radix > behind_guard {
                return Err(LookupFault {
                    bits_found: radix + guard_bits,
                    ..LookupFault::new(lookup::DEPTH_MISMATCH, left)
                });
            }
            left = behind_guard - radix;
            let slot = Slot(slots).offset(low(address >> left, radix));
            if left == 0 {
                return Ok((slot, 0));
            }
            node = slot.get(&self.machine);
            if !matches!(node, Capability::CNode { .. }) {
                return Ok((slot, left));
            }
        }
    }

    /// The slot that an address names in a thread's CSpace. It may be empty. A slot that holds no CNode ends the walk,
    /// however many bits are left.
    #[inline]
    pub fn lookup_slot(&self, thread: Tcb, address: u64) -> Result<Slot, LookupFault> {
        let root = thread.cspace().get(&self.machine);
        self.lookup(root, address, WORD_BITS).map(|(slot, _)| slot)
    }

    fn lookup_exactly(
        &self,
        root: Capability,
        index: u64,
        depth: u64,
        source: bool,
    ) -> Result<Slot, Refusal> {
        if !matches!(root, Capability::CNode { .. }) {
            return Err(LookupFault::new(lookup::INVALID_ROOT, depth).refusal(source));
        }
        if !(1..=WORD_BITS).contains(&depth) {
            return Err(Refusal::range(1, WORD_BITS));
        }
        match self.lookup(root, index, depth) {
            Ok((slot, 0)) => Ok(slot),
            Ok((_, left)) => Err(LookupFault::new(lookup::DEPTH_MISMATCH, left).refusal(source)),
            Err(fault) => Err(fault.refusal(source)),
        }
    }

    /// The slot that exactly `depth` bits of `index` name below `root`, for a capability to be put there.
    pub fn lookup_target(&self, root: Capability, index: u64, depth: u64) -> Result<Slot, Refusal> {
        self.lookup_exactly(root, index, depth, false)
    }

    /// The same for a capability to be taken from there; the slot is not empty.
    pub fn lookup_source(&self, root: Capability, index: u64, depth: u64) -> Result<Slot, Refusal> {
        let slot = self.lookup_exactly(root, index, depth, true)?;
        if slot.is_empty(&self.machine) {
            return Err(LookupFault::missing(0).refusal(true));
        }
        Ok(slot)
    }
}

#[cfg(test)]
mod tests;
