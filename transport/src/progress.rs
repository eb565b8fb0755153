//! The result of a call that may stop half-way.

use crate::error::Result;

/// How much a call did, whether or not it then failed.
#[derive(Debug)]
#[must_use = "the outcome says whether it failed"]
pub struct Progress {
    /// The bytes, or messages, that were transferred.
    pub count: u64,
    /// Why the call stopped early, if it did.
    pub outcome: Result<()>,
}
