//! The root task, the first program: shows what the kernel gave it, runs the test suite, and turns the machine off.
#![no_std]
#![no_main]

mod bootinfo;
mod loader;
mod memory;
mod runner;
mod show;
mod uart;
mod watchdog;

use bootinfo::{BootInfo, Range};
use kaal_elf::Elf;
use kaal_sys::abi::bootinfo::{header, slot};
use kaal_sys::abi::{ObjectType, rights};
use kaal_sys::{CPtr, Endpoint, IrqControl, Page, Power, VSpace, thread, time};
use memory::{Arena, CNODE};
use runner::{Devices, Outcome, Runner, Selection};
use watchdog::Watchdog;

/// The tests, one program for all.
static SUITE: &[u8] = include_bytes!(concat!(env!("KAAL_PROGRAMS"), "/kaal-test-suite"));
/// Where the UART is mapped.
const UART: u64 = 0x1000_0000;
/// Memory that no test may change, and what is in it.
static mut CANARY: [u64; 512] = [CANARY_WORD; 512];
const CANARY_WORD: u64 = 0x6b61_616c_2072_6f6f;
/// Slots for what a test is made of, and for the bystander.
const TEST_SLOTS: u64 = 1024;
/// Log2 of the bystander's memory.
const BYSTANDER_BITS: u64 = 20;

fn canary_lives() -> bool {
    let first = &raw const CANARY as *const u64;
    // SAFETY: nobody has a reference to it; volatile, since the point is that somebody else might have written to it.
    (0..512).all(|n| unsafe { first.add(n).read_volatile() } == CANARY_WORD)
}

/// Gets the UART's page and prints through it from now on. Returns the page.
fn start_console(info: &BootInfo, arena: &mut Arena) -> Option<Page> {
    let page = memory::device_page(info, arena, info.word(header::UART))?;
    arena.map(VSpace(CPtr(slot::VSPACE)), page, UART, rights::READ | rights::WRITE, 0).ok()?;
    // SAFETY: just mapped, and this mapping stays; the boot information says that it is the UART.
    unsafe { uart::install(UART) };
    Some(page)
}

/// Makes the page tables for the loader's window, so that they last.
fn prepare_window(arena: &mut Arena) -> kaal_sys::Result {
    let page = Page(arena.make(ObjectType::Page, 0)?);
    arena.map(VSpace(CPtr(slot::VSPACE)), page, loader::WINDOW, rights::READ | rights::WRITE, 0)?;
    page.unmap()
}

fn run_suite(info: &BootInfo, arena: &mut Arena, uart: Page, outcome: &mut Outcome) -> kaal_sys::Result {
    let elf = match Elf::parse(SUITE) {
        Ok(elf) => elf,
        Err(error) => panic!("the test suite: {}", error.text()),
    };
    prepare_window(arena)?;
    let uart_irq = CPtr(arena.slot());
    IrqControl(CPtr(slot::IRQ_CONTROL)).get(info.word(header::UART_IRQ), CNODE.slot(uart_irq.0))?;
    let uart_address = info.word(header::UART);
    let unused = |u: &bootinfo::UntypedEntry| u.device && uart_address.wrapping_sub(u.address) >= 1 << u.bits;
    let device = info.untyped().find(|u| unused(u) && u.bits >= 12).map(|u| u.cap.0);
    let report = Endpoint(arena.make(ObjectType::Endpoint, 0)?);
    let stuck = arena.slot();
    CNODE.slot(stuck).mint(CNODE.slot(report.0.0), rights::WRITE, u64::MAX)?;
    let watchdog = Watchdog::start(arena, Endpoint(CPtr(stuck)), info.word(header::TICK_HZ))?;
    let mut bystander = arena.split(BYSTANDER_BITS, TEST_SLOTS)?;
    let tests = arena.split(runner::TEST_BITS, TEST_SLOTS)?;
    let tick = (time::frequency() / info.word(header::TICK_HZ)).max(1);
    let devices = Devices { uart: uart.0, uart_irq, device, tick };
    let mut runner = Runner::new(elf, tests, report, devices, watchdog);
    runner.start_bystander(&mut bystander)?;
    let selection = match info.argument("suite") {
        Some(prefix) => runner.select(prefix)?,
        None => Selection::ALL,
    };
    let (mut number, mut count) = (0, runner::MOST_TESTS as u64);
    while number < count {
        if selection.has(number) {
            match runner.run(number, outcome) {
                // It could not even say how many there are; nor will the others.
                0 => break,
                tests => count = tests,
            }
        }
        number += 1;
    }
    outcome.record(
        "root task: its own memory is unharmed",
        if canary_lives() { Ok(()) } else { Err("it has changed") },
    );
    Ok(())
}

#[unsafe(no_mangle)]
extern "C" fn main(address: u64) -> ! {
    // SAFETY: what the kernel passes to its first program.
    let Some(info) = (unsafe { BootInfo::at(address) }) else {
        panic!("no boot information at {address:#x}")
    };
    // SAFETY: the kernel mapped it there, and nothing else is.
    unsafe { thread::set_ipc_buffer(info.word(header::IPC_BUFFER)) };
    let Some(ram) = memory::largest(&info) else { panic!("no untyped memory") };
    let empty = info.range(header::EMPTY);
    let mut arena = Arena::new(ram.cap, Range { start: empty.start, end: empty.end });
    let Some(uart) = start_console(&info, &mut arena) else { panic!("no capability leads to the UART") };
    println!("Hello from user-space!");
    println!();
    show::boot_information(&info);
    show::capabilities(&info);

    println!("Tests:");
    let mut outcome = Outcome::default();
    show::check(&info, &mut outcome);
    if let Err(failure) = run_suite(&info, &mut arena, uart, &mut outcome) {
        println!("The suite cannot be run: {:?} {:?}", failure.error, failure.words);
        outcome.failed += 1;
    }
    println!();
    println!("{} passed, {} failed", outcome.passed, outcome.failed);
    panic!("the power stays on: {:?}", Power(CPtr(slot::POWER)).off());
}
