//! Objects deleted while they are in use.

use crate::env::*;
use kaal_sys::abi::{ObjectType, attributes, buffer, registers, rights};
use kaal_sys::{
    CNode, CPtr, Endpoint, Message, Notification, Page, PageTable, Tcb, VSpace, message, thread, time,
};

/// The tests.
pub const TESTS: &[Test] = &[
    ("deletion: an endpoint that threads wait at", endpoint_in_use),
    ("deletion: a notification that threads wait for", notification_in_use),
    ("deletion: a thread that could run, and one that waits", threads_in_use),
    ("deletion: a thread deletes itself", own_thread),
    ("deletion: a CNode that contains itself", own_cnode),
    ("deletion: CNodes that contain each other", circle),
    ("deletion: the CSpace of a thread", cspace_in_use),
    ("deletion: the address space of a thread", vspace_in_use),
    ("deletion: the IPC buffer of a thread", buffer_in_use),
    ("deletion: a fault handler's endpoint", handler_in_use),
    ("deletion: a caller's thread, and the server's", call_in_progress),
    ("deletion: a large CNode in many steps, while others run", many_steps),
];

extern "C" fn send(cap: u64) -> ! {
    Endpoint(CPtr(cap)).send(Message::new(1, &[]));
    log(1);
    exit()
}

extern "C" fn call(cap: u64) -> ! {
    Endpoint(CPtr(cap)).call(Message::new(2, &[]));
    log(2);
    exit()
}

extern "C" fn wait(cap: u64) -> ! {
    Notification(CPtr(cap)).wait();
    log(3);
    exit()
}

fn endpoint_in_use(env: &mut Env) {
    // Senders find no capability any more, and go on: what they sent is lost.
    let endpoint = env.endpoint();
    env.spawn(HIGHER, send, endpoint.0.0);
    env.spawn(HIGHER, call, endpoint.0.0);
    logged(&[]);
    at(endpoint.0).delete().unwrap();
    logged(&[1, 2]);
    // A receiver is told by a fault.
    let (endpoint, faults) = (env.endpoint(), env.endpoint());
    let helper = env.spawn_handled(faults, HIGHER, wait, endpoint.0.0);
    at(endpoint.0).delete().unwrap();
    let message = faults.recv();
    assert_eq!((message.label(), message.words[1]), (1, endpoint.0.0));
    helper.tcb.suspend().unwrap();
    // A copy of the capability keeps it alive.
    let endpoint = env.endpoint();
    let copy = env.copy(endpoint.0, rights::ALL);
    env.spawn(HIGHER, send, endpoint.0.0);
    at(endpoint.0).delete().unwrap();
    logged(&[]);
    assert_eq!(message::recv(copy).label(), 1);
    logged(&[1]);
}

fn notification_in_use(env: &mut Env) {
    let (plain, faults) = (env.notification(), env.endpoint());
    for _ in 0..2 {
        env.spawn_handled(faults, HIGHER, wait, plain.0.0);
    }
    at(plain.0).delete().unwrap();
    for _ in 0..2 {
        assert_eq!(faults.recv().words[1], plain.0.0);
    }
    logged(&[]);
}

fn threads_in_use(env: &mut Env) {
    let endpoint = env.endpoint();
    let ready = env.spawn(LOWER, send, endpoint.0.0);
    let sending = env.spawn(HIGHER, send, endpoint.0.0);
    let calling = env.spawn(HIGHER, call, endpoint.0.0);
    for helper in [ready, sending, calling] {
        at(helper.tcb.0).delete().unwrap();
    }
    assert_eq!(endpoint.nb_recv().label(), 0);
    let signal = env.notification();
    let waiting = env.spawn(HIGHER, wait, signal.0.0);
    at(waiting.tcb.0).revoke().unwrap();
    at(waiting.tcb.0).delete().unwrap();
    signal.signal();
    logged(&[]);
    // Their memory can be used again.
    let helper = env.spawn(HIGHER, send, endpoint.0.0);
    assert_eq!(endpoint.recv().label(), 1);
    logged(&[1]);
    at(helper.tcb.0).delete().unwrap();
}

extern "C" fn delete(cap: u64) -> ! {
    log(4);
    let _ = at(CPtr(cap)).delete();
    log(5);
    exit()
}

fn own_thread(env: &mut Env) {
    let helper = env.helper(HIGHER);
    helper.start(delete, helper.tcb.0.0);
    logged(&[4]);
    assert_eq!(helper.tcb.0.kind(), kind::EMPTY);
}

