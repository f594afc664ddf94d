//! Messages: who meets whom, in which order, and what arrives.

use crate::env::*;
use kaal_sys::abi::{Error, MessageInfo, Syscall, rights};
use kaal_sys::{CPtr, Endpoint, Message, Registers, message, syscall, thread};

/// The tests.
pub const TESTS: &[Test] = &[
    ("ipc: send, the receiver first", send_to_waiting),
    ("ipc: send, the sender first", send_and_wait),
    ("ipc: call and reply, the receiver first", call_to_waiting),
    ("ipc: call and reply, the caller first", call_and_wait),
    ("ipc: a send that does not block needs a receiver", nb_send),
    ("ipc: a receive that does not block needs a sender", nb_recv),
    ("ipc: senders are served in the order they came", senders_in_order),
    ("ipc: receivers are served in the order they came", receivers_in_order),
    ("ipc: a server with reply and receive in one", server),
    ("ipc: messages of every length, there and back", lengths),
    ("ipc: a length beyond 64 means 64", too_long),
    ("ipc: threads without a buffer exchange four words", without_buffer),
    ("ipc: the registers a message does not use are preserved", preserved),
    ("ipc: cancelling a badge's sends leaves other badges alone", cancel_badged),
];

extern "C" fn send_two(cap: u64) -> ! {
    let endpoint = Endpoint(CPtr(cap));
    log(1);
    endpoint.send(Message::new(0x11, &[1, 2, 3]));
    log(2);
    endpoint.send(Message::new(0x12, &[4]));
    log(3);
    exit()
}

extern "C" fn receive_two(cap: u64) -> ! {
    let endpoint = Endpoint(CPtr(cap));
    for _ in 0..2 {
        let message = endpoint.recv();
        log(message.label());
        log(message.badge);
        log(message.words[0]);
    }
    exit()
}

fn send_to_waiting(env: &mut Env) {
    let endpoint = env.endpoint();
    let badged = Endpoint(env.badged(endpoint.0, 0xb));
    env.spawn(HIGHER, receive_two, endpoint.0.0);
    badged.send(Message::new(0x21, &[7]));
    logged(&[0x21, 0xb, 7]);
    endpoint.send(Message::new(0x22, &[8]));
    logged(&[0x22, 0, 8]);
}

fn send_and_wait(env: &mut Env) {
    let endpoint = env.endpoint();
    let badged = env.badged(endpoint.0, 0xb);
    env.spawn(HIGHER, send_two, badged.0);
    logged(&[1]);
    let message = endpoint.recv();
    assert_eq!((message.label(), message.badge, message.info.length()), (0x11, 0xb, 3));
    assert_eq!(message.words[..3], [1, 2, 3]);
    logged(&[2]);
    let message = endpoint.recv();
    assert_eq!((message.label(), message.words[0]), (0x12, 4));
    logged(&[3]);
}

extern "C" fn call_twice(cap: u64) -> ! {
    let endpoint = Endpoint(CPtr(cap));
    for n in 1..=2 {
        let answer = endpoint.call(Message::new(n, &[10 * n]));
        log(answer.label());
        log(answer.words[0]);
        log(answer.badge);
    }
    exit()
}

fn call_to_waiting(env: &mut Env) {
    let endpoint = env.endpoint();
    env.spawn(LOWER, call_twice, endpoint.0.0);
    for n in 1..=2 {
        let message = endpoint.recv();
        assert_eq!((message.label(), message.words[0]), (n, 10 * n));
        message::reply(Message::new(100 + n, &[n]));
    }
    thread::yield_now();
    // The helper has no more priority than that: it goes on when the test waits.
    let waiter = env.endpoint();
    env.spawn(LOWER - 1, send_two, waiter.0.0);
    waiter.recv();
    logged(&[101, 1, 0, 102, 2, 0, 1]);
}

fn call_and_wait(env: &mut Env) {
    let endpoint = env.endpoint();
    env.spawn(HIGHER, call_twice, endpoint.0.0);
    for n in 1..=2 {
        let message = endpoint.recv();
        assert_eq!((message.label(), message.words[0]), (n, 10 * n));
        message::reply(Message::new(100 + n, &[n]));
        logged(&[100 + n, n, 0]);
    }
    // There is nobody to reply to any more.
    message::reply(Message::new(1, &[]));
}

