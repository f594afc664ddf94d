//! Tests that run inside the kernel at every boot, on the machine itself.

use crate::arch::aarch64::mmu::Probe;
use crate::arch::aarch64::{cpu, interrupt, mmu, phys, probe, psci, timer, trap, uaccess};
use crate::boot::{self, params::Params};
use crate::kprintln;
use crate::memory::{frames, kernel_map};
use kaal_paging::{Behaviour, Entry, PAGE_SIZE, Rights, decode, is_writable_and_executable};

/// How many tests passed and failed.
#[derive(Debug, Default, Clone, Copy)]
pub struct Outcome {
    /// Tests that passed.
    pub passed: u32,
    /// Tests that failed.
    pub failed: u32,
}

impl Outcome {
    fn check(&mut self, what: &str, holds: bool) {
        if holds {
            self.passed += 1;
        } else {
            self.failed += 1;
        }
        kprintln!("  {} {what}", if holds { "ok    " } else { "FAILED" });
    }
}

/// Runs every test.
pub fn run(params: &Params) -> Outcome {
    let mut outcome = Outcome::default();
    kprintln!("Self tests of the kernel:");
    device_tree(&mut outcome, params);
    frame_allocator(&mut outcome);
    kernel_map_tests(&mut outcome, params);
    exceptions(&mut outcome);
    interrupts(&mut outcome);
    firmware(&mut outcome);
    outcome
}

fn device_tree(o: &mut Outcome, params: &Params) {
    let stdout = params.fdt.node("/chosen").and_then(|n| n.property("stdout-path")?.strings().next());
    let console = stdout.and_then(|path| params.fdt.node(path)?.regions().next());
    o.check("fdt: stdout-path leads to the console", console.is_some_and(|r| r.start == params.uart.start));
    let cpus = params.fdt.node("/cpus").map_or(0, |cpus| {
        let after = params.fdt.nodes().skip_while(|n| n.name != cpus.name).skip(1);
        after.take_while(|n| n.depth > 1).filter(|n| n.name.starts_with("cpu@")).count()
    });
    o.check("fdt: at least one processor", cpus >= 1);
    o.check("fdt: the timer's interrupt is 27", params.timer_interrupt == 27);
}

fn frame_allocator(o: &mut Outcome) {
    let before = frames::available();
    let all = [(); 4].map(|()| frames::allocate_zeroed().unwrap_or(0));
    let distinct = (1..4).all(|i| !all[..i].contains(&all[i]) && all[i] != 0);
    o.check("frames: four allocations are four frames", distinct && frames::available() == before - 4);
    let frame = phys::Frame::at(all[1]);
    frame.write(511, 0x0123_4567_89ab_cdef);
    frame.write_bytes(4088, b"ab");
    o.check("frames: memory keeps what is written", frame.read(511) == 0x0123_4567_89ab_6261);
    frames::free(all[1]);
    let again = frames::allocate_zeroed();
    o.check("frames: a freed frame is used again, zeroed", again == Some(all[1]) && frame.read(511) == 0);
    let image = frames::with(|a| a.is_used(boot::IMAGE_BASE));
    o.check("frames: the kernel's image is not free", image == Some(true));
    let run = frames::with(|a| a.allocate_contiguous(16, 16 * PAGE_SIZE));
    o.check("frames: a run of 16 is aligned", run.is_some_and(|pa| pa % (16 * PAGE_SIZE) == 0));
    all.iter().for_each(|&f| frames::free(f));
    run.iter().for_each(|&pa| (0..16).for_each(|i| frames::free(pa + i * PAGE_SIZE)));
    let twice = frames::with(|a| a.free(all[0]));
    o.check("frames: freeing twice is refused", twice == Err(kaal_frames::FreeError::NotAllocated));
    o.check("frames: all are back", frames::available() == before);
}

/// The permission fault of a last-level entry, as PAR_EL1 and ESR_EL1 have it.
const PERMISSION_3: u8 = 0b001111;

