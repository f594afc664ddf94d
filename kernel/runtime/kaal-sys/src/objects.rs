//! Kernel objects, a type of capability each, and what can be asked of them.

use crate::{Failure, Message, Received, Registers, Result, message, syscall};
use kaal_abi::{Error, Invocation, ObjectType, Syscall, WORD_BITS, registers};

/// A capability, by its address in the running thread's CSpace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CPtr(pub u64);

/// Asks an object for something: message registers 0 to 3 of the answer.
pub fn invoke(cap: CPtr, what: Invocation, arguments: &[u64], caps: &[CPtr]) -> Result<Received> {
    invoke_raw(cap, what as u64, arguments, caps)
}

/// As [`invoke`], with any label.
pub fn invoke_raw(cap: CPtr, label: u64, arguments: &[u64], caps: &[CPtr]) -> Result<Received> {
    let answer = message::call(cap, Message { label, words: arguments, caps });
    let [a, b, c, _] = answer.words;
    match Error::from_label(answer.label()) {
        Some(Error::None) => Ok(answer),
        Some(error) => Err(Failure { error, words: [a, b, c] }),
        None => panic!("label {} is no error", answer.label()),
    }
}

impl CPtr {
    /// The kind of the capability, as the kernel numbers it; 0: none.
    pub fn kind(self) -> u64 {
        syscall(Syscall::DebugCapType as i64, Registers { x0: self.0, ..Registers::default() }).x0
    }
}

macro_rules! objects {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq)]
            pub struct $name(pub CPtr);
        )*
    };
}

objects! {
    /// Memory that can be made into objects.
    Untyped;
    /// A table of capabilities.
    CNode;
    /// A thread.
    Tcb;
    /// Where messages are exchanged.
    Endpoint;
    /// A word of signals.
    Notification;
    /// An address space.
    VSpace;
    /// A translation table below its root.
    PageTable;
    /// Memory that can be mapped.
    Page;
    /// The right to make interrupt handlers.
    IrqControl;
    /// The right to handle an interrupt.
    IrqHandler;
    /// The right to put threads in domains.
    Domain;
    /// The right to turn the machine off.
    Power;
}

/// A slot: `depth` bits of `index` below a CNode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path {
    /// The CNode.
    pub root: CNode,
    /// The slot's address below it.
    pub index: u64,
    /// How many of its bits count.
    pub depth: u64,
}

impl Untyped {
    /// Makes `count` objects; their capabilities go to the slots from `offset` on of the CNode at `node` ([`CNode::itself`]
    /// for the root of a path).
    pub fn retype(self, kind: ObjectType, size_bits: u64, node: Path, offset: u64, count: u64) -> Result {
        let arguments = [kind as u64, size_bits, node.index, node.depth, offset, count];
        invoke(self.0, Invocation::UntypedRetype, &arguments, &[node.root.0]).map(drop)
    }
}

impl CNode {
    /// A slot by an address of all 64 bits.
    pub const fn slot(self, index: u64) -> Path {
        Path { root: self, index, depth: WORD_BITS }
    }

    /// A slot by an address of fewer bits.
    pub const fn at(self, index: u64, depth: u64) -> Path {
        Path { root: self, index, depth }
    }

    /// The CNode itself, for [`Untyped::retype`].
    pub const fn itself(self) -> Path {
        Path { root: self, index: 0, depth: 0 }
    }
}

impl Path {
    fn ask(self, what: Invocation, rest: &[u64], caps: &[CPtr]) -> Result {
        let mut words = [self.index, self.depth, 0, 0, 0, 0, 0, 0];
        words[2..2 + rest.len()].copy_from_slice(rest);
        invoke(self.root.0, what, &words[..2 + rest.len()], caps).map(drop)
    }

    /// The capability's own address, where the root is the CSpace's and all 64 bits count.
    pub const fn cptr(self) -> CPtr {
        CPtr(self.index)
    }

    /// Deletes all that was derived from the capability here.
    pub fn revoke(self) -> Result {
        self.ask(Invocation::CNodeRevoke, &[], &[])
    }

    /// Empties the slot.
    pub fn delete(self) -> Result {
        self.ask(Invocation::CNodeDelete, &[], &[])
    }

    /// Ends sends in progress that carry the badge of the capability here.
    pub fn cancel_badged_sends(self) -> Result {
        self.ask(Invocation::CNodeCancelBadgedSends, &[], &[])
    }

    /// Copies the capability at `source` here, with `rights` at most.
    pub fn copy(self, source: Path, rights: u64) -> Result {
        self.ask(Invocation::CNodeCopy, &[source.index, source.depth, rights], &[source.root.0])
    }

    /// As [`Self::copy`], with a badge, or a guard and its size in bits 5:0.
    pub fn mint(self, source: Path, rights: u64, badge: u64) -> Result {
        self.ask(Invocation::CNodeMint, &[source.index, source.depth, rights, badge], &[source.root.0])
    }

