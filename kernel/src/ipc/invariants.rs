//! Whatever threads do: queues stay well formed, nobody is lost, the first to come is the first served, and what is received is
//! what was sent.

use crate::ipc::queue::{self, Queue};
use crate::kernel::Kernel;
use crate::machine::Memory;
use crate::objects::capability::{Capability, PageSize, Rights};
use crate::objects::fixture::Chance;
use crate::objects::slot::Slot;
use crate::objects::tcb::{State, Tcb, frame};
use crate::scheduler::Action;
use crate::syscall::request::{message, set_message};
use crate::testing::TestMachine;
use kaal_abi::{DOMAINS, MessageInfo, PRIORITIES, Syscall, TIME_SLICE, WORD_BITS};
use std::collections::BTreeMap;

const THREADS: u64 = 10;
const ROOT: u64 = 0x2100_0000;
const RADIX: u64 = 4;
const OBJECTS: [u64; 4] = [0x2200_0000, 0x2200_0010, 0x2200_0040, 0x2200_0060];
const NOTIFICATIONS: [u64; 2] = [OBJECTS[2], OBJECTS[3]];

fn thread(n: u64) -> Tcb {
    Tcb(0x3000_0000 + 0x800 * n)
}

fn all() -> impl Iterator<Item = Tcb> {
    (0..THREADS).map(thread)
}

fn system(chance: &mut Chance) -> Kernel<TestMachine> {
    let mut kernel = Kernel::new(TestMachine::default(), 0x1000_0000);
    for index in 1..1 << RADIX {
        let address = OBJECTS[index as usize % 4];
        let rights = if chance.below(4) == 0 { Rights::from_bits(chance.word()) } else { Rights::ALL };
        let capability = if NOTIFICATIONS.contains(&address) {
            Capability::Notification { address, badge: 1 << chance.below(8), rights }
        } else {
            Capability::Endpoint { address, badge: index, rights }
        };
        kernel.insert_new(capability, None, Slot(ROOT).offset(index));
    }
    for (n, thread) in all().enumerate() {
        let node = Capability::CNode { address: ROOT, radix: RADIX, guard: 0, guard_bits: WORD_BITS - RADIX };
        kernel.insert_new(node, None, thread.cspace());
        if n % 2 == 0 {
            let address = 0x2300_0000 + 0x1000 * n as u64;
            let page = Capability::Page {
                address,
                size: PageSize::Small,
                device: false,
                rights: Rights::ALL,
                mapped: None,
            };
            kernel.insert_new(page, None, thread.buffer_page());
            thread.set_buffer(&mut kernel.machine, address);
        }
        let memory = &mut kernel.machine;
        thread.set_priority(memory, chance.below(4) * 70);
        thread.set_domain(memory, if chance.below(5) == 0 { 1 } else { 0 });
        thread.set_time_slice(memory, TIME_SLICE);
        thread.set_frame(memory, frame::PC, 0x1000);
        kernel.resume(thread);
    }
    kernel.bind_notification(thread(0), NOTIFICATIONS[0]);
    kernel.activate();
    kernel
}

/// The threads in an object's queue, whose links agree both ways.
fn waiting(kernel: &Kernel<TestMachine>, object: u64) -> Vec<Tcb> {
    let memory = &kernel.machine;
    let mut found = Vec::new();
    let mut next = queue::first(memory, object);
    while let Some(thread) = next {
        assert_eq!(thread.wait_previous(memory), found.last().map_or(0, |last: &Tcb| last.0));
        assert_eq!(thread.waits_for(memory), object);
        found.push(thread);
        assert!(found.len() <= THREADS as usize, "the queue of {object:#x} is a circle");
        next = match thread.wait_next(memory) {
            0 => None,
            address => Some(Tcb(address)),
        };
    }
    if let Some(last) = found.last() {
        assert_eq!(memory.read(object + 8), last.0);
    }
    found
}

/// Looks at everything; `arrived` says when each thread began to wait where it waits.
fn check(kernel: &Kernel<TestMachine>, arrived: &BTreeMap<u64, u64>) {
    let memory = &kernel.machine;
    let mut blocked = BTreeMap::new();
    for object in OBJECTS {
        let threads = waiting(kernel, object);
        let kind = queue::kind(memory, object);
        for thread in &threads {
            assert_eq!(blocked.insert(thread.0, object), None, "{thread:?} waits twice");
            let expected = match kind {
                Queue::Senders => State::BlockedOnSend,
                Queue::Receivers if NOTIFICATIONS.contains(&object) => State::BlockedOnNotification,
                Queue::Receivers => State::BlockedOnReceive,
                Queue::Idle | Queue::Active => panic!("{kind:?} with somebody waiting"),
            };
            assert_eq!(thread.state(memory), expected);
        }
        let times: Vec<u64> = threads.iter().map(|thread| arrived[&thread.0]).collect();
        assert!(times.is_sorted(), "not first come, first served: {times:?}");
        assert_eq!(threads.is_empty(), matches!(kind, Queue::Idle | Queue::Active));
    }
    let mut queued = Vec::new();
    for domain in 0..DOMAINS {
        let queues = kernel.scheduler.queues(domain);
        let mut highest = None;
        for priority in 0..PRIORITIES {
            let mut previous = 0;
            let mut next = queues.first(priority);
            while let Some(thread) = next {
                highest = Some(priority);
                assert_eq!((thread.priority(memory), thread.domain(memory)), (priority, domain));
                assert_eq!((thread.run_previous(memory), thread.queued(memory)), (previous, 1));
                queued.push(thread.0);
                previous = thread.0;
                next = match thread.run_next(memory) {
                    0 => None,
                    address => Some(Tcb(address)),
                };
            }
        }
        assert_eq!(queues.highest(), highest);
    }
    for thread in all() {
        let runs = thread.state(memory).is_runnable();
        let places = queued.iter().filter(|&&each| each == thread.0).count()
            + usize::from(kernel.current == Some(thread) && thread.queued(memory) == 0 && runs);
        assert_eq!(places, usize::from(runs), "{thread:?} {:?}", thread.state(memory));
        let waits = matches!(
            thread.state(memory),
            State::BlockedOnSend | State::BlockedOnReceive | State::BlockedOnNotification
        );
        assert_eq!(blocked.contains_key(&thread.0), waits);
    }
    // Nobody of a higher priority waits for the processor that another one has.
    assert_eq!(kernel.scheduler.action(), Action::Resume);
    let first = kernel.scheduler.queues(kernel.scheduler.domain()).highest();
    match kernel.current {
        Some(thread) => {
            assert_eq!(thread.domain(memory), kernel.scheduler.domain());
            assert!(first.is_none_or(|priority| priority <= thread.priority(memory)));
        }
        None => assert_eq!(first, None),
    }
}

