//! Faults of threads, as messages to their fault endpoints, and the replies that let them go on.
//!
//! A pending fault is a kind and three words in the TCB; the registers that a fault message shows are read when it is
//! received.

use super::endpoint::Sending;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::objects::capability::Capability;
use crate::objects::cspace::LookupFault;
use crate::objects::tcb::{State, Tcb, frame};
use crate::syscall::request::{message, set_message};
use kaal_abi::MessageInfo;
use kaal_abi::fault::{self, Kind};

/// Bits of PSTATE that programs may set: the flags.
pub const FLAGS: u64 = 0xf << 28;

/// EC of an instruction abort from a lower exception level (Arm DDI 0487, D17.2.37).
const INSTRUCTION_ABORT_LOWER: u64 = 0x20;

impl<M: Machine> Kernel<M> {
    /// The current thread has made an access that translation or permissions forbid.
    pub fn memory_fault(&mut self) {
        if let Some(thread) = self.current {
            let esr = thread.frame(&self.machine, frame::ESR);
            let far = thread.frame(&self.machine, frame::FAR);
            let fetch = u64::from(esr >> 26 & 0x3f == INSTRUCTION_ABORT_LOWER);
            self.fault(thread, Kind::Memory, [far, fetch, esr]);
        }
    }

    /// The current thread has taken an exception that is no system call and no memory fault.
    pub fn user_exception(&mut self) {
        if let Some(thread) = self.current {
            let esr = thread.frame(&self.machine, frame::ESR);
            self.fault(thread, Kind::UserException, [esr >> 26 & 0x3f, esr, 0]);
        }
    }

    /// A thread has named a capability that it does not have. The message shows where the system call is, and the reply
    /// repeats it.
    pub(crate) fn capability_fault(&mut self, thread: Tcb, address: u64, receiving: bool, why: LookupFault) {
        let [kind, bits_left] = why.words();
        self.repeat_call(thread);
        self.fault(thread, Kind::Capability, [address, u64::from(receiving) | kind << 1, bits_left]);
    }

    /// A thread has made a system call of a number that there is none of. The reply repeats it, unless it moves the program
    /// counter on.
    pub(crate) fn unknown_syscall(&mut self, thread: Tcb, number: u64) {
        self.repeat_call(thread);
        self.fault(thread, Kind::UnknownSyscall, [number, 0, 0]);
    }

    /// Sends a fault to the thread's fault endpoint. Without one the thread ends.
    fn fault(&mut self, thread: Tcb, kind: Kind, words: [u64; 3]) {
        let memory = &mut self.machine;
        let endpoint = thread.fault_endpoint(memory);
        thread.set_fault_kind(memory, kind as u64);
        thread.set_fault_word_0(memory, words[0]);
        thread.set_fault_word_1(memory, words[1]);
        thread.set_fault_word_2(memory, words[2]);
        if let Ok(slot) = self.lookup_slot(thread, endpoint)
            && let Capability::Endpoint { address, badge, rights } = slot.get(&self.machine)
            && rights.write()
            && (rights.grant() || rights.grant_reply())
        {
            self.send(thread, address, Sending { blocking: true, call: true, badge, rights });
        } else {
            self.unhandled(thread, kind, words);
        }
    }

    fn unhandled(&mut self, thread: Tcb, kind: Kind, words: [u64; 3]) {
        let pc = thread.frame(&self.machine, frame::PC);
        let what = match kind {
            Kind::Memory => "memory fault at ",
            Kind::Capability => "no capability at ",
            Kind::UnknownSyscall => "unknown system call ",
            Kind::UserException | Kind::None => "exception of class ",
        };
        self.put_text("[kernel] thread ");
        for word in [thread.name_0(&self.machine), thread.name_1(&self.machine)] {
            for byte in word.to_le_bytes().into_iter().filter(|&byte| byte != 0) {
                self.machine.put_char(if byte.is_ascii_graphic() { byte } else { b'?' });
            }
        }
        self.put_text(" has no fault handler: ");
        self.put_text(what);
        self.put_hex(words[0]);
        self.put_text(", pc ");
        self.put_hex(pc);
        self.put_text("\n");
        thread.set_fault_kind(&mut self.machine, Kind::None as u64);
        thread.set_state(&mut self.machine, State::Inactive);
        self.unschedule(thread);
    }

    fn put_text(&mut self, text: &str) {
        text.bytes().for_each(|byte| self.machine.put_char(byte));
    }

    fn put_hex(&mut self, value: u64) {
        self.put_text("0x");
        let digits = (64 - value.leading_zeros()).div_ceil(4).max(1);
        for digit in (0..digits).rev() {
            let digit = (value >> (4 * digit) & 15) as usize;
            self.machine.put_char(b"0123456789abcdef"[digit]);
        }
    }

    /// Gives a receiver the message of a thread's pending fault.
    pub(super) fn transfer_fault(&mut self, thread: Tcb, receiver: Tcb) -> MessageInfo {
        let memory = &self.machine;
        let [pc, sp, pstate] =
            [frame::PC, frame::SP, frame::PSTATE].map(|offset| thread.frame(memory, offset));
        let [first, second, third] =
            [thread.fault_word_0(memory), thread.fault_word_1(memory), thread.fault_word_2(memory)];
        let kind = thread.fault_kind(memory);
        let mut words = [0; fault::UNKNOWN_SYSCALL_WORDS];
        let length = if kind == Kind::Memory as u64 {
            words[..4].copy_from_slice(&[pc, first, second, third]);
            fault::MEMORY_WORDS
        } else if kind == Kind::Capability as u64 {
            words[..5].copy_from_slice(&[pc, first, second & 1, second >> 1, third]);
            fault::CAPABILITY_WORDS
        } else if kind == Kind::UserException as u64 {
            words[..5].copy_from_slice(&[pc, sp, pstate, first, second]);
            fault::USER_EXCEPTION_WORDS
        } else {
            (0..8).for_each(|n| words[n] = thread.x(memory, n as u64));
            words[8..].copy_from_slice(&[pc, sp, thread.x(memory, 30), pstate, first]);
            fault::UNKNOWN_SYSCALL_WORDS
        };
        let mut sent = 0;
        while sent < length && set_message(&mut self.machine, receiver, sent, words[sent]) {
            sent += 1;
        }
        MessageInfo::new(kind, sent as u64, 0)
    }

    /// Takes the reply to a fault: the registers that it sets. True if the thread is to go on.
    pub(super) fn take_fault_reply(&mut self, sender: Tcb, thread: Tcb) -> bool {
        let info = MessageInfo(sender.x(&self.machine, 1));
        let kind = thread.fault_kind(&self.machine);
        let targets: &[u64] = if kind == Kind::UnknownSyscall as u64 {
            &[0, 8, 16, 24, 32, 40, 48, 56, frame::PC, frame::SP, 240, frame::PSTATE]
        } else if kind == Kind::UserException as u64 {
            &[frame::PC, frame::SP, frame::PSTATE]
        } else {
            &[]
        };
        for (n, &offset) in targets.iter().enumerate().take(info.length() as usize) {
            let word = message(&self.machine, sender, n);
            let word = if offset == frame::PSTATE { word & FLAGS } else { word };
            thread.set_frame(&mut self.machine, offset, word);
        }
        info.label() == 0
    }
}
