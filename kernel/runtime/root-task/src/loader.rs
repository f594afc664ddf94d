//! Starts programs: an ELF file becomes an address space, a CSpace and a thread.

use crate::memory::{Arena, CNODE};
use kaal_elf::{Elf, Use};
use kaal_sys::abi::bootinfo::slot as own;
use kaal_sys::abi::{ObjectType, attributes, registers, rights};
use kaal_sys::{CNode, CPtr, Page, Path, Result, Tcb, VSpace, child};

const PAGE: u64 = 4096;
/// Where pages are in the root task's address space while they are filled.
pub const WINDOW: u64 = 0x2000_0000;

/// A program that has been loaded.
pub struct Child {
    /// Its thread.
    pub tcb: Tcb,
    /// Its CNode, whose slots are reached with [`child::CNODE_BITS`] bits.
    pub cnode: CNode,
    entry: u64,
}

impl Child {
    /// A slot of its CNode.
    pub fn slot(&self, index: u64) -> Path {
        self.cnode.at(index, child::CNODE_BITS)
    }

    /// Starts it with `argument` in x0, and in x1 the counts of the counter from one tick to the next.
    pub fn start(&self, argument: u64, tick: u64) -> Result {
        let mut values = [0; registers::COUNT];
        values[registers::PC] = self.entry;
        values[registers::X0] = argument;
        values[registers::X0 + 1] = tick;
        values[registers::THREAD_POINTER] = child::IPC_BUFFER;
        self.tcb.write_registers(true, &values)
    }
}

/// Copies the part of a segment that belongs in the page at `va` to the page in the window.
fn fill(va: u64, address: u64, data: &[u8]) {
    let from = va.saturating_sub(address).min(data.len() as u64);
    let to = (va + PAGE).saturating_sub(address).min(data.len() as u64);
    let part = &data[from as usize..to as usize];
    let at = WINDOW + (address + from - va) * u64::from(!part.is_empty());
    // SAFETY: a page is mapped in the window, which is the loader's alone; the part fits it from `at` on.
    unsafe { core::ptr::copy_nonoverlapping(part.as_ptr(), at as *mut u8, part.len()) };
}

/// Loads the program of an ELF file; everything it is made of comes from `arena`. The thread gets the root task's domain,
/// [`child::PRIORITY`] and [`child::MCP`], and its faults go to [`child::slot::REPORT`].
pub fn load(arena: &mut Arena, elf: &Elf) -> Result<Child> {
    let vspace = VSpace(arena.make(ObjectType::VSpace, 0)?);
    let own_vspace = VSpace(CPtr(own::VSPACE));
    for segment in elf.segments() {
        let mut va = segment.address & !(PAGE - 1);
        while va < segment.address + segment.size {
            let page = Page(arena.make(ObjectType::Page, 0)?);
            if va < segment.address + segment.data.len() as u64 {
                arena.map(own_vspace, page, WINDOW, rights::READ | rights::WRITE, 0)?;
                fill(va, segment.address, segment.data);
                if segment.usage == Use::Execute {
                    page.unify_instruction()?;
                }
                page.unmap()?;
            }
            let (allowed, attributes) = match segment.usage {
                Use::Read => (rights::READ, 0),
                Use::Write => (rights::READ | rights::WRITE, 0),
                Use::Execute => (rights::READ, attributes::EXECUTE),
            };
            arena.map(vspace, page, va, allowed, attributes)?;
            va += PAGE;
        }
    }
    let buffer = Page(arena.make(ObjectType::Page, 0)?);
    arena.map(vspace, buffer, child::IPC_BUFFER, rights::READ | rights::WRITE, 0)?;

    let cnode = CNode(arena.make(ObjectType::CNode, child::CNODE_BITS)?);
    let tcb = Tcb(arena.make(ObjectType::Tcb, 0)?);
    let guarded = arena.slot();
    CNODE.slot(guarded).mint(CNODE.slot(cnode.0.0), rights::ALL, 64 - child::CNODE_BITS)?;
    tcb.configure(child::slot::REPORT, CNode(CPtr(guarded)), 0, vspace, (child::IPC_BUFFER, buffer))?;
    tcb.set_sched_params(Tcb(CPtr(own::TCB)), child::MCP, child::PRIORITY)?;
    let child = Child { tcb, cnode, entry: elf.entry() };
    for (index, cap) in [
        (child::slot::TCB, tcb.0),
        (child::slot::CNODE, CPtr(guarded)),
        (child::slot::VSPACE, vspace.0),
        (child::slot::IPC_BUFFER, buffer.0),
    ] {
        child.slot(index).copy(CNODE.slot(cap.0), rights::ALL)?;
    }
    Ok(child)
}
