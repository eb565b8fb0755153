//! The report for a terminal, and as Markdown.

use super::content::{Column, Line, Section};
use super::number::{bound, dash, median, ratio};
use super::Report;
use crate::outcome::Outcome;

/// The line width, which fits every terminal.
const WIDTH: usize = 100;

/// A row in one line, printed while the benchmark runs.
pub fn summary(outcome: &Outcome) -> String {
    let yardstick = outcome.yardstick.as_ref();
    let figure = yardstick.and_then(|one| one.figure.as_ref());
    let result = if outcome.relative || outcome.must.is_none() {
        ratio(yardstick.and_then(|one| one.ratio.as_ref()))
    } else {
        dash()
    };
    let mut line = format!(
        "{:29} {:>11} {:>11} {:>18} {:>8} {}",
        outcome.title,
        median(outcome.library.as_ref(), outcome.unit),
        median(figure, outcome.unit),
        result,
        bound(outcome, outcome.must),
        outcome.verdict,
    );
    if let Some(reason) = outcome.verdict.reason() {
        line.push_str("\n    ");
        line.push_str(reason);
    }
    line
}

impl Report {
    /// The report as text.
    pub fn text(&self) -> String {
        let mut text = wrapped(&self.introduction());
        for section in self.sections() {
            text.push_str(&format!("\n{}\n\n", section.title));
            text.push_str(&aligned(&section));
            if !section.notes.is_empty() {
                text.push('\n');
            }
            for note in &section.notes {
                text.push_str(&wrapped(note));
            }
        }
        text
    }

    /// The report as a Markdown page.
    pub fn markdown(&self) -> String {
        let mut text = format!("# Benchmark\n\n{}", wrapped(&self.introduction()));
        for section in self.sections() {
            text.push_str(&format!("\n## {}\n\n", section.title));
            text.push_str(&piped(&section));
            for note in &section.notes {
                text.push('\n');
                text.push_str(&wrapped(&escaped(note)));
            }
        }
        text
    }
}

fn wrapped(text: &str) -> String {
    let mut lines = String::new();
    let mut column = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > WIDTH {
            lines.push('\n');
            column = 0;
        } else if column > 0 {
            lines.push(' ');
            column += 1;
        }
        lines.push_str(word);
        column += length;
    }
    lines.push('\n');
    lines
}

/// Columns as wide as their widest cell, with two spaces between them.
fn aligned(section: &Section) -> String {
    let cells = |line: &Line, index: usize| line.cells[index].chars().count();
    let widths: Vec<usize> = section
        .head
        .iter()
        .enumerate()
        .map(|(index, Column(title, _))| {
            let widest = section.lines.iter().map(|line| cells(line, index)).max();
            widest.unwrap_or(0).max(title.chars().count())
        })
        .collect();
    let line = |cells: &[&str]| {
        let columns = section.head.iter().zip(&widths).zip(cells);
        let padded = columns.map(|((Column(_, is_number), width), cell)| {
            if *is_number {
                format!("{cell:>width$}")
            } else {
                format!("{cell:width$}")
            }
        });
        let text = padded.collect::<Vec<_>>().join("  ");
        format!("{}\n", text.trim_end())
    };
    let titles: Vec<&str> = section.head.iter().map(|Column(title, _)| *title).collect();
    let mut text = String::new();
    if titles.iter().any(|title| !title.is_empty()) {
        text.push_str(&line(&titles));
    }
    for one in &section.lines {
        let cells: Vec<&str> = one.cells.iter().map(String::as_str).collect();
        text.push_str(&line(&cells));
    }
    text
}

fn piped(section: &Section) -> String {
    let line = |cells: &mut dyn Iterator<Item = String>| {
        format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
    };
    let mut text = line(&mut section.head.iter().map(|Column(title, _)| escaped(title)));
    let rule = |Column(_, is_number): &Column| if *is_number { "---:" } else { "---" }.to_owned();
    text.push_str(&line(&mut section.head.iter().map(rule)));
    for one in &section.lines {
        text.push_str(&line(&mut one.cells.iter().map(|cell| escaped(cell))));
    }
    text
}

/// Escapes text that Markdown would take for markup.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        if matches!(letter, '|' | '*' | '_' | '<' | '`' | '[' | '\\') {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::{aligned, piped, wrapped, Column, Line, Section, WIDTH};

    fn section() -> Section {
        let line = |cells: [&str; 2]| Line {
            cells: cells.map(str::to_owned).to_vec(),
            class: "",
        };
        Section {
            title: "A table",
            head: &[Column("work", false), Column("time", true)],
            lines: vec![line(["one | two", "1 µs"]), line(["three", "10.5 µs"])],
            notes: Vec::new(),
        }
    }

    #[test]
    fn text_is_aligned() {
        let expected = "\
work          time
one | two     1 µs
three      10.5 µs
";
        assert_eq!(aligned(&section()), expected);
    }

    #[test]
    fn markdown_has_pipes() {
        let expected = "\
| work | time |
| --- | ---: |
| one \\| two | 1 µs |
| three | 10.5 µs |
";
        assert_eq!(piped(&section()), expected);
    }

    #[test]
    fn lines_are_wrapped() {
        let text = wrapped(&"word ".repeat(60));
        assert!(text.lines().all(|line| line.len() <= WIDTH));
        assert_eq!(text.split_whitespace().count(), 60);
    }
}
