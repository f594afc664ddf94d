//! What the tests of objects share: a kernel with one thread and some memory, and a source of chance.

use super::capability::{Capability, Mapped, PageSize, Rights};
use super::slot::Slot;
use super::tcb::Tcb;
use crate::kernel::Kernel;
use crate::syscall::request::{Answer, Refusal, Request, Stop, set_message};
use crate::testing::TestMachine;
use kaal_abi::{Error, Invocation, MessageInfo, ObjectType};

/// Where the fixture keeps its own things.
const IRQ_SLOTS: u64 = 0x1000_0000;
const THREAD: Tcb = Tcb(0x2000_0000);
const ROOT: u64 = 0x2100_0000;
const BUFFER: u64 = 0x2200_0000;
/// The untyped memory in slot [`UNTYPED`].
pub const MEMORY: u64 = 0x4000_0000;
/// Log2 of its bytes.
pub const MEMORY_BITS: u64 = 26;
/// The device memory in slot [`DEVICE`].
pub const DEVICE_MEMORY: u64 = 0x0900_0000;

/// Log2 of the slots of the thread's CNode.
pub const RADIX: u64 = 8;
/// Slots of the thread's CNode: itself.
pub const CNODE: u64 = 1;
/// 64 MiB of untyped memory.
pub const UNTYPED: u64 = 2;
/// 16 MiB of untyped device memory.
pub const DEVICE: u64 = 3;
/// The right to handle interrupts.
pub const IRQ_CONTROL: u64 = 4;
/// The right to turn the machine off.
pub const POWER: u64 = 5;
/// The first slot that is free.
pub const FREE: u64 = 8;

/// xorshift64.
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }
    pub fn word(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        (self.word() >> 11) % limit
    }
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

/// A kernel, and in it a thread whose CNode has the slots above.
pub struct World {
    pub kernel: Kernel<TestMachine>,
}

impl World {
    pub fn new() -> Self {
        let mut kernel = Kernel::new(TestMachine::default(), IRQ_SLOTS);
        kernel.current = Some(THREAD);
        let mut world = World { kernel };
        let node = Capability::CNode { address: ROOT, radix: RADIX, guard: 0, guard_bits: 64 - RADIX };
        let page = Capability::Page {
            address: BUFFER,
            size: PageSize::Small,
            device: false,
            rights: Rights::ALL,
            mapped: None,
        };
        let untyped =
            |address, bits, device| Capability::Untyped { address, bits, device, used: 0, zeroed: 0 };
        for (slot, capability) in [
            (THREAD.buffer_page(), page),
            (THREAD.cspace(), node),
            (world.slot(UNTYPED), untyped(MEMORY, MEMORY_BITS, false)),
            (world.slot(DEVICE), untyped(DEVICE_MEMORY, 24, true)),
            (world.slot(IRQ_CONTROL), Capability::IrqControl),
            (world.slot(POWER), Capability::Power),
        ] {
            world.kernel.insert_new(capability, None, slot);
        }
        // With a guard all 64 bits of an address lead to a slot; the copy without takes RADIX bits.
        let bare = Capability::CNode { address: ROOT, radix: RADIX, guard: 0, guard_bits: 0 };
        world.kernel.insert(bare, THREAD.cspace(), world.slot(CNODE));
        THREAD.set_buffer(&mut world.kernel.machine, BUFFER);
        world
    }

    pub fn thread(&self) -> Tcb {
        THREAD
    }

    /// A slot of the thread's CNode.
    pub fn slot(&self, index: u64) -> Slot {
        Slot(ROOT).offset(index)
    }

    pub fn get(&self, index: u64) -> Capability {
        self.slot(index).get(&self.kernel.machine)
    }

    /// Puts a capability, made from nothing, into a slot of the thread's CNode.
    pub fn put(&mut self, index: u64, capability: Capability) {
        let slot = self.slot(index);
        self.kernel.insert_new(capability, None, slot);
    }

    /// A request as the dispatcher would make it.
    pub fn request(&mut self, index: u64, label: u64, arguments: &[u64], extra: &[u64]) -> Request {
        for (n, &argument) in arguments.iter().enumerate() {
            assert!(set_message(&mut self.kernel.machine, THREAD, n, argument));
        }
        let mut slots = [None; 3];
        for (n, &index) in extra.iter().enumerate() {
            slots[n] = Some(self.slot(index));
        }
        Request {
            thread: THREAD,
            info: MessageInfo::new(label, arguments.len() as u64, extra.len() as u64),
            slot: self.slot(index),
            capability: self.get(index),
            extra: slots,
            call: true,
        }
    }

