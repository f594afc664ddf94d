//! Address spaces: their numbers, and the translation tables that are mapped in them.
//!
//! A table that is mapped nowhere is all zeros; a mapped one is never mapped anew before it was unmapped, which clears it.
//! So no table leads to memory that has become something else since.

use super::capability::{Capability, Mapped};
use super::invocation;
use super::tcb::Tcb;
use crate::kernel::{ASIDS, Kernel};
use crate::machine::Machine;
use crate::syscall::request::{Answer, Refusal, Request};
use kaal_abi::{Error, Invocation};
use kaal_paging::{ADDRESS_MASK, Entry, Half, PAGE_SIZE, decode, index, span, table};

/// Log2 of the bytes that an entry at `level` maps.
pub(super) const fn span_bits(level: u8) -> u64 {
    span(level).trailing_zeros() as u64
}

/// The address of the entry for `va` in the table at physical address `table`, which is one of `level`.
pub(super) const fn entry_address(table: u64, va: u64, level: u8) -> u64 {
    table + 8 * index(va, level) as u64
}

impl<M: Machine> Kernel<M> {
    /// The root table and the number of a thread's address space; `None` if it has none.
    #[inline]
    pub fn vspace_of(&self, thread: Tcb) -> Option<(u64, u16)> {
        match thread.vspace().get(&self.machine) {
            Capability::VSpace { address, asid } => Some((address, asid)),
            _ => None,
        }
    }

    /// Gives an address space a number; `None` if all are taken.
    pub fn take_asid(&mut self, root: u64) -> Option<u16> {
        let asid = (1..ASIDS).find(|&asid| self.asids[asid] == 0)?;
        self.asids[asid] = root;
        Some(asid as u16)
    }

    /// How many address spaces can still be made.
    pub(super) fn free_asids(&self) -> usize {
        self.asids[1..].iter().filter(|&&root| root == 0).count()
    }

    /// The last capability to an address space goes.
    pub(super) fn end_vspace(&mut self, root: u64, asid: u16) {
        // The processor may use its tables if the current thread does, or if the thread that did is no more.
        let other = self.current.and_then(|thread| self.vspace_of(thread)).is_some_and(|(r, _)| r != root);
        if !other {
            self.machine.clear_user_map();
        }
        self.asids[usize::from(asid)] = 0;
        self.machine.invalidate_asid(asid);
    }

    /// The root table of an address space that is sent along as capability `n`, and its number.
    pub(super) fn vspace_argument(&self, request: &Request, n: usize) -> Result<(u64, u16), Refusal> {
        match request.extra(n)?.get(&self.machine) {
            Capability::VSpace { address, asid } if self.asids[usize::from(asid)] == address => {
                Ok((address, asid))
            }
            _ => Err(Refusal::capability(n as u64 + 1)),
        }
    }

    /// Walks from the root to the entry for `va` at `level`. Err: the level at which something else than a table is, and
    /// the address of that entry.
    pub(super) fn walk(&self, root: u64, va: u64, level: u8) -> Result<u64, (u8, u64)> {
        let mut current = root;
        for upper in 0..level {
            let entry = entry_address(current, va, upper);
            match decode(self.machine.read(entry), upper) {
                Entry::Table(next) => current = next,
                _ => return Err((upper, entry)),
            }
        }
        Ok(entry_address(current, va, level))
    }

    /// Puts a table that is all zeros where the first one is missing on the way to `va`: the capability to it. Errors:
    /// [`Error::InvalidArgument`] 0 for an address that is not a program's, [`Error::DeleteFirst`] if none is missing.
    pub fn map_table(
        &mut self,
        (root, asid): (u64, u16),
        va: u64,
        address: u64,
    ) -> Result<Capability, Refusal> {
        if !Half::User.contains(va) {
            return Err(Refusal::argument(0));
        }
        match self.walk(root, va, 3) {
            Err((level, entry)) if self.machine.read(entry) == 0 => {
                self.machine.write(entry, table(address));
                self.machine.publish_tables();
                let mapped = Some(Mapped { asid, va: va & !(span(level) - 1) });
                Ok(Capability::PageTable { address, mapped })
            }
            _ => Err(Error::DeleteFirst.into()),
        }
    }

    /// Takes a table out of the address space it was mapped in, if it is still there, and clears it.
    pub(super) fn unmap_table(&mut self, mapped: Mapped, address: u64) {
        let root = self.asids[usize::from(mapped.asid)];
        let mut current = root;
        for level in 0..3 {
            if current == 0 {
                break;
            }
            let entry = entry_address(current, mapped.va, level);
            match decode(self.machine.read(entry), level) {
                Entry::Table(next) if next == address => {
                    self.machine.write(entry, 0);
                    self.machine.invalidate_asid(mapped.asid);
                    break;
                }
                Entry::Table(next) => current = next,
                _ => break,
            }
        }
        self.machine.clear(address, PAGE_SIZE);
    }

    /// What a PageTable capability does.
    pub fn invoke_page_table(&mut self, request: &Request) -> Answer {
        let Capability::PageTable { address, mapped } = request.capability else {
            return Err(Refusal::capability(0).into());
        };
        match invocation(request, Invocation::PageTableMap, Invocation::PageTableUnmap)? {
            Invocation::PageTableMap => {
                let va = request.argument(&self.machine, 0);
                let attributes = request.argument(&self.machine, 1);
                if mapped.is_some() {
                    return Err(Refusal::capability(0).into());
                }
                let vspace = self.vspace_argument(request, 0)?;
                if attributes != 0 {
                    return Err(Refusal::argument(1).into());
                }
                let capability = self.map_table(vspace, va, address)?;
                request.slot.set(&mut self.machine, capability);
                Ok(0)
            }
            Invocation::PageTableUnmap => {
                // Copies would go on saying that it is mapped.
                if !self.is_final(request.slot) {
                    return Err(Error::RevokeFirst.into());
                }
                if let Some(mapped) = mapped {
                    self.unmap_table(mapped, address);
                }
                request.slot.set(&mut self.machine, Capability::PageTable { address, mapped: None });
                Ok(0)
            }
            _ => Err(Error::IllegalOperation.into()),
        }
    }
}

/// The address in a descriptor.
pub(super) const fn descriptor_address(descriptor: u64) -> u64 {
    descriptor & ADDRESS_MASK
}

#[cfg(test)]
mod tests;
