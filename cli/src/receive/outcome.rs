//! What became of an entry that a pusher sent.

use crate::exit::Exit;

pub enum Outcome {
    Done,
    /// It was there already.
    Same,
    /// Others may still come.
    Failed(Exit, String),
}

impl Outcome {
    /// Another program took the name since the plan was made.
    pub fn taken_meanwhile() -> Self {
        let why = "meanwhile it exists already (`dcf-tb receive --force` overwrites)";
        Self::Failed(Exit::Exists, why.to_owned())
    }
}
