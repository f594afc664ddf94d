//! The test suite: what the kernel promises to programs, tested by programs. Each test runs in an address space and a
//! CSpace of its own; x0 says which.
#![no_std]
#![no_main]

mod bystander;
mod cnode;
mod cspace;
mod deletion;
mod derivation;
mod env;
mod faults;
mod foreign;
mod fuzz;
mod ipc;
mod irq;
mod measure;
mod notification;
mod objects;
mod reply;
mod rights;
mod scheduling;
mod threads;
mod transfer;
mod vspace;

use env::{Env, Test};
use kaal_sys::child::{self, label, slot};
use kaal_sys::{CPtr, Message, message, thread};

/// All tests, in the order they run in.
static TESTS: [&[Test]; 17] = [
    objects::TESTS,
    cnode::TESTS,
    derivation::TESTS,
    cspace::TESTS,
    rights::TESTS,
    ipc::TESTS,
    reply::TESTS,
    transfer::TESTS,
    notification::TESTS,
    faults::TESTS,
    threads::TESTS,
    scheduling::TESTS,
    vspace::TESTS,
    irq::TESTS,
    deletion::TESTS,
    measure::TESTS,
    fuzz::TESTS,
];

#[unsafe(no_mangle)]
extern "C" fn main(number: u64, tick: u64) -> ! {
    // SAFETY: the root task has mapped it there.
    unsafe { thread::set_ipc_buffer(child::IPC_BUFFER) };
    env::set_tick(tick);
    let report = CPtr(slot::REPORT);
    kaal_sys::report_panics_to(report);
    if number == child::BYSTANDER {
        bystander::run();
    }
    let all = || TESTS.iter().flat_map(|tests| tests.iter());
    if number == child::NAMES {
        for (number, (name, _)) in (0..).zip(all()) {
            Message::with_text(label::NAME, number, name, |message| message::send(report, message));
        }
        message::send(report, Message::new(label::PASSED, &[]));
    }
    let count = TESTS.iter().map(|tests| tests.len() as u64).sum();
    let test = all().nth(number as usize);
    let Some((name, test)) = test else { panic!("there is no test {number}") };
    Message::with_text(label::BEGIN, count, name, |message| message::send(report, message));
    test(&mut Env::new());
    message::send(report, Message::new(label::PASSED, &[]));
    panic!("a test has ended twice");
}
