//! Pages: memory of programs, and where it is mapped.

use super::capability::{Capability, Mapped, PageSize, Rights};
use super::cspace::LookupFault;
use super::invocation;
use super::vspace::{descriptor_address, span_bits};
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::syscall::request::{Answer, Refusal, Request, set_message};
use kaal_abi::{Error, Invocation, attributes};
use kaal_paging::{Attributes, Behaviour, Entry, Half, decode, leaf};

impl PageSize {
    /// The level of the table whose entries map such a page.
    pub const fn level(self) -> u8 {
        match self {
            PageSize::Small => 3,
            PageSize::Large => 2,
        }
    }

    /// Its bytes.
    pub const fn bytes(self) -> u64 {
        1 << self.bits()
    }
}

/// The descriptor attributes of a page of programs, from its capability's rights and the arguments of
/// [`Invocation::PageMap`]. Errors: [`Error::IllegalOperation`] if the capability does not allow reading,
/// [`Error::InvalidArgument`] 1 if reading is not asked for (no page is inaccessible, and none can only be written), 2 for
/// attributes that there are not, for device memory to execute, and for execution together with writing.
pub fn page_attributes(device: bool, has: Rights, asked: Rights, bits: u64) -> Result<Attributes, Refusal> {
    let execute = bits & attributes::EXECUTE != 0;
    let uncached = bits & attributes::UNCACHED != 0;
    if !asked.read() {
        return Err(Refusal::argument(1));
    }
    if bits & !(attributes::EXECUTE | attributes::UNCACHED) != 0 || execute && (device || asked.write()) {
        return Err(Refusal::argument(2));
    }
    if !has.read() {
        return Err(Error::IllegalOperation.into());
    }
    let rights = match (execute, has.and(asked).write()) {
        (true, _) => kaal_paging::Rights::ReadExecute,
        (false, true) => kaal_paging::Rights::ReadWrite,
        (false, false) => kaal_paging::Rights::Read,
    };
    let behaviour = match (device, uncached) {
        (true, _) => Behaviour::Device,
        (false, true) => Behaviour::Uncached,
        (false, false) => Behaviour::Normal,
    };
    Ok(Attributes { rights, user: true, behaviour })
}

impl<M: Machine> Kernel<M> {
    /// Maps a page, or changes how it is mapped if it is there `already`. Errors: [`Error::InvalidArgument`] 0 for an address that is not a
    /// program's, [`Error::AlignmentError`], [`Error::FailedLookup`] if a table is missing, [`Error::DeleteFirst`] if
    /// something else is mapped there.
    pub fn map_page(
        &mut self,
        (root, asid): (u64, u16),
        va: u64,
        (address, size): (u64, PageSize),
        attributes: Attributes,
        already: bool,
    ) -> Result<(), Refusal> {
        if !Half::User.contains(va) {
            return Err(Refusal::argument(0));
        }
        if !va.is_multiple_of(size.bytes()) {
            return Err(Error::AlignmentError.into());
        }
        let level = size.level();
        let entry = match self.walk(root, va, level) {
            Ok(entry) => entry,
            Err((upper, entry)) if self.machine.read(entry) == 0 => {
                return Err(LookupFault::missing(span_bits(upper)).refusal(false));
            }
            Err(_) => return Err(Error::DeleteFirst.into()),
        };
        let old = self.machine.read(entry);
        if old != 0 {
            if !already || !leads_to(old, level, address) {
                return Err(Error::DeleteFirst.into());
            }
            // A valid entry must not become another valid one (Arm DDI 0487, D8.14.1, break-before-make).
            self.machine.write(entry, 0);
            self.machine.invalidate_page(va, asid);
        }
        if attributes.behaviour == Behaviour::Uncached {
            self.machine.clean_data(address, size.bytes());
        }
        self.machine.write(entry, leaf(address, level, attributes));
        self.machine.publish_tables();
        Ok(())
    }

    /// Is a table missing for a page at `va`? [`Kernel::map_table`] puts one there.
    pub fn lacks_table(&self, root: u64, va: u64, size: PageSize) -> bool {
        matches!(self.walk(root, va, size.level()), Err((_, entry)) if self.machine.read(entry) == 0)
    }

    /// Maps the page of a capability that is not mapped: the capability, mapped. `asked` and `bits` are the arguments of
    /// [`Invocation::PageMap`]; errors are those of [`page_attributes`] and [`Kernel::map_page`].
    pub fn map_new_page(
        &mut self,
        vspace: (u64, u16),
        va: u64,
        capability: Capability,
        asked: Rights,
        bits: u64,
    ) -> Result<Capability, Refusal> {
        let Capability::Page { address, size, device, rights, mapped: None } = capability else {
            return Err(Refusal::capability(0));
        };
        let attributes = page_attributes(device, rights, asked, bits)?;
        self.map_page(vspace, va, (address, size), attributes, false)?;
        let mapped = Some(Mapped { asid: vspace.1, va });
        Ok(Capability::Page { address, size, device, rights, mapped })
    }

    /// Takes a page out of the address space it was mapped in, if it is still there.
    pub(super) fn unmap_page(&mut self, mapped: Mapped, address: u64, size: PageSize) {
        let root = self.asids[usize::from(mapped.asid)];
        if root == 0 {
            return;
        }
        let Ok(entry) = self.walk(root, mapped.va, size.level()) else { return };
        if leads_to(self.machine.read(entry), size.level(), address) {
            self.machine.write(entry, 0);
            self.machine.invalidate_page(mapped.va, mapped.asid);
        }
    }

    /// What a Page capability does.
    pub fn invoke_page(&mut self, request: &Request) -> Answer {
        let Capability::Page { address, size, device, rights, mapped } = request.capability else {
            return Err(Refusal::capability(0).into());
        };
        let page = |mapped| Capability::Page { address, size, device, rights, mapped };
        match invocation(request, Invocation::PageMap, Invocation::PageUnifyInstruction)? {
            Invocation::PageMap => {
                let [va, asked, bits] = [0, 1, 2].map(|n| request.argument(&self.machine, n));
                let vspace = self.vspace_argument(request, 0)?;
                let here = Mapped { asid: vspace.1, va };
                match mapped {
                    Some(mapped) if mapped.asid != here.asid => return Err(Refusal::capability(1).into()),
                    Some(mapped) if mapped.va != va => return Err(Refusal::argument(0).into()),
                    _ => {}
                }
                let attributes = page_attributes(device, rights, Rights::from_bits(asked), bits)?;
                self.map_page(vspace, va, (address, size), attributes, mapped.is_some())?;
                request.slot.set(&mut self.machine, page(Some(here)));
                Ok(0)
            }
            Invocation::PageUnmap => {
                if let Some(mapped) = mapped {
                    self.unmap_page(mapped, address, size);
                }
                request.slot.set(&mut self.machine, page(None));
                Ok(0)
            }
            Invocation::PageGetAddress => {
                // Who only sends wants no answer.
                if request.call {
                    set_message(&mut self.machine, request.thread, 0, address);
                }
                Ok(1)
            }
            Invocation::PageUnifyInstruction if !device => {
                self.machine.sync_instructions(address, size.bytes());
                Ok(0)
            }
            _ => Err(Error::IllegalOperation.into()),
        }
    }
}

/// Does this descriptor map the page at this address?
fn leads_to(descriptor: u64, level: u8, address: u64) -> bool {
    matches!(decode(descriptor, level), Entry::Leaf(..)) && descriptor_address(descriptor) == address
}

#[cfg(test)]
mod tests;
