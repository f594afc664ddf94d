//! What is there to be counted: `npm run bench:kernel` finds these by their names in a recording, and tells how many
//! instructions they take from the system call to the return from it.

use crate::env::*;
use crate::foreign::{self, CALL};
use kaal_sys::Message;

/// The tests.
pub const TESTS: &[Test] = &[("measure: calls and replies between two address spaces", calls)];

/// How many.
const ROUNDS: u64 = 50;

fn calls(env: &mut Env) {
    let endpoint = env.endpoint();
    let cap = env.badged(endpoint.0, 3);
    let (code, _) = foreign::code_page(env);
    let client = foreign::foreign(env, code, CALL, cap, 0);
    let mut message = endpoint.recv();
    for _ in 0..ROUNDS {
        assert_eq!((message.badge, message.words[0]), (3, 5));
        message = endpoint.reply_recv(Message::new(0, &[6]));
    }
    client.2.tcb.suspend().unwrap();
}