    /// Moves the capability at `source` here.
    pub fn take(self, source: Path) -> Result {
        self.ask(Invocation::CNodeMove, &[source.index, source.depth], &[source.root.0])
    }

    /// As [`Self::take`], with a badge or guard.
    pub fn mutate(self, source: Path, badge: u64) -> Result {
        self.ask(Invocation::CNodeMutate, &[source.index, source.depth, badge], &[source.root.0])
    }

    /// Moves what is at `pivot` here and what is at `source` to `pivot`, each with a badge or guard.
    pub fn rotate(self, badge: u64, pivot: Path, pivot_badge: u64, source: Path) -> Result {
        let rest = [badge, pivot.index, pivot.depth, pivot_badge, source.index, source.depth];
        self.ask(Invocation::CNodeRotate, &rest, &[pivot.root.0, source.root.0])
    }

    /// Moves the caller's reply capability here.
    pub fn save_caller(self) -> Result {
        self.ask(Invocation::CNodeSaveCaller, &[], &[])
    }
}

impl Tcb {
    /// The first `count` registers, as [`kaal_abi::registers`] orders them.
    pub fn read_registers(self, suspend: bool, count: usize) -> Result<[u64; registers::COUNT]> {
        let arguments = [u64::from(suspend), count as u64];
        let answer = invoke(self.0, Invocation::TcbReadRegisters, &arguments, &[])?;
        let mut values = [0; registers::COUNT];
        for (n, value) in values.iter_mut().enumerate().take(answer.info.length() as usize) {
            *value = answer.word(n);
        }
        Ok(values)
    }

    /// Sets the first registers, as many as given.
    pub fn write_registers(self, resume: bool, values: &[u64]) -> Result {
        let mut words = [0; 2 + registers::COUNT];
        words[0] = u64::from(resume);
        words[1] = values.len() as u64;
        words[2..2 + values.len()].copy_from_slice(values);
        invoke(self.0, Invocation::TcbWriteRegisters, &words[..2 + values.len()], &[]).map(drop)
    }

    /// Copies registers from `source`; [`Invocation::TcbCopyRegisters`] says what the flags mean.
    pub fn copy_registers(self, source: Tcb, flags: u64) -> Result {
        invoke(self.0, Invocation::TcbCopyRegisters, &[flags], &[source.0]).map(drop)
    }

    /// Gives it its spaces, its fault endpoint (an address in its own CSpace) and its IPC buffer. `guard`: as
    /// [`Path::mint`] has it, or 0 to leave the root's guard as it is.
    pub fn configure(
        self,
        fault: u64,
        root: CNode,
        guard: u64,
        vspace: VSpace,
        buffer: (u64, Page),
    ) -> Result {
        let caps = [root.0, vspace.0, buffer.1.0];
        invoke(self.0, Invocation::TcbConfigure, &[fault, guard, 0, buffer.0], &caps).map(drop)
    }

    /// As [`Self::configure`], without the buffer.
    pub fn set_space(self, fault: u64, root: CNode, guard: u64, vspace: VSpace) -> Result {
        invoke(self.0, Invocation::TcbSetSpace, &[fault, guard, 0], &[root.0, vspace.0]).map(drop)
    }

    /// Gives it an IPC buffer.
    pub fn set_ipc_buffer(self, address: u64, page: Page) -> Result {
        invoke(self.0, Invocation::TcbSetIpcBuffer, &[address], &[page.0]).map(drop)
    }

    /// Sets its priority, on the authority of `authority`.
    pub fn set_priority(self, authority: Tcb, priority: u64) -> Result {
        invoke(self.0, Invocation::TcbSetPriority, &[priority], &[authority.0]).map(drop)
    }

    /// Sets the highest priority that it may set.
    pub fn set_mcp(self, authority: Tcb, mcp: u64) -> Result {
        invoke(self.0, Invocation::TcbSetMcPriority, &[mcp], &[authority.0]).map(drop)
    }

    /// Sets both.
    pub fn set_sched_params(self, authority: Tcb, mcp: u64, priority: u64) -> Result {
        invoke(self.0, Invocation::TcbSetSchedParams, &[mcp, priority], &[authority.0]).map(drop)
    }

    /// Stops it.
    pub fn suspend(self) -> Result {
        invoke(self.0, Invocation::TcbSuspend, &[], &[]).map(drop)
    }

    /// Starts it, or lets it begin again with what it was blocked in.
    pub fn resume(self) -> Result {
        invoke(self.0, Invocation::TcbResume, &[], &[]).map(drop)
    }

    /// Binds a notification to it.
    pub fn bind(self, notification: Notification) -> Result {
        invoke(self.0, Invocation::TcbBindNotification, &[], &[notification.0]).map(drop)
    }

