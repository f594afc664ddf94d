//! Capability slots: a capability, and its place in the derivation tree.
//!
//! All slots that hold something form one doubly linked list in which every capability is followed by all that derive
//! from it. Two marks tell where a family ends: a *revocable* capability has what follows it and names the same object
//! as children; *first badged* begins a badge's family. (The scheme is seL4's mapping database.)

use super::capability::Capability;
use crate::machine::Memory;

/// A slot, by its physical address: four words, capability, previous slot, next slot | marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot(pub u64);

/// Bytes in a slot.
pub const SLOT_SIZE: u64 = 1 << kaal_abi::SLOT_BITS;

const PREVIOUS: u64 = 16;
const NEXT: u64 = 24;
const REVOCABLE: u64 = 1;
const FIRST_BADGED: u64 = 2;
const MARKS: u64 = REVOCABLE | FIRST_BADGED;

/// A slot's place in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Links {
    /// The slot before it.
    pub previous: Option<Slot>,
    /// The slot behind it.
    pub next: Option<Slot>,
    /// Others may derive from it.
    pub revocable: bool,
    /// It was the first with its badge.
    pub first_badged: bool,
}

fn link(word: u64) -> Option<Slot> {
    if word == 0 { None } else { Some(Slot(word)) }
}

impl Slot {
    /// The slot `index` places behind this one.
    pub const fn offset(self, index: u64) -> Slot {
        Slot(self.0 + index * SLOT_SIZE)
    }

    /// What it holds.
    #[inline]
    pub fn get(self, memory: &impl Memory) -> Capability {
        Capability::decode([memory.read(self.0), memory.read(self.0 + 8)])
    }

    /// Replaces what it holds; its place in the list stays.
    #[inline]
    pub fn set(self, memory: &mut impl Memory, capability: Capability) {
        let [first, second] = capability.encode();
        memory.write(self.0, first);
        memory.write(self.0 + 8, second);
    }

    /// Does it hold nothing?
    #[inline]
    pub fn is_empty(self, memory: &impl Memory) -> bool {
        memory.read(self.0) == 0
    }

    /// Its place in the list.
    #[inline]
    pub fn links(self, memory: &impl Memory) -> Links {
        let next = memory.read(self.0 + NEXT);
        Links {
            previous: link(memory.read(self.0 + PREVIOUS)),
            next: link(next & !MARKS),
            revocable: next & REVOCABLE != 0,
            first_badged: next & FIRST_BADGED != 0,
        }
    }

    /// Sets its place in the list; the neighbours are the caller's.
    #[inline]
    pub fn set_links(self, memory: &mut impl Memory, links: Links) {
        let marks = (u64::from(links.revocable) * REVOCABLE) | (u64::from(links.first_badged) * FIRST_BADGED);
        memory.write(self.0 + PREVIOUS, links.previous.map_or(0, |s| s.0));
        memory.write(self.0 + NEXT, links.next.map_or(0, |s| s.0) | marks);
    }
}
