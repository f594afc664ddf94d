//! Threads: where a TCB keeps what.
//!
//! 2^11 bytes: the trap frame that the vectors write (`arch`), what the kernel keeps about the thread, floating-point
//! registers, and five capability slots.

use super::slot::{SLOT_SIZE, Slot};
use crate::machine::Memory;

/// A thread, by the physical address of its TCB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tcb(pub u64);

/// Byte offsets in the trap frame; `arch` checks that its layout is this one.
pub mod frame {
    /// X0; the others up to X30 follow.
    pub const X0: u64 = 0;
    /// SP_EL0.
    pub const SP: u64 = 248;
    /// ELR_EL1.
    pub const PC: u64 = 256;
    /// SPSR_EL1.
    pub const PSTATE: u64 = 264;
    /// ESR_EL1.
    pub const ESR: u64 = 272;
    /// FAR_EL1.
    pub const FAR: u64 = 280;
    /// TPIDR_EL0.
    pub const THREAD_POINTER: u64 = 288;
    /// Bytes in all, vector number and frame record included.
    pub const SIZE: u64 = 320;
}

/// What a thread is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum State {
    /// Nothing: never started, or suspended.
    Inactive = 0,
    /// Able to run.
    Running = 1,
    /// Waiting for a message.
    BlockedOnReceive = 2,
    /// Waiting for a receiver.
    BlockedOnSend = 3,
    /// Waiting for a reply.
    BlockedOnReply = 4,
    /// Waiting for a signal.
    BlockedOnNotification = 5,
}

impl State {
    fn from_word(word: u64) -> State {
        match word {
            1 => State::Running,
            2 => State::BlockedOnReceive,
            3 => State::BlockedOnSend,
            4 => State::BlockedOnReply,
            5 => State::BlockedOnNotification,
            _ => State::Inactive,
        }
    }

    /// May the scheduler choose it?
    pub const fn is_runnable(self) -> bool {
        matches!(self, State::Running)
    }
}

