//! Capabilities: what a slot holds, and how two words hold it.
//!
//! Word 0 is the type in bits 4:0, bits 47:4 of an object's physical address in bits 48:5, and small fields from bit 52
//! up; word 1 is type specific. No object is smaller than 16 bytes.

use kaal_abi::rights;

/// What a thread may do with an endpoint, a notification or a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights(u64);

impl Rights {
    /// All of them.
    pub const ALL: Rights = Rights(rights::ALL);

    /// From the bits of [`kaal_abi::rights`]; others are ignored.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits & rights::ALL)
    }
    /// As the bits of [`kaal_abi::rights`].
    pub const fn bits(self) -> u64 {
        self.0
    }
    /// What both allow.
    pub const fn and(self, other: Rights) -> Self {
        Self(self.0 & other.0)
    }
    /// Send, signal, write.
    pub const fn write(self) -> bool {
        self.0 & rights::WRITE != 0
    }
    /// Receive, wait, read.
    pub const fn read(self) -> bool {
        self.0 & rights::READ != 0
    }
    /// Send capabilities along.
    pub const fn grant(self) -> bool {
        self.0 & rights::GRANT != 0
    }
    /// Send a reply capability along.
    pub const fn grant_reply(self) -> bool {
        self.0 & rights::GRANT_REPLY != 0
    }
}

/// How large a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageSize {
    /// 4 KiB.
    Small,
    /// 2 MiB.
    Large,
}

impl PageSize {
    /// Log2 of its bytes.
    pub const fn bits(self) -> u64 {
        match self {
            PageSize::Small => 12,
            PageSize::Large => 21,
        }
    }
}

/// Where a page or page table is mapped. The address space may be gone since, its number even be another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mapped {
    /// The address space number; never 0.
    pub asid: u16,
    /// The virtual address.
    pub va: u64,
}

/// A capability. Addresses are physical.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    /// Nothing.
    Null,
    /// 2^bits bytes of memory, of which the first `used` have been made into objects.
    Untyped {
        /// Of the first byte; a multiple of the size.
        address: u64,
        /// Log2 of the bytes.
        bits: u64,
        /// Device memory: pages only, never cleared.
        device: bool,
        /// The watermark, in bytes; a multiple of 16.
        used: u64,
        /// Bytes behind the watermark that an interrupted Retype has cleared already; in steps of [`ZEROED_STEP`].
        zeroed: u64,
    },
    /// An endpoint.
    Endpoint {
        /// Of the object.
        address: u64,
        /// What receivers get to see; 0 until minted.
        badge: u64,
        /// What is allowed.
        rights: Rights,
    },
    /// A notification.
    Notification {
        /// Of the object.
        address: u64,
        /// What a signal sets; 0 until minted.
        badge: u64,
        /// What is allowed.
        rights: Rights,
    },
    /// The right to reply to a caller, once.
    Reply {
        /// The thread that waits for the reply.
        thread: u64,
        /// The one in the waiting thread's own slot, from which the others derive.
        master: bool,
        /// The reply may bring capabilities along.
        grant: bool,
    },
    /// 2^radix slots.
    CNode {
        /// Of the first slot.
        address: u64,
        /// Log2 of the slots, at least 1.
        radix: u64,
        /// Bits that an address must begin with.
        guard: u64,
        /// How many bits that is.
        guard_bits: u64,
    },
    /// A thread.
    Thread {
        /// Of the TCB.
        address: u64,
    },
    /// The root of an address space.
    VSpace {
        /// Of the level-0 table.
        address: u64,
        /// Its number.
        asid: u16,
    },
    /// A translation table of level 1 to 3.
    PageTable {
        /// Of the table.
        address: u64,
        /// Where it is mapped, if it is.
        mapped: Option<Mapped>,
    },
    /// A page.
    Page {
        /// Of its first byte.
        address: u64,
        /// How large.
        size: PageSize,
        /// Device memory.
        device: bool,
        /// What is allowed.
        rights: Rights,
        /// Where it is mapped by this capability, if it is.
        mapped: Option<Mapped>,
    },
    /// The right to make interrupt handlers.
    IrqControl,
    /// The right to handle an interrupt.
    IrqHandler {
        /// Its number.
        irq: u64,
    },
    /// The right to put threads into domains.
    Domain,
    /// The right to turn the machine off.
    Power,
    /// What is left of a CNode or a thread while its deletion is under way.
    Zombie {
        /// Of the first slot still to be emptied: the CNode, or the TCB's slots.
        address: u64,
        /// Log2 of the slots of a CNode; `None` for a TCB.
        radix: Option<u64>,
        /// Slots that may still be full.
        left: u64,
    },
}

