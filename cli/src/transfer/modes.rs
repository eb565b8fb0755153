//! A pusher's requests beside its files. The receiver's user must allow what changes existing files.

/// A set of modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Modes(pub u8);

impl Modes {
    /// Only the plan is made; nothing is changed.
    pub const DRY_RUN: u8 = 1;
    /// Existing files that differ are replaced.
    pub const UPDATE: u8 = 2;
    /// Entries of the pushed folders that were not announced are deleted.
    pub const DELETE: u8 = 4;
    /// A set with other bits is from a later version.
    pub const KNOWN: u8 = Self::DRY_RUN | Self::UPDATE | Self::DELETE;

    pub fn has(self, mode: u8) -> bool {
        self.0 & mode != 0
    }
}
