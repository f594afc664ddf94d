//! What the kernel's logic asks of the machine.

/// Physical memory, as 64-bit words.
///
/// Addresses come from capabilities, and those from memory that was declared at boot: an implementation may take it that
/// an address lies in RAM and is a multiple of 8.
pub trait Memory {
    /// The word at a physical address.
    fn read(&self, address: u64) -> u64;
    /// Writes it.
    fn write(&mut self, address: u64, value: u64);
    /// Fills memory with zeros; address and size are multiples of 16.
    fn clear(&mut self, address: u64, bytes: u64);
}

/// The processor, the interrupt controller and the firmware.
pub trait Machine: Memory {
    /// Makes the tables at `root` the lower half of the address space, tagged `asid`.
    fn switch_user_map(&mut self, root: u64, asid: u16);
    /// Makes the lower half empty.
    fn clear_user_map(&mut self);
    /// Makes table entries just made valid visible to the table walker.
    fn publish_tables(&mut self);
    /// Forgets the translation of one page, whose last-level entry alone has changed.
    fn invalidate_page(&mut self, va: u64, asid: u16);
    /// Forgets every translation of an address space.
    fn invalidate_asid(&mut self, asid: u16);
    /// Makes instructions written to normal memory visible to fetches.
    fn sync_instructions(&mut self, address: u64, bytes: u64);
    /// Writes memory back to where devices and uncached accesses see it.
    fn clean_data(&mut self, address: u64, bytes: u64);

    /// Interrupts are below this number.
    fn interrupts(&self) -> u64;
    /// Does this interrupt belong to the kernel: the timer's, software interrupts, what programs must not handle?
    fn is_reserved(&self, number: u64) -> bool;
    /// Lets an interrupt come.
    fn unmask_interrupt(&mut self, number: u64);
    /// Keeps an interrupt from coming.
    fn mask_interrupt(&mut self, number: u64);
    /// Is an interrupt waiting to be taken? Asked at preemption points.
    fn interrupt_pending(&self) -> bool;

    /// Forgets the floating-point state of a thread that is deleted, should it be in the processor.
    fn forget_fp(&mut self, thread: u64);

    /// Writes a byte to the console.
    fn put_char(&mut self, byte: u8);
    /// Turns the machine off. On real hardware it does not return.
    fn power_off(&mut self);
}
