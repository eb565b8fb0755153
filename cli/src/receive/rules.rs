//! What the user of the receiver allows.

#[derive(Debug, Clone, Copy, Default)]
pub struct Rules {
    /// Files are overwritten.
    pub force: bool,
    /// Peers may learn which files have the content that they push, whoever put them there.
    pub compare: bool,
    /// Each file is on the disk before it gets its name.
    pub sync: bool,
}