fn own_cnode(env: &mut Env) {
    let cnode = env.cnode(2);
    let signal = env.notification();
    cnode.at(2, 2).copy(at(signal.0), rights::ALL).unwrap();
    cnode.at(1, 2).take(at(cnode.0)).unwrap();
    // Its only capability is in itself now, and is reached by none.
    let cnode = env.cnode(2);
    cnode.at(3, 2).copy(at(cnode.0), rights::ALL).unwrap();
    cnode.at(0, 2).copy(at(cnode.0), rights::ALL).unwrap();
    at(cnode.0).delete().unwrap();
    assert_eq!(cnode.0.kind(), kind::EMPTY);
    let memory = env.untyped(12);
    let slot = env.slot();
    for _ in 0..3 {
        make_at(memory, ObjectType::CNode, 7, slot).unwrap();
        let cnode = CNode(slot.cptr());
        cnode.at(100, 7).copy(slot, rights::ALL).unwrap();
        cnode.at(127, 7).take(slot).unwrap();
        at(memory.0).revoke().unwrap();
        assert_eq!(slot.cptr().kind(), kind::EMPTY);
    }
    make_at(memory, ObjectType::Untyped, 12, slot).unwrap();
}

fn circle(env: &mut Env) {
    let memory = env.untyped(14);
    let slots = [env.slot(), env.slot(), env.slot()];
    for _ in 0..3 {
        slots.iter().for_each(|&slot| make_at(memory, ObjectType::CNode, 3, slot).unwrap());
        let cnodes = slots.map(|slot| CNode(slot.cptr()));
        for n in 0..3 {
            cnodes[n].at(n as u64, 3).copy(slots[(n + 1) % 3], rights::ALL).unwrap();
            cnodes[n].at(7, 3).copy(slots[(n + 2) % 3], rights::ALL).unwrap();
        }
        let keep = env.cnode(1);
        keep.at(0, 1).take(slots[0]).unwrap();
        slots[1].delete().unwrap();
        slots[2].delete().unwrap();
        keep.at(0, 1).delete().unwrap();
        at(memory.0).revoke().unwrap();
    }
    make_at(memory, ObjectType::Untyped, 14, slots[0]).unwrap();
}

extern "C" fn signal_and_yield(cap: u64) -> ! {
    loop {
        share(0, shared(0) + 1);
        Notification(CPtr(cap)).signal();
        thread::yield_now();
    }
}

fn cspace_in_use(env: &mut Env) {
    let root = env.cnode(2);
    let signal = env.notification();
    root.at(1, 2).copy(at(signal.0), rights::ALL).unwrap();
    let helper = env.helper(SAME);
    helper.tcb.configure(0, root, 62, VSPACE, (helper.buffer_va, helper.buffer)).unwrap();
    helper.start(signal_and_yield, 1);
    eventually(|| shared(0) > 0);
    // The thread keeps the CNode: as long as it has it, that lives.
    at(root.0).delete().unwrap();
    let before = shared(0);
    eventually(|| shared(0) > before);
    // Taken back, it faults without a handler at its next signal.
    let memory = env.untyped(12);
    let slot = env.slot();
    make_at(memory, ObjectType::CNode, 2, slot).unwrap();
    CNode(slot.cptr()).at(1, 2).copy(at(signal.0), rights::ALL).unwrap();
    helper.tcb.configure(0, CNode(slot.cptr()), 62, VSPACE, (helper.buffer_va, helper.buffer)).unwrap();
    let before = shared(0);
    eventually(|| shared(0) > before + 1);
    at(memory.0).revoke().unwrap();
    let before = shared(0);
    pass_time();
    assert!(shared(0) <= before + 1);
}

fn vspace_in_use(env: &mut Env) {
    let memory = env.untyped(15);
    let first = env.slots(5).index;
    let make = |n: u64, kind| make_at(memory, kind, 0, CNODE.slot(first + n)).unwrap();
    let va = 0x70_0000;
    for _ in 0..3 {
        make(0, ObjectType::VSpace);
        let vspace = VSpace(CPtr(first));
        for n in 1..=3 {
            make(n, ObjectType::PageTable);
            PageTable(CPtr(first + n)).map(vspace, va).unwrap();
        }
        make(4, ObjectType::Page);
        let page = Page(CPtr(first + 4));
        let window = env.addresses(1);
        page.map(VSPACE, window, RW, 0).unwrap();
        set_word(window, 0xd503_203f_d503_203f); // YIELD, YIELD
        set_word(window + 8, 0x17ff_ffff_17ff_fffe); // B back, twice
        page.unify_instruction().unwrap();
        page.unmap().unwrap();
        page.map(vspace, va, rights::READ, attributes::EXECUTE).unwrap();
        let helper = env.helper(HIGHER);
        helper.tcb.set_ipc_buffer(0, helper.buffer).unwrap();
        let faults = env.endpoint();
        helper.tcb.set_space(faults.0.0, CNODE, 0, vspace).unwrap();
        let mut values = [0; registers::COUNT];
        values[registers::PC] = va;
        helper.tcb.set_priority(TCB, LOWER).unwrap();
        helper.tcb.write_registers(true, &values).unwrap();
        // It spins there, as soon as the test lets it, until the address space goes.
        let start = time::now();
        TCB.set_priority(TCB, LOWER).unwrap();
        while time::now() - start < time::frequency() / 1000 {}
        TCB.set_priority(TCB, SAME).unwrap();
        at(memory.0).revoke().unwrap();
        let message = message::nb_recv(faults.0);
        assert!(message.label() == 0 || message.words[1] == va);
        helper.tcb.suspend().unwrap();
    }
}

