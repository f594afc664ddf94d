//! System calls: x7 = number, x0 = capability, x1 = message information, x2 to x5 = message registers.

use crate::arch::aarch64::{timer, uaccess};
use crate::debug::console;
use crate::scheduler;
use kaal_abi::{Error, MAX_STRING, MessageInfo, Syscall};

/// What a call returns: message registers, and how many of them count.
type Reply = Result<([u64; 4], u64), Error>;

const NOTHING: Reply = Ok(([0; 4], 0));

/// Does what the running thread asks for in its registers.
pub fn handle() {
    let (number, capability, info, message) = scheduler::with_current(|t| {
        t.usage.calls += 1;
        let x = &t.frame.x;
        (x[7] as i64, x[0], MessageInfo(x[1]), [x[2], x[3], x[4], x[5]])
    });
    let reply = match Syscall::from_number(number) {
        None => Err(Error::IllegalOperation),
        // There are no capabilities yet but the null one.
        Some(_) if capability != 0 || info.extra_caps() != 0 => Err(Error::InvalidCapability),
        Some(_) if !info.is_valid() => Err(Error::InvalidArgument),
        Some(call) if info.length() < call.arguments() as u64 => Err(Error::TruncatedMessage),
        Some(call) => dispatch(call, message),
    };
    scheduler::with_current(|t| {
        let x = &mut t.frame.x;
        x[0] = 0;
        match reply {
            Ok((values, length)) => {
                x[1] = MessageInfo::new(Error::None as u64, length).0;
                x[2..2 + length as usize].copy_from_slice(&values[..length as usize]);
            }
            Err(error) => x[1] = MessageInfo::new(error as u64, 0).0,
        }
    });
}

fn dispatch(call: Syscall, message: [u64; 4]) -> Reply {
    match call {
        Syscall::Yield => {
            scheduler::yield_now();
            NOTHING
        }
        Syscall::DebugPutChar => {
            let byte = u8::try_from(message[0]).map_err(|_| Error::InvalidArgument)?;
            console::write_byte(byte);
            NOTHING
        }
        Syscall::DebugPutString => put_string(message[0], message[1]),
        Syscall::Exit => {
            scheduler::exit_current(message[0]);
            NOTHING
        }
        Syscall::GetTime => Ok(([timer::counter(), timer::frequency(), 0, 0], 2)),
        Syscall::GetUsage => {
            let usage = scheduler::with_current(|t| t.usage);
            Ok(([usage.preemptions, usage.pages, usage.calls, 0], 3))
        }
    }
}

fn put_string(address: u64, length: u64) -> Reply {
    let mut buffer = [0; MAX_STRING as usize];
    let text = buffer.get_mut(..length as usize).ok_or(Error::RangeError)?;
    if !uaccess::copy_from_user(text, address) {
        return Err(Error::InvalidArgument);
    }
    let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
    console::write_str(core::str::from_utf8(text).map_err(|_| Error::InvalidArgument)?);
    NOTHING
}
