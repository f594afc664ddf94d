//! The kernel's final map: all RAM and the devices at a fixed offset, and no page both writable and executable.

use super::Tables;
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
                table.map_range(&mut Tables, section.start, start, end - start, Attributes::kernel(rights))?;
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
