//! From the first Rust instruction to power off.

pub mod params;
mod root_task;

use crate::arch::aarch64::mmio::Mmio;
use crate::arch::aarch64::{cpu, interrupt, mmu, phys, psci, timer, trap};
use crate::debug::{faults, selftest};
use crate::drivers::pl011::Pl011;
use crate::memory::kernel_map::{self, Section};
use crate::memory::{self, frames};
use crate::{kprint, kprintln};
use kaal_fdt::Fdt;
use kaal_frames::{FRAME_SIZE, FrameAllocator, words_for};
use kaal_paging::{Attributes, Rights, leaf};
use params::{Params, Span};
use root_task::Handover;

/// SCTLR_EL1's bits that are always one, which leave MMU and caches off.
const SCTLR_RES1: u32 = 0x30d0_0800;
/// MMU, caches, stack alignment checks; DC ZVA and CTR_EL0 for programs, WFI of theirs trapped; writable means not
/// executable.
const SCTLR_ON: u32 =
    SCTLR_RES1 | 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 12 | 1 << 14 | 1 << 15 | 1 << 18 | 1 << 19;
/// 48-bit addresses and 4 KiB granules in both halves, tables in write-back inner-shareable memory, 16-bit ASIDs.
const TCR: u64 = 16 | 1 << 8 | 1 << 10 | 3 << 12 | 16 << 16 | 1 << 24 | 1 << 26 | 3 << 28 | 2 << 30 | 1 << 36;

core::arch::global_asm!(
    include_str!("head.S"),
    KERNEL_OFFSET = const phys::KERNEL_OFFSET,
    HCR_RW = const 1u64 << 31,
    CPTR_RES1 = const 0x33ff,
    SCTLR_RES1 = const SCTLR_RES1,
    SCTLR_ON = const SCTLR_ON,
    TCR = const TCR,
    MAIR = const kaal_paging::MAIR,
    BLOCK_DEVICE = const leaf(0, 1, Attributes::DEVICE),
    BLOCK_DATA = const leaf(RAM_BASE, 2, Attributes::kernel(Rights::ReadWrite)),
    BLOCK_CODE = const leaf(IMAGE_BASE, 2, Attributes::kernel(Rights::ReadExecute)),
);

/// Where QEMU's `virt` board has its first UART. Needed before the device tree can be read; checked against it then.
const UART: u64 = 0x0900_0000;
/// The start of RAM, where an ELF kernel, which gets no x0, finds the device tree.
const RAM_BASE: u64 = 0x4000_0000;

/// The console.
pub const fn console() -> Pl011 {
    // SAFETY: both the boot map and the final map have the UART there as device memory.
    unsafe { Pl011::new(Mmio::new(phys::to_virtual(UART) as usize)) }
}

/// The parts of the image, as the linker script laid them out, in order. What lies between rodata and data is plain RAM,
/// but stays reserved: the boot map has it read-only.
pub fn sections() -> [Section; 8] {
    unsafe extern "C" {
        static __text_start: u8;
        static __text_end: u8;
        static __rodata_end: u8;
        static __data_start: u8;
        static __stack_guard: u8;
        static __stack_bottom: u8;
        static __stack_top: u8;
        static __emergency_bottom: u8;
        static __image_end: u8;
    }
    let text = &raw const __text_start as u64;
    let text_end = &raw const __text_end as u64;
    let rodata_end = &raw const __rodata_end as u64;
    let data = &raw const __data_start as u64;
    let guard = &raw const __stack_guard as u64;
    let stack = &raw const __stack_bottom as u64;
    let stack_end = &raw const __stack_top as u64;
    let emergency = &raw const __emergency_bottom as u64;
    let end = &raw const __image_end as u64;
    let section = |name, start, end, rights| Section { name, start, end, rights };
    [
        section("boot", phys::to_virtual(IMAGE_BASE), text, Some(Rights::Read)),
        section("text", text, text_end, Some(Rights::ReadExecute)),
        section("rodata", text_end, rodata_end, Some(Rights::Read)),
        section("data", data, guard, Some(Rights::ReadWrite)),
        section("guard", guard, stack, None),
        section("stack", stack, stack_end, Some(Rights::ReadWrite)),
        section("guard", stack_end, emergency, None),
        section("stack", emergency, end, Some(Rights::ReadWrite)),
    ]
}

