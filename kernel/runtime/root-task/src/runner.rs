//! Runs the tests of the suite one after another, each as a program of its own, and takes everything back after each.

use crate::loader::{self, Child};
use crate::memory::{Arena, CNODE};
use crate::println;
use crate::watchdog::Watchdog;
use kaal_elf::Elf;
use kaal_sys::abi::{ObjectType, bootinfo::slot as own, rights};
use kaal_sys::child::{self, label};
use kaal_sys::fault::Fault;
use kaal_sys::{CPtr, Endpoint, Failure, Notification, Received, Result, Text};

/// Log2 of the memory that a test gets, program and all.
pub const TEST_BITS: u64 = 22;
/// The badge of the bystander's messages; tests have their number + 1.
const BYSTANDER_BADGE: u64 = 1 << 32;

/// What tests are handed beside memory, where the root task has it.
pub struct Devices {
    /// The UART's page.
    pub uart: CPtr,
    /// The handler of its interrupt.
    pub uart_irq: CPtr,
    /// Untyped device memory.
    pub device: Option<CPtr>,
    /// Counts of the counter from one tick to the next.
    pub tick: u64,
}

/// Tests that can be told apart when only some are to run.
pub const MOST_TESTS: usize = 1024;

/// Which tests are to run.
pub struct Selection([u64; MOST_TESTS / 64]);

impl Selection {
    /// All of them.
    pub const ALL: Selection = Selection([u64::MAX; MOST_TESTS / 64]);

    /// Is test `number` one of them?
    pub fn has(&self, number: u64) -> bool {
        self.0.get(number as usize / 64).is_some_and(|word| word >> (number % 64) & 1 != 0)
    }
}

/// How tests have ended.
#[derive(Default)]
pub struct Outcome {
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed.
    pub failed: u64,
}

impl Outcome {
    /// Counts a test and prints its line.
    pub fn record(&mut self, name: &str, why: core::result::Result<(), &str>) {
        match why {
            Ok(()) => {
                self.passed += 1;
                println!("  ok     {name}");
            }
            Err(why) => {
                self.failed += 1;
                println!("  FAILED {name}: {why}");
            }
        }
    }
}

/// The runner.
pub struct Runner<'a> {
    elf: Elf<'a>,
    arena: Arena,
    report: Endpoint,
    devices: Devices,
    watchdog: Watchdog,
    bystander: Option<Notification>,
    kinds: [u64; own::FIRST_FREE as usize],
    name: Text<120>,
    why: Text<480>,
}

fn kinds() -> [u64; own::FIRST_FREE as usize] {
    core::array::from_fn(|slot| CPtr(slot as u64).kind())
}

impl<'a> Runner<'a> {
    /// A runner of the suite in `elf`. `report` is an endpoint that nobody else uses.
    pub fn new(elf: Elf<'a>, arena: Arena, report: Endpoint, devices: Devices, watchdog: Watchdog) -> Self {
        let (name, why) = (Text::new(), Text::new());
        Self { elf, arena, report, devices, watchdog, bystander: None, kinds: kinds(), name, why }
    }

    /// Starts the program that must notice nothing of all tests.
    pub fn start_bystander(&mut self, arena: &mut Arena) -> Result {
        let ping = arena.make(ObjectType::Notification, 0)?;
        let child = loader::load(arena, &self.elf)?;
        self.hand_report(&child, BYSTANDER_BADGE)?;
        child.slot(child::slot::UNTYPED).copy(CNODE.slot(ping.0), rights::READ)?;
        child.tcb.set_name("bystander");
        child.start(child::BYSTANDER, self.devices.tick)?;
        self.bystander = Some(Notification(ping));
        Ok(())
    }

    fn hand_report(&self, child: &Child, badge: u64) -> Result {
        let rights = rights::WRITE | rights::GRANT_REPLY;
        child.slot(child::slot::REPORT).mint(CNODE.slot(self.report.0.0), rights, badge)
    }

