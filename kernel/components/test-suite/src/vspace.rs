//! Address spaces: pages, page tables, and what they are mapped with.

use crate::env::*;
use crate::foreign::{ASK, FAR, code_page, foreign, map};
use kaal_sys::abi::{Error, Invocation, ObjectType, attributes, rights};
use kaal_sys::child::slot;
use kaal_sys::{CPtr, Endpoint, Page, PageTable, Untyped, VSpace, fault::Fault, invoke};

/// The tests.
pub const TESTS: &[Test] = &[
    ("vspace: a page is mapped, unmapped and mapped elsewhere", map_unmap),
    ("vspace: mapped again where it is, a page changes its rights", change_rights),
    ("vspace: a capability's rights limit its mapping", limited),
    ("vspace: nothing is writable and executable", write_or_execute),
    ("vspace: copies of one page share its memory", shared_page),
    ("vspace: uncached memory", uncached),
    ("vspace: missing tables are told one by one", missing_tables),
    ("vspace: a page table takes what is below it away", table_unmapped),
    ("vspace: a deleted page is gone from its address", deleted),
    ("vspace: addresses that cannot be are refused", bad_addresses),
    ("vspace: places that are taken are refused", taken),
    ("vspace: messages too short are refused", truncated),
    ("vspace: a page of 2 MiB", large),
    ("vspace: one address, two address spaces", two_spaces),
    ("vspace: a page outlives the address space it was mapped in", outlives),
    ("vspace: numbers of address spaces come back", numbers),
];

extern "C" fn read(va: u64) -> ! {
    log(word(va));
    exit()
}

extern "C" fn write(va: u64) -> ! {
    set_word(va, 1);
    log(1);
    exit()
}

extern "C" fn run(va: u64) -> ! {
    // SAFETY: a test has put a function there, or this faults.
    let function: extern "C" fn(u64) -> u64 = unsafe { core::mem::transmute(va) };
    log(function(va));
    exit()
}

/// Lets a helper do something to `va`, and checks whether that faults.
#[track_caller]
fn faults(env: &mut Env, program: Program, va: u64, expected: bool) {
    let endpoint = env.endpoint();
    let helper = env.spawn_handled(endpoint, HIGHER, program, va);
    let fault = endpoint.nb_recv();
    let at = match Fault::from(&fault) {
        Some(Fault::Memory { address, .. }) => Some(address),
        _ => None,
    };
    assert_eq!(at, expected.then_some(va));
    helper.tcb.suspend().unwrap();
}

fn map_unmap(env: &mut Env) {
    let (page, va) = env.mapped_page();
    set_word(va + 8, 0x1234);
    page.unmap().unwrap();
    page.unmap().unwrap();
    faults(env, read, va, true);
    let other = env.addresses(1);
    page.map(VSPACE, other, RW, 0).unwrap();
    assert_eq!(word(other + 8), 0x1234);
    page.unmap().unwrap();
    map(env, VSPACE, page, FAR, RW, 0).unwrap();
    assert_eq!(word(FAR + 8), 0x1234);
    faults(env, read, other, true);
}

fn change_rights(env: &mut Env) {
    let (page, va) = env.mapped_page();
    for _ in 0..2 {
        page.map(VSPACE, va, rights::READ, 0).unwrap();
        faults(env, write, va, true);
        faults(env, read, va, false);
        logged(&[word(va)]);
        page.map(VSPACE, va, RW, 0).unwrap();
        faults(env, write, va, false);
        logged(&[1]);
    }
}

fn limited(env: &mut Env) {
    let (page, va) = (env.page(), env.addresses(1));
    let weak = Page(env.copy(page.0, rights::READ));
    weak.map(VSPACE, va, RW, 0).unwrap();
    faults(env, read, va, false);
    faults(env, write, va, true);
    weak.map(VSPACE, va, RW, attributes::EXECUTE).unwrap_or(());
    faults(env, write, va, true);
    logged(&[0]);
}

fn write_or_execute(env: &mut Env) {
    let (page, va) = code_page(env);
    let other = env.addresses(1);
    let copy = Page(env.copy(page.0, rights::ALL));
    assert!(copy.map(VSPACE, other, RW, attributes::EXECUTE).is_err());
    faults(env, read, other, true);
    assert!(page.map(VSPACE, va, RW, attributes::EXECUTE).is_err());
    faults(env, run, va, true);
    page.map(VSPACE, va, rights::READ, attributes::EXECUTE).unwrap();
    faults(env, run, va, false);
    logged(&[7]);
    faults(env, write, va, true);
    page.map(VSPACE, va, rights::READ, 0).unwrap();
    faults(env, run, va, true);
    // New instructions at the same address are seen once they are unified.
    page.map(VSPACE, va, RW, 0).unwrap();
    set_word(va, word(va) & !0xffff_ffff | 0xd280_0120); // MOV X0, #9
    page.unify_instruction().unwrap();
    page.map(VSPACE, va, rights::READ, attributes::EXECUTE).unwrap();
    faults(env, run, va, false);
    logged(&[9]);
}