/// Bytes that Retype clears between preemption points. [`Capability::Untyped`] remembers up to 2^20 - 1 such steps.
pub const ZEROED_STEP: u64 = 1 << 16;

const TYPE: u64 = 31;
const ADDRESS: u64 = 0x0000_ffff_ffff_fff0;

/// Numbers of the types, as DebugCapType shows them.
mod number {
    pub const NULL: u64 = 0;
    pub const UNTYPED: u64 = 1;
    pub const ENDPOINT: u64 = 2;
    pub const NOTIFICATION: u64 = 3;
    pub const REPLY: u64 = 4;
    pub const CNODE: u64 = 5;
    pub const THREAD: u64 = 6;
    pub const VSPACE: u64 = 7;
    pub const PAGE_TABLE: u64 = 8;
    pub const PAGE: u64 = 9;
    pub const IRQ_CONTROL: u64 = 10;
    pub const IRQ_HANDLER: u64 = 11;
    pub const DOMAIN: u64 = 12;
    pub const POWER: u64 = 13;
    pub const ZOMBIE: u64 = 14;
}

#[inline(always)]
const fn pack(kind: u64, address: u64, fields: u64) -> u64 {
    debug_assert!(address & !ADDRESS == 0 && fields < 1 << 12 && kind <= TYPE);
    kind | address << 1 | fields << 52
}

const fn address(word: u64) -> u64 {
    word >> 1 & ADDRESS
}

impl Capability {
    /// The number of the type; 0 for [`Capability::Null`].
    pub const fn number(self) -> u64 {
        self.encode()[0] & TYPE
    }

    /// As two words.
    #[inline(always)]
    pub const fn encode(self) -> [u64; 2] {
        match self {
            Capability::Null => [number::NULL, 0],
            Capability::Untyped { address, bits, device, used, zeroed } => {
                assert!(used.is_multiple_of(16) && used <= 1 << 47);
                let steps = zeroed / ZEROED_STEP;
                let steps = if steps < 1 << 20 { steps } else { (1 << 20) - 1 };
                [pack(number::UNTYPED, address, bits | (device as u64) << 6), used >> 4 | steps << 44]
            }
            Capability::Endpoint { address, badge, rights } => {
                [pack(number::ENDPOINT, address, rights.bits()), badge]
            }
            Capability::Notification { address, badge, rights } => {
                [pack(number::NOTIFICATION, address, rights.bits()), badge]
            }
            Capability::Reply { thread, master, grant } => {
                [pack(number::REPLY, thread, master as u64 | (grant as u64) << 1), 0]
            }
            Capability::CNode { address, radix, guard, guard_bits } => {
                [pack(number::CNODE, address, radix | guard_bits << 6), guard]
            }
            Capability::Thread { address } => [pack(number::THREAD, address, 0), 0],
            Capability::VSpace { address, asid } => [pack(number::VSPACE, address, 0), asid as u64],
            Capability::PageTable { address, mapped } => {
                [pack(number::PAGE_TABLE, address, 0), encode_mapped(mapped)]
            }
            Capability::Page { address, size, device, rights, mapped } => {
                let large = matches!(size, PageSize::Large) as u64;
                [
                    pack(number::PAGE, address, rights.bits() | large << 4 | (device as u64) << 5),
                    encode_mapped(mapped),
                ]
            }
            Capability::IrqControl => [number::IRQ_CONTROL, 0],
            Capability::IrqHandler { irq } => [number::IRQ_HANDLER, irq],
            Capability::Domain => [number::DOMAIN, 0],
            Capability::Power => [number::POWER, 0],
            Capability::Zombie { address, radix, left } => {
                let radix = match radix {
                    Some(radix) => radix | 1 << 6,
                    None => 0,
                };
                [pack(number::ZOMBIE, address, radix), left]
            }
        }
    }

