//! A program that makes random system calls with random capabilities, and must break nothing but itself.
//!
//! Its code is a loop in a page of its own; its random state and its count are in a page that it shares with the test.
//! Whenever it faults, blocks or stops itself, the test starts it again, now and then from nothing. It has capabilities
//! to all kinds of objects, but none to turn the power off, and it does not write to the kernel's console.

use crate::env::*;
use kaal_sys::abi::{ObjectType, attributes, registers, rights};
use kaal_sys::child::slot;
use kaal_sys::{CNode, CPtr, Domain, Endpoint, Message, Page, PageTable, Path, Tcb, Untyped, VSpace};

/// The tests.
pub const TESTS: &[Test] = &[("fuzz: 100,000 random system calls break nothing but their maker", fuzz)];

/// How many system calls it makes.
const CALLS: u64 = 100_000;
const SEED: u64 = 0x6b61_616c_5eed_0001;
/// Starts from what is there, before it is made anew.
const STARTS: u64 = 16;

/// Its address space: code, shared words, IPC buffer.
const CODE: u64 = 0x40_0000;
const DATA: u64 = CODE + PAGE;
const BUFFER: u64 = DATA + PAGE;
/// Log2 of its slots.
const SLOTS: u64 = 5;
/// What the capabilities in some slots know: the first label and the last.
const LABELS: [(u64, u64, u64); 16] = [
    (1, 2, 15),
    (2, 16, 24),
    (5, 31, 34),
    (6, 1, 1),
    (9, 31, 34),
    (10, 29, 30),
    (11, 31, 34),
    (12, 2, 15),
    (13, 16, 24),
    (14, 26, 28),
    (15, 35, 35),
    (17, 31, 34),
    (24, 29, 30),
    (25, 29, 30),
    (26, 29, 30),
    (27, 16, 24),
];
/// Where its fault endpoint is.
const EVENTS: u64 = 4;

core::arch::global_asm!(
    ".section .text.fuzzer, \"ax\"",
    ".global fuzzer",
    ".global fuzzer_end",
    // x28: shared words (random state, count, limit); x27: IPC buffer.
    "fuzzer:",
    "ldr x20, [x28]",
    "ldp x21, x22, [x28, #8]",
    "cmp x21, x22",
    "b.hs 9f",
    "add x21, x21, #1",
    "str x21, [x28, #8]",
    "add x23, x27, #32", // message registers 4 to 10
    "mov x24, #7",
    "1: bl 20f",
    "str x0, [x23], #8",
    "subs x24, x24, #1",
    "b.ne 1b",
    "add x23, x27, #512", // capabilities and receive slot
    "mov x24, #6",
    "2: bl 20f",
    "str x0, [x23], #8",
    "subs x24, x24, #1",
    "b.ne 2b",
    "bl 10f", // the capability: a slot, or in a sixteenth of the cases anything
    "lsr x9, x0, #12",
    "tst x0, #0xf00",
    "and x0, x0, #31",
    "csel x25, x9, x0, eq",
    "bl 10f", // message information: a label, up to 15 words, up to 3 capabilities, or whatever
    "and x9, x0, #63",
    "ubfx x10, x0, #8, #4",
    "ubfx x11, x0, #16, #2",
    "and x12, x25, #31", // in seven of eight cases a label that the capability in this slot knows
    "add x12, x28, x12, lsl #3",
    "ldp w12, w13, [x12, #64]",
    "lsr x14, x0, #40",
    "udiv x15, x14, x13",
    "msub x14, x15, x13, x14",
    "add x12, x12, x14",
    "tst x0, #0x700000",
    "csel x9, x9, x12, eq",
    "orr x1, x10, x11, lsl #7",
    "orr x1, x1, x9, lsl #12",
    "tst x0, #0xf000000",
    "b.ne 3f",
    "bl 10f",
    "mov x1, x0",
    "3: bl 10f", // the number: Call in most cases, or 0 to -11 but for -9
    "and x9, x0, #63",
    "sub x7, x9, #63",
    "mov x10, #54",
    "cmp x9, #52",
    "ccmp x9, x10, #4, hs",
    "b.ne 5f",
    "mov x7, #-1",
    "5: bl 20f",
    "mov x2, x0",
    "bl 20f",
    "mov x3, x0",
    "bl 20f",
    "mov x4, x0",
    "bl 20f",
    "mov x5, x0",
    "mov x0, x25",
    "str x20, [x28]",
    "svc #0",
    "b fuzzer",
    "9: brk #0x66",
    "b 9b",
    // A random number.
    "10: eor x20, x20, x20, lsl #13",
    "eor x20, x20, x20, lsr #7",
    "eor x20, x20, x20, lsl #17",
    "mov x0, x20",
    "ret",
    // A random value, in eighths: 3 a slot, 2 the depth 64, and an address nearby, a byte, or anything.
    "20: mov x26, x30",
    "bl 10b",
    "and x9, x0, #7",
    "lsr x0, x0, #8",
    "cmp x9, #3",
    "b.hs 21f",
    "and x0, x0, #31",
    "ret x26",
    "21: cmp x9, #5",
    "b.hs 22f",
    "mov x0, #64",
    "ret x26",
    "22: cmp x9, #6",
    "b.hs 23f",
    "and x0, x0, #7",
    "lsl x0, x0, #12",
    "add x0, x0, #0x400, lsl #12",
    "ret x26",
    "23: b.ne 24f",
    "and x0, x0, #255",
    "24: ret x26",
    "fuzzer_end:",
);