fn shared_page(env: &mut Env) {
    let (page, va) = env.mapped_page();
    let (copy, other) = (Page(env.copy(page.0, rights::ALL)), env.addresses(1));
    copy.map(VSPACE, other, RW, 0).unwrap();
    set_word(va + 16, 5);
    assert_eq!(word(other + 16), 5);
    set_word(other + 16, 6);
    assert_eq!(word(va + 16), 6);
    assert_eq!((page.address().unwrap() % PAGE, page.address() == copy.address()), (0, true));
    copy.unmap().unwrap();
    assert_eq!(word(va + 16), 6);
    faults(env, read, other, true);
}

fn uncached(env: &mut Env) {
    let (page, va) = env.mapped_page();
    (0..512).for_each(|n| set_word(va + 8 * n, n + 1));
    page.unmap().unwrap();
    page.map(VSPACE, va, RW, attributes::UNCACHED).unwrap();
    (0..512).for_each(|n| assert_eq!(word(va + 8 * n), n + 1));
    (0..512).for_each(|n| set_word(va + 8 * n, n + 2));
    page.unmap().unwrap();
    page.map(VSPACE, va, RW, 0).unwrap();
    (0..512).for_each(|n| assert_eq!(word(va + 8 * n), n + 2));
}

fn missing_tables(env: &mut Env) {
    let vspace = VSpace(env.make(ObjectType::VSpace, 0));
    let page = env.page();
    for bits in [39, 30, 21] {
        let failure = page.map(vspace, FAR, RW, 0).unwrap_err();
        assert_eq!((failure.error, failure.words[2]), (Error::FailedLookup, bits));
        let table = PageTable(env.make(ObjectType::PageTable, 0));
        table.map(vspace, FAR).unwrap();
        // It is in use now.
        assert!(table.map(vspace, FAR + (1 << 39)).is_err());
    }
    page.map(vspace, FAR, RW, 0).unwrap();
    let extra = PageTable(env.make(ObjectType::PageTable, 0));
    refused(extra.map(vspace, FAR), Error::DeleteFirst, &[]);
    extra.map(vspace, FAR + (1 << 21)).unwrap();
}

fn table_unmapped(env: &mut Env) {
    let vspace = VSPACE;
    let page = env.page();
    map(env, vspace, page, FAR, RW, 0).unwrap();
    let (table, next) = (PageTable(env.make(ObjectType::PageTable, 0)), FAR + (1 << 21));
    table.map(vspace, next).unwrap();
    let second = env.page();
    second.map(vspace, next, RW, 0).unwrap();
    set_word(next, 0x22);
    table.unmap().unwrap();
    faults(env, read, next, true);
    second.unmap().unwrap();
    let failure = second.map(vspace, next, RW, 0).unwrap_err();
    assert_eq!((failure.error, failure.words[2]), (Error::FailedLookup, 21));
    table.map(vspace, next).unwrap();
    // Nothing of what was mapped below it has come back with it.
    faults(env, read, next, true);
    second.map(vspace, next, RW, 0).unwrap();
    assert_eq!(word(next), 0x22);
    at(table.0).delete().unwrap();
    faults(env, read, next, true);
    assert_eq!(word(FAR), 0);
}

fn deleted(env: &mut Env) {
    let (page, va) = env.mapped_page();
    let copy = env.copy(page.0, rights::ALL);
    at(copy).delete().unwrap();
    assert_eq!(word(va), 0);
    at(page.0).delete().unwrap();
    faults(env, read, va, true);
    // Revoking memory unmaps the pages made from it.
    let memory = env.untyped(12);
    let slot = env.slot();
    make_at(memory, ObjectType::Page, 0, slot).unwrap();
    Page(slot.cptr()).map(VSPACE, va, RW, 0).unwrap();
    set_word(va, 1);
    at(memory.0).revoke().unwrap();
    faults(env, read, va, true);
}

fn bad_addresses(env: &mut Env) {
    let page = env.page();
    let va = env.addresses(1);
    for offset in [1, 8, 2048] {
        refused(page.map(VSPACE, va + offset, RW, 0), Error::AlignmentError, &[]);
    }
    for address in [0xffff_0000_4020_0000, 1 << 48, 0xffff_ffff_ffff_f000, 1 << 63] {
        refused(page.map(VSPACE, address, RW, 0), Error::InvalidArgument, &[0]);
        let table = PageTable(env.make(ObjectType::PageTable, 0));
        refused(table.map(VSPACE, address), Error::InvalidArgument, &[0]);
    }
    refused(page.map(VSpace(page.0), va, RW, 0), Error::InvalidCapability, &[1]);
    let table = PageTable(env.make(ObjectType::PageTable, 0));
    refused(table.map(VSpace(page.0), va), Error::InvalidCapability, &[1]);
    page.map(VSPACE, va, RW, 0).unwrap();
}

