//! Address spaces of programs: mapped pages, and regions whose pages are supplied when first touched.

use super::{Tables, frames};
use crate::arch::aarch64::{cell::KernelCell, mmu};
use kaal_paging::{Attributes, Half, MapError, Mapping, PAGE_SIZE, PageTable, Rights};
use kaal_syndrome::{Fault, Syndrome};

/// Address space numbers in use: bit n for number n. Number 0 is the empty map's.
static NUMBERS: KernelCell<u64> = KernelCell::new(1);

/// Most lazy regions an address space can have.
const MAX_LAZY: usize = 4;

/// Pages that come into being when touched.
#[derive(Debug, Clone, Copy)]
struct Lazy {
    start: u64,
    end: u64,
    rights: Rights,
}

/// An address space.
pub struct VSpace {
    table: PageTable,
    asid: u16,
    lazy: [Option<Lazy>; MAX_LAZY],
}

impl VSpace {
    /// An empty address space.
    pub fn new() -> Result<Self, MapError> {
        let asid = NUMBERS.with(|used| {
            let number = used.trailing_ones();
            (number < 64).then(|| {
                *used |= 1 << number;
                number as u16
            })
        });
        let asid = asid.ok_or(MapError::OutOfMemory)?;
        match PageTable::new(&mut Tables, Half::User) {
            Ok(table) => Ok(Self { table, asid, lazy: [None; MAX_LAZY] }),
            Err(error) => {
                NUMBERS.with(|used| *used &= !(1 << asid));
                Err(error)
            }
        }
    }

    /// Its number, which tags its translations in the TLB.
    pub fn asid(&self) -> u16 {
        self.asid
    }

    /// Makes it the current one.
    pub fn activate(&self) {
        mmu::switch_user_map(self.table.root(), self.asid);
    }

    /// Maps the page at `va` to an allocated frame, which belongs to the address space from now on.
    pub fn map(&mut self, va: u64, frame: u64, rights: Rights) -> Result<(), MapError> {
        self.table.map(&mut Tables, va, frame, Attributes::user(rights))?;
        mmu::publish_tables();
        Ok(())
    }

    /// Unmaps the page at `va` and hands back its frame.
    pub fn unmap(&mut self, va: u64) -> Result<u64, MapError> {
        let frame = self.table.unmap(&mut Tables, va)?;
        mmu::invalidate_page(va, self.asid);
        Ok(frame)
    }

    /// Changes what the page at `va` allows.
    pub fn protect(&mut self, va: u64, rights: Rights) -> Result<(), MapError> {
        self.table.protect(&mut Tables, va, rights)?;
        mmu::invalidate_page(va, self.asid);
        Ok(())
    }

    /// Where `va` leads.
    pub fn walk(&self, va: u64) -> Option<Mapping> {
        self.table.walk(&Tables, va)
    }

    /// Lets pages of `start..end` be supplied, zeroed, as they are touched.
    pub fn add_lazy(&mut self, start: u64, end: u64, rights: Rights) -> Result<(), MapError> {
        if !(start | end).is_multiple_of(PAGE_SIZE) {
            return Err(MapError::Misaligned);
        }
        if start >= end || !Half::User.contains(end - 1) {
            return Err(MapError::OutOfRange);
        }
        let slot = self.lazy.iter_mut().find(|slot| slot.is_none()).ok_or(MapError::OutOfMemory)?;
        *slot = Some(Lazy { start, end, rights });
        Ok(())
    }

    /// Supplies the page at `va` if the fault was for want of one and a lazy region has it. True if the access may be
    /// tried again.
    pub fn page_fault(&mut self, va: u64, syndrome: Syndrome) -> bool {
        if !matches!(syndrome.fault(), Some(Fault::Translation(_))) {
            return false;
        }
        let Some(region) = self.lazy.iter().flatten().find(|r| va >= r.start && va < r.end) else {
            return false;
        };
        let forbidden = match region.rights {
            Rights::Read => syndrome.is_write() || syndrome.is_instruction_abort(),
            Rights::ReadWrite => syndrome.is_instruction_abort(),
            Rights::ReadExecute => syndrome.is_write(),
        };
        if forbidden {
            return false;
        }
        let rights = region.rights;
        let Some(frame) = frames::allocate_zeroed() else { return false };
        if self.map(va & !(PAGE_SIZE - 1), frame, rights).is_err() {
            frames::free(frame);
            return false;
        }
        true
    }

    /// Frees its tables and every page mapped. It must not be the current one.
    pub fn destroy(self) {
        assert!(mmu::user_map().1 != self.asid, "address space {} is in use", self.asid);
        mmu::invalidate_asid(self.asid);
        self.table.destroy(&mut Tables, |_, frame| frames::free(frame));
        NUMBERS.with(|used| *used &= !(1 << self.asid));
    }
}