fn kernel_map_tests(o: &mut Outcome, params: &Params) {
    let sections = boot::sections();
    let address = |name: &str| sections.iter().find(|s| s.name == name).map_or(0, |s| s.start);
    let (text, rodata, data, guard) = (address("text"), address("rodata"), address("data"), address("guard"));
    let control = mmu::control();
    o.check("mmu: on, with caches, and nothing writable is executed", control & 0x8_1005 == 0x8_1005);
    o.check(
        "mmu: the kernel runs in the upper half, at EL1",
        text >> 48 == 0xffff && cpu::exception_level() == 1,
    );
    let (mut executable, mut bad, mut devices) = (0, 0, 0);
    kernel_map::for_each_leaf(|va, level, descriptor| match decode(descriptor, level) {
        Entry::Leaf(pa, attributes) => {
            executable += u64::from(attributes.rights == Rights::ReadExecute);
            devices += u64::from(attributes.behaviour == Behaviour::Device);
            let odd = attributes.user || va != phys::to_virtual(pa) || is_writable_and_executable(descriptor);
            bad += u64::from(odd);
        }
        _ => bad += 1,
    });
    let code = (sections[1].end - text) / PAGE_SIZE;
    o.check("mmu: no page of the kernel's map is writable and executable", bad == 0 && executable == code);
    let registers = [params.uart, params.distributor, params.interface];
    let expected: u64 = registers.iter().map(|span| (span.end - span.start) / PAGE_SIZE).sum();
    o.check("mmu: devices, and nothing else, are mapped as devices", devices == expected);
    let at = mmu::translate;
    o.check("mmu: code translates for reading", at(text, Probe::KernelRead) == Ok(phys::to_physical(text)));
    o.check("mmu: code does not translate for writing", at(text, Probe::KernelWrite) == Err(PERMISSION_3));
    o.check(
        "mmu: constants do not translate for writing",
        at(rodata, Probe::KernelWrite) == Err(PERMISSION_3),
    );
    o.check("mmu: data translates for writing", at(data, Probe::KernelWrite) == Ok(phys::to_physical(data)));
    o.check("mmu: programs cannot read the kernel's data", at(data, Probe::UserRead) == Err(PERMISSION_3));
    o.check("mmu: stack guards are not mapped", at(guard + 8, Probe::KernelRead) == Err(0b000111));
    let identity = at(boot::IMAGE_BASE, Probe::KernelRead);
    o.check("mmu: the identity map is gone", identity == Err(0b000100));
    o.check("mmu: a write to code faults", crate::debug::faults::text_is_protected());
    o.check("mmu: a jump into data faults", !uaccess::try_execute_data());
}

fn exceptions(o: &mut Outcome) {
    let before = (trap::breakpoints(), trap::fixups());
    cpu::breakpoint();
    o.check("traps: a breakpoint in the kernel is resumed", trap::breakpoints() == before.0 + 1);
    o.check("traps: every register survives an exception", probe::registers_survive());
    let read = uaccess::try_read(interrupt::UNMAPPED);
    o.check("traps: a bad read in the kernel is fixed up", read.is_none() && trap::fixups() == before.1 + 1);
    let null = uaccess::try_read(0);
    o.check("traps: so is one through a null pointer", null.is_none());
}

fn interrupts(o: &mut Outcome) {
    o.check("irq: masked until all was ready", cpu::interrupts_masked());
    let before = interrupt::software_taken();
    interrupt::raise_software();
    let held = interrupt::software_taken() == before;
    cpu::with_interrupts(|| {});
    let taken = interrupt::software_taken() == before + 1;
    o.check("irq: a software interrupt waits for the mask, then comes", held && taken);
    o.check("irq: exceptions inside a handler nest and return", trap::deepest_nesting() == 2);
    let (ticks, start) = (timer::ticks(), timer::counter());
    let tick = timer::frequency() / timer::rate();
    cpu::with_interrupts(|| {
        while timer::counter() - start < 3 * tick {
            cpu::spin(1000);
        }
    });
    let passed = timer::ticks() - ticks;
    let ticking = (1..=4).contains(&passed);
    o.check("timer: it ticks while the kernel works", ticking);
    let ticks = timer::ticks();
    // Without a tick this would wait for ever.
    while ticking && timer::ticks() < ticks + 3 {
        cpu::with_interrupts(cpu::wait_for_interrupt);
    }
    o.check("timer: waiting ends with a tick, three times", timer::ticks() >= ticks + 3);
    let (ticks, start) = (timer::ticks(), timer::counter());
    while !timer::is_due() && timer::counter() - start < 3 * tick {
        cpu::spin(1000);
    }
    let held = timer::ticks() == ticks;
    cpu::with_interrupts(|| {});
    o.check("timer: a tick that falls due while masked comes late", held && timer::ticks() == ticks + 1);
    o.check("irq: none was spurious", interrupt::spurious() == 0);
}

fn firmware(o: &mut Outcome) {
    let (major, minor) = psci::version();
    o.check("psci: version 0.2 or later", (major, minor) >= (0, 2));
    o.check(
        "psci: processor 0 is on, and number 200 is none",
        psci::is_on(0) == Some(true) && psci::is_on(200).is_none(),
    );
}
