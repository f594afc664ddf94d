//! Interrupts as objects: who handles which, and what happens when one comes.

use super::capability::Capability;
use super::invocation;
use super::slot::Slot;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::syscall::request::{Answer, Refusal, Request};
use kaal_abi::{Error, Invocation};

impl<M: Machine> Kernel<M> {
    /// The slot of the notification that an interrupt signals.
    pub fn irq_slot(&self, irq: u64) -> Slot {
        Slot(self.irq_slots).offset(irq)
    }

    fn is_handled(&self, irq: u64) -> bool {
        self.irqs_handled[irq as usize / 64] >> (irq % 64) & 1 != 0
    }

    /// There is no handler of this interrupt any more.
    pub(super) fn release_irq(&mut self, irq: u64) {
        self.irqs_handled[irq as usize / 64] &= !(1 << (irq % 64));
    }

    /// A device interrupt has come: keeps it from coming again until it is acknowledged, and signals its notification. One
    /// that nobody waits for stays masked.
    pub fn interrupt(&mut self, number: u64) {
        self.machine.mask_interrupt(number);
        if number >= self.machine.interrupts() || !self.is_handled(number) {
            return;
        }
        if let Capability::Notification { address, badge, .. } = self.irq_slot(number).get(&self.machine) {
            self.signal(address, badge);
        }
    }

    /// What an IrqControl capability does: [`Invocation::IrqControlGet`]. Errors of its own: [`Error::RangeError`] for a
    /// number that is no interrupt's, [`Error::InvalidArgument`] 0 for one of the kernel's, [`Error::RevokeFirst`] for one
    /// that has a handler.
    pub fn invoke_irq_control(&mut self, request: &Request) -> Answer {
        let Invocation::IrqControlGet =
            invocation(request, Invocation::IrqControlGet, Invocation::IrqControlGet)?
        else {
            return Err(Error::IllegalOperation.into());
        };
        let [irq, index, depth] = [0, 1, 2].map(|n| request.argument(&self.machine, n));
        let interrupts = self.machine.interrupts().min(64 * self.irqs_handled.len() as u64);
        if irq >= interrupts {
            return Err(Refusal::range(0, interrupts - 1).into());
        }
        if self.machine.is_reserved(irq) {
            return Err(Refusal::argument(0).into());
        }
        if self.is_handled(irq) {
            return Err(Error::RevokeFirst.into());
        }
        let root = request.extra(0)?.get(&self.machine);
        let destination = self.lookup_target(root, index, depth)?;
        self.ensure_empty(destination)?;
        self.irqs_handled[irq as usize / 64] |= 1 << (irq % 64);
        self.machine.unmask_interrupt(irq);
        self.insert(Capability::IrqHandler { irq }, request.slot, destination);
        Ok(0)
    }

    /// What an IrqHandler capability does.
    pub fn invoke_irq_handler(&mut self, request: &Request) -> Answer {
        let Capability::IrqHandler { irq } = request.capability else {
            return Err(Refusal::capability(0).into());
        };
        match invocation(request, Invocation::IrqHandlerAck, Invocation::IrqHandlerClear)? {
            Invocation::IrqHandlerAck => self.machine.unmask_interrupt(irq),
            Invocation::IrqHandlerSetNotification => {
                let source = request.extra(0)?;
                let capability = source.get(&self.machine);
                let Capability::Notification { rights, .. } = capability else {
                    return Err(Refusal::capability(1).into());
                };
                if !rights.write() {
                    return Err(Refusal::capability(1).into());
                }
                self.clear_irq_slot(irq);
                self.insert(capability, source, self.irq_slot(irq));
            }
            Invocation::IrqHandlerClear => self.clear_irq_slot(irq),
            _ => return Err(Error::IllegalOperation.into()),
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests;