    /// The capability that two words hold. Words that [`Capability::encode`] never makes read as Null.
    #[inline(always)]
    pub const fn decode(words: [u64; 2]) -> Self {
        let [first, second] = words;
        let address = address(first);
        let fields = first >> 52;
        let rights = Rights(fields & rights::ALL);
        match first & TYPE {
            number::UNTYPED => Capability::Untyped {
                address,
                bits: fields & 0x3f,
                device: fields >> 6 & 1 != 0,
                used: (second & 0xfff_ffff_ffff) << 4,
                zeroed: (second >> 44) * ZEROED_STEP,
            },
            number::ENDPOINT => Capability::Endpoint { address, badge: second, rights },
            number::NOTIFICATION => Capability::Notification { address, badge: second, rights },
            number::REPLY => {
                Capability::Reply { thread: address, master: fields & 1 != 0, grant: fields & 2 != 0 }
            }
            number::CNODE => {
                Capability::CNode { address, radix: fields & 0x3f, guard: second, guard_bits: fields >> 6 }
            }
            number::THREAD => Capability::Thread { address },
            number::VSPACE => Capability::VSpace { address, asid: second as u16 },
            number::PAGE_TABLE => Capability::PageTable { address, mapped: decode_mapped(second) },
            number::PAGE => Capability::Page {
                address,
                size: if fields >> 4 & 1 != 0 { PageSize::Large } else { PageSize::Small },
                device: fields >> 5 & 1 != 0,
                rights,
                mapped: decode_mapped(second),
            },
            number::IRQ_CONTROL => Capability::IrqControl,
            number::IRQ_HANDLER => Capability::IrqHandler { irq: second },
            number::DOMAIN => Capability::Domain,
            number::POWER => Capability::Power,
            number::ZOMBIE => Capability::Zombie {
                address,
                radix: if fields >> 6 & 1 != 0 { Some(fields & 0x3f) } else { None },
                left: second,
            },
            _ => Capability::Null,
        }
    }
}

const fn encode_mapped(mapped: Option<Mapped>) -> u64 {
    match mapped {
        Some(Mapped { asid, va }) => (asid as u64) << 48 | va,
        None => 0,
    }
}

const fn decode_mapped(word: u64) -> Option<Mapped> {
    if word >> 48 == 0 {
        None
    } else {
        Some(Mapped { asid: (word >> 48) as u16, va: word & 0xffff_ffff_ffff })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_words_hold_every_capability() {
        let mapped = Some(Mapped { asid: 0xffff, va: 0xffff_ffff_f000 });
        let rights = Rights::from_bits(0b0101);
        for capability in [
            Capability::Null,
            Capability::Untyped {
                address: 0xffff_ffff_fff0,
                bits: 47,
                device: true,
                used: 1 << 47,
                zeroed: 0,
            },
            Capability::Untyped { address: 0x10, bits: 4, device: false, used: 0x1230, zeroed: 7 << 16 },
            Capability::Endpoint { address: 0xffff_ffff_fff0, badge: u64::MAX, rights },
            Capability::Notification { address: 0x4000_0020, badge: 1, rights: Rights::ALL },
            Capability::Reply { thread: 0x4000_0800, master: true, grant: false },
            Capability::Reply { thread: 0x4000_0800, master: false, grant: true },
            Capability::CNode { address: 0x4000_0040, radix: 42, guard: u64::MAX >> 6, guard_bits: 58 },
            Capability::Thread { address: 0x4000_0800 },
            Capability::VSpace { address: 0x4000_1000, asid: 1023 },
            Capability::PageTable { address: 0x4000_1000, mapped },
            Capability::Page { address: 0x4020_0000, size: PageSize::Large, device: true, rights, mapped },
            Capability::Page { address: 0x1000, size: PageSize::Small, device: false, rights, mapped: None },
            Capability::IrqControl,
            Capability::IrqHandler { irq: 1019 },
            Capability::Domain,
            Capability::Power,
            Capability::Zombie { address: 0x4000_0000, radix: Some(42), left: 1 << 42 },
            Capability::Zombie { address: 0x4000_0480, radix: None, left: 5 },
        ] {
            assert_eq!(Capability::decode(capability.encode()), capability);
        }
    }
}
