//! What programs must not do, who is told, and how they go on.

use crate::env::*;
use core::arch::asm;
use core::hint::black_box;
use kaal_sys::abi::fault::{self, Kind};
use kaal_sys::abi::{attributes, lookup, rights};
use kaal_sys::{CPtr, Endpoint, Message, Received, fault::Fault, message};

/// Classes of exceptions, ESR_EL1.EC (Arm ARM D17.2.37).
mod class {
    pub const UNKNOWN: u64 = 0x00;
    pub const SYSTEM: u64 = 0x18;
    pub const FETCH: u64 = 0x20;
    pub const MISALIGNED_PC: u64 = 0x22;
    pub const DATA: u64 = 0x24;
    pub const BREAKPOINT: u64 = 0x3c;
}

/// An address that the kernel has its code near, in the half of the address space that is its own.
const KERNEL: u64 = 0xffff_0000_4020_1000;
/// An address in neither half.
const NON_CANONICAL: u64 = 0x0001_0000_0000_0000;
/// A write, in the syndrome of a data abort.
const WRITE: u64 = 1 << 6;

#[inline(never)]
#[allow(unconditional_recursion)]
fn overflow(depth: u64) -> u64 {
    let local = black_box([depth; 64]);
    overflow(black_box(depth + 1)).wrapping_add(local[black_box(1)])
}

extern "C" fn wild(address: u64) -> ! {
    // SAFETY: none is claimed, here and below: each is a fault that stops this thread, and nobody else.
    unsafe { asm!("ldr {0}, [{0}]", inout(reg) address => _) };
    exit()
}

extern "C" fn write(address: u64) -> ! {
    // SAFETY: see `wild`.
    unsafe { asm!("str wzr, [{}]", in(reg) address) };
    exit()
}

extern "C" fn jump(address: u64) -> ! {
    // SAFETY: see `wild`.
    unsafe { asm!("br {}", in(reg) address, options(noreturn)) }
}

extern "C" fn recurse(_: u64) -> ! {
    overflow(1);
    exit()
}

/// Commits one of the faults that need no address.
extern "C" fn exception(which: u64) -> ! {
    // SAFETY: see `wild`.
    unsafe {
        match which {
            0 => asm!("udf #0"),
            1 => asm!("mrs {}, sctlr_el1", out(reg) _),
            2 => asm!("brk #7"),
            3 => asm!("msr daifset, #2"),
            4 => asm!("hvc #0"),
            5 => asm!("smc #0"),
            6 => asm!("msr ttbr0_el1, xzr"),
            7 => asm!("eret"),
            _ => asm!("tlbi vmalle1"),
        }
    }
    exit()
}

/// Commits a fault in a helper: what its handler is told.
fn commit(env: &mut Env, program: Program, argument: u64) -> (Received, Fault) {
    let faults = env.endpoint();
    let badged = Endpoint(env.badged(faults.0, 0xfa));
    let helper = env.spawn_handled(badged, HIGHER, program, argument);
    let message = faults.recv();
    assert_eq!(message.badge, 0xfa);
    assert_eq!(helper.tcb.read_registers(false, 1).unwrap()[0], pc(&message));
    let Some(fault) = Fault::from(&message) else { panic!("label {} is no fault", message.label()) };
    (message, fault)
}

fn pc(message: &Received) -> u64 {
    if message.label() == Kind::UnknownSyscall as u64 { message.word(8) } else { message.word(0) }
}

#[track_caller]
fn memory(env: &mut Env, program: Program, at: u64, ec: u64, bits: u64) {
    let (message, fault) = commit(env, program, at);
    let Fault::Memory { address, fetch, syndrome, .. } = fault else { panic!("another fault: {fault}") };
    assert_eq!((address, fetch, syndrome >> 26), (at, ec == class::FETCH, ec));
    assert_eq!((syndrome & WRITE, message.info.length()), (bits, fault::MEMORY_WORDS as u64));
}

#[track_caller]
fn user(env: &mut Env, which: u64, expected: u64) {
    let (message, fault) = commit(env, exception, which);
    let Fault::UserException { class, syndrome, .. } = fault else { panic!("another fault: {fault}") };
    assert_eq!((class, syndrome >> 26), (expected, expected));
    assert_eq!(message.info.length(), fault::USER_EXCEPTION_WORDS as u64);
}

macro_rules! tests {
    ($($name:literal, |$env:ident| $body:expr;)*) => {
        /// The tests.
        pub const TESTS: &[Test] = &[$(($name, |$env: &mut Env| { $body; }),)*];
    };
}

