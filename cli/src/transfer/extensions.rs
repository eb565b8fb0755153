//! Extensions of protocol version 1: docs/DCF-TB.md, "Extensions".

/// A set of extensions, as greetings offer and answers grant them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extensions(pub u8);

impl Extensions {
    /// Symbolic links within the pushed folders.
    pub const LINKS: u8 = 1;
    /// Sparse files with their holes.
    pub const HOLES: u8 = 2;
    /// Hard links within a push.
    pub const HARD_LINKS: u8 = 4;
    /// Modes: a dry run, updates, deletions.
    pub const MODES: u8 = 8;
    /// All extensions of this program.
    pub const KNOWN: Self = Self(Self::LINKS | Self::HOLES | Self::HARD_LINKS | Self::MODES);

    pub fn has(self, extension: u8) -> bool {
        self.0 & extension != 0
    }

    /// Whether entries are announced in the extended format.
    pub fn any(self) -> bool {
        self.0 != 0
    }
}