fn buffer_in_use(env: &mut Env) {
    let endpoint = env.endpoint();
    let helper = env.spawn(HIGHER, call, endpoint.0.0);
    // The thread has a copy of the capability, which goes only by revocation.
    at(helper.buffer.0).revoke().unwrap();
    at(helper.buffer.0).delete().unwrap();
    let memory = env.untyped(12);
    let slot = env.slot();
    make_at(memory, ObjectType::Page, 0, slot).unwrap();
    Page(slot.cptr()).map(VSPACE, helper.buffer_va, RW, 0).unwrap();
    let name = helper.buffer_va + 8 * buffer::USER_DATA as u64;
    set_word(name, helper.tcb.0.0);
    endpoint.recv();
    let words: [u64; 64] = [0x55; 64];
    message::reply(Message::new(0, &words));
    // It has its answer, and what did not fit registers went nowhere.
    logged(&[2]);
    set_word(name, 0);
    assert!((0..512).all(|n| word(helper.buffer_va + 8 * n) == 0));
}

extern "C" fn wild(_: u64) -> ! {
    word(0x10);
    log(6);
    exit()
}

fn handler_in_use(env: &mut Env) {
    let faults = env.endpoint();
    let helper = env.spawn_handled(faults, HIGHER, wild, 0);
    at(faults.0).delete().unwrap();
    // It faults again, finds no handler, and stops.
    logged(&[]);
    let faults = env.endpoint();
    helper.tcb.set_space(faults.0.0, CNODE, 0, VSPACE).unwrap();
    helper.tcb.resume().unwrap();
    assert_eq!(faults.recv().words[1], 0x10);
}

extern "C" fn serve(cap: u64) -> ! {
    Endpoint(CPtr(cap)).recv();
    log(7);
    Notification(CPtr(shared(1))).wait();
    message::reply(Message::default());
    log(8);
    exit()
}

fn call_in_progress(env: &mut Env) {
    let (endpoint, go) = (env.endpoint(), env.notification());
    share(1, go.0.0);
    let server = env.spawn(HIGHER, serve, endpoint.0.0);
    let client = env.spawn(HIGHER, call, endpoint.0.0);
    logged(&[7]);
    at(client.tcb.0).delete().unwrap();
    go.signal();
    logged(&[8]);
    at(server.tcb.0).delete().unwrap();
    let server = env.spawn(HIGHER, serve, endpoint.0.0);
    let client = env.spawn(HIGHER, call, endpoint.0.0);
    logged(&[7]);
    at(server.tcb.0).delete().unwrap();
    // Its caller waits for ever, and can be stopped.
    go.signal();
    logged(&[]);
    client.tcb.suspend().unwrap();
    let tcb = Tcb(client.tcb.0);
    at(tcb.0).delete().unwrap();
}

extern "C" fn count(_: u64) -> ! {
    loop {
        share(0, shared(0) + 1);
    }
}

fn many_steps(env: &mut Env) {
    let memory = env.untyped(17);
    let slot = env.slot();
    let endpoint = at(env.endpoint().0);
    for _ in 0..2 {
        make_at(memory, ObjectType::CNode, 12, slot).unwrap();
        let cnode = CNode(slot.cptr());
        (0..1 << 12).for_each(|n| cnode.at(n, 12).copy(endpoint, rights::ALL).unwrap());
        let counter = env.spawn(SAME, count, 0);
        slot.delete().unwrap();
        counter.tcb.suspend().unwrap();
        assert_eq!((slot.cptr().kind(), endpoint.cptr().kind()), (kind::EMPTY, kind::ENDPOINT));
        at(memory.0).revoke().unwrap();
    }
}