    /// Serves a request.
    pub fn dispatch(&mut self, request: &Request) -> Answer {
        match request.capability {
            Capability::Untyped { .. } => self.kernel.invoke_untyped(request),
            Capability::CNode { .. } => self.kernel.invoke_cnode(request),
            Capability::PageTable { .. } => self.kernel.invoke_page_table(request),
            Capability::Page { .. } => self.kernel.invoke_page(request),
            Capability::IrqControl => self.kernel.invoke_irq_control(request),
            Capability::IrqHandler { .. } => self.kernel.invoke_irq_handler(request),
            Capability::Power => self.kernel.invoke_power(request),
            Capability::Thread { .. } => self.kernel.invoke_tcb(request),
            other => panic!("{other:?} is not invoked here"),
        }
    }

    /// Invokes the capability in a slot of the thread's CNode, with those in the slots `extra` sent along.
    pub fn invoke(&mut self, index: u64, invocation: Invocation, arguments: &[u64], extra: &[u64]) -> Answer {
        let request = self.request(index, invocation as u64, arguments, extra);
        self.dispatch(&request)
    }

    /// The refusal of an invocation that must be refused.
    pub fn refused(
        &mut self,
        index: u64,
        invocation: Invocation,
        arguments: &[u64],
        extra: &[u64],
    ) -> Refusal {
        match self.invoke(index, invocation, arguments, extra) {
            Err(Stop::Refused(refusal)) => refusal,
            other => panic!("{invocation:?} {arguments:x?}: {other:?}"),
        }
    }

    /// An invocation that must succeed.
    pub fn must(&mut self, index: u64, invocation: Invocation, arguments: &[u64], extra: &[u64]) {
        let answer = self.invoke(index, invocation, arguments, extra);
        assert!(answer.is_ok(), "{invocation:?} {arguments:x?}: {answer:?}");
    }

    /// Every way in which an invocation may come too short is told, as is a label that no object knows.
    pub fn check_truncated(&mut self, index: u64, invocation: Invocation, extra: &[u64]) {
        let truncated = Refusal::from(Error::TruncatedMessage);
        let words = vec![0; invocation.arguments()];
        if invocation.arguments() > 0 {
            assert_eq!(self.refused(index, invocation, &words[1..], extra), truncated, "{invocation:?}");
        }
        if invocation.capabilities() > 0 {
            let extra = &extra[..invocation.capabilities() - 1];
            assert_eq!(self.refused(index, invocation, &words, extra), truncated, "{invocation:?}");
        }
        for label in [0, 1000, Invocation::TcbResume as u64] {
            let request = self.request(index, label, &words, extra);
            let answer = self.dispatch(&request);
            assert_eq!(answer, Err(Error::IllegalOperation.into()), "label {label}");
        }
    }

    /// Retype from the capability in `from` into consecutive slots of the thread's CNode.
    pub fn try_retype(&mut self, from: u64, kind: ObjectType, size_bits: u64, to: u64, count: u64) -> Answer {
        self.invoke(from, Invocation::UntypedRetype, &[kind as u64, size_bits, 0, 0, to, count], &[CNODE])
    }

    /// The same from the big untyped memory; it must succeed.
    pub fn retype(&mut self, kind: ObjectType, size_bits: u64, to: u64) {
        let answer = self.try_retype(UNTYPED, kind, size_bits, to, 1);
        assert_eq!(answer, Ok(0), "{kind:?}");
    }

    /// Copies within the thread's CNode.
    pub fn copy(&mut self, from: u64, to: u64, rights: Rights) -> Answer {
        let arguments = [to, RADIX, from, RADIX, rights.bits()];
        self.invoke_root(Invocation::CNodeCopy, &arguments, 1)
    }

    /// Copies with a badge or guard within the thread's CNode.
    pub fn mint(&mut self, from: u64, to: u64, rights: Rights, data: u64) -> Answer {
        let arguments = [to, RADIX, from, RADIX, rights.bits(), data];
        self.invoke_root(Invocation::CNodeMint, &arguments, 1)
    }

    /// Invokes the thread's CNode with itself sent along so many times.
    pub fn invoke_root(&mut self, invocation: Invocation, arguments: &[u64], extra: usize) -> Answer {
        self.invoke(CNODE, invocation, arguments, &[CNODE; 3][..extra])
    }

    /// Where the page or table in a slot says it is mapped.
    pub fn mapped(&self, index: u64) -> Option<Mapped> {
        match self.get(index) {
            Capability::Page { mapped, .. } | Capability::PageTable { mapped, .. } => mapped,
            other => panic!("{other:?} is not mapped"),
        }
    }
}

/// The refusal with an error and its words.
pub fn refusal(error: Error, words: [u64; 3]) -> Refusal {
    Refusal { error, words }
}
