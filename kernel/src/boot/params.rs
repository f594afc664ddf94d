//! What the machine is: read from the device tree.

use crate::arch::aarch64::phys;
use kaal_fdt::{Fdt, Node, Region};
use kaal_paging::PAGE_SIZE;

/// Most banks of RAM.
const MAX_MEMORY: usize = 4;
/// Most spans of RAM that must be left alone.
const MAX_RESERVED: usize = 8;

/// Most separate spans of device registers.
const MAX_DEVICES: usize = 16;
/// Devices that are the root task's, by what their `compatible` lists.
const DEVICES: [&str; 5] = ["arm,pl011", "arm,pl031", "arm,pl061", "qemu,fw-cfg-mmio", "virtio,mmio"];

/// Physical addresses `start..end`, whole pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First address.
    pub start: u64,
    /// One past the last.
    pub end: u64,
}

impl Span {
    /// The pages that a span of bytes touches.
    fn covering(region: Region) -> Self {
        let start = region.start & !(PAGE_SIZE - 1);
        Self { start, end: region.start.saturating_add(region.size).next_multiple_of(PAGE_SIZE) }
    }

    /// The physical pages that these bytes of the linear map are in.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self::covering(Region { start: phys::to_physical(bytes.as_ptr() as u64), size: bytes.len() as u64 })
    }
}

/// What the kernel needs to know of the machine.
pub struct Params {
    /// The device tree, for everything else.
    pub fdt: Fdt<'static>,
    /// The machine's name.
    pub model: &'static str,
    /// The kernel's command line.
    pub arguments: &'static str,
    /// The first UART.
    pub uart: Span,
    /// The interrupt controller's distributor.
    pub distributor: Span,
    /// The interrupt controller's processor interface.
    pub interface: Span,
    /// The first UART's interrupt.
    pub uart_interrupt: u32,
    /// The virtual timer's interrupt.
    pub timer_interrupt: u32,
    /// Is the firmware called by SMC rather than HVC?
    pub smc: bool,
    memory: [Span; MAX_MEMORY],
    reserved: [Span; MAX_RESERVED],
}

const NONE: Span = Span { start: 0, end: 0 };

fn collect<const N: usize>(spans: impl Iterator<Item = Span>, what: &str) -> [Span; N] {
    let mut all = [NONE; N];
    for (index, span) in spans.enumerate() {
        *all.get_mut(index).unwrap_or_else(|| panic!("device tree: more than {N} {what}")) = span;
    }
    all
}

impl Params {
    /// Reads the device tree; panics with a reason when something the kernel cannot do without is missing.
    pub fn read(fdt: Fdt<'static>) -> Self {
        let device = |compatible: &str, index: usize| {
            let node = fdt.compatible(compatible).unwrap_or_else(|| panic!("device tree: no {compatible}"));
            let region =
                node.regions().nth(index).unwrap_or_else(|| panic!("device tree: {compatible} without reg"));
            Span::covering(region)
        };
        // Of the timer's interrupts (secure, non-secure, virtual, hypervisor) the third, three cells each: a private
        // peripheral interrupt is number 16 up.
        let timer = fdt
            .compatible("arm,armv8-timer")
            .and_then(|node| node.property("interrupts")?.cell(7))
            .expect("device tree: no virtual timer interrupt");
        let smc = fdt.node("/psci").and_then(|n| n.property("method")?.strings().next()) == Some("smc");
        let chosen = |name: &str| fdt.node("/chosen").and_then(|n| n.property(name)?.number());
        let initrd = match (chosen("linux,initrd-start"), chosen("linux,initrd-end")) {
            (Some(start), Some(end)) if start < end => Some(Region { start, size: end - start }),
            _ => None,
        };
        let tree = Span::of_bytes(fdt.bytes());
        let reserved = fdt.reserved().chain(initrd).map(Span::covering).chain(Some(tree));
        Self {
            fdt,
            model: fdt.model().unwrap_or("unnamed"),
            arguments: fdt.bootargs().unwrap_or(""),
            uart: device("arm,pl011", 0),
            uart_interrupt: fdt
                .compatible("arm,pl011")
                .and_then(|node| node.property("interrupts")?.cell(1))
                .map_or(0, |number| 32 + number),
            distributor: device("arm,cortex-a15-gic", 0),
            interface: device("arm,cortex-a15-gic", 1),
            timer_interrupt: 16 + timer,
            smc,
            memory: collect(
                fdt.memory().map(|r| Span { start: r.start, end: (r.start + r.size) & !(PAGE_SIZE - 1) }),
                "memory banks",
            ),
            reserved: collect(reserved, "reserved regions"),
        }
    }

    /// All RAM.
    pub fn memory(&self) -> impl Iterator<Item = Span> + '_ {
        self.memory.iter().copied().filter(|s| *s != NONE)
    }

    /// RAM that is not free: device tree, initial RAM disk, what the tree reserves.
    pub fn reserved(&self) -> impl Iterator<Item = Span> + '_ {
        self.reserved.iter().copied().filter(|s| *s != NONE)
    }

    /// The registers of the devices that the root task gets, in order of address, neighbours joined.
    pub fn devices(&self) -> impl Iterator<Item = Span> + use<> {
        let mut spans = [NONE; MAX_DEVICES];
        let mut count = 0;
        let given = |node: &Node| {
            node.property("compatible").is_some_and(|p| p.strings().any(|s| DEVICES.contains(&s)))
        };
        for region in self.fdt.nodes().filter(given).flat_map(|node| node.regions()) {
            let span = Span::covering(region);
            if let Some(old) = spans[..count].iter_mut().find(|s| span.start <= s.end && s.start <= span.end)
            {
                *old = Span { start: old.start.min(span.start), end: old.end.max(span.end) };
            } else {
                *spans.get_mut(count).expect("device tree: too many devices") = span;
                count += 1;
            }
        }
        spans[..count].sort_unstable_by_key(|span| span.start);
        spans.into_iter().take(count)
    }

    /// The value of `name=value` among the arguments.
    pub fn argument(&self, name: &str) -> Option<&'static str> {
        self.arguments.split_ascii_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    /// Is `word` among the arguments?
    pub fn has_argument(&self, word: &str) -> bool {
        self.arguments.split_ascii_whitespace().any(|w| w == word)
    }
}
