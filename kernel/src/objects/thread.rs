//! What can be asked of a thread: registers, spaces, priorities, start and stop.

use super::capability::{Capability, Rights};
use super::derivation::{same_object, updated};
use super::invocation;
use super::slot::Slot;
use super::tcb::{State, Tcb, frame};
use crate::ipc::fault::FLAGS;
use crate::kernel::Kernel;
use crate::machine::{Machine, Memory};
use crate::syscall::request::{Answer, Refusal, Request, Stop, set_message};
use kaal_abi::fault::Kind;
use kaal_abi::{DOMAINS, Error, Invocation, PRIORITIES, buffer, registers, rights};

/// Flags of ReadRegisters, WriteRegisters and CopyRegisters.
const SUSPEND_SOURCE: u64 = 1;
const RESUME_AFTER_WRITE: u64 = 1;
const RESUME_TARGET: u64 = 2;
const COPY_FRAME: u64 = 4;
const COPY_INTEGERS: u64 = 8;

/// X registers that CopyRegisters takes with the frame; the others are integers.
const FRAME_REGISTERS: u32 = 0x1ff | 7 << 16 | 1 << 30;

/// A capability to be put into a slot of a TCB, and where it comes from.
#[derive(Clone, Copy)]
struct Given {
    capability: Capability,
    source: Slot,
}

/// An IPC buffer to be given to a thread.
struct Buffer {
    given: Given,
    va: u64,
    physical: u64,
}

/// Where a register of [`registers`] is in the trap frame.
const fn frame_offset(register: usize) -> u64 {
    match register {
        registers::PC => frame::PC,
        registers::SP => frame::SP,
        registers::PSTATE => frame::PSTATE,
        registers::THREAD_POINTER => frame::THREAD_POINTER,
        n => frame::X0 + 8 * (n - registers::X0) as u64,
    }
}

/// Sets a register of a trap frame; of PSTATE only the flags.
fn write_register(memory: &mut impl Memory, thread: Tcb, offset: u64, value: u64) {
    let value = if offset == frame::PSTATE { value & FLAGS } else { value };
    thread.set_frame(memory, offset, value);
}

impl<M: Machine> Kernel<M> {
    /// What a TCB capability does.
    pub fn invoke_tcb(&mut self, request: &Request) -> Answer {
        let Capability::Thread { address } = request.capability else {
            return Err(Refusal::capability(0).into());
        };
        let thread = Tcb(address);
        match invocation(request, Invocation::TcbReadRegisters, Invocation::TcbSetTlsBase)? {
            Invocation::TcbReadRegisters => return self.read_registers(request, thread),
            Invocation::TcbWriteRegisters => self.write_registers(request, thread)?,
            Invocation::TcbCopyRegisters => self.copy_registers(request, thread)?,
            Invocation::TcbConfigure => self.configure(request, thread)?,
            Invocation::TcbSetPriority => {
                let priority = self.allowed_priority(request, 0)?;
                self.set_priority(thread, priority);
            }
            Invocation::TcbSetMcPriority => {
                let mcp = self.allowed_priority(request, 0)?;
                thread.set_mcp(&mut self.machine, mcp);
            }
            Invocation::TcbSetSchedParams => {
                let (mcp, priority) =
                    (self.allowed_priority(request, 0)?, self.allowed_priority(request, 1)?);
                thread.set_mcp(&mut self.machine, mcp);
                self.set_priority(thread, priority);
            }
            Invocation::TcbSetIpcBuffer => {
                let buffer = self.buffer_argument(request, request.argument(&self.machine, 0), 0)?;
                self.give_buffer(request, thread, buffer)?;
            }
            Invocation::TcbSetSpace => {
                let spaces = self.space_arguments(request, thread)?;
                self.give_spaces(request, thread, spaces)?;
            }
            Invocation::TcbSuspend => self.suspend(thread),
            Invocation::TcbResume => self.resume(thread),
            Invocation::TcbBindNotification => self.bind(request, thread)?,
            Invocation::TcbUnbindNotification => {
                if thread.bound_notification(&self.machine) == 0 {
                    return Err(Error::IllegalOperation.into());
                }
                self.unbind_notification(thread);
            }
            Invocation::TcbSetTlsBase => {
                let value = request.argument(&self.machine, 0);
                thread.set_frame(&mut self.machine, frame::THREAD_POINTER, value);
            }
            _ => return Err(Error::IllegalOperation.into()),
        }
        Ok(0)
    }