    fn start(&mut self, number: u64) -> Result<Child> {
        let arena = &mut self.arena;
        let large = arena.make(ObjectType::Untyped, 21)?;
        let untyped = arena.make(ObjectType::Untyped, child::UNTYPED_BITS)?;
        let child = loader::load(arena, &self.elf)?;
        self.hand_report(&child, number.wrapping_add(1))?;
        let copies = [
            (child::slot::UNTYPED, Some(untyped)),
            (child::slot::LARGE_UNTYPED, Some(large)),
            (child::slot::UART, Some(self.devices.uart)),
            (child::slot::UART_IRQ, Some(self.devices.uart_irq)),
            (child::slot::DOMAIN, Some(CPtr(own::DOMAIN))),
            (child::slot::DEVICE, self.devices.device),
        ];
        for (index, cap) in copies {
            if let Some(cap) = cap {
                child.slot(index).copy(CNODE.slot(cap.0), rights::ALL)?;
            }
        }
        // Their only holder is the test from now on.
        CNODE.slot(large.0).delete()?;
        CNODE.slot(untyped.0).delete()?;
        child.slot(child::slot::IRQ_CONTROL).take(CNODE.slot(own::IRQ_CONTROL))?;
        child.tcb.set_name("test");
        child.start(number, self.devices.tick)?;
        Ok(child)
    }

    /// Waits for the end of test `number`: whether it passed. Sets `name`, `why` and `count`.
    fn watch(&mut self, number: u64, count: &mut u64) -> bool {
        use core::fmt::Write;
        loop {
            let message = self.report.recv();
            if message.badge != number + 1 && message.label() != label::STUCK {
                continue;
            }
            match message.label() {
                label::BEGIN => {
                    *count = message.word(0);
                    self.name.push(message.text());
                }
                label::PASSED => return true,
                label::FAILED => {
                    self.why.push(message.text());
                    return false;
                }
                label::STUCK => {
                    let _ = write!(self.why, "nothing can run any more");
                    return false;
                }
                other => {
                    let _ = match Fault::from(&message) {
                        Some(fault) => write!(self.why, "{fault}"),
                        None => write!(self.why, "reported {other:#x}"),
                    };
                    return false;
                }
            }
        }
    }

    /// The tests whose names begin with `prefix`.
    pub fn select(&mut self, prefix: &str) -> Result<Selection> {
        let mut selection = Selection([0; MOST_TESTS / 64]);
        let child = self.start(child::NAMES)?;
        self.watchdog.begin();
        loop {
            let message = self.report.recv();
            if message.label() != label::NAME {
                break;
            }
            let mut name = Text::<120>::new();
            name.push(message.text());
            let number = message.word(0) as usize;
            if name.as_str().starts_with(prefix) && number < MOST_TESTS {
                selection.0[number / 64] |= 1 << (number % 64);
            }
        }
        if let Err(why) = self.clean(Some(child)) {
            panic!("naming the tests: {why}");
        }
        Ok(selection)
    }

    /// Takes the test's memory back, and looks whether all is as it was.
    fn clean(&mut self, child: Option<Child>) -> core::result::Result<(), &'static str> {
        if let Some(child) = child {
            // A test that lost it keeps later ones from it; what they say will tell.
            let _ = CNODE.slot(own::IRQ_CONTROL).take(child.slot(child::slot::IRQ_CONTROL));
        }
        match self.arena.reclaim(TEST_BITS) {
            Ok(true) => {}
            Ok(false) => return Err("not all of its memory came back"),
            Err(_) => return Err("its memory could not be revoked"),
        }
        if kinds() != self.kinds {
            return Err("the root task's own capabilities have changed");
        }
        self.ask_bystander()
    }

    fn ask_bystander(&mut self) -> core::result::Result<(), &'static str> {
        let Some(ping) = self.bystander else { return Ok(()) };
        ping.signal();
        loop {
            let message: Received = self.report.recv();
            match (message.badge, message.label()) {
                (BYSTANDER_BADGE, label::PASSED) => return Ok(()),
                (BYSTANDER_BADGE, _) => {
                    self.bystander = None;
                    return Err("another program's memory has changed");
                }
                (_, label::STUCK) => {
                    self.bystander = None;
                    return Err("another program has stopped");
                }
                _ => {}
            }
        }
    }

    /// Runs test `number`, and returns how many tests there are.
    pub fn run(&mut self, number: u64, outcome: &mut Outcome) -> u64 {
        use core::fmt::Write;
        (self.name, self.why) = (Text::new(), Text::new());
        self.watchdog.begin();
        let mut count = 0;
        let (mut passed, child) = match self.start(number) {
            Ok(child) => (self.watch(number, &mut count), Some(child)),
            Err(Failure { error, words }) => {
                let _ = write!(self.why, "starting it: {error:?} {words:?}");
                (false, None)
            }
        };
        self.watchdog.begin();
        if let Err(why) = self.clean(child) {
            let _ = write!(self.why, "{}{why}", if passed { "" } else { "; " });
            passed = false;
        }
        let why = if passed { Ok(()) } else { Err(self.why.as_str()) };
        outcome.record(self.name.as_str(), why);
        count
    }
}
