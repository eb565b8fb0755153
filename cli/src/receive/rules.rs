//! The rules that the receiver's user has set.

#[derive(Debug, Clone, Copy, Default)]
pub struct Rules {
    /// Existing files are overwritten.
    pub force: bool,
    /// Peers may learn the content of files that other programs put there.
    pub compare: bool,
    /// Each file is on the disk before it gets its name.
    pub sync: bool,
}
