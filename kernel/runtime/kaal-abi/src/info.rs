//! Message information, x1.

/// What x1 carries: bits 6:0 length in words, 8:7 extra capabilities, 11:9 capabilities unwrapped, 63:12 label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageInfo(pub u64);

impl MessageInfo {
    /// Most words a message may have.
    pub const MAX_LENGTH: u64 = 64;
    /// Most capabilities a message may bring along.
    pub const MAX_EXTRA_CAPS: u64 = 3;

    /// A message of `length` words, at most [`Self::MAX_LENGTH`], and `extra_caps` capabilities.
    pub const fn new(label: u64, length: u64, extra_caps: u64) -> Self {
        assert!(length <= Self::MAX_LENGTH && extra_caps <= Self::MAX_EXTRA_CAPS && label < 1 << 52);
        Self(label << 12 | extra_caps << 7 | length)
    }

    /// What the message means to its receiver.
    pub const fn label(self) -> u64 {
        self.0 >> 12
    }

    /// Message words that are valid; the kernel reads more than [`Self::MAX_LENGTH`] as that.
    pub const fn length(self) -> u64 {
        let length = self.0 & 0x7f;
        if length > Self::MAX_LENGTH { Self::MAX_LENGTH } else { length }
    }

    /// Capabilities sent along.
    pub const fn extra_caps(self) -> u64 {
        self.0 >> 7 & 3
    }

    /// Bit n: capability n was unwrapped to its badge on receipt.
    pub const fn caps_unwrapped(self) -> u64 {
        self.0 >> 9 & 7
    }

    /// The same message with other capability fields.
    pub const fn with_caps(self, extra_caps: u64, unwrapped: u64) -> Self {
        Self(self.0 & !(0x1f << 7) | (extra_caps & 3) << 7 | (unwrapped & 7) << 9)
    }
}
