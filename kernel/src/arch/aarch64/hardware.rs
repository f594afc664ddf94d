//! The machine that the kernel's logic runs on: physical memory, translation, interrupts, floating point, firmware.

use super::{cpu, fp, interrupt, mmu, phys, psci};
use crate::debug::console;
use crate::memory;
use kaal_core::machine::{Machine, Memory};

/// The real machine. There is one.
pub struct Hardware {
    fp: fp::Owner,
}

impl Hardware {
    /// The machine.
    ///
    /// # Safety
    /// There must be no second one: it reads and writes all memory that is declared to be outside Rust's world, and
    /// whoever uses it must reach that memory by addresses that boot or the kernel's objects hold.
    pub const unsafe fn new() -> Self {
        Self { fp: fp::Owner::new() }
    }

    /// Lets the thread whose TCB is at `thread` use its floating-point registers without a trap if they are in the
    /// processor already; nobody else.
    pub fn prepare_fp(&mut self, thread: u64) {
        self.fp.prepare(thread);
    }

    /// The thread at `thread` used floating point and trapped: gives it the registers. False if the processor has none.
    pub fn switch_fp(&mut self, thread: u64) -> bool {
        self.fp.switch(thread)
    }
}

/// Where the kernel sees a word of an object.
#[inline]
fn pointer(address: u64) -> *mut u64 {
    debug_assert!(address.is_multiple_of(8));
    // By addition, so that the offset of a field can become part of the access.
    (address.wrapping_add(phys::KERNEL_OFFSET)) as *mut u64
}

impl Memory for Hardware {
    #[inline]
    fn read(&self, address: u64) -> u64 {
        // SAFETY: `new`'s promise: a word of RAM in an object, which the linear map has, and no Rust object is there.
        unsafe { pointer(address).read_volatile() }
    }

    #[inline]
    fn write(&mut self, address: u64, value: u64) {
        // SAFETY: as for `read`.
        unsafe { pointer(address).write_volatile(value) }
    }

    fn clear(&mut self, address: u64, bytes: u64) {
        // SAFETY: as for `read`, for each word.
        unsafe { phys::clear(address, bytes) }
    }
}

impl Machine for Hardware {
    fn switch_user_map(&mut self, root: u64, asid: u16) {
        mmu::switch_user_map(root, asid);
    }

    fn clear_user_map(&mut self) {
        mmu::switch_user_map(memory::empty_map(), 0);
    }

    fn publish_tables(&mut self) {
        mmu::publish_tables();
    }

    fn invalidate_page(&mut self, va: u64, asid: u16) {
        mmu::invalidate_page(va, asid);
    }

    fn invalidate_asid(&mut self, asid: u16) {
        mmu::invalidate_asid(asid);
    }

    fn sync_instructions(&mut self, address: u64, bytes: u64) {
        mmu::sync_instructions(phys::to_virtual(address), bytes);
    }

    fn clean_data(&mut self, address: u64, bytes: u64) {
        mmu::clean_data(phys::to_virtual(address), bytes);
    }

    fn interrupts(&self) -> u64 {
        interrupt::lines() as u64
    }

    fn is_reserved(&self, number: u64) -> bool {
        interrupt::is_reserved(number)
    }

    fn unmask_interrupt(&mut self, number: u64) {
        interrupt::unmask(number as u32);
    }

    fn mask_interrupt(&mut self, number: u64) {
        interrupt::mask(number as u32);
    }

    fn interrupt_pending(&self) -> bool {
        cpu::interrupt_pending()
    }

    fn forget_fp(&mut self, thread: u64) {
        self.fp.forget(thread);
    }

    fn put_char(&mut self, byte: u8) {
        console::write_byte(byte);
    }

    fn power_off(&mut self) {
        psci::system_off();
    }
}