tests! {
    "fault: a null pointer", |env| memory(env, wild, 0, class::DATA, 0);
    "fault: a write to code", |env| memory(env, write, commit as *const () as u64, class::DATA, WRITE);
    "fault: a write to constants", |env| memory(env, write, TESTS.as_ptr() as u64, class::DATA, WRITE);
    "fault: execution of data", |env| memory(env, jump, SHARED.as_ptr() as u64, class::FETCH, 0);
    "fault: a jump to nowhere", |env| memory(env, jump, 0xdead_0000, class::FETCH, 0);
    "fault: a read of the kernel", |env| memory(env, wild, KERNEL, class::DATA, 0);
    "fault: a write to the kernel", |env| memory(env, write, KERNEL, class::DATA, WRITE);
    "fault: a jump into the kernel", |env| memory(env, jump, KERNEL, class::FETCH, 0);
    "fault: a non-canonical address", |env| memory(env, wild, NON_CANONICAL, class::DATA, 0);
    "fault: a stack that overflows", |env| stack(env);
    "fault: an undefined instruction", |env| user(env, 0, class::UNKNOWN);
    "fault: a privileged register is read", |env| user(env, 1, class::UNKNOWN);
    "fault: a privileged register is written", |env| user(env, 6, class::UNKNOWN);
    "fault: a breakpoint", |env| user(env, 2, class::BREAKPOINT);
    "fault: interrupts are masked", |env| user(env, 3, class::SYSTEM);
    "fault: calls to hypervisor and firmware", |env| {
        user(env, 4, class::UNKNOWN);
        user(env, 5, class::UNKNOWN);
    };
    "fault: a misaligned jump", |env| misaligned(env);
    "fault: an exception return, a TLB invalidation", |env| {
        user(env, 7, class::UNKNOWN);
        user(env, 8, class::UNKNOWN);
    };
    "fault: an unknown system call, with its registers", |env| unknown_syscall(env);
    "fault: memory is supplied, and the thread goes on", |env| supply(env);
    "fault: the program counter is moved on by the reply", |env| skip(env);
    "fault: a capability is supplied, and the thread goes on", |env| supply_capability(env);
    "fault: a reply that refuses leaves the thread stopped", |env| refuse(env);
    "fault: without a handler, or one that cannot be reached, the thread stops", |env| nobody(env);
    "fault: several threads of one handler", |env| many(env);
}

fn stack(env: &mut Env) {
    let faults = env.endpoint();
    let helper = env.spawn_handled(faults, HIGHER, recurse, 0);
    let Some(Fault::Memory { address, fetch: false, .. }) = Fault::from(&faults.recv()) else {
        panic!("no memory fault")
    };
    assert!((helper.stack - PAGE..helper.stack).contains(&address), "{address:#x}");
}

fn misaligned(env: &mut Env) {
    let (_, fault) = commit(env, jump, exit as *const () as u64 + 2);
    let Fault::UserException { pc, class, .. } = fault else { panic!("another fault: {fault}") };
    assert_eq!((pc, class), (exit as *const () as u64 + 2, class::MISALIGNED_PC));
}

/// Makes a system call that does not exist with 8 known registers, and logs what is in x0 and x3 afterwards.
extern "C" fn strange(number: u64) -> ! {
    let (mut a, mut b) = (0xa0u64, 0xa3u64);
    // SAFETY: changes what its handler says, at most x0 to x7.
    unsafe {
        asm!("svc #0", inout("x0") a, inout("x1") 0xa1u64 => _, inout("x2") 0xa2u64 => _, inout("x3") b,
            inout("x4") 0xa4u64 => _, inout("x5") 0xa5u64 => _, inout("x6") 0xa6u64 => _, inout("x7") number => _);
    }
    log(a);
    log(b);
    exit()
}

fn unknown_syscall(env: &mut Env) {
    for number in [0, 1, -12, i64::MIN, i64::MAX] {
        let faults = env.endpoint();
        let helper = env.spawn_handled(faults, HIGHER, strange, number as u64);
        let message = faults.recv();
        assert_eq!(message.label(), Kind::UnknownSyscall as u64);
        assert_eq!(message.info.length(), fault::UNKNOWN_SYSCALL_WORDS as u64);
        let mut words: [u64; fault::UNKNOWN_SYSCALL_WORDS] = core::array::from_fn(|n| message.word(n));
        assert_eq!(words[..7], [0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6]);
        assert_eq!((words[7], words[12]), (number as u64, number as u64));
        assert!((helper.stack..=helper.stack + 2 * PAGE).contains(&words[9]));
        (words[0], words[3]) = (0xb0, 0xb3);
        // The faulting instruction would be executed again.
        words[8] += 4;
        message::reply(Message::new(0, &words[..12]));
        logged(&[0xb0, 0xb3]);
    }
}

