//! Programs in address spaces of their own, made by a test from a few instructions.

use crate::env::*;
use kaal_sys::abi::{Error, ObjectType, attributes, registers, rights};
use kaal_sys::child::slot;
use kaal_sys::{CPtr, Page, PageTable, Result, VSpace};

/// An address whose tables are all the test's to make.
pub const FAR: u64 = 0x12_3456_7000;

/// Maps a page, and makes the tables that it needs.
pub fn map(env: &mut Env, vspace: VSpace, page: Page, va: u64, rights: u64, attributes: u64) -> Result {
    loop {
        match page.map(vspace, va, rights, attributes) {
            Err(failure) if failure.error == Error::FailedLookup => {
                PageTable(env.make(ObjectType::PageTable, 0)).map(vspace, va)?;
            }
            result => return result,
        }
    }
}

core::arch::global_asm!(
    ".section .text.samples, \"ax\"",
    // seven(x): 7
    "seven: mov x0, #7",
    "ret",
    // ask(endpoint, address): sends what is at the address to the endpoint and yields, for ever.
    "ask: mov x9, x0",
    "mov x10, x1",
    "1: ldr x2, [x10]",
    "mov x0, x9",
    "mov x1, #1",
    "mov x7, #-3",
    "svc #0",
    "mov x7, #-7",
    "svc #0",
    "b 1b",
    // call(endpoint): calls the endpoint with a word, for ever.
    "call: mov x9, x0",
    "1: mov x0, x9",
    "mov x1, #1",
    "mov x2, #5",
    "mov x7, #-1",
    "svc #0",
    "b 1b",
    "samples_end:",
    ".global seven",
    ".global ask",
    ".global call",
    ".global samples_end",
);

unsafe extern "C" {
    fn seven();
    fn ask();
    fn call();
    fn samples_end();
}

/// Bytes from `seven` to `ask`, and to `call`.
pub const ASK: u64 = 8;
/// See above.
pub const CALL: u64 = 48;

/// A page with the code above in it, mapped for writing at `va`.
pub fn code_page(env: &mut Env) -> (Page, u64) {
    let (page, va) = env.mapped_page();
    let start = seven as *const () as u64;
    assert_eq!([ask as *const () as u64 - start, call as *const () as u64 - start], [ASK, CALL]);
    for n in 0..(samples_end as *const () as u64 - start).div_ceil(8) {
        // SAFETY: code, which programs may read.
        set_word(va + 8 * n, unsafe { ((start + 8 * n) as *const u64).read_unaligned() });
    }
    page.unify_instruction().unwrap();
    (page, va)
}

/// A thread in an address space of its own, that begins at `entry` in the sample code and has the sample code and a page with `value` at `FAR` + 4096. Tells the
/// endpoint's capability what it reads.
pub fn foreign(env: &mut Env, code: Page, entry: u64, endpoint: CPtr, value: u64) -> (VSpace, Page, Helper) {
    let vspace = VSpace(env.make(ObjectType::VSpace, 0));
    let code = Page(env.copy(code.0, rights::ALL));
    map(env, vspace, code, FAR, rights::READ, attributes::EXECUTE).unwrap();
    let (data, va) = env.mapped_page();
    set_word(va, value);
    let copy = Page(env.copy(data.0, rights::ALL));
    map(env, vspace, copy, FAR + PAGE, rights::READ, 0).unwrap();
    let helper = env.helper(LOWER);
    helper.tcb.set_ipc_buffer(0, helper.buffer).unwrap();
    helper.tcb.set_space(slot::REPORT, CNODE, 0, vspace).unwrap();
    let mut values = [0; registers::COUNT];
    values[registers::PC] = FAR + entry;
    values[registers::X0] = endpoint.0;
    values[registers::X0 + 1] = FAR + PAGE;
    helper.tcb.write_registers(true, &values).unwrap();
    (vspace, copy, helper)
}
