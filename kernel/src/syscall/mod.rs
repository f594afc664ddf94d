//! System calls: from registers to operations, and back.

pub mod request;

use crate::ipc::endpoint::Sending;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::objects::capability::Capability;
use crate::objects::cspace::LookupFault;
use crate::objects::tcb::Tcb;
use kaal_abi::{Error, MessageInfo, Syscall};
use request::{Answer, Refusal, Request, Stop, set_message};

impl<M: Machine> Kernel<M> {
    /// Does what the current thread asks for in its registers.
    pub fn handle_syscall(&mut self) {
        let Some(thread) = self.current else { return };
        let number = thread.x(&self.machine, 7);
        match Syscall::from_number(number as i64) {
            Some(Syscall::Call) => self.invoke(thread, true, true),
            Some(Syscall::Send) => self.invoke(thread, false, true),
            Some(Syscall::NbSend) => self.invoke(thread, false, false),
            Some(Syscall::Recv) => self.receive_by_capability(thread, true),
            Some(Syscall::NbRecv) => self.receive_by_capability(thread, false),
            Some(Syscall::Reply) => self.reply_to_caller(thread),
            Some(Syscall::ReplyRecv) => {
                self.reply_to_caller(thread);
                self.receive_by_capability(thread, true);
            }
            Some(Syscall::Yield) => self.yield_now(),
            Some(Syscall::DebugPutChar) => self.machine.put_char(thread.x(&self.machine, 0) as u8),
            Some(Syscall::DebugCapType) => {
                let number = self.named(thread).map_or(0, Capability::number);
                thread.set_x(&mut self.machine, 0, number);
            }
            Some(Syscall::DebugNameThread) => {
                if let Some(Capability::Thread { address }) = self.named(thread) {
                    let [first, second] = [2, 3].map(|n| thread.x(&self.machine, n));
                    Tcb(address).set_name_0(&mut self.machine, first);
                    Tcb(address).set_name_1(&mut self.machine, second);
                }
            }
            None => self.unknown_syscall(thread, number),
        }
    }

    /// The capability that x0 names.
    fn named(&self, thread: Tcb) -> Option<Capability> {
        let slot = self.lookup_slot(thread, thread.x(&self.machine, 0)).ok()?;
        Some(slot.get(&self.machine))
    }

    /// Call, Send, NbSend: asks something of the object behind the capability that x0 names.
    fn invoke(&mut self, thread: Tcb, call: bool, blocking: bool) {
        let (address, info) = (thread.x(&self.machine, 0), MessageInfo(thread.x(&self.machine, 1)));
        let found = self.lookup_slot(thread, address).map_err(|fault| (address, fault));
        let request = found.and_then(|slot| {
            let extra = self.extra_slots(thread, info)?;
            Ok(Request { thread, info, slot, capability: slot.get(&self.machine), extra, call })
        });
        match request {
            Ok(request) => {
                let answer = self.dispatch(&request, blocking);
                self.answer(&request, answer);
            }
            Err((address, fault)) if blocking => self.capability_fault(thread, address, false, fault),
            Err(_) => {}
        }
    }

    /// Hands a request to the object. `None`: who asked gets no answer from the kernel.
    fn dispatch(&mut self, request: &Request, blocking: bool) -> Option<Answer> {
        let refused = Some(Err(Refusal::capability(0).into()));
        let answer = match request.capability {
            Capability::Endpoint { address, badge, rights } => {
                if !rights.write() {
                    return refused;
                }
                self.send(request.thread, address, Sending { blocking, call: request.call, badge, rights });
                return None;
            }
            Capability::Notification { address, badge, rights } => {
                if !rights.write() {
                    return refused;
                }
                self.signal(address, badge);
                Ok(0)
            }
            Capability::Reply { thread, master: false, grant } => {
                self.reply(request.thread, Tcb(thread), request.slot, grant);
                Ok(0)
            }
            Capability::Thread { .. } => self.invoke_tcb(request),
            Capability::Domain => self.invoke_domain(request),
            Capability::Untyped { .. } => self.invoke_untyped(request),
            Capability::CNode { .. } => self.invoke_cnode(request),
            Capability::PageTable { .. } => self.invoke_page_table(request),
            Capability::Page { .. } => self.invoke_page(request),
            Capability::IrqControl => self.invoke_irq_control(request),
            Capability::IrqHandler { .. } => self.invoke_irq_handler(request),
            Capability::Power => self.invoke_power(request),
            Capability::VSpace { .. } => Err(Error::IllegalOperation.into()),
            Capability::Null | Capability::Reply { master: true, .. } | Capability::Zombie { .. } => {
                return refused;
            }
        };
        Some(answer)
    }

    /// Tells the one who asked what became of it, if an answer is wanted.
    fn answer(&mut self, request: &Request, answer: Option<Answer>) {
        // It may have stopped itself; then it finds its answer when it is resumed. If it has even deleted itself, nobody
        // uses its memory before the next system call.
        let thread = request.thread;
        let (error, length) = match answer {
            None => return,
            Some(Err(Stop::Preempted)) => return self.repeat_call(thread),
            Some(_) if !request.call => return,
            Some(Ok(length)) => (Error::None, length),
            Some(Err(Stop::Refused(Refusal { error, words }))) => {
                let length = detail_words(error);
                for (n, &word) in words[..length].iter().enumerate() {
                    set_message(&mut self.machine, thread, n, word);
                }
                (error, length)
            }
        };
        thread.set_x(&mut self.machine, 0, 0);
        thread.set_x(&mut self.machine, 1, MessageInfo::new(error as u64, length as u64, 0).0);
    }

    /// Recv, NbRecv: waits for, or looks for, a message or signal by the capability that x0 names.
    fn receive_by_capability(&mut self, thread: Tcb, blocking: bool) {
        let address = thread.x(&self.machine, 0);
        let slot = match self.lookup_slot(thread, address) {
            Ok(slot) => slot,
            Err(fault) => return self.capability_fault(thread, address, true, fault),
        };
        match slot.get(&self.machine) {
            Capability::Endpoint { address, rights, .. } if rights.read() => {
                self.forget_caller(thread);
                self.receive(thread, address, rights, blocking);
            }
            Capability::Notification { address, rights, .. }
                if rights.read() && self.bound_thread(address).is_none_or(|bound| bound == thread) =>
            {
                self.wait(thread, address, blocking);
            }
            _ => self.capability_fault(thread, address, true, LookupFault::missing(0)),
        }
    }
}

/// How many message registers say more about an error; see [`Error`].
const fn detail_words(error: Error) -> usize {
    match error {
        Error::InvalidArgument | Error::InvalidCapability | Error::NotEnoughMemory => 1,
        Error::RangeError => 2,
        Error::FailedLookup => 3,
        _ => 0,
    }
}
