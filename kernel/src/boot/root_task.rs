//! Chapter 7: the root task's thread, capabilities and boot information, made of memory the kernel gives up for ever.
//!
//! This is the only place where kernel objects are made without untyped memory: afterwards every free frame is the root
//! task's, as untyped memory, and the kernel has none of its own left.

use super::params::{Params, Span};
use crate::arch::aarch64::hardware::Hardware;
use crate::arch::aarch64::{mmu, phys, timer};
use crate::kprintln;
use crate::memory::frames;
use kaal_abi::TIME_SLICE;
use kaal_abi::bootinfo::{self, header, region, slot, untyped};
use kaal_core::kernel::Kernel;
use kaal_core::machine::Memory;
use kaal_core::objects::capability::{Capability, Mapped, PageSize, Rights};
use kaal_core::objects::slot::{Links, SLOT_SIZE, Slot};
use kaal_core::objects::tcb::{State, Tcb, frame};
use kaal_elf::{Loaded, LoadedSegment, Use};
use kaal_paging::{Attributes, Entry, PAGE_SIZE};

/// The root task's address space number.
const ASID: u16 = 1;
/// Its priority, the highest, which is also the highest it may give.
const PRIORITY: u64 = kaal_abi::PRIORITIES - 1;

/// What the loader hands over: the root task's image in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handover {
    /// First physical address.
    pub start: u64,
    /// One past the last.
    pub end: u64,
    /// Virtual address of the first instruction.
    pub entry: u64,
    /// Physical minus virtual addresses.
    pub offset: u64,
}

impl Handover {
    /// The pages of the image.
    pub fn span(&self) -> Span {
        Span { start: self.start & !(PAGE_SIZE - 1), end: self.end.next_multiple_of(PAGE_SIZE) }
    }
}

/// A page of memory for ever, zeroed.
fn new_frame() -> u64 {
    frames::allocate_zeroed().expect("not enough memory for the root task")
}

/// Memory for an object larger than a page.
fn new_block(bytes: u64) -> u64 {
    let count = (bytes / PAGE_SIZE) as usize;
    let block =
        frames::with(|a| a.allocate_contiguous(count, bytes)).expect("not enough memory in one piece");
    (0..bytes).step_by(PAGE_SIZE as usize).for_each(|at| phys::Frame::at(block + at).clear());
    block
}

/// Makes the slots in which interrupts keep their notifications.
pub fn interrupt_slots(lines: usize) -> u64 {
    new_block((lines as u64 * SLOT_SIZE).next_multiple_of(PAGE_SIZE).next_power_of_two())
}

/// The root task while it is being made.
struct Builder<'a> {
    memory: &'a mut Hardware,
    cnode: Slot,
    next_slot: u64,
    vspace: u64,
}

impl Builder<'_> {
    /// Puts an original capability into a slot.
    fn put(&mut self, index: u64, capability: Capability) {
        let slot = self.cnode.offset(index);
        slot.set(self.memory, capability);
        slot.set_links(self.memory, Links { revocable: true, first_badged: true, ..Links::default() });
    }

    /// Puts it into the next free slot.
    fn push(&mut self, capability: Capability) {
        assert!(self.next_slot < 1 << bootinfo::CNODE_BITS, "the root task's CNode is full");
        self.put(self.next_slot, capability);
        self.next_slot += 1;
    }

    /// The last-level table for `va`; missing ones are made by `make`, which gets the address they are for.
    fn table(&mut self, va: u64, mut make: impl FnMut(u64) -> u64) -> u64 {
        let mut table = self.vspace;
        for level in 0..3 {
            let at = table + 8 * kaal_paging::index(va, level) as u64;
            table = match kaal_paging::decode(self.memory.read(at), level) {
                Entry::Table(next) => next,
                Entry::Invalid => {
                    let next = make(va & !(kaal_paging::span(level) - 1));
                    self.memory.write(at, kaal_paging::table(next));
                    next
                }
                _ => unreachable!("a block in the root task's map"),
            };
        }
        table
    }

    /// Makes the tables for the pages `start..end`, and puts their capabilities into slots.
    fn make_tables(&mut self, start: u64, end: u64) {
        let mut va = start;
        while va < end {
            let mut made = [None; 3];
            self.table(va, |at| {
                let address = new_frame();
                let free = made.iter_mut().find(|m| m.is_none()).expect("three levels at most");
                *free = Some((address, at));
                address
            });
            for (address, va) in made.into_iter().flatten() {
                self.push(Capability::PageTable { address, mapped: Some(Mapped { asid: ASID, va }) });
            }
            va = (va & !(kaal_paging::span(2) - 1)) + kaal_paging::span(2);
        }
    }

    /// Maps a page whose tables are there, and returns its capability.
    fn map(&mut self, va: u64, address: u64, rights: kaal_paging::Rights) -> Capability {
        let table = self.table(va, |_| unreachable!("tables are made first"));
        let at = table + 8 * kaal_paging::index(va, 3) as u64;
        assert!(self.memory.read(at) == 0, "two pages of the root task at {va:#x}");
        self.memory.write(at, kaal_paging::leaf(address, 3, Attributes::user(rights)));
        let mapped = Some(Mapped { asid: ASID, va });
        Capability::Page { address, size: PageSize::Small, device: false, rights: Rights::ALL, mapped }
    }
}

