//! The kernel's final map: all RAM and the devices at a fixed offset, and no page both writable and executable.

use super::Tables;
use crate::arch::aarch64::cell::KernelCell;
use crate::arch::aarch64::phys::{to_physical, to_virtual};
use crate::boot::params::{Params, Span};
use kaal_paging::{Attributes, Half, MapError, PageTable, Rights};

/// A part of the kernel's image, by its virtual addresses.
pub struct Section {
    /// What it is, for people.
    pub name: &'static str,
    /// First address.
    pub start: u64,
    /// One past the last.
    pub end: u64,
    /// What the kernel may do there; `None` for stack guards.
    pub rights: Option<Rights>,
}

static MAP: KernelCell<Option<PageTable>> = KernelCell::new(None);

/// Remembers the map now in use.
pub fn keep(map: PageTable) {
    MAP.with(|slot| *slot = Some(map));
}

/// Calls `f(address, level, descriptor)` for every page and block of the map in use.
pub fn for_each_leaf(f: impl FnMut(u64, u8, u64)) {
    MAP.with(|slot| {
        if let Some(map) = slot {
            map.for_each_leaf(&Tables, f);
        }
    });
}

/// Builds the map.
pub fn build(params: &Params, sections: &[Section]) -> Result<PageTable, MapError> {
    let mut table = PageTable::new(&mut Tables, Half::Kernel)?;
    let data = Attributes::kernel(Rights::ReadWrite);
    for ram in params.memory() {
        let mut next = ram.start;
        for section in sections {
            let (start, end) = (to_physical(section.start), to_physical(section.end));
            if start < next || end > ram.end {
                continue;
            }
            table.map_range(&mut Tables, to_virtual(next), next, start - next, data)?;
            if let Some(rights) = section.rights {
                table.map_range(
                    &mut Tables,
                    section.start,
                    start,
                    end - start,
                    Attributes::kernel(rights),
                )?;
            }
            next = end;
        }
        table.map_range(&mut Tables, to_virtual(next), next, ram.end - next, data)?;
    }
    for device in [params.uart, params.distributor, params.interface] {
        let Span { start, end } = device;
        table.map_range(&mut Tables, to_virtual(start), start, end - start, Attributes::DEVICE)?;
    }
    Ok(table)
}