fn nb_send(env: &mut Env) {
    let endpoint = env.endpoint();
    endpoint.nb_send(Message::new(1, &[1]));
    env.spawn(HIGHER, receive_two, endpoint.0.0);
    logged(&[]);
    endpoint.nb_send(Message::new(2, &[2]));
    logged(&[2, 0, 2]);
    endpoint.nb_send(Message::new(3, &[3]));
    logged(&[3, 0, 3]);
    endpoint.nb_send(Message::new(4, &[4]));
    logged(&[]);
}

fn nb_recv(env: &mut Env) {
    let endpoint = env.endpoint();
    assert_eq!(endpoint.nb_recv().badge, 0);
    let badged = env.badged(endpoint.0, 0xb);
    env.spawn(HIGHER, send_two, badged.0);
    let message = endpoint.nb_recv();
    assert_eq!((message.badge, message.label(), message.words[1]), (0xb, 0x11, 2));
    assert_eq!(endpoint.nb_recv().label(), 0x12);
    assert_eq!(endpoint.nb_recv().badge, 0);
}

extern "C" fn send_once(cap: u64) -> ! {
    Endpoint(CPtr(cap)).send(Message::new(0, &[]));
    log(cap);
    exit()
}

extern "C" fn receive_once(argument: u64) -> ! {
    let message = Endpoint(CPtr(argument >> 8)).recv();
    log(message.label() << 8 | argument & 0xff);
    exit()
}

fn senders_in_order(env: &mut Env) {
    let endpoint = env.endpoint();
    let caps = [1, 2, 3, 4, 5].map(|badge| env.badged(endpoint.0, badge));
    // Their priorities do not matter.
    for (n, cap) in caps.into_iter().enumerate() {
        env.spawn(HIGHER + [0, 3, 1, 4, 2][n], send_once, cap.0);
    }
    for badge in 1..=5 {
        assert_eq!(endpoint.recv().badge, badge);
        logged(&[caps[badge as usize - 1].0]);
    }
}

fn receivers_in_order(env: &mut Env) {
    let endpoint = env.endpoint();
    for n in 0..5 {
        env.spawn(HIGHER + [0, 3, 1, 4, 2][n as usize], receive_once, endpoint.0.0 << 8 | n);
    }
    for n in 0..5 {
        endpoint.send(Message::new(0x40 + n, &[]));
        logged(&[(0x40 + n) << 8 | n]);
    }
}

extern "C" fn serve(cap: u64) -> ! {
    let endpoint = Endpoint(CPtr(cap));
    let mut message = endpoint.recv();
    loop {
        let sum = message.words[0] + message.words[1] + message.badge;
        message = endpoint.reply_recv(Message::new(message.label() + 1, &[sum]));
    }
}

fn server(env: &mut Env) {
    let endpoint = env.endpoint();
    let clients = [env.badged(endpoint.0, 1000), env.badged(endpoint.0, 2000)];
    env.spawn(HIGHER, serve, endpoint.0.0);
    for n in 0..50 {
        for (client, badge) in clients.into_iter().zip([1000, 2000]) {
            let answer = Endpoint(client).call(Message::new(n, &[n, 5]));
            assert_eq!((answer.label(), answer.words[0]), (n + 1, n + 5 + badge));
        }
    }
}

extern "C" fn mirror(cap: u64) -> ! {
    let endpoint = Endpoint(CPtr(cap));
    let mut message = endpoint.recv();
    loop {
        let length = message.info.length() as usize;
        let mut words = [0; MessageInfo::MAX_LENGTH as usize];
        for (n, word) in words.iter_mut().enumerate().take(length) {
            *word = !message.word(n);
        }
        message = endpoint.reply_recv(Message::new(length as u64, &words[..length]));
    }
}

fn lengths(env: &mut Env) {
    let endpoint = env.endpoint();
    env.spawn(HIGHER, mirror, endpoint.0.0);
    let words: [u64; 64] = core::array::from_fn(|n| 0x1234_5678_9abc_def0 ^ (n as u64) << 32);
    for length in (0..=64).rev() {
        let answer = endpoint.call(Message::new(0, &words[..length]));
        assert_eq!((answer.label(), answer.info.length()), (length as u64, length as u64));
        for (n, word) in words[..length].iter().enumerate() {
            assert_eq!(answer.word(n), !word, "word {n} of {length}");
        }
    }
}

