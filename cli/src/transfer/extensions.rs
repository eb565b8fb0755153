//! What two programs may do beyond the first version of the protocol: docs/DCF-TB.md, "Extensions".

/// A set of extensions, as greetings offer and grant them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extensions(pub u8);

impl Extensions {
    /// Links within what is pushed.
    pub const LINKS: u8 = 1;
    /// Sparse files with their holes.
    pub const HOLES: u8 = 2;
    /// Hard links within a push.
    pub const HARD_LINKS: u8 = 4;
    /// All that this program knows.
    pub const KNOWN: Self = Self(Self::LINKS | Self::HOLES | Self::HARD_LINKS);

    pub fn has(self, extension: u8) -> bool {
        self.0 & extension != 0
    }

    /// Whether entries are announced with what the extensions need.
    pub fn any(self) -> bool {
        self.0 != 0
    }
}
