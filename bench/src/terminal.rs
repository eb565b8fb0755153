//! What is shown while the benchmark runs.

use std::io::{self, IsTerminal, Write};

use crate::outcome::Outcome;
use crate::report::text::summary;
use crate::work::Work;

/// Rows as they complete on standard output, and on a terminal what is being done.
pub struct Terminal {
    shows_progress: bool,
    works: usize,
    done: usize,
    work: &'static str,
}

impl Terminal {
    /// For so many works.
    pub fn new(works: usize) -> Self {
        Self {
            shows_progress: io::stderr().is_terminal(),
            works,
            done: 0,
            work: "",
        }
    }

    /// A work begins.
    pub fn work(&mut self, work: &Work) {
        self.done += 1;
        self.work = work.id;
    }

    /// Something of it begins.
    pub fn progress(&self, what: &str) {
        self.show(&format!(
            "[{}/{}] {}: {what}",
            self.done, self.works, self.work
        ));
    }

    /// Its rows are there.
    pub fn rows(&self, outcomes: &[Outcome]) {
        self.show("");
        for outcome in outcomes {
            println!("{}", summary(outcome));
        }
        // Who reads a pipe wants them as they come.
        let _ = io::stdout().flush();
    }

    /// All is measured.
    pub fn end(&self) {
        self.show("");
        println!();
    }

    fn show(&self, line: &str) {
        if self.shows_progress {
            eprint!("\r\x1b[K{line}");
            let _ = io::stderr().flush();
        }
    }
}