/// What a page of the image may be used for: what the program headers say, which lie in its first page.
fn rights_of(elf: &Loaded, va: u64) -> kaal_paging::Rights {
    let covers = |s: &LoadedSegment| va + PAGE_SIZE > s.address && va < s.address + s.size;
    let mut usages = elf.segments().filter(covers).map(|s| s.usage);
    let rights = match usages.next() {
        Some(Use::Execute) => kaal_paging::Rights::ReadExecute,
        Some(Use::Write) => kaal_paging::Rights::ReadWrite,
        _ => kaal_paging::Rights::Read,
    };
    assert!(usages.next().is_none(), "two segments of the root task share the page at {va:#x}");
    rights
}

/// Writes words behind each other.
struct Words<'a> {
    memory: &'a mut Hardware,
    pages: &'a [u64],
}

impl Words<'_> {
    fn set(&mut self, index: usize, value: u64) {
        let page = self.pages[index * 8 / PAGE_SIZE as usize];
        self.memory.write(page + index as u64 * 8 % PAGE_SIZE, value);
    }
}

/// Most pages of boot information.
const MAX_INFO_PAGES: usize = 8;
/// Most entries of the untyped list.
const MAX_UNTYPED: usize = 256;
/// Most entries of the list of memory regions.
const MAX_REGIONS: usize = 32;

