//! Kernel objects: what they are made of, and what can be asked of them.

pub mod capability;
pub mod cnode;
pub mod cspace;
pub mod delete;
pub mod derivation;
pub mod irq;
pub mod page;
pub mod slot;
pub mod tcb;
pub mod thread;
pub mod untyped;
pub mod vspace;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod invariants;
#[cfg(test)]
mod model;

use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::syscall::request::{Answer, Refusal, Request};
use kaal_abi::{Error, Invocation};

/// The invocation that a request asks for, if it is one from `first` to `last` and brought the arguments and capabilities
/// that it needs.
pub(crate) fn invocation(
    request: &Request,
    first: Invocation,
    last: Invocation,
) -> Result<Invocation, Refusal> {
    let label = request.info.label();
    let invocation = Invocation::from_label(label).ok_or(Error::IllegalOperation)?;
    if label < first as u64 || label > last as u64 {
        return Err(Error::IllegalOperation.into());
    }
    if request.info.length() < invocation.arguments() as u64 {
        return Err(Error::TruncatedMessage.into());
    }
    match invocation.capabilities() {
        0 => {}
        n => {
            request.extra(n - 1)?;
        }
    }
    Ok(invocation)
}

impl<M: Machine> Kernel<M> {
    /// What a Power capability does: [`Invocation::PowerOff`].
    pub fn invoke_power(&mut self, request: &Request) -> Answer {
        match invocation(request, Invocation::PowerOff, Invocation::PowerOff)? {
            Invocation::PowerOff => {
                self.machine.power_off();
                Ok(0)
            }
            _ => Err(Error::IllegalOperation.into()),
        }
    }
}