/// Where the image is loaded; kernel.ld says the same.
pub const IMAGE_BASE: u64 = 0x4020_0000;

/// Called by head.S on the kernel stack, MMU on, in the upper half. `tree` is what x0 held, `level` where we came from;
/// the rest is what the loader says of the root task, all 0 if the kernel was started without one.
#[unsafe(no_mangle)]
extern "C" fn kernel_main(tree: u64, level: u64, start: u64, end: u64, entry: u64, offset: u64) -> ! {
    let handover = (start < end).then_some(Handover { start, end, entry, offset });
    // Until the device tree tells: with EL2 to ourselves, the firmware is called by SMC.
    psci::use_smc(level == 2);
    console().start();
    kprintln!("Hello from KaaL Kernel!");
    kprintln!("KaaL Rust Microkernel v{}", env!("CARGO_PKG_VERSION"));
    kprintln!();

    let params = Params::read(device_tree(if tree == 0 { RAM_BASE } else { tree }));
    psci::use_smc(params.smc);
    assert!(params.uart.start == UART, "the UART is at {:#x}, not {UART:#x}", params.uart.start);
    describe(&params, level);

    let image = set_up_memory(&params, handover.as_ref());
    if let Some(hz) = params.argument("tick") {
        match hz.parse() {
            Ok(hz @ 1..=1_000_000) => timer::set_rate(hz),
            _ => kprintln!("tick={hz}: not a number of ticks a second, 1 to 1000000"),
        }
    }
    // SAFETY: the addresses are the device tree's, and `kernel_map::build` mapped them.
    unsafe { interrupt::start(params.distributor.start, params.interface.start, params.timer_interrupt) };
    kprintln!("Interrupts: GICv2, {} lines, virtual timer {}", interrupt::lines(), params.timer_interrupt);
    kprintln!();

    let outcome = selftest::run(&params);
    kprintln!();
    kprintln!("Self tests: {} passed, {} failed", outcome.passed, outcome.failed);
    faults::run(&params);
    let Some(handover) = handover else {
        timer::stop();
        kprintln!("No root task to run.");
        kprintln!("System powering off.");
        psci::system_off()
    };
    assert!(outcome.failed == 0, "the kernel's own tests failed");
    trap::with_kernel(|kernel| {
        kernel.irq_slots = root_task::interrupt_slots(interrupt::lines());
        root_task::start(kernel, &params, &handover, image);
    });
    kprintln!();
    trap::run_threads()
}

fn device_tree(pa: u64) -> Fdt<'static> {
    // The boot map reaches the first GiB of RAM only.
    assert!((0x4000_0000..0x7ff0_0000).contains(&pa), "device tree at {pa:#x}, beyond the first GiB of RAM");
    // SAFETY: mapped memory; nobody writes to the device tree, and the frames it is in stay reserved.
    let header = unsafe { phys::bytes(pa, Fdt::HEADER_SIZE) };
    let size = match Fdt::total_size(header) {
        Ok(size) if size <= 2 << 20 => size,
        Ok(size) => panic!("device tree at {pa:#x} claims {size} bytes"),
        Err(error) => panic!("no device tree at {pa:#x}: {error:?}"),
    };
    // SAFETY: as above.
    let bytes = unsafe { phys::bytes(pa, size) };
    Fdt::new(bytes).unwrap_or_else(|error| panic!("device tree at {pa:#x}: {error:?}"))
}

