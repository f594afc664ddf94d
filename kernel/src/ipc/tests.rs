//! Tests of who has the processor after a message.

use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::objects::capability::{Capability, Rights};
use crate::objects::slot::Slot;
use crate::objects::tcb::{State, Tcb};
use crate::testing::TestMachine;
use kaal_abi::{Invocation, MessageInfo, Syscall, TIME_SLICE};

const ROOT: u64 = 0x2100_0000;
const RADIX: u64 = 4;
const ENDPOINT: u64 = 1;
const NO_GRANT: u64 = 2;
const TCB: u64 = 3;

/// A kernel with `N` threads of priority 10 that share a CSpace: the endpoint with all rights and without grant ones,
/// and the TCB of the second thread.
fn system<const N: usize>() -> (Kernel<TestMachine>, [Tcb; N]) {
    let mut kernel = Kernel::new(TestMachine::default(), 0x1000_0000);
    let threads = std::array::from_fn(|n| Tcb(0x3000_0000 + 0x800 * n as u64));
    let node = Capability::CNode { address: ROOT, radix: RADIX, guard: 0, guard_bits: 64 - RADIX };
    let endpoint = |rights| Capability::Endpoint { address: 0x2200_0000, badge: 0, rights };
    for (index, capability) in [
        (ENDPOINT, endpoint(Rights::ALL)),
        (NO_GRANT, endpoint(Rights::from_bits(kaal_abi::rights::WRITE))),
        (TCB, Capability::Thread { address: threads[1].0 }),
    ] {
        kernel.insert_new(capability, None, Slot(ROOT).offset(index));
    }
    for thread in threads {
        kernel.insert_new(node, None, thread.cspace());
        thread.set_priority(&mut kernel.machine, 10);
        thread.set_time_slice(&mut kernel.machine, TIME_SLICE);
        kernel.resume(thread);
    }
    assert_eq!(kernel.activate(), Some(threads[0]));
    (kernel, threads)
}

/// The thread that runs makes a system call; who runs after it.
fn call(kernel: &mut Kernel<impl Machine>, number: Syscall, slot: u64, info: MessageInfo) -> Option<Tcb> {
    let thread = kernel.current.expect("somebody runs");
    for (n, value) in [(7, number as i64 as u64), (0, slot), (1, info.0)] {
        thread.set_x(&mut kernel.machine, n, value);
    }
    kernel.handle_syscall();
    kernel.activate()
}

const EMPTY: MessageInfo = MessageInfo(0);

#[test]
fn a_call_and_its_reply_pass_the_processor_on_before_equals_that_wait_for_it() {
    let (mut kernel, [server, client, other]) = system();
    assert_eq!(call(&mut kernel, Syscall::Recv, ENDPOINT, EMPTY), Some(client));
    assert_eq!(call(&mut kernel, Syscall::Call, ENDPOINT, EMPTY), Some(server));
    assert_eq!(client.state(&kernel.machine), State::BlockedOnReply);
    assert_eq!(call(&mut kernel, Syscall::ReplyRecv, ENDPOINT, EMPTY), Some(client));
    assert_eq!(server.state(&kernel.machine), State::BlockedOnReceive);
    assert_eq!(other.queued(&kernel.machine), 1);
    assert_eq!(call(&mut kernel, Syscall::Yield, 0, EMPTY), Some(other));
}

#[test]
fn an_invocation_by_send_leaves_the_message_registers_alone() {
    let (mut kernel, [thread, other]) = system();
    other.set_x(&mut kernel.machine, 0, 0xbad);
    let info = MessageInfo::new(Invocation::TcbReadRegisters as u64, 2, 0);
    thread.set_x(&mut kernel.machine, 2, 0);
    thread.set_x(&mut kernel.machine, 3, 4);
    thread.set_x(&mut kernel.machine, 5, 0x55);
    call(&mut kernel, Syscall::Send, TCB, info);
    assert_eq!([3, 5].map(|n| thread.x(&kernel.machine, n)), [4, 0x55]);
}

#[test]
fn a_call_without_the_right_to_a_reply_is_repeated_when_the_thread_is_resumed() {
    use crate::objects::tcb::frame;
    let (mut kernel, [server, client]) = system();
    call(&mut kernel, Syscall::Recv, ENDPOINT, EMPTY);
    client.set_frame(&mut kernel.machine, frame::PC, 0x1004);
    assert_eq!(call(&mut kernel, Syscall::Call, NO_GRANT, EMPTY), Some(server));
    assert_eq!(client.state(&kernel.machine), State::Inactive);
    kernel.resume(client);
    assert_eq!(client.frame(&kernel.machine, frame::PC), 0x1000);
}