/// Makes the root task, gives it everything, and leaves it ready to run.
pub fn start(kernel: &mut Kernel<Hardware>, params: &Params, handover: &Handover, kernel_image: Span) {
    let image = handover.span();
    // SAFETY: the loader filled these pages, and nobody writes to them before the root task runs.
    let bytes = unsafe { phys::bytes(image.start, (image.end - image.start) as usize) };
    let elf = Loaded::parse(bytes).unwrap_or_else(|error| panic!("the root task's image: {error:?}"));

    let tcb = Tcb(new_block(PAGE_SIZE));
    let cnode = Slot(new_block(SLOT_SIZE << bootinfo::CNODE_BITS));
    let vspace = new_frame();
    kernel.asids[usize::from(ASID)] = vspace;
    let mut b = Builder { memory: &mut kernel.machine, cnode, next_slot: slot::FIRST_FREE, vspace };

    // Virtual addresses: the image, then IPC buffer, boot information, device tree, with a gap before each.
    let image_va = image.start.wrapping_sub(handover.offset);
    let image_end = image.end.wrapping_sub(handover.offset);
    let buffer_va = image_end + PAGE_SIZE;
    let info_va = buffer_va + 2 * PAGE_SIZE;
    let most = header::WORDS + MAX_UNTYPED * untyped::WORDS + MAX_REGIONS * region::WORDS;
    let info_pages = (most * 8).div_ceil(PAGE_SIZE as usize);
    assert!(info_pages <= MAX_INFO_PAGES);
    let tree = Span::of_bytes(params.fdt.bytes());
    let tree_va = info_va + (info_pages as u64 + 1) * PAGE_SIZE;
    let tree_end = tree_va + (tree.end - tree.start);
    assert!(image_va >= PAGE_SIZE && tree_end < 1 << 47, "the root task is linked at {image_va:#x}");

    let mut ranges = [[0; 2]; 6];
    let mut pages = [0; MAX_INFO_PAGES];
    pages[..info_pages].fill_with(new_frame);
    let buffer = new_frame();

    // The tables come first, but their slots are behind those of the pages.
    let pages_in = |span: Span| (span.end - span.start) / PAGE_SIZE;
    b.next_slot += info_pages as u64 + pages_in(tree) + pages_in(image);
    ranges[4][0] = b.next_slot;
    b.make_tables(image_va, tree_end);
    ranges[4][1] = b.next_slot;
    let buffer_page = b.map(buffer_va, buffer, kaal_paging::Rights::ReadWrite);
    b.put(slot::IPC_BUFFER, buffer_page);
    b.next_slot = slot::FIRST_FREE;
    let mut info_frames = pages[..info_pages].iter().copied();
    ranges[1] = push_pages(&mut b, info_va, &mut info_frames, |_| kaal_paging::Rights::Read);
    let mut tree_pages = (tree.start..tree.end).step_by(PAGE_SIZE as usize);
    ranges[2] = push_pages(&mut b, tree_va, &mut tree_pages, |_| kaal_paging::Rights::Read);
    let mut image_pages = (image.start..image.end).step_by(PAGE_SIZE as usize);
    ranges[3] = push_pages(&mut b, image_va, &mut image_pages, |va| rights_of(&elf, va));
    assert!(b.next_slot == ranges[4][0]);
    b.next_slot = ranges[4][1];
    mmu::sync_instructions(phys::to_virtual(image.start), image.end - image.start);

    let cnode_capability = Capability::CNode {
        address: cnode.0,
        radix: bootinfo::CNODE_BITS,
        guard: 0,
        guard_bits: kaal_abi::WORD_BITS - bootinfo::CNODE_BITS,
    };
    let vspace_capability = Capability::VSpace { address: vspace, asid: ASID };
    b.put(slot::TCB, Capability::Thread { address: tcb.0 });
    b.put(slot::CNODE, cnode_capability);
    b.put(slot::VSPACE, vspace_capability);
    b.put(slot::IRQ_CONTROL, Capability::IrqControl);
    b.put(slot::DOMAIN, Capability::Domain);
    b.put(slot::POWER, Capability::Power);

    // Last, so that nothing is left: all free memory, and the devices.
    let mut list = [(0, 0, false); MAX_UNTYPED];
    let mut count = 0;
    let mut add = |address, bits, device| {
        *list.get_mut(count).expect("too many pieces of untyped memory") = (address, bits, device);
        count += 1;
    };
    for span in params.devices() {
        split(span, |address, bits| add(address, bits, true));
    }
    frames::with(|a| a.take_blocks(|address, bits| add(address, bits, false)));
    let untyped_from = b.next_slot;
    for &(address, bits, device) in &list[..count] {
        b.push(Capability::Untyped { address, bits, device, used: 0, zeroed: 0 });
    }
    ranges[5] = [untyped_from, b.next_slot];
    ranges[0] = [b.next_slot, 1 << bootinfo::CNODE_BITS];

    let mut info = Words { memory: b.memory, pages: &pages[..info_pages] };
    let untyped_at = header::WORDS;
    let regions_at = untyped_at + count * untyped::WORDS;
    let mut regions = 0;
    let mut add_region = |info: &mut Words, span: Span, kind| {
        assert!(regions < MAX_REGIONS, "too many regions of memory");
        let at = regions_at + regions * region::WORDS;
        info.set(at + region::START, span.start);
        info.set(at + region::END, span.end);
        info.set(at + region::KIND, kind);
        regions += 1;
    };
    params.memory().for_each(|span| add_region(&mut info, span, region::RAM));
    add_region(&mut info, kernel_image, region::KERNEL);
    add_region(&mut info, image, region::ROOT_TASK);
    params.reserved().for_each(|span| add_region(&mut info, span, region::RESERVED));
    for (index, &(address, bits, device)) in list[..count].iter().enumerate() {
        let at = untyped_at + index * untyped::WORDS;
        info.set(at + untyped::ADDRESS, address);
        info.set(at + untyped::BITS, bits);
        info.set(at + untyped::DEVICE, u64::from(device));
    }
    info.set(header::MAGIC, bootinfo::MAGIC);
    info.set(header::VERSION, bootinfo::VERSION);
    info.set(header::SIZE, 8 * (regions_at + regions * region::WORDS) as u64);
    info.set(header::IPC_BUFFER, buffer_va);
    info.set(header::CNODE_BITS, bootinfo::CNODE_BITS);
    for (index, [first, end]) in ranges.into_iter().enumerate() {
        info.set(header::EMPTY + 2 * index, first);
        info.set(header::EMPTY + 2 * index + 1, end);
    }
    let tree_offset = params.fdt.bytes().as_ptr() as u64 % PAGE_SIZE;
    info.set(header::FDT, tree_va + tree_offset);
    info.set(header::FDT + 1, params.fdt.bytes().len() as u64);
    info.set(header::IMAGE, image_va);
    info.set(header::IMAGE + 1, image_end);
    info.set(header::UNTYPED_LIST, 8 * untyped_at as u64);
    info.set(header::UNTYPED_LIST + 1, count as u64);
    info.set(header::REGIONS, 8 * regions_at as u64);
    info.set(header::REGIONS + 1, regions as u64);
    info.set(header::TICK_HZ, timer::rate());
    info.set(header::UART_IRQ, u64::from(params.uart_interrupt));
    info.set(header::UART, params.uart.start);

    kernel.insert(cnode_capability, cnode.offset(slot::CNODE), tcb.cspace());
    kernel.insert(vspace_capability, cnode.offset(slot::VSPACE), tcb.vspace());
    kernel.insert(buffer_page, cnode.offset(slot::IPC_BUFFER), tcb.buffer_page());
    let memory = &mut kernel.machine;
    tcb.set_buffer(memory, buffer);
    tcb.set_buffer_va(memory, buffer_va);
    tcb.set_priority(memory, PRIORITY);
    tcb.set_mcp(memory, PRIORITY);
    tcb.set_time_slice(memory, TIME_SLICE);
    tcb.set_name_0(memory, u64::from_le_bytes(*b"root-tas"));
    tcb.set_name_1(memory, u64::from(b'k'));
    tcb.set_x(memory, 0, info_va);
    tcb.set_frame(memory, frame::PC, handover.entry);
    tcb.set_state(memory, State::Running);
    kernel.enqueue(tcb);
    kprintln!(
        "Root task: image {image_va:#x}-{image_end:#x}, {} capabilities, boot information at {info_va:#x}",
        kernel_slots(&ranges)
    );
}

/// How many slots are filled behind the fixed ones.
fn kernel_slots(ranges: &[[u64; 2]; 6]) -> u64 {
    ranges[5][1] - slot::FIRST_FREE
}

/// Maps pages behind each other, and puts their capabilities into slots. Returns the first slot and one past the last.
fn push_pages(
    b: &mut Builder,
    va: u64,
    pages: &mut dyn Iterator<Item = u64>,
    rights: impl Fn(u64) -> kaal_paging::Rights,
) -> [u64; 2] {
    let first = b.next_slot;
    for (index, address) in pages.enumerate() {
        let at = va + index as u64 * PAGE_SIZE;
        let page = b.map(at, address, rights(at));
        b.push(page);
    }
    [first, b.next_slot]
}

/// Splits a span into aligned blocks of powers of two, in order.
fn split(span: Span, mut f: impl FnMut(u64, u64)) {
    let mut at = span.start;
    while at < span.end {
        let aligned = if at == 0 { 63 } else { u64::from(at.trailing_zeros()) };
        let bits = aligned.min(u64::from((span.end - at).ilog2())).min(kaal_abi::MAX_UNTYPED_BITS);
        f(at, bits);
        at += 1 << bits;
    }
}
