//! Works and rows: what is done, who does it, what of it is compared, and what is to be reached.
//!
//! A work is done by several contestants; one run of it may give the figures of several rows.

use std::path::Path;

use crate::contestant::{Contestant, Kind};
use crate::figure::Figure;

/// The library's name in tables and charts.
pub const LIBRARY: &str = "dcf_thunderbolt";

/// What a row's value has to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// The library's figure divided by that of the first contestant whose name begins so.
    Ratio {
        to: &'static str,
        must: f64,
        aim: f64,
    },
    /// The library's figure itself.
    Limit { must: f64, aim: f64 },
    /// Nothing: it is shown for information.
    Shown,
}

/// One line of the table.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its work's id, or that and a suffix.
    pub id: String,
    /// At most 29 characters.
    pub title: &'static str,
    /// What is compared.
    pub figure: Figure,
    /// What is to be reached.
    pub goal: Goal,
}

/// How long a sample is: an argument of our programs, in a full run and in a quick one.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// The argument.
    pub name: &'static str,
    /// In a full run.
    pub full: u64,
    /// In a quick one.
    pub quick: u64,
}

/// Something to do, who does it, and what of it is compared.
#[derive(Debug, Clone)]
pub struct Work {
    /// What the rows' ids and those of other tools begin with.
    pub id: &'static str,
    /// What is done, in a line.
    pub title: String,
    /// The library, then the yardstick, then others.
    pub contestants: Vec<Contestant>,
    /// Its rows.
    pub rows: Vec<Row>,
    /// The receiver counts, and needs a moment to empty its buffer after the sender's end.
    pub settles: bool,
    /// The argument that says how long a sample is, for other tools too.
    pub length: Option<String>,
    /// Untimed runs that check each byte, of library and yardstick, before the timed ones.
    pub checks: Vec<Contestant>,
}

impl Work {
    /// Whether a goal is set by this contestant.
    pub fn names(&self, contestant: &str) -> bool {
        let mut goals = self.rows.iter().map(|row| row.goal);
        goals.any(|goal| matches!(goal, Goal::Ratio { to, .. } if contestant.starts_with(to)))
    }

    /// The same with samples of a length.
    #[must_use]
    pub fn lasting(mut self, length: String) -> Self {
        let long = |contestant: Contestant| contestant.with(&length);
        self.contestants = self.contestants.into_iter().map(long).collect();
        self.length = Some(length);
        self
    }
}

/// Makes works for a full run or a quick one.
pub struct Builder<'a> {
    /// Where our programs are.
    pub programs: &'a Path,
    /// Shorter samples.
    pub quick: bool,
}

impl Builder<'_> {
    /// A pair of our own programs.
    pub fn ours(&self, kind: Kind, name: &str, program: &str, far: &str, near: &str) -> Contestant {
        Contestant::pair((kind, name), self.programs, program, far, near)
    }

    /// The library's side.
    pub fn library(&self, program: &str, far: &str, near: &str) -> Contestant {
        self.ours(Kind::Library, LIBRARY, program, far, near)
    }

    /// What it is held against.
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

/// A work that neither settles nor is checked.
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
