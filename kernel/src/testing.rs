//! A machine for host tests: memory in a map, and a record of what the kernel asked of the hardware.

use crate::machine::{Machine, Memory};
use std::collections::BTreeMap;

/// What the kernel asked of the hardware, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// switch_user_map(root, asid).
    SwitchMap(u64, u16),
    /// clear_user_map().
    ClearMap,
    /// publish_tables().
    Publish,
    /// invalidate_page(va, asid).
    InvalidatePage(u64, u16),
    /// invalidate_asid(asid).
    InvalidateAsid(u16),
    /// sync_instructions(address, bytes).
    Sync(u64, u64),
    /// clean_data(address, bytes).
    Clean(u64, u64),
    /// unmask_interrupt(number).
    Unmask(u64),
    /// mask_interrupt(number).
    Mask(u64),
    /// forget_fp(thread).
    ForgetFp(u64),
    /// power_off().
    PowerOff,
}

/// The machine.
#[derive(Debug, Default, Clone)]
pub struct TestMachine {
    /// What memory holds, where it is not 0.
    pub words: BTreeMap<u64, u64>,
    /// What was asked of the hardware.
    pub events: Vec<Event>,
    /// What was written to the console.
    pub console: Vec<u8>,
    /// Answers to `interrupt_pending`: true once this many questions have been asked; `None`: never.
    pub interrupt_after: std::cell::Cell<Option<u64>>,
}

impl Memory for TestMachine {
    fn read(&self, address: u64) -> u64 {
        assert!(address.is_multiple_of(8) && address != 0, "read at {address:#x}");
        self.words.get(&address).copied().unwrap_or(0)
    }

    fn write(&mut self, address: u64, value: u64) {
        assert!(address.is_multiple_of(8) && address != 0, "write at {address:#x}");
        if value == 0 {
            self.words.remove(&address);
        } else {
            self.words.insert(address, value);
        }
    }

    fn clear(&mut self, address: u64, bytes: u64) {
        assert!(
            address.is_multiple_of(16) && bytes.is_multiple_of(16),
            "clear {bytes} bytes at {address:#x}"
        );
        let inside: Vec<u64> = self.words.range(address..address + bytes).map(|(&at, _)| at).collect();
        for at in inside {
            self.words.remove(&at);
        }
    }
}

impl Machine for TestMachine {
    fn switch_user_map(&mut self, root: u64, asid: u16) {
        self.events.push(Event::SwitchMap(root, asid));
    }
    fn clear_user_map(&mut self) {
        self.events.push(Event::ClearMap);
    }
    fn publish_tables(&mut self) {
        self.events.push(Event::Publish);
    }
    fn invalidate_page(&mut self, va: u64, asid: u16) {
        self.events.push(Event::InvalidatePage(va, asid));
    }
    fn invalidate_asid(&mut self, asid: u16) {
        self.events.push(Event::InvalidateAsid(asid));
    }
    fn sync_instructions(&mut self, address: u64, bytes: u64) {
        self.events.push(Event::Sync(address, bytes));
    }
    fn clean_data(&mut self, address: u64, bytes: u64) {
        self.events.push(Event::Clean(address, bytes));
    }
    fn interrupts(&self) -> u64 {
        288
    }
    fn is_reserved(&self, number: u64) -> bool {
        number < 16 || number == 27
    }
    fn unmask_interrupt(&mut self, number: u64) {
        self.events.push(Event::Unmask(number));
    }
    fn mask_interrupt(&mut self, number: u64) {
        self.events.push(Event::Mask(number));
    }
    fn interrupt_pending(&self) -> bool {
        match self.interrupt_after.get() {
            Some(0) => true,
            Some(n) => {
                self.interrupt_after.set(Some(n - 1));
                false
            }
            None => false,
        }
    }
    fn forget_fp(&mut self, thread: u64) {
        self.events.push(Event::ForgetFp(thread));
    }
    fn put_char(&mut self, byte: u8) {
        self.console.push(byte);
    }
    fn power_off(&mut self) {
        self.events.push(Event::PowerOff);
    }
}
