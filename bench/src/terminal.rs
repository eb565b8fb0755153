//! The output while the benchmark runs.

use std::io::{self, IsTerminal, Write};

use crate::outcome::Outcome;
use crate::report::text::summary;
use crate::work::Work;

/// Prints completed rows on standard output and, on a terminal, the current step.
pub struct Terminal {
    shows_progress: bool,
    works: usize,
    done: usize,
    work: &'static str,
}

impl Terminal {
    /// Creates it for a number of works.
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

    /// A step of the work begins.
    pub fn progress(&self, what: &str) {
        self.show(&format!(
            "[{}/{}] {}: {what}",
            self.done, self.works, self.work
        ));
    }

    /// The rows of the work are complete.
    pub fn rows(&self, outcomes: &[Outcome]) {
        self.show("");
        for outcome in outcomes {
            println!("{}", summary(outcome));
        }
        // Flush, so that the reader of a pipe gets them at once.
        let _ = io::stdout().flush();
    }

    /// The benchmark has ended.
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
