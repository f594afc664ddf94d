//! CSpaces of more than one CNode, and the guards on the way.

use crate::env::*;
use kaal_sys::abi::{Error, lookup, rights};
use kaal_sys::child::slot;
use kaal_sys::{CNode, CPtr, Endpoint, Message, Notification, fault::Fault};

/// The tests.
pub const TESTS: &[Test] = &[
    ("cspace: three levels of CNodes", three_levels),
    ("cspace: guards of every size", guards),
    ("cspace: a wrong guard is told with the bits that are left", wrong_guard),
    ("cspace: a thread's capabilities go through levels and guards", thread_with_levels),
    ("cspace: a thread's guard can be set with its CSpace", guard_of_configure),
    ("cspace: a CNode that contains itself", circle),
    ("cspace: badge and guard have all their bits", all_bits),
];

/// Mints `cnode` with a guard, in a new slot.
fn guarded(env: &mut Env, cnode: CNode, guard: u64, bits: u64) -> CNode {
    let slot = env.slot();
    slot.mint(at(cnode.0), rights::ALL, guard << 6 | bits).unwrap();
    CNode(slot.cptr())
}

fn three_levels(env: &mut Env) {
    let (top, middle, low) = (env.cnode(2), env.cnode(3), env.cnode(4));
    let object = at(env.notification().0);
    top.at(1, 2).copy(at(middle.0), rights::ALL).unwrap();
    middle.at(5, 3).copy(at(low.0), rights::ALL).unwrap();
    top.at(1 << 7 | 5 << 4 | 9, 9).take(object).unwrap();
    let slot = env.slot();
    slot.copy(low.at(9, 4), rights::ALL).unwrap();
    assert_eq!(slot.cptr().kind(), kind::NOTIFICATION);
    slot.delete().unwrap();
    slot.take(middle.at(5 << 4 | 9, 7)).unwrap();
    // Higher bits of the index do not count.
    top.at(0xffff << 9 | 1 << 7 | 5 << 4 | 8, 9).take(slot).unwrap();
    low.at(7, 4).take(low.at(8, 4)).unwrap();
}

fn guards(env: &mut Env) {
    let cnode = env.cnode(2);
    cnode.at(2, 2).take(at(env.notification().0)).unwrap();
    let slot = env.slot();
    for bits in 1..=62 {
        let guard = 0x5a5a_5a5a_5a5a_5a5a & ((1 << bits) - 1);
        let view = env.slot();
        view.mint(at(cnode.0), rights::ALL, guard << 6 | bits).unwrap();
        // The guard has 58 bits where the argument is one word.
        let guard = guard & ((1 << 58) - 1);
        let path = CNode(view.cptr()).at(guard << 2 | 2, bits + 2);
        slot.copy(path, rights::ALL).unwrap();
        slot.delete().unwrap();
        let wrong = CNode(view.cptr()).at((guard ^ 1 << (bits - 1)) << 2 | 2, bits + 2);
        refused(slot.copy(wrong, rights::ALL), Error::FailedLookup, &[1, lookup::GUARD_MISMATCH]);
        view.delete().unwrap();
    }
}

fn wrong_guard(env: &mut Env) {
    let (top, low) = (env.cnode(2), env.cnode(3));
    let view = guarded(env, low, 0b1010, 4);
    top.at(3, 2).take(at(view.0)).unwrap();
    let slot = env.slot();
    // Seven bits are left when the second CNode is reached.
    let wrong = top.at(3 << 7 | 0b1011 << 3, 9);
    refused(slot.copy(wrong, rights::ALL), Error::FailedLookup, &[1, lookup::GUARD_MISMATCH, 7]);
    let empty = top.at(2 << 7, 9);
    assert!(slot.copy(empty, rights::ALL).is_err());
    low.at(6, 3).take(at(env.notification().0)).unwrap();
    slot.copy(top.at(3 << 7 | 0b1010 << 3 | 6, 9), rights::ALL).unwrap();
}

/// The addresses that the helper below looks at.
const GOOD: u64 = 1 << 12 | 0xa << 8 | 3;

