//! The contents of a report, independent of its format.

use super::number::{bound, dash, median, ratio};
use super::Report;
use crate::outcome::{Compared, Outcome};

/// A heading, a table, and notes.
pub struct Section {
    /// The heading.
    pub title: &'static str,
    /// Columns.
    pub head: &'static [Column],
    /// Lines with a cell for each column.
    pub lines: Vec<Line>,
    /// Below the table.
    pub notes: Vec<String>,
}

/// A column's heading, and whether its cells are numbers.
pub struct Column(pub &'static str, pub bool);

/// A line of a table.
pub struct Line {
    /// Its cells.
    pub cells: Vec<String>,
    /// The mark of its verdict, in formats that have marks.
    pub class: &'static str,
}

const JUDGED: &[Column] = &[
    Column("work", false),
    Column("library", true),
    Column("yardstick", true),
    Column("ratio [quartiles]", true),
    Column("must", true),
    Column("aim", true),
    Column("verdict", false),
];
const SHOWN: &[Column] = &[
    Column("work", false),
    Column("library", true),
    Column("C", true),
    Column("ratio [quartiles]", true),
];
const FIGURES: &[Column] = &[Column("work", false), Column("library", true)];
const OTHERS: &[Column] = &[
    Column("work", false),
    Column("contestant", false),
    Column("figure", true),
    Column("library", true),
    Column("library / it", true),
];
const FACTS: &[Column] = &[Column("", false), Column("", false)];

const LEGEND: &str =
    "aim, must: reached. unclear: missed, but the rounds do not agree. too noisy: \
                      the machine changed in too many rounds to say.";

/// The table of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Judged,
    Shown,
    ManyPeers,
    Instructions,
}

impl Place {
    /// The rows of many peers and of instructions have no yardstick, so those without a goal get tables
    /// of their own.
    fn of(outcome: &Outcome) -> Self {
        if outcome.must.is_some() {
            return Self::Judged;
        }
        match outcome.id.split('-').next() {
            Some("scale") => Self::ManyPeers,
            Some("instructions") => Self::Instructions,
            _ => Self::Shown,
        }
    }
}

impl Report {
    /// An introduction of one or two sentences.
    pub(super) fn introduction(&self) -> String {
        let minutes = (self.took.as_secs_f64() / 60.0).ceil();
        let kind = if self.quick { " Quick run:" } else { "" };
        format!(
            "dcf_thunderbolt through its C ABI against C and other tools, on two hosts that are \
             network namespaces of one machine, {date}.{kind} {rounds}, {minutes}. Figures are medians of rounds. A ratio is the library's figure \
             divided by the other's of the same round.",
            date = self.date,
            rounds = counted(self.wanted, "round"),
            minutes = counted(minutes as usize, "minute"),
        )
    }

    /// The tables in their order, without empty ones.
    pub(super) fn sections(&self) -> Vec<Section> {
        let section = |place, title, head, line: fn(&Outcome) -> Line| {
            let here: Vec<_> = self
                .outcomes()
                .filter(|one| Place::of(one) == place)
                .collect();
            Section {
                title,
                head,
                lines: here.iter().copied().map(line).collect(),
                notes: notes(&here),
            }
        };
        let sections = [
            section(Place::Judged, "Against C", JUDGED, judged_line),
            section(Place::Shown, "For information", SHOWN, shown_line),
            self.others(),
            section(Place::ManyPeers, "Many peers", FIGURES, figure_line),
            section(
                Place::Instructions,
                "Instructions of a call, without the kernel's",
                FIGURES,
                figure_line,
            ),
            Section {
                title: "The machine",
                head: FACTS,
                lines: self.facts(),
                notes: Vec::new(),
            },
        ];
        let filled = |section: &Section| !section.lines.is_empty();
        sections.into_iter().filter(filled).collect()
    }

    fn others(&self) -> Section {
        let mut lines = Vec::new();
        let mut notes: Vec<String> = Vec::new();
        for outcome in self.outcomes() {
            for (place, other) in outcome.others.iter().enumerate() {
                let title = if place == 0 { outcome.title } else { "" };
                lines.push(other_line(title, outcome, other));
                let word = match (&other.failure, other.note) {
                    (Some(failure), _) => format!("{} failed: {failure}", other.name),
                    (None, "") => continue,
                    (None, note) => format!("{}: {note}.", other.name),
                };
                if !notes.contains(&word) {
                    notes.push(word);
                }
            }
        }
        Section {
            title: "Other tools and libraries, and C in other ways",
            head: OTHERS,
            lines,
            notes,
        }
    }

    fn facts(&self) -> Vec<Line> {
        let line = |(name, fact): &(&str, String)| Line {
            cells: vec![(*name).to_owned(), fact.clone()],
            class: "",
        };
        self.machine.0.iter().map(line).collect()
    }
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

fn judged_line(outcome: &Outcome) -> Line {
    let yardstick = outcome.yardstick.as_ref();
    let figure = yardstick.and_then(|one| one.figure.as_ref());
    let quotient = yardstick.and_then(|one| one.ratio.as_ref());
    Line {
        cells: vec![
            outcome.title.to_owned(),
            median(outcome.library.as_ref(), outcome.unit),
            median(figure, outcome.unit),
            ratio(quotient),
            bound(outcome, outcome.must),
            bound(outcome, outcome.aim),
            outcome.verdict.to_string(),
        ],
        class: outcome.verdict.class(),
    }
}

fn shown_line(outcome: &Outcome) -> Line {
    let mut line = judged_line(outcome);
    line.cells.truncate(SHOWN.len());
    line
}

fn figure_line(outcome: &Outcome) -> Line {
    let mut line = judged_line(outcome);
    line.cells.truncate(FIGURES.len());
    line
}

fn other_line(title: &str, outcome: &Outcome, other: &Compared) -> Line {
    let figure = match (&other.figure, &other.failure) {
        (None, Some(_)) => "failed".to_owned(),
        (figure, _) => median(figure.as_ref(), outcome.unit),
    };
    Line {
        cells: vec![
            title.to_owned(),
            other.name.clone(),
            figure,
            median(outcome.library.as_ref(), outcome.unit),
            other
                .ratio
                .as_ref()
                .map_or_else(dash, |all| ratio(Some(all))),
        ],
        class: "",
    }
}

/// Notes on verdicts and on dropped rounds.
fn notes(outcomes: &[&Outcome]) -> Vec<String> {
    let mut notes: Vec<String> = Vec::new();
    for outcome in outcomes {
        let yardstick = outcome.yardstick.as_ref();
        let failed = yardstick.and_then(|one| Some((&one.name, one.failure.as_ref()?)));
        let note = match (outcome.verdict.reason(), failed) {
            (Some(reason), _) => reason.to_owned(),
            (None, Some((name, failure))) => format!("{name}: {failure}"),
            (None, None) => continue,
        };
        // All rows of a work fail for the same reason.
        if !notes.iter().any(|known| known.ends_with(&note)) {
            notes.push(format!("{}: {note}", outcome.id));
        }
    }
    let dropped: usize = outcomes
        .iter()
        .filter_map(|one| Some(one.yardstick.as_ref()?.dropped))
        .sum();
    if dropped > 0 {
        notes.push(format!(
            "{} of samples dropped, because the machine changed meanwhile.",
            counted(dropped, "pair")
        ));
    }
    if outcomes.iter().any(|one| one.must.is_some()) {
        notes.push(LEGEND.to_owned());
    }
    notes
}