fn taken(env: &mut Env) {
    let (page, va) = env.mapped_page();
    let other = env.page();
    refused(other.map(VSPACE, va, RW, 0), Error::DeleteFirst, &[]);
    let elsewhere = env.addresses(1);
    assert!(page.map(VSPACE, elsewhere, RW, 0).is_err());
    faults(env, read, elsewhere, true);
    let vspace = VSpace(env.make(ObjectType::VSpace, 0));
    assert!(page.map(vspace, va, RW, 0).is_err());
    set_word(va, 1);
}

fn truncated(env: &mut Env) {
    let page = env.page();
    let table = env.make(ObjectType::PageTable, 0);
    for (cap, what) in [(page.0, Invocation::PageMap), (table, Invocation::PageTableMap)] {
        for length in 0..what.arguments() {
            refused(invoke(cap, what, &[0; 3][..length], &[VSPACE.0]), Error::TruncatedMessage, &[]);
        }
        refused(invoke(cap, what, &[0; 3][..what.arguments()], &[]), Error::TruncatedMessage, &[]);
    }
}

fn large(env: &mut Env) {
    let slot = env.slot();
    make_at(Untyped(CPtr(slot::LARGE_UNTYPED)), ObjectType::LargePage, 0, slot).unwrap();
    let page = Page(slot.cptr());
    assert_eq!(page.address().unwrap() % (1 << 21), 0);
    let va = FAR & !0x1f_ffff;
    refused(page.map(VSPACE, va + PAGE, RW, 0), Error::AlignmentError, &[]);
    map(env, VSPACE, page, va, RW, 0).unwrap();
    for n in 0..512 {
        assert_eq!(word(va + n * PAGE + 8), 0);
        set_word(va + n * PAGE + 8, n);
    }
    faults(env, read, va + (1 << 21), true);
    page.map(VSPACE, va, rights::READ, 0).unwrap();
    faults(env, write, va + (1 << 20), true);
    let table = PageTable(env.make(ObjectType::PageTable, 0));
    refused(table.map(VSPACE, va + PAGE), Error::DeleteFirst, &[]);
    let small = env.page();
    assert!(small.map(VSPACE, va + PAGE, RW, 0).is_err());
    page.unmap().unwrap();
    faults(env, read, va + 8, true);
    // A table in its place keeps it out.
    table.map(VSPACE, va).unwrap();
    refused(page.map(VSPACE, va, RW, 0), Error::DeleteFirst, &[]);
    page.map(VSPACE, va + (1 << 21), RW, 0).unwrap();
    (0..512).for_each(|n| assert_eq!(word(va + (1 << 21) + n * PAGE + 8), n));
}

fn two_spaces(env: &mut Env) {
    let endpoint = env.endpoint();
    let caps = [env.badged(endpoint.0, 1), env.badged(endpoint.0, 2)];
    let (code, _) = code_page(env);
    let one = foreign(env, code, ASK, caps[0], 0x1111);
    let two = foreign(env, code, ASK, caps[1], 0x2222);
    // How often each comes depends on when the tick preempts them.
    let mut seen = [0; 4];
    while seen[1] < 10 || seen[2] < 10 {
        let message = endpoint.recv();
        assert_eq!(message.words[0], 0x1111 * message.badge);
        seen[message.badge as usize] += 1;
    }
    // A page taken from one is still the other's.
    let faults = Endpoint(env.badged(endpoint.0, 3));
    one.2.tcb.set_space(faults.0.0, CNODE, 0, one.0).unwrap();
    one.1.unmap().unwrap();
    seen = [0; 4];
    while seen[2] < 10 || seen[3] == 0 {
        seen[endpoint.recv().badge as usize] += 1;
    }
    assert!(seen[1] <= 1 && seen[3] == 1, "{seen:?}");
    at(two.0.0).delete().unwrap();
}

fn outlives(env: &mut Env) {
    let vspace = VSpace(env.make(ObjectType::VSpace, 0));
    let page = env.page();
    map(env, vspace, page, FAR, RW, 0).unwrap();
    at(vspace.0).delete().unwrap();
    let va = env.addresses(1);
    page.unmap().unwrap();
    page.map(VSPACE, va, RW, 0).unwrap();
    assert_eq!(word(va), 0);
    let other = VSpace(env.make(ObjectType::VSpace, 0));
    assert!(page.map(other, FAR, RW, 0).is_err());
    set_word(va, 1);
}

fn numbers(env: &mut Env) {
    let slot = env.slot();
    let memory = env.untyped(12);
    for _ in 0..1100 {
        make_at(memory, ObjectType::VSpace, 0, slot).unwrap();
        slot.delete().unwrap();
    }
}