extern "C" fn read(address: u64) -> ! {
    log(word(address));
    log(word(address + 8));
    exit()
}

fn supply(env: &mut Env) {
    let faults = env.endpoint();
    let (page, va) = env.mapped_page();
    set_word(va, 0x1001);
    set_word(va + 8, 0x1002);
    page.unmap().unwrap();
    env.spawn_handled(faults, HIGHER, read, va);
    let fault = Fault::from(&faults.recv());
    assert!(matches!(fault, Some(Fault::Memory { address, fetch: false, .. }) if address == va));
    page.map(VSPACE, va, rights::READ, 0).unwrap();
    logged(&[]);
    message::reply(Message::new(0, &[]));
    logged(&[0x1001, 0x1002]);
}

extern "C" fn break_twice(_: u64) -> ! {
    let mut flags: u64;
    // SAFETY: breakpoints, which the handler skips.
    unsafe { asm!("brk #1", "cmp xzr, xzr", "brk #2", "mrs {}, nzcv", out(reg) flags) };
    log(flags);
    flags = black_box(1);
    log(flags);
    exit()
}

fn skip(env: &mut Env) {
    let faults = env.endpoint();
    env.spawn_handled(faults, HIGHER, break_twice, 0);
    let first = faults.recv();
    logged(&[]);
    message::reply(Message::new(0, &[first.words[0] + 4]));
    let second = faults.recv();
    assert_eq!((second.label(), second.words[0]), (Kind::UserException as u64, first.words[0] + 8));
    // Flags can be changed, and nothing else of the state.
    let reply = [second.words[0] + 4, second.words[1], 0xf000_03c5];
    message::reply(Message::new(0, &reply));
    logged(&[0xf000_0000, 1]);
}

extern "C" fn receive(cap: u64) -> ! {
    log(Endpoint(CPtr(cap)).recv().label());
    exit()
}

fn supply_capability(env: &mut Env) {
    let (faults, endpoint, slot) = (env.endpoint(), env.endpoint(), env.slot());
    env.spawn_handled(faults, HIGHER, receive, slot.index);
    let message = faults.recv();
    assert_eq!(message.info.length(), fault::CAPABILITY_WORDS as u64);
    let Some(Fault::Capability { address, receiving, lookup, .. }) = Fault::from(&message) else {
        panic!("no capability fault")
    };
    assert_eq!((address, receiving, lookup), (slot.index, true, lookup::MISSING_CAPABILITY));
    slot.copy(at(endpoint.0), rights::ALL).unwrap();
    message::reply(Message::new(0, &[]));
    logged(&[]);
    endpoint.send(Message::new(0x66, &[]));
    logged(&[0x66]);
}

fn refuse(env: &mut Env) {
    let faults = env.endpoint();
    let (page, va) = env.mapped_page();
    page.unmap().unwrap();
    let helper = env.spawn_handled(faults, HIGHER, read, va);
    faults.recv();
    page.map(VSPACE, va, rights::READ, 0).unwrap();
    message::reply(Message::new(1, &[]));
    logged(&[]);
    helper.tcb.resume().unwrap();
    logged(&[0, 0]);
}

fn nobody(env: &mut Env) {
    let endpoint = env.endpoint();
    let weak = env.copy(endpoint.0, rights::WRITE);
    let deaf = env.copy(endpoint.0, rights::READ | rights::GRANT);
    for handler in [0, weak.0, deaf.0, 1 << 60, VSPACE.0.0] {
        let helper = env.spawn_handled(Endpoint(CPtr(handler)), HIGHER, wild, 0x10);
        assert_eq!(endpoint.nb_recv().info.length(), 0);
        let registers = helper.tcb.read_registers(false, 4).unwrap();
        let program = wild as *const () as u64;
        assert!((program..program + 64).contains(&registers[0]), "handler {handler:#x}");
    }
    // A page that may be executed is no page to write instructions to.
    let (page, va) = env.mapped_page();
    assert!(page.map(VSPACE, va, RW, attributes::EXECUTE).is_err());
}

fn many(env: &mut Env) {
    let faults = env.endpoint();
    for n in 1..=4 {
        let badged = Endpoint(env.badged(faults.0, n));
        env.spawn_handled(badged, HIGHER, wild, 0x100 * n);
    }
    for n in 1..=4 {
        let message = faults.recv();
        assert_eq!((message.badge, message.words[1]), (n, 0x100 * n));
    }
    assert_eq!(faults.nb_recv().badge, 0);
}