    /// Unbinds its notification.
    pub fn unbind(self) -> Result {
        invoke(self.0, Invocation::TcbUnbindNotification, &[], &[]).map(drop)
    }

    /// Sets its TPIDR_EL0.
    pub fn set_tls_base(self, value: u64) -> Result {
        invoke(self.0, Invocation::TcbSetTlsBase, &[value], &[]).map(drop)
    }

    /// Names it, for panic reports and debuggers: 16 bytes of `name` at most.
    pub fn set_name(self, name: &str) {
        let mut bytes = [0; 16];
        let length = name.len().min(16);
        bytes[..length].copy_from_slice(&name.as_bytes()[..length]);
        let word = |n: usize| bytes[n..n + 8].iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
        let registers = Registers { x0: self.0.0, info: 2, words: [word(0), word(8), 0, 0] };
        syscall(Syscall::DebugNameThread as i64, registers);
    }
}

impl Endpoint {
    /// Sends, and waits for a receiver.
    pub fn send(self, message: Message) {
        message::send(self.0, message);
    }
    /// Sends if somebody receives now.
    pub fn nb_send(self, message: Message) {
        message::nb_send(self.0, message);
    }
    /// Sends, and waits for the reply.
    pub fn call(self, message: Message) -> Received {
        message::call(self.0, message)
    }
    /// Receives.
    pub fn recv(self) -> Received {
        message::recv(self.0)
    }
    /// Receives if somebody sends now; otherwise the badge is 0.
    pub fn nb_recv(self) -> Received {
        message::nb_recv(self.0)
    }
    /// Replies to the last caller, and receives.
    pub fn reply_recv(self, message: Message) -> Received {
        message::reply_recv(self.0, message)
    }
}

impl Notification {
    /// Adds the capability's badge to its word, or wakes a waiter.
    pub fn signal(self) {
        message::send(self.0, Message::default());
    }
    /// Waits for signals: their badges, or'ed.
    pub fn wait(self) -> u64 {
        message::recv(self.0).badge
    }
    /// Takes the signals that are there: their badges, or'ed; 0 if there is none.
    pub fn poll(self) -> u64 {
        message::nb_recv(self.0).badge
    }
}

impl PageTable {
    /// Puts it where a table is missing for `address`.
    pub fn map(self, vspace: VSpace, address: u64) -> Result {
        invoke(self.0, Invocation::PageTableMap, &[address, 0], &[vspace.0]).map(drop)
    }
    /// Takes it out again.
    pub fn unmap(self) -> Result {
        invoke(self.0, Invocation::PageTableUnmap, &[], &[]).map(drop)
    }
}

impl Page {
    /// Maps it, or changes how it is mapped: bits of [`kaal_abi::rights`] and [`kaal_abi::attributes`].
    pub fn map(self, vspace: VSpace, address: u64, rights: u64, attributes: u64) -> Result {
        invoke(self.0, Invocation::PageMap, &[address, rights, attributes], &[vspace.0]).map(drop)
    }
    /// Unmaps it.
    pub fn unmap(self) -> Result {
        invoke(self.0, Invocation::PageUnmap, &[], &[]).map(drop)
    }
    /// Its physical address.
    pub fn address(self) -> Result<u64> {
        invoke(self.0, Invocation::PageGetAddress, &[], &[]).map(|answer| answer.words[0])
    }
    /// Makes instructions written to it visible to fetches.
    pub fn unify_instruction(self) -> Result {
        invoke(self.0, Invocation::PageUnifyInstruction, &[], &[]).map(drop)
    }
}

impl IrqControl {
    /// Makes a handler for an interrupt.
    pub fn get(self, irq: u64, slot: Path) -> Result {
        invoke(self.0, Invocation::IrqControlGet, &[irq, slot.index, slot.depth], &[slot.root.0]).map(drop)
    }
}

impl IrqHandler {
    /// Lets the interrupt come again.
    pub fn acknowledge(self) -> Result {
        invoke(self.0, Invocation::IrqHandlerAck, &[], &[]).map(drop)
    }
    /// Sets what it signals.
    pub fn set_notification(self, notification: Notification) -> Result {
        invoke(self.0, Invocation::IrqHandlerSetNotification, &[], &[notification.0]).map(drop)
    }
    /// Unsets it.
    pub fn clear(self) -> Result {
        invoke(self.0, Invocation::IrqHandlerClear, &[], &[]).map(drop)
    }
}

impl Domain {
    /// Puts a thread in a domain.
    pub fn set(self, domain: u64, thread: Tcb) -> Result {
        invoke(self.0, Invocation::DomainSet, &[domain], &[thread.0]).map(drop)
    }
}

impl Power {
    /// Turns the machine off. Returns only why it did not.
    pub fn off(self) -> Failure {
        match invoke(self.0, Invocation::PowerOff, &[], &[]) {
            Err(failure) => failure,
            Ok(_) => panic!("the power stayed on"),
        }
    }
}