extern "C" fn look(_: u64) -> ! {
    for (n, address) in
        [GOOD, GOOD ^ 1, GOOD ^ 1 << 8, GOOD ^ 1 << 12, GOOD | 1 << 63].into_iter().enumerate()
    {
        share(n, CPtr(address).kind());
    }
    Notification(CPtr(GOOD)).signal();
    Notification(CPtr(GOOD ^ 1 << 8)).signal();
    panic!("it did not fault");
}

fn thread_with_levels(env: &mut Env) {
    let (top, low) = (env.cnode(6), env.cnode(8));
    let signal = env.notification();
    let faults = env.endpoint();
    low.at(3, 8).mint(at(signal.0), rights::WRITE, 0x77).unwrap();
    top.at(2, 6).mint(at(faults.0), rights::ALL, 0x99).unwrap();
    let view = guarded(env, low, 0xa, 4);
    top.at(1, 6).take(at(view.0)).unwrap();
    let root = guarded(env, top, 0, 46);
    let helper = env.helper(LOWER);
    // Its fault endpoint is an address in its own CSpace: 18 bits below the root, of which a CNode takes 6 only.
    let low_faults = low.at(4, 8);
    low_faults.mint(at(faults.0), rights::ALL, 0x99).unwrap();
    helper.tcb.set_space(1 << 12 | 0xa << 8 | 4, root, 0, VSPACE).unwrap();
    helper.start(look, 0);
    let message = faults.recv();
    assert_eq!([shared(0), shared(1), shared(2), shared(3), shared(4)], [kind::NOTIFICATION, 0, 0, 0, 0]);
    assert_eq!((message.badge, signal.poll()), (0x99, 0x77));
    let Some(Fault::Capability { address, receiving, lookup, bits, .. }) = Fault::from(&message) else {
        panic!("another fault: {}", message.label());
    };
    let told = (address, receiving, lookup, bits);
    assert_eq!(told, (GOOD ^ 1 << 8, false, kaal_sys::abi::lookup::GUARD_MISMATCH, 12));
}

extern "C" fn signal(address: u64) -> ! {
    Notification(CPtr(address)).signal();
    Endpoint(CPtr(address + 1)).call(Message::new(0, &[]));
    panic!("nobody should have replied");
}

fn guard_of_configure(env: &mut Env) {
    let root = env.cnode(4);
    let (ready, done) = (env.notification(), env.endpoint());
    root.at(7, 4).copy(at(ready.0), rights::ALL).unwrap();
    root.at(8, 4).copy(at(done.0), rights::ALL).unwrap();
    let helper = env.helper(LOWER);
    let guard = 0xabc_def0;
    helper.tcb.configure(0, root, guard << 6 | 60, VSPACE, (helper.buffer_va, helper.buffer)).unwrap();
    helper.start(signal, guard << 4 | 7);
    assert_eq!(done.recv().info.length(), 0);
    ready.wait();
    let much = helper.tcb.configure(0, root, 61, VSPACE, (helper.buffer_va, helper.buffer));
    refused(much, Error::IllegalOperation, &[]);
}

fn circle(env: &mut Env) {
    let cnode = env.cnode(1);
    cnode.at(1, 1).copy(at(cnode.0), rights::ALL).unwrap();
    let object = at(env.notification().0);
    cnode.at(0b1110, 4).take(object).unwrap();
    let slot = env.slot();
    slot.copy(cnode.at(0, 1), rights::ALL).unwrap();
    slot.delete().unwrap();
    slot.copy(cnode.at(u64::MAX << 1, 64), rights::ALL).unwrap();
    assert_eq!(slot.cptr().kind(), kind::NOTIFICATION);
}

fn all_bits(env: &mut Env) {
    let plain = env.notification();
    for bit in 0..64 {
        let slot = env.slot();
        slot.mint(at(plain.0), rights::ALL, 1 << bit).unwrap();
        Notification(slot.cptr()).signal();
        assert_eq!(plain.poll(), 1 << bit);
    }
    assert_eq!(CPtr(slot::TCB).kind(), kind::TCB);
}