fn describe(params: &Params, level: u64) {
    let midr = cpu::main_id();
    kprintln!("Boot parameters:");
    kprintln!("  Entered at:  EL{level}");
    kprintln!("  Model:       {}", params.model);
    kprintln!("  Processor:   {} r{}p{}", cpu::name(midr), midr >> 20 & 15, midr & 15);
    kprintln!(
        "  Device tree: {:#x}, {} KiB",
        phys::to_physical(params.fdt.bytes().as_ptr() as u64),
        params.fdt.bytes().len() / 1024
    );
    kprintln!("  Arguments:   {}", if params.arguments.is_empty() { "(none)" } else { params.arguments });
    kprintln!("  Console:     PL011 at {:#x}", params.uart.start);
    for Span { start, end } in params.memory() {
        kprintln!("  Memory:      {start:#x}-{end:#x}, {} MiB", (end - start) >> 20);
    }
    for Span { start, end } in params.reserved() {
        kprintln!("  Reserved:    {start:#x}-{end:#x}");
    }
    kprintln!();
}

/// The bitmap's place: behind the image, past whatever is reserved.
fn place_bitmap(params: &Params, root_task: Option<&Handover>, image_end: u64, size: u64) -> u64 {
    let mut start = image_end;
    let obstacles = || params.reserved().chain(root_task.map(Handover::span));
    while let Some(obstacle) = obstacles().find(|r| start < r.end && r.start < start + size) {
        start = obstacle.end;
    }
    start
}

/// Sets up the frame allocator and the kernel's map. Returns where the kernel's image and data are.
fn set_up_memory(params: &Params, root_task: Option<&Handover>) -> Span {
    let sections = sections();
    let image_end = phys::to_physical(sections[sections.len() - 1].end);
    let first = params.memory().map(|m| m.start).min().expect("device tree: no memory");
    let end = params.memory().map(|m| m.end).max().unwrap_or(first);
    let holds_image = |m: Span| m.start <= IMAGE_BASE && image_end <= m.end;
    assert!(params.memory().any(holds_image), "the kernel's image is not in RAM the device tree knows of");

    let count = ((end - first) / FRAME_SIZE) as usize;
    let size = (words_for(count) as u64 * 8).next_multiple_of(FRAME_SIZE);
    let bitmap = place_bitmap(params, root_task, image_end, size);
    // SAFETY: RAM behind the image that nothing is in, reserved below, in the boot map and the final one.
    let words = unsafe { phys::words(bitmap, words_for(count)) };
    let mut allocator = FrameAllocator::new(first, count, words);
    params.memory().for_each(|m| allocator.release_range(m.start, m.end));
    allocator.reserve_range(IMAGE_BASE, image_end);
    allocator.reserve_range(bitmap, bitmap + size);
    params
        .reserved()
        .chain(root_task.map(Handover::span))
        .for_each(|r| allocator.reserve_range(r.start, r.end));
    // SAFETY: all RAM; what Rust objects there are outside the image have just been reserved.
    unsafe { phys::declare((first, end), (IMAGE_BASE, image_end)) };
    frames::install(allocator);
    kprintln!("Memory: {} of {count} frames free", frames::available());

    let map = match kernel_map::build(params, &sections) {
        Ok(map) => map,
        Err(error) => panic!("mapping the kernel: {error:?}"),
    };
    // SAFETY: `build` maps all RAM, the image in it, and the devices, where the boot map had them.
    unsafe { mmu::install_kernel_map(map.root()) };
    kernel_map::keep(map);
    // From here on nothing is mapped in the lower half but what programs bring along.
    let empty = memory::frames::allocate_zeroed().expect("no memory");
    memory::set_empty_map(empty);
    mmu::switch_user_map(empty, 0);
    mmu::invalidate_all();
    kprint!("Kernel map:");
    for section in &sections {
        let rights = match section.rights {
            None => continue,
            Some(Rights::Read) => "r--",
            Some(Rights::ReadWrite) => "rw-",
            Some(Rights::ReadExecute) => "r-x",
        };
        kprint!(" {} {rights}", section.name);
    }
    kprintln!();
    let [(bottom, top), _] = trap::stacks();
    kprintln!("Kernel stack: {} KiB below {top:#x}", (top - bottom) >> 10);
    Span { start: IMAGE_BASE, end: bitmap + size }
}