const CALLS: [Syscall; 10] = [
    Syscall::Call,
    Syscall::ReplyRecv,
    Syscall::ReplyRecv,
    Syscall::Send,
    Syscall::NbSend,
    Syscall::Recv,
    Syscall::Recv,
    Syscall::Reply,
    Syscall::NbRecv,
    Syscall::Yield,
];

#[test]
fn threads_that_do_anything_lose_nobody_and_overtake_nobody() {
    for seed in 0..150 {
        let mut chance = Chance::new(seed);
        let mut kernel = system(&mut chance);
        let mut arrived = BTreeMap::new();
        for step in 0..300 {
            let before: Vec<State> = all().map(|thread| thread.state(&kernel.machine)).collect();
            let any = thread(chance.below(THREADS));
            match (kernel.current, chance.below(12)) {
                (_, 0) => kernel.suspend(any),
                (_, 1) | (None, _) => {
                    kernel.resume(any);
                    kernel.tick();
                }
                (_, 2) => kernel.tick(),
                (_, 3) => kernel.set_priority(any, chance.below(PRIORITIES)),
                (_, 4) => kernel.set_domain(any, chance.below(2)),
                (_, 5) => kernel.signal(chance.pick(&NOTIFICATIONS), 1 << chance.below(8)),
                (Some(thread), _) => {
                    let call = chance.pick(&CALLS);
                    let info = MessageInfo::new(chance.below(9), chance.below(12), 0);
                    let slot = 1 + chance.below(15);
                    for (n, value) in [(0, slot), (1, info.0), (7, call as i64 as u64)] {
                        thread.set_x(&mut kernel.machine, n, value);
                    }
                    if kernel.fast_syscall().is_none() {
                        kernel.handle_syscall();
                    }
                }
            }
            kernel.activate();
            kernel.machine.events.clear();
            for (thread, before) in all().zip(before) {
                // A thread that waits anew, or elsewhere, came now.
                let waits = thread.state(&kernel.machine);
                if waits != before || !arrived.contains_key(&thread.0) || Some(thread) == kernel.current {
                    arrived.insert(thread.0, step);
                }
            }
            check(&kernel, &arrived);
        }
    }
}

#[test]
fn messages_of_every_length_arrive_as_they_were_sent() {
    let mut chance = Chance::new(7);
    for length in 0..=MessageInfo::MAX_LENGTH as usize {
        for (from, to) in [(0, 2), (0, 1), (1, 0), (1, 3)] {
            let mut kernel = system(&mut chance);
            let (sender, receiver) = (thread(from), thread(to));
            for each in all() {
                kernel.suspend(each);
                kernel.set_domain(each, 0);
            }
            let words: Vec<u64> = (0..length).map(|_| chance.word()).collect();
            let run = |kernel: &mut Kernel<TestMachine>, who: Tcb, call: Syscall, info: MessageInfo| {
                kernel.resume(who);
                kernel.current = Some(who);
                kernel.dequeue(who);
                for (n, value) in [(0, 4), (1, info.0), (7, call as i64 as u64)] {
                    who.set_x(&mut kernel.machine, n, value);
                }
                kernel.handle_syscall();
            };
            let all_rights = Capability::Endpoint { address: OBJECTS[0], badge: 77, rights: Rights::ALL };
            Slot(ROOT).offset(4).set(&mut kernel.machine, all_rights);
            run(&mut kernel, receiver, Syscall::Recv, MessageInfo(0));
            let mut stored = 0;
            for (n, &word) in words.iter().enumerate() {
                stored += usize::from(set_message(&mut kernel.machine, sender, n, word));
            }
            run(&mut kernel, sender, Syscall::Send, MessageInfo::new(5, length as u64, 0));
            // Without a buffer on either side only what registers hold arrives, and the length says so.
            let arrives = if from % 2 == 0 && to % 2 == 0 { length } else { length.min(4) };
            assert!(stored >= arrives);
            let info = MessageInfo(receiver.x(&kernel.machine, 1));
            assert_eq!(
                (receiver.x(&kernel.machine, 0), info.label(), info.length()),
                (77, 5, arrives as u64)
            );
            for (n, &word) in words[..arrives].iter().enumerate() {
                assert_eq!(message(&kernel.machine, receiver, n), word, "word {n} of {length}");
            }
        }
    }
}
