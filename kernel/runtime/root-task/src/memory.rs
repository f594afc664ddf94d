//! Memory and slots: where objects come from, and where their capabilities go.

use crate::bootinfo::{BootInfo, Range, UntypedEntry};
use kaal_sys::abi::{Error, ObjectType, bootinfo::slot};
use kaal_sys::{CNode, CPtr, Page, PageTable, Result, Untyped, VSpace};

/// The root task's own CNode.
pub const CNODE: CNode = CNode(CPtr(slot::CNODE));

/// Untyped memory, and slots for what is made from it. All of it can be taken back at once.
pub struct Arena {
    memory: Untyped,
    slots: Range,
    next: u64,
}

impl Arena {
    /// An arena that makes objects from `memory` and puts them in `slots`.
    pub const fn new(memory: Untyped, slots: Range) -> Self {
        Self { memory, slots, next: slots.start }
    }

    /// An empty slot.
    ///
    /// # Panics
    /// If there is none left.
    pub fn slot(&mut self) -> u64 {
        assert!(self.next < self.slots.end, "out of slots");
        self.next += 1;
        self.next - 1
    }

    /// Makes an object.
    pub fn make(&mut self, kind: ObjectType, size_bits: u64) -> Result<CPtr> {
        let slot = self.slot();
        self.memory.retype(kind, size_bits, CNODE.itself(), slot, 1)?;
        Ok(CPtr(slot))
    }

    /// Cuts memory and slots off for an arena of its own.
    pub fn split(&mut self, bits: u64, slots: u64) -> Result<Arena> {
        let memory = self.make(ObjectType::Untyped, bits)?;
        assert!(self.next + slots <= self.slots.end, "out of slots");
        let start = self.next;
        self.next += slots;
        Ok(Arena::new(Untyped(memory), Range { start, end: start + slots }))
    }

    /// Takes everything back. Says whether really everything came back: all slots, and all of the memory, which is 2^bits
    /// bytes, in one piece.
    pub fn reclaim(&mut self, bits: u64) -> Result<bool> {
        CNODE.slot(self.memory.0.0).revoke()?;
        let left = (self.slots.start..self.next).filter(|&slot| CPtr(slot).kind() != 0).count();
        self.next = self.slots.start;
        let all = self.make(ObjectType::Untyped, bits);
        let whole = all.is_ok();
        CNODE.slot(self.slots.start).delete()?;
        self.next = self.slots.start;
        Ok(left == 0 && whole)
    }

    /// Maps a page, with as many page tables as it takes.
    pub fn map(&mut self, vspace: VSpace, page: Page, va: u64, rights: u64, attributes: u64) -> Result {
        loop {
            match page.map(vspace, va, rights, attributes) {
                Err(failure) if failure.error == Error::FailedLookup => {
                    PageTable(self.make(ObjectType::PageTable, 0)?).map(vspace, va)?;
                }
                result => return result,
            }
        }
    }
}

/// The largest piece of RAM.
pub fn largest(info: &BootInfo) -> Option<UntypedEntry> {
    info.untyped().filter(|u| !u.device).max_by_key(|u| u.bits)
}

/// Makes the page at physical address `address` from the device memory that covers it. Objects are made from memory in
/// the order of its addresses, so whatever comes before has to be made into something first, and is thrown away then.
pub fn device_page(info: &BootInfo, slots: &mut Arena, address: u64) -> Option<Page> {
    let covers = |u: &UntypedEntry| u.device && address.wrapping_sub(u.address) < 1 << u.bits;
    let untyped = info.untyped().find(covers)?;
    let first = slots.next;
    let mut at = untyped.address;
    while at < address {
        let piece = if at.is_multiple_of(1 << 21) && address - at >= 1 << 21 {
            ObjectType::LargePage
        } else {
            ObjectType::Page
        };
        untyped.cap.retype(piece, 0, CNODE.itself(), slots.slot(), 1).ok()?;
        at += 1 << piece.bits(0);
    }
    let slot = slots.slot();
    untyped.cap.retype(ObjectType::Page, 0, CNODE.itself(), slot, 1).ok()?;
    for piece in first..slot {
        CNODE.slot(piece).delete().ok()?;
    }
    if slot != first {
        CNODE.slot(first).take(CNODE.slot(slot)).ok()?;
    }
    slots.next = first + 1;
    Some(Page(CPtr(first)))
}