unsafe extern "C" {
    fn fuzzer();
    fn fuzzer_end();
}

/// What the fuzzer is made from, and the pages it shares.
struct Parts {
    memory: Untyped,
    /// The first of 8 slots for what the test needs of it.
    slots: Path,
    code: Page,
    data: Page,
    events: CPtr,
}

/// The fuzzer as it is now.
struct Fuzzer {
    tcb: Tcb,
    cspace: CNode,
    vspace: VSpace,
    buffer: Page,
}

impl Parts {
    fn slot(&self, n: u64) -> Path {
        CNODE.slot(self.slots.index + n)
    }

    fn make(&self, kind: ObjectType, bits: u64, n: u64) -> CPtr {
        make_at(self.memory, kind, bits, self.slot(n)).unwrap();
        self.slot(n).cptr()
    }

    /// Takes everything back and makes it anew.
    fn build(&self) -> Fuzzer {
        at(self.memory.0).revoke().unwrap();
        let own = CNode(self.make(ObjectType::CNode, SLOTS, 0));
        let cspace = self.slot(1);
        cspace.mint(at(own.0), rights::ALL, 64 - SLOTS).unwrap();
        let vspace = VSpace(self.make(ObjectType::VSpace, 0, 2));
        for _ in 0..3 {
            let table = self.make(ObjectType::PageTable, 0, 3);
            PageTable(table).map(vspace, CODE).unwrap();
            // It stays where it is mapped, in the fuzzer's own hands: slots 24 to 26.
            let place = (24..27).find(|&n| own.at(n, SLOTS).take(at(table)).is_ok());
            assert!(place.is_some());
        }
        for (n, page, va, rights, attributes) in
            [(17, self.code, CODE, rights::READ, attributes::EXECUTE), (11, self.data, DATA, RW, 0)]
        {
            self.slot(3).copy(at(page.0), rights::ALL).unwrap();
            Page(self.slot(3).cptr()).map(vspace, va, rights, attributes).unwrap();
            own.at(n, SLOTS).take(self.slot(3)).unwrap();
        }
        let buffer = Page(self.make(ObjectType::Page, 0, 4));
        buffer.map(vspace, BUFFER, RW, 0).unwrap();
        let tcb = Tcb(self.make(ObjectType::Tcb, 0, 5));
        let all = [tcb.0, cspace.cptr(), vspace.0, self.events, buffer.0];
        for (n, cap) in (1..).zip(all) {
            own.at(n, SLOTS).copy(at(cap), rights::ALL).unwrap();
        }
        for (n, kind, bits) in [
            (6, ObjectType::Untyped, 14),
            (7, ObjectType::Endpoint, 0),
            (8, ObjectType::Notification, 0),
            (9, ObjectType::Page, 0),
            (10, ObjectType::PageTable, 0),
            (12, ObjectType::Tcb, 0),
            (13, ObjectType::CNode, 2),
            (16, ObjectType::VSpace, 0),
        ] {
            let object = self.make(kind, bits, 3);
            own.at(n, SLOTS).take(at(object)).unwrap();
        }
        own.at(27, SLOTS).copy(at(cspace.cptr()), rights::ALL).unwrap();
        for (n, cap) in [(14, slot::UART_IRQ), (15, slot::DOMAIN)] {
            own.at(n, SLOTS).copy(at(CPtr(cap)), rights::ALL).unwrap();
        }
        Fuzzer { tcb, cspace: CNode(cspace.cptr()), vspace, buffer }
    }
}