fn too_long(env: &mut Env) {
    let endpoint = env.endpoint();
    env.spawn(HIGHER, mirror, endpoint.0.0);
    for length in [65, 127] {
        let registers = Registers { x0: endpoint.0.0, info: length, words: [0, 1, 2, 3] };
        let answer = syscall(Syscall::Call as i64, registers);
        assert_eq!((MessageInfo(answer.info).length(), answer.words), (64, [!0, !1, !2, !3]));
    }
}

fn without_buffer(env: &mut Env) {
    let endpoint = env.endpoint();
    let helper = env.helper(HIGHER);
    helper.tcb.set_ipc_buffer(0, helper.buffer).unwrap();
    helper.start(bufferless, endpoint.0.0);
    let words: [u64; 8] = core::array::from_fn(|n| n as u64 + 1);
    let answer = endpoint.call(Message::new(1, &words));
    assert_eq!((answer.label(), answer.info.length(), answer.words), (4, 4, [10, 2, 3, 4]));
}

extern "C" fn bufferless(cap: u64) -> ! {
    let recv = Registers { x0: cap, ..Registers::default() };
    let got = syscall(Syscall::Recv as i64, recv);
    let length = MessageInfo(got.info).length();
    let sum: u64 = got.words.iter().sum();
    let [_, b, c, d] = got.words;
    // Eight words are announced, four are there.
    let info = MessageInfo::new(length, 8, 0).0;
    syscall(Syscall::ReplyRecv as i64, Registers { x0: cap, info, words: [sum, b, c, d] });
    exit()
}

fn preserved(env: &mut Env) {
    let endpoint = env.endpoint();
    env.spawn(HIGHER, serve, endpoint.0.0);
    let (mut x0, mut wrong) = (endpoint.0.0, 0u64);
    // SAFETY: a system call, with x6 and x8 to x28 (but x18 and x19, which the compiler keeps) checked around it.
    unsafe {
        core::arch::asm!(
            ".irp n, 6,8,9,10,11,12,13,14,15,16,17,20,21,22,23,24,25,26,27,28",
            "mov x\\n, #(0x5100 + \\n)",
            ".endr",
            "mov x7, #-1",
            "svc #0",
            "cmn x7, #1",
            "cinc {wrong}, {wrong}, ne",
            ".irp n, 6,8,9,10,11,12,13,14,15,16,17,20,21,22,23,24,25,26,27,28",
            "sub x\\n, x\\n, #0x5000",
            "sub x\\n, x\\n, #0x100",
            "cmp x\\n, #\\n",
            "cinc {wrong}, {wrong}, ne",
            ".endr",
            wrong = inout(reg) wrong, inout("x0") x0, inout("x1") MessageInfo::new(3, 2, 0).0 => _,
            inout("x2") 4u64 => _, inout("x3") 5u64 => _, out("x4") _, out("x5") _, out("x6") _, out("x7") _,
            out("x8") _, out("x9") _, out("x10") _, out("x11") _, out("x12") _, out("x13") _, out("x14") _,
            out("x15") _, out("x16") _, out("x17") _, out("x20") _, out("x21") _, out("x22") _, out("x23") _,
            out("x24") _, out("x25") _, out("x26") _, out("x27") _, out("x28") _, options(nostack),
        );
    }
    x0 |= wrong << 32;
    assert_eq!(x0, 0, "registers changed, or the reply brought a badge");
}

fn cancel_badged(env: &mut Env) {
    let endpoint = env.endpoint();
    let (first, second) = (env.badged(endpoint.0, 1), env.badged(endpoint.0, 2));
    let again = env.copy(first, rights::ALL);
    env.spawn(HIGHER, send_once, first.0);
    env.spawn(HIGHER, send_once, second.0);
    env.spawn(HIGHER, send_once, first.0);
    // Their capability gone, the senders find nothing to send by when they begin again, and go on.
    at(first).delete().unwrap();
    logged(&[]);
    at(again).cancel_badged_sends().unwrap();
    logged(&[first.0, first.0]);
    assert_eq!(endpoint.recv().badge, 2);
    logged(&[second.0]);
    assert_eq!(endpoint.nb_recv().badge, 0);
    let weak = env.copy(again, rights::WRITE);
    refused(at(weak).cancel_badged_sends(), Error::IllegalOperation, &[]);
    let memory = env.untyped(12);
    refused(at(memory.0).cancel_badged_sends(), Error::IllegalOperation, &[]);
}
