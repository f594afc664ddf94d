//! Shows and checks what the kernel gave the root task.

use crate::bootinfo::{BootInfo, Range};
use crate::println;
use crate::runner::Outcome;
use kaal_sys::abi::bootinfo::{CNODE_BITS, header, region, slot};
use kaal_sys::abi::rights;
use kaal_sys::{CNode, CPtr, Page};

/// Names of the kinds of capabilities, as the kernel numbers them.
const KINDS: [&str; 15] = [
    "empty",
    "untyped",
    "endpoint",
    "notification",
    "reply",
    "CNode",
    "TCB",
    "VSpace",
    "page table",
    "page",
    "IRQ control",
    "IRQ handler",
    "domain",
    "power",
    "zombie",
];

fn kind(slot: u64) -> &'static str {
    KINDS.get(CPtr(slot).kind() as usize).copied().unwrap_or("unknown")
}

/// Prints the boot information.
pub fn boot_information(info: &BootInfo) {
    let (image, tree) = (info.range(header::IMAGE), info.word(header::FDT));
    println!("Boot information: {} bytes", info.word(header::SIZE));
    println!("  image        {:#x}-{:#x}", image.start, image.end);
    println!("  IPC buffer   {:#x}", info.word(header::IPC_BUFFER));
    println!("  device tree  {:#x}, {} bytes", tree, info.word(header::FDT + 1));
    println!("  UART         {:#x}, interrupt {}", info.word(header::UART), info.word(header::UART_IRQ));
    println!("  tick         {} Hz", info.word(header::TICK_HZ));
    for entry in info.regions() {
        let what = match entry.kind {
            region::RAM => "RAM",
            region::KERNEL => "kernel",
            region::ROOT_TASK => "root task",
            region::RESERVED => "reserved",
            _ => "unknown",
        };
        println!("  {what:12} {:#x}-{:#x}", entry.start, entry.end);
    }
    println!();
}

/// Prints what is in every slot of the initial capability space.
pub fn capabilities(info: &BootInfo) {
    let slots = 1 << info.word(header::CNODE_BITS);
    println!("Capabilities: {slots} slots");
    let mut start = 0;
    while start < slots {
        let of = CPtr(start).kind();
        let mut end = start + 1;
        while end < slots && CPtr(end).kind() == of {
            end += 1;
        }
        if of != 1 {
            let name = kind(start);
            if end == start + 1 {
                println!("  {start:<11} {name}")
            } else {
                println!("  {start:<4} - {:<4} {name}", end - 1)
            }
        } else {
            for (entry, slot) in info.untyped().zip(info.word(header::UNTYPED)..) {
                let what = if entry.device { "device memory" } else { "untyped" };
                println!("  {slot:<11} {what} {:#x}, 2^{} bytes", entry.address, entry.bits);
            }
        }
        start = end;
    }
    println!();
}

/// Tests of what the kernel gave the root task.
pub fn check(info: &BootInfo, outcome: &mut Outcome) {
    let mut test =
        |name: &str, holds: bool| outcome.record(name, if holds { Ok(()) } else { Err("it is not so") });
    let fixed = [
        (slot::TCB, "TCB"),
        (slot::CNODE, "CNode"),
        (slot::VSPACE, "VSpace"),
        (slot::IRQ_CONTROL, "IRQ control"),
        (slot::IPC_BUFFER, "page"),
        (slot::DOMAIN, "domain"),
        (slot::POWER, "power"),
        (slot::NULL, "empty"),
    ];
    test(
        "root task: the fixed slots hold what they should",
        fixed.iter().all(|&(slot, name)| kind(slot) == name),
    );
    let rest = (slot::POWER + 1..slot::FIRST_FREE).all(|slot| kind(slot) == "empty");
    test("root task: the slots in reserve are empty", rest);
    test("root task: its CNode is as large as it should be", info.word(header::CNODE_BITS) == CNODE_BITS);

    let all =
        |range: Range, name: &str| range.len() > 0 && (range.start..range.end).all(|slot| kind(slot) == name);
    let ranges = [
        header::BOOTINFO_PAGES,
        header::FDT_PAGES,
        header::IMAGE_PAGES,
        header::PAGE_TABLES,
        header::UNTYPED,
    ];
    let ranges = ranges.map(|index| info.range(index));
    let behind =
        ranges.windows(2).all(|pair| pair[0].end == pair[1].start) && ranges[0].start == slot::FIRST_FREE;
    test("root task: the slots of the boot information follow each other", behind);
    let pages = ranges[..3].iter().all(|&range| all(range, "page"));
    test(
        "root task: pages, page tables and untyped memory are where it says",
        pages && all(ranges[3], "page table") && all(ranges[4], "untyped"),
    );
    let image = info.range(header::IMAGE);
    test("root task: a page for every page of the image", ranges[2].len() == image.len().div_ceil(4096));

    let aligned = info.untyped().all(|u| u.address.is_multiple_of(1 << u.bits));
    test("root task: untyped memory is aligned to its size", aligned);
    let overlaps = |a: (u64, u64), b: (u64, u64)| a.0 < b.1 && b.0 < a.1;
    let span = |u: &crate::bootinfo::UntypedEntry| (u.address, u.address + (1 << u.bits));
    let apart = info
        .untyped()
        .enumerate()
        .all(|(n, u)| info.untyped().take(n).all(|v| !overlaps(span(&u), span(&v))));
    test("root task: no two pieces of untyped memory overlap", apart);
    let taken = |u: &crate::bootinfo::UntypedEntry| {
        info.regions().any(|r| r.kind != region::RAM && overlaps(span(u), (r.start, r.end)))
    };
    test("root task: no untyped memory is anybody else's", !info.untyped().any(|u| taken(&u)));

    // The image's first page is code, and mapped so; a copy of the capability can be asked for its address.
    let first = info.range(header::IMAGE_PAGES).start;
    let physical = Page(CPtr(first)).address().unwrap_or(0);
    let inside = info.regions().any(|r| r.kind == region::ROOT_TASK && (r.start..r.end).contains(&physical));
    test("root task: its image is where the boot information says", inside);
    let copy = CNode(CPtr(slot::CNODE)).slot(slot::FIRST_FREE - 1);
    let refused = copy.copy(CNode(CPtr(slot::CNODE)).slot(slot::POWER), rights::ALL);
    let whole = refused.is_err() || copy.delete().is_ok();
    test("root task: a capability can be copied and deleted, or not copied", whole);
}
