//! Messages from one thread's registers and buffer to another's, with the capabilities they bring along.

use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::objects::capability::Capability;
use crate::objects::cspace::LookupFault;
use crate::objects::slot::Slot;
use crate::objects::tcb::Tcb;
use crate::syscall::request::{message, set_message};
use kaal_abi::fault::Kind;
use kaal_abi::{MessageInfo, REGISTER_WORDS, buffer};

/// The slots of capabilities that come along.
pub type ExtraSlots = [Option<Slot>; MessageInfo::MAX_EXTRA_CAPS as usize];

impl<M: Machine> Kernel<M> {
    /// Gives a receiver what a sender has to say: its message, or its fault. `endpoint` is where they met, if anywhere.
    pub(super) fn hand_over(
        &mut self,
        sender: Tcb,
        endpoint: Option<u64>,
        badge: u64,
        grant: bool,
        receiver: Tcb,
    ) {
        let info = if sender.fault_kind(&self.machine) == Kind::None as u64 {
            self.transfer_message(sender, endpoint, grant, receiver)
        } else {
            self.transfer_fault(sender, receiver)
        };
        receiver.set_x(&mut self.machine, 1, info.0);
        receiver.set_x(&mut self.machine, 0, badge);
    }

    fn transfer_message(
        &mut self,
        sender: Tcb,
        endpoint: Option<u64>,
        grant: bool,
        receiver: Tcb,
    ) -> MessageInfo {
        let info = MessageInfo(sender.x(&self.machine, 1));
        // Capabilities that cannot be found any more stay behind; the call itself has checked them.
        let extra = if grant && info.extra_caps() > 0 {
            self.extra_slots(sender, info).unwrap_or_default()
        } else {
            ExtraSlots::default()
        };
        let length = self.copy_message(sender, receiver, info.length() as usize);
        let (count, unwrapped) = self.transfer_capabilities(extra, endpoint, receiver);
        MessageInfo::new(info.label(), length as u64, 0).with_caps(count, unwrapped)
    }

    /// Copies message registers; how many arrived, which is fewer than asked if one of the two has no buffer.
    fn copy_message(&mut self, sender: Tcb, receiver: Tcb, length: usize) -> usize {
        let registers = length.min(REGISTER_WORDS);
        for n in 0..registers {
            let word = message(&self.machine, sender, n);
            set_message(&mut self.machine, receiver, n, word);
        }
        if length <= REGISTER_WORDS {
            return registers;
        }
        let (from, to) = (sender.buffer(&self.machine), receiver.buffer(&self.machine));
        if from == 0 || to == 0 {
            return registers;
        }
        for n in REGISTER_WORDS..length {
            let offset = 8 * (buffer::MESSAGE + n) as u64;
            let word = self.machine.read(from + offset);
            self.machine.write(to + offset, word);
        }
        length
    }

    /// The slots that the extra capabilities of a message are in, by the addresses in its sender's buffer. On a fault also
    /// the address that leads nowhere.
    pub(crate) fn extra_slots(
        &self,
        sender: Tcb,
        info: MessageInfo,
    ) -> Result<ExtraSlots, (u64, LookupFault)> {
        let mut slots = ExtraSlots::default();
        let address = sender.buffer(&self.machine);
        if address == 0 {
            return Ok(slots);
        }
        for (n, slot) in slots.iter_mut().enumerate().take(info.extra_caps() as usize) {
            let name = self.machine.read(address + 8 * (buffer::CAPS_OR_BADGES + n) as u64);
            *slot = Some(self.lookup_slot(sender, name).map_err(|fault| (name, fault))?);
        }
        Ok(slots)
    }

    /// Hands over capabilities: one goes into the receive slot, those to the endpoint itself become their badges. How many
    /// were dealt with, and which of them were unwrapped.
    fn transfer_capabilities(
        &mut self,
        extra: ExtraSlots,
        endpoint: Option<u64>,
        receiver: Tcb,
    ) -> (u64, u64) {
        let address = receiver.buffer(&self.machine);
        if extra[0].is_none() || address == 0 {
            return (0, 0);
        }
        let mut destination = self.receive_slot(receiver, address);
        let mut unwrapped = 0;
        for (n, source) in extra.into_iter().enumerate() {
            let Some(source) = source else { return (n as u64, unwrapped) };
            let capability = source.get(&self.machine);
            match capability {
                Capability::Endpoint { address: object, badge, .. } if Some(object) == endpoint => {
                    self.machine.write(address + 8 * (buffer::CAPS_OR_BADGES + n) as u64, badge);
                    unwrapped |= 1 << n;
                }
                _ => {
                    let Some(slot) = destination.take() else { return (n as u64, unwrapped) };
                    match self.derive(source, capability) {
                        Ok(derived) if derived != Capability::Null => self.insert(derived, source, slot),
                        _ => return (n as u64, unwrapped),
                    }
                }
            }
        }
        (MessageInfo::MAX_EXTRA_CAPS, unwrapped)
    }

    /// The empty slot where a receiver wants a capability, if its buffer names one.
    fn receive_slot(&self, receiver: Tcb, address: u64) -> Option<Slot> {
        let [node, index, depth] = [buffer::RECEIVE_CNODE, buffer::RECEIVE_INDEX, buffer::RECEIVE_DEPTH]
            .map(|word| self.machine.read(address + 8 * word as u64));
        let root = self.lookup_slot(receiver, node).ok()?.get(&self.machine);
        let slot = self.lookup_target(root, index, depth).ok()?;
        slot.is_empty(&self.machine).then_some(slot)
    }
}