macro_rules! fields {
    ($($(#[$doc:meta])* $get:ident, $set:ident = $word:literal;)*) => {
        impl Tcb {
            $(
                $(#[$doc])*
                #[inline]
                pub fn $get(self, memory: &impl Memory) -> u64 {
                    memory.read(self.0 + frame::SIZE + 8 * $word)
                }

                #[doc = concat!("Sets [`Tcb::", stringify!($get), "`].")]
                #[inline]
                pub fn $set(self, memory: &mut impl Memory, value: u64) {
                    memory.write(self.0 + frame::SIZE + 8 * $word, value);
                }
            )*
        }
    };
}

fields! {
    /// [`State`] as a number; see [`Tcb::state`].
    state_word, set_state_word = 0;
    /// 1 while it is in a run queue.
    queued, set_queued = 1;
    /// Next thread in its run queue, or 0.
    run_next, set_run_next = 2;
    /// Previous thread in its run queue, or 0.
    run_previous, set_run_previous = 3;
    /// Next thread in the queue of what it waits for, or 0.
    wait_next, set_wait_next = 4;
    /// Previous thread in that queue, or 0.
    wait_previous, set_wait_previous = 5;
    /// The endpoint or notification it waits for.
    waits_for, set_waits_for = 6;
    /// While it sends: the badge of the capability it sends by.
    send_badge, set_send_badge = 7;
    /// While it sends or receives: bit 0 grant, bit 1 grant reply, bit 2 it is a Call. See [`blocked`].
    blocked_flags, set_blocked_flags = 8;
    /// Priority, below 256.
    priority, set_priority = 9;
    /// Maximum controlled priority, below 256.
    mcp, set_mcp = 10;
    /// Domain.
    domain, set_domain = 11;
    /// Ticks left of its time slice.
    time_slice, set_time_slice = 12;
    /// The notification bound to it, or 0.
    bound_notification, set_bound_notification = 13;
    /// Address of its fault endpoint in its own CSpace.
    fault_endpoint, set_fault_endpoint = 14;
    /// Virtual address of its IPC buffer, or 0.
    buffer_va, set_buffer_va = 15;
    /// Physical address of the IPC buffer it was given; [`Tcb::buffer`] tells whether it still has it.
    buffer_word, set_buffer = 16;
    /// The kind of its pending fault ([`kaal_abi::fault::Kind`]), 0 if none.
    fault_kind, set_fault_kind = 17;
    /// Three words that the fault's kind gives a meaning.
    fault_word_0, set_fault_word_0 = 18;
    /// See above.
    fault_word_1, set_fault_word_1 = 19;
    /// See above.
    fault_word_2, set_fault_word_2 = 20;
    /// Its name, for people: 16 bytes, padded with zeros.
    name_0, set_name_0 = 21;
    /// The rest of its name.
    name_1, set_name_1 = 22;
    /// 1 if it has used floating point, and so has registers worth keeping.
    uses_fp, set_uses_fp = 23;
}

/// Bits of [`Tcb::blocked_flags`].
pub mod blocked {
    /// The capability it sends or receives by has the grant right.
    pub const GRANT: u64 = 1;
    /// It has the grant-reply right.
    pub const GRANT_REPLY: u64 = 2;
    /// It will wait for a reply.
    pub const CALL: u64 = 4;
}

/// Floating-point registers: Q0 to Q31, FPSR, FPCR.
pub const FP_OFFSET: u64 = 0x300;
/// Bytes of them.
pub const FP_SIZE: u64 = 32 * 16 + 16;
/// The capability slots.
pub const SLOTS_OFFSET: u64 = 0x700;
/// How many there are.
pub const SLOTS: u64 = 5;

const _: () = assert!(frame::SIZE + 8 * 24 <= FP_OFFSET && FP_OFFSET + FP_SIZE <= SLOTS_OFFSET);
const _: () = assert!(SLOTS_OFFSET + SLOTS * SLOT_SIZE <= 1 << 11);

impl Tcb {
    /// The root of its CSpace.
    pub const fn cspace(self) -> Slot {
        Slot(self.0 + SLOTS_OFFSET)
    }
    /// Its address space.
    pub const fn vspace(self) -> Slot {
        self.cspace().offset(1)
    }
    /// The master reply capability, while it is started.
    pub const fn reply(self) -> Slot {
        self.cspace().offset(2)
    }
    /// The reply capability for whoever called it last.
    pub const fn caller(self) -> Slot {
        self.cspace().offset(3)
    }
    /// The page of its IPC buffer.
    pub const fn buffer_page(self) -> Slot {
        self.cspace().offset(4)
    }

    /// Physical address of its IPC buffer, or 0 if it has none or may not write to it. The slot is asked because whoever
    /// gave the page can take it away at any time.
    #[inline]
    pub fn buffer(self, memory: &impl Memory) -> u64 {
        if self.buffer_page().is_empty(memory) { 0 } else { self.buffer_word(memory) }
    }

    /// What it is doing.
    #[inline]
    pub fn state(self, memory: &impl Memory) -> State {
        State::from_word(self.state_word(memory))
    }

    /// Sets what it is doing; queues are the caller's.
    #[inline]
    pub fn set_state(self, memory: &mut impl Memory, state: State) {
        self.set_state_word(memory, state as u64);
    }

    /// Xn of its trap frame.
    #[inline]
    pub fn x(self, memory: &impl Memory, n: u64) -> u64 {
        memory.read(self.0 + frame::X0 + 8 * n)
    }

    /// Sets Xn of its trap frame.
    #[inline]
    pub fn set_x(self, memory: &mut impl Memory, n: u64, value: u64) {
        memory.write(self.0 + frame::X0 + 8 * n, value);
    }

    /// A word of its trap frame, by an offset of [`frame`].
    #[inline]
    pub fn frame(self, memory: &impl Memory, offset: u64) -> u64 {
        memory.read(self.0 + offset)
    }

    /// Sets a word of its trap frame.
    #[inline]
    pub fn set_frame(self, memory: &mut impl Memory, offset: u64, value: u64) {
        memory.write(self.0 + offset, value);
    }
}