    /// What a Domain capability does: [`Invocation::DomainSet`].
    pub fn invoke_domain(&mut self, request: &Request) -> Answer {
        invocation(request, Invocation::DomainSet, Invocation::DomainSet)?;
        let domain = request.argument(&self.machine, 0);
        if domain >= DOMAINS {
            return Err(Refusal::argument(0).into());
        }
        let thread = self.thread_argument(request, 0)?;
        self.set_domain(thread, domain);
        Ok(0)
    }

    /// The thread whose TCB capability is number `n` of those sent along.
    fn thread_argument(&self, request: &Request, n: usize) -> Result<Tcb, Refusal> {
        match request.extra(n)?.get(&self.machine) {
            Capability::Thread { address } => Ok(Tcb(address)),
            _ => Err(Refusal::capability(n as u64 + 1)),
        }
    }

    /// The priority in argument `n`, if the authority that is sent along may give it.
    fn allowed_priority(&self, request: &Request, n: usize) -> Result<u64, Refusal> {
        let most = self.thread_argument(request, 0)?.mcp(&self.machine).min(PRIORITIES - 1);
        let priority = request.argument(&self.machine, n);
        if priority <= most { Ok(priority) } else { Err(Refusal::range(0, most)) }
    }

    /// How many registers a request asks for, which must not be of the thread that asks.
    fn register_count(&self, request: &Request, thread: Tcb) -> Result<usize, Refusal> {
        let count = request.argument(&self.machine, 1);
        if thread == request.thread {
            return Err(Error::IllegalOperation.into());
        }
        if !(1..=registers::COUNT as u64).contains(&count) {
            return Err(Refusal::range(1, registers::COUNT as u64));
        }
        Ok(count as usize)
    }

    /// Where a thread would go on if it were resumed: a blocked one repeats its system call.
    fn restart_pc(&self, thread: Tcb) -> u64 {
        let pc = thread.frame(&self.machine, frame::PC);
        let waits = !matches!(thread.state(&self.machine), State::Inactive | State::Running);
        if waits && thread.fault_kind(&self.machine) == Kind::None as u64 { pc.wrapping_sub(4) } else { pc }
    }

    fn read_registers(&mut self, request: &Request, thread: Tcb) -> Answer {
        let count = self.register_count(request, thread)?;
        if request.argument(&self.machine, 0) & SUSPEND_SOURCE != 0 {
            self.suspend(thread);
        }
        if !request.call {
            return Ok(0);
        }
        let mut read = 0;
        while read < count {
            let value = match read {
                registers::PC => self.restart_pc(thread),
                n => thread.frame(&self.machine, frame_offset(n)),
            };
            if !set_message(&mut self.machine, request.thread, read, value) {
                break;
            }
            read += 1;
        }
        Ok(read)
    }

    fn write_registers(&mut self, request: &Request, thread: Tcb) -> Result<(), Stop> {
        let count = self.register_count(request, thread)?;
        if request.info.length() < count as u64 + 2 {
            return Err(Error::TruncatedMessage.into());
        }
        self.leave_ipc(thread);
        for register in 0..count {
            let value = request.argument(&self.machine, 2 + register);
            write_register(&mut self.machine, thread, frame_offset(register), value);
        }
        if request.argument(&self.machine, 0) & RESUME_AFTER_WRITE != 0 {
            self.resume(thread);
        }
        Ok(())
    }

    /// A thread whose program counter is about to be set has no system call to repeat.
    fn leave_ipc(&mut self, thread: Tcb) {
        if !thread.state(&self.machine).is_runnable() {
            self.suspend(thread);
        }
    }

    fn copy_registers(&mut self, request: &Request, target: Tcb) -> Result<(), Stop> {
        let flags = request.argument(&self.machine, 0);
        let source = self.thread_argument(request, 0)?;
        if flags & SUSPEND_SOURCE != 0 {
            self.suspend(source);
        }
        if flags & COPY_FRAME != 0 {
            let pc = self.restart_pc(source);
            self.leave_ipc(target);
            write_register(&mut self.machine, target, frame::PC, pc);
            for offset in [frame::SP, frame::PSTATE] {
                let value = source.frame(&self.machine, offset);
                write_register(&mut self.machine, target, offset, value);
            }
        }
        for n in 0..31 {
            let flag = if FRAME_REGISTERS >> n & 1 != 0 { COPY_FRAME } else { COPY_INTEGERS };
            if flags & flag != 0 {
                let value = source.x(&self.machine, n);
                target.set_x(&mut self.machine, n, value);
            }
        }
        if flags & RESUME_TARGET != 0 {
            self.resume(target);
        }
        Ok(())
    }

