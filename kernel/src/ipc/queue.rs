//! The queue of an endpoint or notification: first come, first served.
//!
//! Word 0 of the object is the first thread, with what the object is in its low bits; word 1 is the last thread.

use crate::machine::Memory;
use crate::objects::tcb::Tcb;

/// What is in the low bits of word 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Queue {
    /// Nobody waits.
    Idle = 0,
    /// Threads wait to send.
    Senders = 1,
    /// Threads wait to receive, or for a signal.
    Receivers = 2,
    /// A notification has signals that nobody has taken.
    Active = 3,
}

const KIND: u64 = 3;

/// Who waits in an object's queue.
#[inline]
pub fn kind(memory: &impl Memory, object: u64) -> Queue {
    match memory.read(object) & KIND {
        0 => Queue::Idle,
        1 => Queue::Senders,
        2 => Queue::Receivers,
        _ => Queue::Active,
    }
}

/// Sets what a notification is while nobody waits.
#[inline]
pub fn set_empty(memory: &mut impl Memory, object: u64, kind: Queue) {
    memory.write(object, kind as u64);
}

/// The first thread in the queue.
#[inline]
pub fn first(memory: &impl Memory, object: u64) -> Option<Tcb> {
    match memory.read(object) & !KIND {
        0 => None,
        head => Some(Tcb(head)),
    }
}

/// Puts a thread at the end of the queue, which is then one of `kind`.
#[inline(always)]
pub fn append(memory: &mut impl Memory, object: u64, thread: Tcb, kind: Queue) {
    let head = memory.read(object) & !KIND;
    let tail = if head == 0 { 0 } else { memory.read(object + 8) };
    thread.set_wait_previous(memory, tail);
    thread.set_wait_next(memory, 0);
    thread.set_waits_for(memory, object);
    match tail {
        0 => memory.write(object, thread.0 | kind as u64),
        _ => Tcb(tail).set_wait_next(memory, thread.0),
    }
    memory.write(object + 8, thread.0);
}

/// Takes a thread out of the queue.
#[inline]
pub fn remove(memory: &mut impl Memory, object: u64, thread: Tcb) {
    let (previous, next) = (thread.wait_previous(memory), thread.wait_next(memory));
    let kind = memory.read(object) & KIND;
    match previous {
        // The last one leaves an object that is idle.
        0 if next == 0 => memory.write(object, Queue::Idle as u64),
        0 => memory.write(object, next | kind),
        _ => Tcb(previous).set_wait_next(memory, next),
    }
    match next {
        0 => memory.write(object + 8, previous),
        _ => Tcb(next).set_wait_previous(memory, previous),
    }
}

/// Takes out the thread that is the first.
#[inline(always)]
pub fn remove_first(memory: &mut impl Memory, object: u64, thread: Tcb) {
    match thread.wait_next(memory) {
        0 => {
            memory.write(object, Queue::Idle as u64);
            memory.write(object + 8, 0);
        }
        next => {
            let kind = memory.read(object) & KIND;
            memory.write(object, next | kind);
            Tcb(next).set_wait_previous(memory, 0);
        }
    }
}

/// Takes out the first thread.
#[inline]
pub fn take_first(memory: &mut impl Memory, object: u64) -> Option<Tcb> {
    let thread = first(memory, object)?;
    remove_first(memory, object, thread);
    Some(thread)
}