impl Fuzzer {
    /// Lets it go on with the next call.
    fn start(&self) -> kaal_sys::Result {
        self.tcb.suspend()?;
        Domain(CPtr(slot::DOMAIN)).set(0, self.tcb)?;
        self.tcb.configure(EVENTS, self.cspace, 0, self.vspace, (BUFFER, self.buffer))?;
        self.tcb.set_sched_params(TCB, LOWER, LOWER)?;
        let mut values = [0; registers::COUNT];
        values[registers::PC] = CODE;
        values[registers::X0 + 28] = DATA;
        values[registers::X0 + 27] = BUFFER;
        self.tcb.write_registers(true, &values)
    }
}

/// Runs whenever the fuzzer does not, and says so.
extern "C" fn idle(cap: u64) -> ! {
    loop {
        Endpoint(CPtr(cap)).send(Message::default());
    }
}

fn fuzz(env: &mut Env) {
    let events = env.endpoint();
    let weak = env.slot();
    weak.mint(at(events.0), rights::WRITE | rights::GRANT_REPLY, 1).unwrap();
    let (code, from) = env.mapped_page();
    let start = fuzzer as *const () as u64;
    for n in 0..(fuzzer_end as *const () as u64 - start).div_ceil(4) {
        // SAFETY: code, which programs may read, and a page for it.
        unsafe { ((from + 4 * n) as *mut u32).write_volatile(((start + 4 * n) as *const u32).read()) };
    }
    code.unify_instruction().unwrap();
    code.unmap().unwrap();
    let (data, shared) = env.mapped_page();
    set_word(shared, SEED);
    set_word(shared + 16, CALLS);
    for n in 0..1 << SLOTS {
        let (first, last) =
            LABELS.iter().find(|entry| entry.0 == n).map_or((1, 36), |entry| (entry.1, entry.2));
        set_word(shared + 64 + 8 * n, first | (last - first + 1) << 32);
    }
    let parts = Parts { memory: env.untyped(18), slots: env.slots(8), code, data, events: weak.cptr() };
    let idler = env.badged(events.0, 2);
    env.spawn(LOWER - 1, idle, idler.0);
    let kinds = || core::array::from_fn::<u64, 64, _>(|n| CPtr(n as u64).kind());

    let mut fuzzer = parts.build();
    let before = kinds();
    let (mut starts, mut last) = (0, 0);
    loop {
        let made = word(shared + 8);
        if made >= CALLS {
            break;
        }
        if starts == STARTS || (starts > 0 && made == last) || fuzzer.start().is_err() {
            fuzzer = parts.build();
            fuzzer.start().unwrap();
            starts = 0;
        }
        (starts, last) = (starts + 1, made);
        events.recv();
    }
    assert_eq!(word(shared + 8), CALLS);
    parts.build();
    assert_eq!(kinds(), before, "the test's own capabilities have changed");
}
