//! What a test has: memory, slots, addresses, and helper threads made from them.

use core::fmt::Debug;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use kaal_sys::abi::{Error, ObjectType, TIME_SLICE, buffer, registers, rights};
use kaal_sys::child::{self, slot};
use kaal_sys::{CNode, CPtr, Endpoint, Notification, Page, Path, Result, Tcb, Untyped, VSpace, thread, time};

/// A test: what it shows, and how.
pub type Test = (&'static str, fn(&mut Env));

/// The test's own CNode.
pub const CNODE: CNode = CNode(CPtr(slot::CNODE));
/// The test's own address space.
pub const VSPACE: VSpace = VSpace(CPtr(slot::VSPACE));
/// The test's own thread.
pub const TCB: Tcb = Tcb(CPtr(slot::TCB));
/// Its priority; those just above and below it.
pub const SAME: u64 = child::PRIORITY;
/// See [`SAME`].
pub const HIGHER: u64 = SAME + 1;
/// See [`SAME`].
pub const LOWER: u64 = SAME - 1;
/// Reading and writing.
pub const RW: u64 = rights::READ | rights::WRITE;
/// Bytes in a page.
pub const PAGE: u64 = 4096;

/// Kinds of capabilities, as the kernel numbers them.
pub mod kind {
    pub const EMPTY: u64 = 0;
    pub const UNTYPED: u64 = 1;
    pub const ENDPOINT: u64 = 2;
    pub const NOTIFICATION: u64 = 3;
    pub const REPLY: u64 = 4;
    pub const CNODE: u64 = 5;
    pub const TCB: u64 = 6;
    pub const VSPACE: u64 = 7;
    pub const PAGE_TABLE: u64 = 8;
    pub const PAGE: u64 = 9;
    pub const IRQ_HANDLER: u64 = 11;
}

/// What the test can still make things from.
pub struct Env {
    memory: Untyped,
    next_slot: u64,
    next_page: u64,
}

/// A helper thread, in the test's own address space and CSpace.
#[derive(Clone, Copy)]
pub struct Helper {
    /// Its TCB.
    pub tcb: Tcb,
    /// The page of its IPC buffer.
    pub buffer: Page,
    /// Where that is mapped.
    pub buffer_va: u64,
    /// Where its stack begins.
    pub stack: u64,
}

/// A helper's program.
pub type Program = extern "C" fn(u64) -> !;

impl Env {
    /// All that the root task has given.
    pub fn new() -> Self {
        let memory = Untyped(CPtr(slot::UNTYPED));
        Self { memory, next_slot: slot::FIRST_FREE, next_page: child::SCRATCH }
    }

    /// An empty slot.
    pub fn slot(&mut self) -> Path {
        self.slots(1)
    }

    /// The first of `count` empty slots in a row.
    pub fn slots(&mut self, count: u64) -> Path {
        self.next_slot += count;
        assert!(self.next_slot <= 1 << child::CNODE_BITS, "out of slots");
        CNODE.slot(self.next_slot - count)
    }

    /// An object.
    #[track_caller]
    pub fn make(&mut self, kind: ObjectType, size_bits: u64) -> CPtr {
        let slot = self.slot();
        make_at(self.memory, kind, size_bits, slot).unwrap();
        slot.cptr()
    }

    /// An endpoint.
    pub fn endpoint(&mut self) -> Endpoint {
        Endpoint(self.make(ObjectType::Endpoint, 0))
    }

    /// A notification.
    pub fn notification(&mut self) -> Notification {
        Notification(self.make(ObjectType::Notification, 0))
    }

    /// A CNode of 2^`bits` slots.
    pub fn cnode(&mut self, bits: u64) -> CNode {
        CNode(self.make(ObjectType::CNode, bits))
    }

    /// A page, mapped nowhere.
    pub fn page(&mut self) -> Page {
        Page(self.make(ObjectType::Page, 0))
    }

    /// Untyped memory of 2^`bits` bytes.
    pub fn untyped(&mut self, bits: u64) -> Untyped {
        Untyped(self.make(ObjectType::Untyped, bits))
    }

    /// A copy of a capability with these rights.
    pub fn copy(&mut self, cap: CPtr, rights: u64) -> CPtr {
        let slot = self.slot();
        slot.copy(at(cap), rights).unwrap();
        slot.cptr()
    }

    /// A copy with a badge.
    pub fn badged(&mut self, cap: CPtr, badge: u64) -> CPtr {
        let slot = self.slot();
        slot.mint(at(cap), rights::ALL, badge).unwrap();
        slot.cptr()
    }

    /// Addresses for `count` pages, whose page tables are there, and where nothing is mapped.
    pub fn addresses(&mut self, count: u64) -> u64 {
        self.next_page += count * PAGE;
        assert!(self.next_page <= child::SCRATCH_END, "out of addresses");
        self.next_page - count * PAGE
    }

    /// A page for reading and writing, and its address.
    pub fn mapped_page(&mut self) -> (Page, u64) {
        let (page, va) = (self.page(), self.addresses(1));
        page.map(VSPACE, va, RW, 0).unwrap();
        (page, va)
    }

    /// A helper thread that is not started. Its faults go where the test's own go, and fail the test.
    pub fn helper(&mut self, priority: u64) -> Helper {
        // A page below the stack stays empty.
        let stack = self.addresses(3) + PAGE;
        for va in [stack, stack + PAGE] {
            self.page().map(VSPACE, va, RW, 0).unwrap();
        }
        let (buffer, buffer_va) = self.mapped_page();
        let tcb = Tcb(self.make(ObjectType::Tcb, 0));
        set_word(buffer_va + 8 * buffer::USER_DATA as u64, tcb.0.0);
        tcb.configure(slot::REPORT, CNODE, 0, VSPACE, (buffer_va, buffer)).unwrap();
        tcb.set_sched_params(TCB, child::MCP, priority).unwrap();
        tcb.set_name("helper");
        Helper { tcb, buffer, buffer_va, stack }
    }

    /// A helper thread that runs `program` with `argument`.
    pub fn spawn(&mut self, priority: u64, program: Program, argument: u64) -> Helper {
        let helper = self.helper(priority);
        helper.start(program, argument);
        helper
    }

    /// As [`Self::spawn`]; its faults go to `faults`.
    pub fn spawn_handled(
        &mut self,
        faults: Endpoint,
        priority: u64,
        program: Program,
        argument: u64,
    ) -> Helper {
        let helper = self.helper(priority);
        helper.tcb.set_space(faults.0.0, CNODE, 0, VSPACE).unwrap();
        helper.start(program, argument);
        helper
    }
}

impl Helper {
    /// Its registers as it begins.
    pub fn first_registers(&self, program: Program, argument: u64) -> [u64; registers::COUNT] {
        let mut values = [0; registers::COUNT];
        values[registers::PC] = program as *const () as u64;
        values[registers::SP] = self.stack + 2 * PAGE;
        values[registers::X0] = argument;
        values[registers::THREAD_POINTER] = self.buffer_va;
        values
    }

    /// Lets it run `program` with `argument`.
    #[track_caller]
    pub fn start(&self, program: Program, argument: u64) {
        self.tcb.write_registers(true, &self.first_registers(program, argument)).unwrap();
    }
}

/// The slot of a capability in the test's own CSpace.
pub fn at(cap: CPtr) -> Path {
    CNODE.slot(cap.0)
}

/// Makes one object from `memory`.
pub fn make_at(memory: Untyped, kind: ObjectType, size_bits: u64, slot: Path) -> Result {
    memory.retype(kind, size_bits, slot.root.itself(), slot.index, 1)
}

/// Ends the helper that calls it.
pub fn exit() -> ! {
    let tcb = Tcb(CPtr(thread::buffer_word(buffer::USER_DATA)));
    loop {
        tcb.suspend().unwrap();
    }
}

/// Reads a word of memory that tests map.
pub fn word(address: u64) -> u64 {
    // SAFETY: an address that a test has mapped pages at, where no Rust object is; otherwise the access faults.
    unsafe { (address as *const u64).read_volatile() }
}

/// Writes it.
pub fn set_word(address: u64, value: u64) {
    // SAFETY: as above.
    unsafe { (address as *mut u64).write_volatile(value) }
}

/// Checks that an invocation was refused with `error`, and what its first words say about it.
#[track_caller]
pub fn refused<T: Debug>(result: Result<T>, error: Error, words: &[u64]) {
    let failure = result.expect_err("it was not refused");
    assert_eq!((failure.error, &failure.words[..words.len()]), (error, words));
}

/// Lets threads of the same priority run until `condition` holds.
///
/// When the tick preempts whom depends on the machine's speed, so tests never count turns.
#[track_caller]
pub fn eventually(condition: impl Fn() -> bool) {
    for _ in 0..100_000 {
        if condition() {
            return;
        }
        thread::yield_now();
    }
    panic!("it never happened");
}

/// Counts of the counter from one tick to the next.
static TICK: AtomicU64 = AtomicU64::new(0);

/// Says how long a tick is.
pub fn set_tick(counts: u64) {
    TICK.store(counts, Relaxed);
}

/// Uses up more than a time slice, in which threads of the same priority run, too.
pub fn pass_time() {
    let start = time::now();
    while time::now() - start < 3 * TIME_SLICE * TICK.load(Relaxed) {
        core::hint::spin_loop();
    }
}

/// What helpers share with the test, zero at its start: each test has memory of its own.
pub static SHARED: [AtomicU64; 16] = [const { AtomicU64::new(0) }; 16];

/// The value of a shared word.
pub fn shared(n: usize) -> u64 {
    SHARED[n].load(Relaxed)
}

/// Sets a shared word.
pub fn share(n: usize, value: u64) {
    SHARED[n].store(value, Relaxed);
}

static LOG: [AtomicU64; 64] = [const { AtomicU64::new(0) }; 64];
static LOGGED: AtomicUsize = AtomicUsize::new(0);

/// Notes that something happened.
pub fn log(what: u64) {
    let n = LOGGED.fetch_add(1, Relaxed);
    LOG[n].store(what, Relaxed);
}

/// How many things have happened since the last time.
pub fn log_length() -> usize {
    LOGGED.load(Relaxed)
}

/// What has happened since the last time.
pub fn take_log() -> [u64; 64] {
    LOGGED.store(0, Relaxed);
    core::array::from_fn(|n| LOG[n].load(Relaxed))
}

/// Checks what has happened since the last time, in order.
#[track_caller]
pub fn logged(expected: &[u64]) {
    let count = log_length();
    assert_eq!(&take_log()[..count], expected);
}
