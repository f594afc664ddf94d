//! The short way does what the long way does.

use crate::kernel::Kernel;
use crate::objects::capability::{Capability, Rights};
use crate::objects::fixture::Chance;
use crate::objects::slot::Slot;
use crate::objects::tcb::{Tcb, frame};
use crate::testing::TestMachine;
use kaal_abi::{Syscall, TIME_SLICE, buffer};

const THREADS: usize = 6;
const ROOT: u64 = 0x2100_0000;
const RADIX: u64 = 5;
const ENDPOINTS: [u64; 2] = [0x2200_0000, 0x2200_0010];
const NOTIFICATION: u64 = 0x2200_0040;
const BUFFERS: u64 = 0x2300_0000;

fn thread(n: u64) -> Tcb {
    Tcb(0x3000_0000 + 0x800 * n)
}

/// Threads of various priorities, domains and address spaces; a CSpace with endpoints of various rights and badges.
fn system(chance: &mut Chance) -> Kernel<TestMachine> {
    let mut kernel = Kernel::new(TestMachine::default(), 0x1000_0000);
    for index in 1..1 << RADIX {
        let rights = Rights::from_bits(if chance.below(2) == 0 { 15 } else { chance.word() });
        let capability = match chance.below(8) {
            0 => Capability::Notification { address: NOTIFICATION, badge: chance.below(4), rights },
            1 => continue,
            _ => Capability::Endpoint { address: chance.pick(&ENDPOINTS), badge: chance.below(4), rights },
        };
        kernel.insert_new(capability, None, Slot(ROOT).offset(index));
    }
    for n in 0..THREADS as u64 {
        let thread = thread(n);
        let guard_bits = if chance.below(8) == 0 { 0 } else { 64 - RADIX };
        let node = Capability::CNode { address: ROOT, radix: RADIX, guard: 0, guard_bits };
        kernel.insert_new(node, None, thread.cspace());
        if chance.below(8) != 0 {
            let vspace =
                Capability::VSpace { address: 0x2400_0000 + 0x1000 * (n % 3), asid: 1 + (n % 3) as u16 };
            kernel.insert_new(vspace, None, thread.vspace());
        }
        if chance.below(2) == 0 {
            let page = Capability::Page {
                address: BUFFERS + 0x1000 * n,
                size: crate::objects::capability::PageSize::Small,
                device: false,
                rights: Rights::ALL,
                mapped: None,
            };
            kernel.insert_new(page, None, thread.buffer_page());
            thread.set_buffer(&mut kernel.machine, BUFFERS + 0x1000 * n);
            for word in 0..buffer::WORDS as u64 {
                let value = chance.below(1 << RADIX);
                crate::machine::Memory::write(&mut kernel.machine, BUFFERS + 0x1000 * n + 8 * word, value);
            }
        }
        let memory = &mut kernel.machine;
        thread.set_priority(memory, 10 + chance.below(3));
        thread.set_domain(memory, if chance.below(6) == 0 { 1 } else { 0 });
        thread.set_time_slice(memory, TIME_SLICE);
        thread.set_frame(memory, frame::PC, 0x1000 * (n + 1));
        thread.set_fault_endpoint(memory, chance.below(1 << RADIX));
        kernel.resume(thread);
    }
    if chance.below(2) == 0 {
        kernel.bind_notification(thread(0), NOTIFICATION);
    }
    kernel.activate();
    kernel
}

const CALLS: [Syscall; 9] = [
    Syscall::Call,
    Syscall::Call,
    Syscall::ReplyRecv,
    Syscall::ReplyRecv,
    Syscall::ReplyRecv,
    Syscall::Recv,
    Syscall::Send,
    Syscall::Reply,
    Syscall::NbRecv,
];

#[test]
fn whatever_happens_both_ways_lead_to_the_same() {
    let (mut fast_calls, mut fast_replies) = (0, 0);
    for seed in 0..400 {
        let mut chance = Chance::new(seed);
        let mut kernel = system(&mut chance);
        for step in 0..400 {
            let Some(thread) = kernel.current else {
                // All wait, or it is another domain's time: somebody begins anew.
                let thread = thread(chance.below(THREADS as u64));
                kernel.suspend(thread);
                kernel.resume(thread);
                kernel.tick();
                kernel.activate();
                continue;
            };
            let call = chance.pick(&CALLS);
            let slot = if chance.below(8) == 0 { chance.below(1 << RADIX) } else { 1 + chance.below(3) };
            let length = if chance.below(4) == 0 { chance.below(12) } else { chance.below(5) };
            let extra = if chance.below(6) == 0 { chance.below(4) } else { 0 };
            let info = chance.below(64) << 12 | chance.below(8) << 9 | extra << 7 | length;
            for (n, value) in [(0, slot), (1, info), (7, call as i64 as u64)] {
                thread.set_x(&mut kernel.machine, n, value);
            }
            (2..6).for_each(|n| thread.set_x(&mut kernel.machine, n, chance.word()));
            kernel.machine.events.clear();
            let mut other = kernel.clone();
            let fast = kernel.fast_syscall();
            if fast.is_none() {
                assert_eq!(kernel.machine.words, other.machine.words, "seed {seed}, step {step}: {call:?}");
                assert!(kernel.machine.events.is_empty() && kernel.scheduler == other.scheduler);
                kernel.handle_syscall();
                kernel.activate();
                if chance.below(4) == 0 {
                    kernel.tick();
                    kernel.activate();
                }
                continue;
            }
            match call {
                Syscall::Call => fast_calls += 1,
                _ => fast_replies += 1,
            }
            other.handle_syscall();
            assert_eq!(other.activate(), fast, "seed {seed}, step {step}: {call:?}");
            assert_eq!(kernel.machine.words, other.machine.words, "seed {seed}, step {step}: {call:?}");
            assert_eq!(kernel.machine.events, other.machine.events, "seed {seed}, step {step}: {call:?}");
            assert_eq!(kernel.scheduler, other.scheduler, "seed {seed}, step {step}: {call:?}");
            assert_eq!(kernel.current, other.current);
        }
    }
    assert!(
        fast_calls > 500 && fast_replies > 500,
        "{fast_calls} calls and {fast_replies} replies went the short way"
    );
}