    fn configure(&mut self, request: &Request, thread: Tcb) -> Result<(), Stop> {
        let spaces = self.space_arguments(request, thread)?;
        let buffer = self.buffer_argument(request, request.argument(&self.machine, 3), 2)?;
        self.give_spaces(request, thread, spaces)?;
        self.give_buffer(request, thread, buffer)
    }

    /// The CSpace root and VSpace of a request, the first two capabilities, ready to be put into the thread's slots.
    fn space_arguments(&self, request: &Request, thread: Tcb) -> Result<[Given; 2], Refusal> {
        let [data, vspace_data] = [1, 2].map(|n| request.argument(&self.machine, n));
        for slot in [thread.cspace(), thread.vspace()] {
            // A space of its own whose deletion is under way.
            if matches!(slot.get(&self.machine), Capability::Zombie { .. }) {
                return Err(Error::IllegalOperation.into());
            }
        }
        let source = request.extra(0)?;
        let given = source.get(&self.machine);
        let given = if data == 0 { given } else { updated(given, data, false) };
        let Capability::CNode { .. } = given else { return Err(Error::IllegalOperation.into()) };
        let root = Given { capability: self.derive(source, given)?, source };
        let source = request.extra(1)?;
        let given = source.get(&self.machine);
        let Capability::VSpace { .. } = given else { return Err(Error::IllegalOperation.into()) };
        if vspace_data != 0 {
            return Err(Error::IllegalOperation.into());
        }
        Ok([root, Given { capability: self.derive(source, given)?, source }])
    }

    fn give_spaces(&mut self, request: &Request, thread: Tcb, spaces: [Given; 2]) -> Result<(), Stop> {
        let fault_endpoint = request.argument(&self.machine, 0);
        thread.set_fault_endpoint(&mut self.machine, fault_endpoint);
        self.give(request, spaces[0], thread.cspace())?;
        self.give(request, spaces[1], thread.vspace())?;
        if self.current == Some(thread) {
            self.reschedule();
        }
        Ok(())
    }

    /// Replaces what is in a slot of a TCB. Emptying it may delete all kinds of things, even what is to be put there.
    fn give(&mut self, request: &Request, given: Given, slot: Slot) -> Result<(), Stop> {
        self.delete(slot)?;
        let there = same_object(given.capability, given.source.get(&self.machine))
            && same_object(request.capability, request.slot.get(&self.machine));
        if there {
            self.insert(given.capability, given.source, slot);
        }
        Ok(())
    }

    /// The IPC buffer at `va`, in the page that is capability `n`; none at 0.
    fn buffer_argument(&self, request: &Request, va: u64, n: usize) -> Result<Option<Buffer>, Refusal> {
        if va == 0 {
            return Ok(None);
        }
        let source = request.extra(n)?;
        let given = source.get(&self.machine);
        let Capability::Page { address: page, size, device: false, rights: has, .. } = given else {
            return Err(Error::IllegalOperation.into());
        };
        let needed = Rights::from_bits(rights::READ | rights::WRITE);
        if has.and(needed) != needed {
            return Err(Error::IllegalOperation.into());
        }
        if !va.is_multiple_of(buffer::ALIGNMENT) {
            return Err(Error::AlignmentError.into());
        }
        let given = Given { capability: self.derive(source, given)?, source };
        Ok(Some(Buffer { given, va, physical: page + (va & ((1 << size.bits()) - 1)) }))
    }

    fn give_buffer(&mut self, request: &Request, thread: Tcb, buffer: Option<Buffer>) -> Result<(), Stop> {
        self.delete(thread.buffer_page())?;
        let (va, physical) = match buffer {
            None => (0, 0),
            Some(Buffer { given, va, physical }) => {
                self.give(request, given, thread.buffer_page())?;
                (va, physical)
            }
        };
        thread.set_buffer_va(&mut self.machine, va);
        thread.set_buffer(&mut self.machine, physical);
        Ok(())
    }

    fn bind(&mut self, request: &Request, thread: Tcb) -> Result<(), Stop> {
        let Capability::Notification { address, rights, .. } = request.extra(0)?.get(&self.machine) else {
            return Err(Error::IllegalOperation.into());
        };
        if !rights.read() {
            return Err(Error::IllegalOperation.into());
        }
        let taken = thread.bound_notification(&self.machine) != 0
            || self.bound_thread(address).is_some()
            || self.has_waiters(address);
        if taken {
            return Err(Error::IllegalOperation.into());
        }
        self.bind_notification(thread, address);
        Ok(())
    }
}
