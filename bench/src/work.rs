//! Works and rows: tasks, their contestants, the compared figures, and the goals.
//!
//! Several contestants do a work. One run may give the figures of several rows.

use std::path::Path;

use crate::contestant::{Contestant, Kind};
use crate::figure::Figure;

/// The library's name in tables and charts.
pub const LIBRARY: &str = "dcf_thunderbolt";

/// The goal of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// A bound for the library's figure divided by that of the first contestant whose name begins with
    /// the given text.
    Ratio {
        to: &'static str,
        must: f64,
        aim: f64,
    },
    /// A bound for the library's figure itself.
    Limit { must: f64, aim: f64 },
    /// No goal: the row is shown for information.
    Shown,
}

/// One row of the table.
#[derive(Debug, Clone)]
pub struct Row {
    /// The id of its work, possibly with a suffix.
    pub id: String,
    /// Its title, of at most 29 characters.
    pub title: &'static str,
    /// The compared figure.
    pub figure: Figure,
    /// Its goal.
    pub goal: Goal,
}

/// The length of a sample: an argument of the programs, with its values in full and quick runs.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// The argument's name.
    pub name: &'static str,
    /// Its value in a full run.
    pub full: u64,
    /// Its value in a quick run.
    pub quick: u64,
}

/// A task, its contestants, and the rows that compare them.
#[derive(Debug, Clone)]
pub struct Work {
    /// Its id, with which the ids of its rows begin.
    pub id: &'static str,
    /// A description of one line.
    pub title: String,
    /// The library, then the yardstick, then others.
    pub contestants: Vec<Contestant>,
    /// Its rows.
    pub rows: Vec<Row>,
    /// Whether the receiver counts, and needs a moment to empty its buffer after the sender's end.
    pub settles: bool,
    /// The length of a sample, for other tools too.
    pub length: Option<String>,
    /// Untimed runs of library and yardstick that check each byte, before the timed ones.
    pub checks: Vec<Contestant>,
}

impl Work {
    /// Whether a goal is relative to this contestant.
    pub fn names(&self, contestant: &str) -> bool {
        let mut goals = self.rows.iter().map(|row| row.goal);
        goals.any(|goal| matches!(goal, Goal::Ratio { to, .. } if contestant.starts_with(to)))
    }

    /// Sets the length of its samples.
    #[must_use]
    pub fn lasting(mut self, length: String) -> Self {
        let long = |contestant: Contestant| contestant.with(&length);
        self.contestants = self.contestants.into_iter().map(long).collect();
        self.length = Some(length);
        self
    }
}

/// Creates works for a full or a quick run.
pub struct Builder<'a> {
    /// The directory of the benchmark's programs.
    pub programs: &'a Path,
    /// Whether samples are shorter.
    pub quick: bool,
}

impl Builder<'_> {
    /// A contestant with a program of the benchmark.
    pub fn ours(&self, kind: Kind, name: &str, program: &str, far: &str, near: &str) -> Contestant {
        Contestant::pair((kind, name), self.programs, program, far, near)
    }

    /// The library's contestant.
    pub fn library(&self, program: &str, far: &str, near: &str) -> Contestant {
        self.ours(Kind::Library, LIBRARY, program, far, near)
    }

    /// Its yardstick.
    pub fn yardstick(&self, name: &str, program: &str, far: &str, near: &str) -> Contestant {
        self.ours(Kind::Yardstick, name, program, far, near)
    }

    /// The argument for a length.
    pub fn length(&self, size: Size) -> String {
        let value = if self.quick { size.quick } else { size.full };
        format!("{}={value}", size.name)
    }
}

/// See [`Size`].
pub fn size(name: &'static str, full: u64, quick: u64) -> Size {
    Size { name, full, quick }
}

/// A work without settling time and without checked runs.
pub fn work(
    id: &'static str,
    title: impl Into<String>,
    contestants: Vec<Contestant>,
    rows: Vec<Row>,
) -> Work {
    Work {
        id,
        title: title.into(),
        contestants,
        rows,
        settles: false,
        length: None,
        checks: Vec::new(),
    }
}

/// See [`Row`].
pub fn row(id: impl Into<String>, title: &'static str, figure: Figure, goal: Goal) -> Row {
    Row {
        id: id.into(),
        title,
        figure,
        goal,
    }
}

/// See [`Goal::Ratio`].
pub fn ratio(to: &'static str, must: f64, aim: f64) -> Goal {
    Goal::Ratio { to, must, aim }
}

/// See [`Goal::Limit`].
pub fn limit(must: f64, aim: f64) -> Goal {
    Goal::Limit { must, aim }
}
