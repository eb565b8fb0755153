//! The result of an entry that a pusher sent.

use crate::exit::Exit;

pub enum Outcome {
    Done,
    /// The content existed already.
    Same,
    /// This entry failed; the push continues.
    Failed(Exit, String),
}

impl Outcome {
    /// Another program created the name after the plan was made.
    pub fn taken_meanwhile() -> Self {
        let why = "another program created it meanwhile (`dcf-tb receive --force` overwrites)";
        Self::Failed(Exit::Exists, why.to_owned())
    }
}
