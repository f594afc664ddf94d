//! Decoder of the exception syndrome register ESR_EL1 (Arm DDI 0487, D17.2.37).
#![no_std]
#![forbid(unsafe_code)]

use core::fmt;

/// Exception classes, ESR_EL1.EC.
pub mod class {
    /// Unknown reason: an undefined instruction.
    pub const UNKNOWN: u8 = 0x00;
    /// Trapped WFI or WFE.
    pub const WFX: u8 = 0x01;
    /// Trapped floating point or SIMD.
    pub const FP_SIMD: u8 = 0x07;
    /// Illegal execution state.
    pub const ILLEGAL_STATE: u8 = 0x0e;
    /// SVC in AArch64 state.
    pub const SVC64: u8 = 0x15;
    /// Trapped MSR, MRS or system instruction.
    pub const SYSTEM: u8 = 0x18;
    /// Instruction abort from a lower exception level.
    pub const INSTRUCTION_ABORT_LOWER: u8 = 0x20;
    /// Instruction abort from the current exception level.
    pub const INSTRUCTION_ABORT: u8 = 0x21;
    /// PC alignment fault.
    pub const PC_ALIGNMENT: u8 = 0x22;
    /// Data abort from a lower exception level.
    pub const DATA_ABORT_LOWER: u8 = 0x24;
    /// Data abort from the current exception level.
    pub const DATA_ABORT: u8 = 0x25;
    /// SP alignment fault.
    pub const SP_ALIGNMENT: u8 = 0x26;
    /// SError interrupt.
    pub const SERROR: u8 = 0x2f;
    /// BRK in AArch64 state.
    pub const BRK64: u8 = 0x3c;
}

/// What an abort's fault status code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Address size fault at a table level.
    AddressSize(u8),
    /// Nothing is mapped there; the table level at which the walk ended.
    Translation(u8),
    /// The access flag of the entry at this level is clear.
    AccessFlag(u8),
    /// The entry at this level forbids the access.
    Permission(u8),
    /// A synchronous external abort, not on a table walk.
    External,
    /// A synchronous external abort on a table walk at this level.
    ExternalOnWalk(u8),
    /// Unaligned access where alignment is required.
    Alignment,
    /// Any other code.
    Other(u8),
}

/// The value of ESR_EL1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Syndrome(pub u64);

impl Syndrome {
    /// The exception class, bits 31:26; see [`class`].
    pub const fn class(self) -> u8 {
        (self.0 >> 26 & 0x3f) as u8
    }

    /// The instruction-specific syndrome, bits 24:0.
    pub const fn iss(self) -> u32 {
        (self.0 & 0x1ff_ffff) as u32
    }

    /// Is this an instruction or data abort?
    pub const fn is_abort(self) -> bool {
        matches!(self.class(), 0x20 | 0x21 | 0x24 | 0x25)
    }

    /// Is this an instruction abort?
    pub const fn is_instruction_abort(self) -> bool {
        matches!(self.class(), 0x20 | 0x21)
    }

    /// Does FAR_EL1 hold the address that faulted?
    pub const fn has_address(self) -> bool {
        // FnV (bit 10) is defined for external aborts only, and zero elsewhere.
        (self.is_abort() && self.0 & 1 << 10 == 0) || self.class() == class::PC_ALIGNMENT
    }

    /// Was the access that aborted a write?
    pub const fn is_write(self) -> bool {
        self.is_abort() && !self.is_instruction_abort() && self.0 & 1 << 6 != 0
    }

    /// What went wrong in an abort; `None` for other classes.
    pub const fn fault(self) -> Option<Fault> {
        if !self.is_abort() {
            return None;
        }
        let level = (self.0 & 3) as u8;
        Some(match self.0 & 0x3f {
            0b000000..=0b000011 => Fault::AddressSize(level),
            0b000100..=0b000111 => Fault::Translation(level),
            0b001000..=0b001011 => Fault::AccessFlag(level),
            0b001100..=0b001111 => Fault::Permission(level),
            0b010000 => Fault::External,
            0b010100..=0b010111 => Fault::ExternalOnWalk(level),
            0b100001 => Fault::Alignment,
            code => Fault::Other(code as u8),
        })
    }

    /// The class in words.
    pub const fn class_name(self) -> &'static str {
        match self.class() {
            class::UNKNOWN => "undefined instruction",
            class::WFX => "trapped WFI or WFE",
            class::FP_SIMD => "floating point or SIMD not available",
            class::ILLEGAL_STATE => "illegal execution state",
            class::SVC64 => "system call",
            class::SYSTEM => "trapped system register access",
            class::INSTRUCTION_ABORT_LOWER => "instruction abort from EL0",
            class::INSTRUCTION_ABORT => "instruction abort from EL1",
            class::PC_ALIGNMENT => "PC alignment fault",
            class::DATA_ABORT_LOWER => "data abort from EL0",
            class::DATA_ABORT => "data abort from EL1",
            class::SP_ALIGNMENT => "SP alignment fault",
            class::SERROR => "SError",
            class::BRK64 => "breakpoint instruction",
            _ => "unexpected exception",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::AddressSize(level) => write!(f, "address size fault, level {level}"),
            Fault::Translation(level) => write!(f, "translation fault, level {level}"),
            Fault::AccessFlag(level) => write!(f, "access flag fault, level {level}"),
            Fault::Permission(level) => write!(f, "permission fault, level {level}"),
            Fault::External => write!(f, "external abort"),
            Fault::ExternalOnWalk(level) => write!(f, "external abort on a table walk, level {level}"),
            Fault::Alignment => write!(f, "alignment fault"),
            Fault::Other(code) => write!(f, "fault status {code:#04x}"),
        }
    }
}

impl fmt::Display for Syndrome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.class_name())?;
        if let Some(fault) = self.fault() {
            if !self.is_instruction_abort() {
                f.write_str(if self.is_write() { ", write" } else { ", read" })?;
            }
            write!(f, ", {fault}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;

    #[test]
    fn decodes_aborts() {
        let s = Syndrome(0x9200_004f);
        assert_eq!(s.class(), class::DATA_ABORT_LOWER);
        assert_eq!(s.fault(), Some(Fault::Permission(3)));
        assert!(s.is_write() && s.has_address());
        assert_eq!(s.to_string(), "data abort from EL0, write, permission fault, level 3");
        assert_eq!(
            Syndrome(0x9600_0004).to_string(),
            "data abort from EL1, read, translation fault, level 0"
        );
        assert_eq!(
            Syndrome(0x8200_000f).to_string(),
            "instruction abort from EL0, permission fault, level 3"
        );
    }

    #[test]
    fn tells_a_missing_address() {
        assert!(!Syndrome(0x9600_0410).has_address());
        assert!(Syndrome(0x9600_0010).has_address());
        assert!(Syndrome(0x8a00_0000).has_address());
        assert!(!Syndrome(0x0200_0000).has_address());
    }

    #[test]
    fn other_classes_have_no_fault() {
        let svc = Syndrome(0x5600_0007);
        assert_eq!((svc.class(), svc.iss(), svc.fault()), (class::SVC64, 7, None));
        assert_eq!(Syndrome(0xf200_0001).to_string(), "breakpoint instruction");
    }

    #[test]
    fn every_fault_status_has_words() {
        for code in 0..64 {
            assert!(!Syndrome(0x9600_0000 | code).to_string().is_empty());
        }
    }
}
