//! The report as one web page without scripts and external resources, in the reader's light or dark
//! style.

use super::chart::{cumulative, lanes, scatter, style_sheet, tail, Curve, Lane, Mark, Paint};
use super::content::{Column, Section};
use super::number::{median, with_unit};
use super::{Report, WorkReport};
use crate::campaign::are_steady;
use crate::contestant::Kind;
use crate::outcome::Outcome;
use crate::sample::Sample;
use crate::statistics::{percentile, sorted};
use crate::work::Row;

/// The style sheet of the page; the colours precede it.
const STYLE: &str = include_str!("page.css");

/// A contestant of a work with its samples.
struct Entrant<'a> {
    name: &'a str,
    paint: Paint,
    samples: Vec<&'a Sample>,
}

impl Report {
    /// Writes the page.
    pub fn html(&self) -> String {
        let tables: String = self.sections().iter().map(table).collect();
        let names = self.others_named();
        let charts: String = self.works.iter().map(|work| charts(work, &names)).collect();
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>dcf_thunderbolt benchmark, {date}</title>\n\
             <style>\n:root{{color-scheme:light dark;{light}}}\n\
             @media (prefers-color-scheme:dark){{:root{{{dark}}}}}\n{STYLE}</style>\n</head>\n\
             <body>\n<h1>dcf_thunderbolt benchmark</h1>\n<p>{introduction}</p>\n{tables}\
             <h2 id=\"charts\">Charts</h2>\n<p>{legend}</p>\n{charts}{machine}</body>\n</html>\n",
            date = self.date,
            light = style_sheet(0),
            dark = style_sheet(1),
            introduction = escaped(&self.introduction()),
            legend = "Each point is a round, the line its median, the band the middle half. Distributions \
                      are of all rounds together; on a curve, points mark p50 and p99. What has to be reached \
                      is <span class=\"swatch\" style=\"background:var(--must)\"></span> must, \
                      what would be good to reach is <span class=\"swatch\" \
                      style=\"background:var(--aim)\"></span> aim.",
            machine = self.machine_charts(),
        )
    }

    /// The names of all other contestants, each once.
    fn others_named(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for contestant in self
            .works
            .iter()
            .flat_map(|work| &work.measured.work.contestants)
        {
            let name = contestant.name.as_str();
            if contestant.kind == Kind::Other && !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    fn machine_charts(&self) -> String {
        let charts = [
            (
                "Cache line from one host's processor to the other's and back",
                "ns",
                self.bounces(),
            ),
            (
                "Waking a thread there, and being woken by it",
                "µs",
                self.wakeups(),
            ),
        ];
        let figures: String = charts
            .into_iter()
            .filter(|(_, _, points)| !points.is_empty())
            .map(|(title, unit, points)| figure(title, &scatter(unit, &points)))
            .collect();
        if figures.is_empty() {
            return figures;
        }
        format!(
            "<section id=\"machine\">\n<h3>The machine while it was measured</h3>\n<p>Before and \
             after each sample. Pairs of samples between which it changed were dropped: by more \
             than a factor of 1.3 for the cache line, or 2.5 for the wake-up.</p>\n\
             <div class=\"charts\">{figures}</div>\n</section>\n"
        )
    }
}

fn figure(title: &str, drawing: &str) -> String {
    let title = escaped(title);
    format!("<figure><figcaption>{title}</figcaption>{drawing}</figure>\n")
}

/// Text as HTML.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn table(section: &Section) -> String {
    let class = |Column(_, is_number): &Column| if *is_number { " class=\"number\"" } else { "" };
    let head: String = section
        .head
        .iter()
        .map(|column| format!("<th{}>{}</th>", class(column), escaped(column.0)))
        .collect();
    let head = if section.head.iter().all(|column| column.0.is_empty()) {
        String::new()
    } else {
        format!("<thead><tr>{head}</tr></thead>\n")
    };
    let mut lines = String::new();
    for line in &section.lines {
        let cells: String = section
            .head
            .iter()
            .zip(&line.cells)
            .map(|(column, cell)| format!("<td{}>{}</td>", class(column), escaped(cell)))
            .collect();
        lines.push_str(&format!("<tr class=\"{}\">{cells}</tr>\n", line.class));
    }
    let notes: String = section
        .notes
        .iter()
        .map(|note| format!("<li>{}</li>\n", escaped(note)))
        .collect();
    format!(
        "<h2>{}</h2>\n<div class=\"table\"><table>\n{head}<tbody>\n{lines}</tbody></table></div>\n\
         <ul class=\"notes\">\n{notes}</ul>\n",
        escaped(section.title)
    )
}

fn charts(work: &WorkReport, names: &[&str]) -> String {
    let entrants = entrants(work, names);
    let rows = &work.measured.work.rows;
    let mut drawn = Vec::new();
    let mut legend = String::new();
    if let Some(line) = rows.iter().find_map(|row| row.figure.distribution()) {
        let (curves, shown) = distributions(&entrants, line);
        legend = shown;
        drawn.extend(curves);
    }
    let single = rows.iter().zip(&work.outcomes);
    let mut done = Vec::new();
    for (row, outcome) in single {
        // Several rows may use the same figure.
        if row.figure.distribution().is_none() && !done.contains(&row.figure) {
            drawn.extend(samples(&entrants, row, outcome));
            done.push(row.figure);
        }
    }
    drawn.extend(ratios(work, names));
    if drawn.is_empty() {
        return String::new();
    }
    let figures: String = drawn
        .into_iter()
        .map(|(title, drawing)| figure(&title, &drawing))
        .collect();
    format!(
        "<section id=\"{}\">\n<h3>{}</h3>\n{legend}<div class=\"charts\">\n{figures}</div>\n\
         </section>\n",
        work.measured.work.id,
        escaped(&work.measured.work.title)
    )
}

fn paint_of(name: &str, kind: Kind, names: &[&str]) -> Paint {
    let other = names.iter().position(|one| *one == name).unwrap_or(0);
    Paint::Contestant(match kind {
        Kind::Library => 0,
        Kind::Yardstick => 1,
        Kind::Other => 2 + other,
    })
}

/// The contestants of a work that have samples: the steady samples, or all if none is steady.
fn entrants<'a>(work: &'a WorkReport, names: &[&str]) -> Vec<Entrant<'a>> {
    let measured = &work.measured;
    let entrant = |(index, contestant): (usize, &'a crate::contestant::Contestant)| {
        let all: Vec<&Sample> = measured
            .rounds
            .iter()
            .filter_map(|round| round[index].as_ref())
            .collect();
        let steady: Vec<&Sample> = all
            .iter()
            .copied()
            .filter(|sample| are_steady(sample, sample))
            .collect();
        Entrant {
            name: &contestant.name,
            paint: paint_of(&contestant.name, contestant.kind, names),
            samples: if steady.is_empty() { all } else { steady },
        }
    };
    let contestants = measured.work.contestants.iter().enumerate();
    contestants
        .map(entrant)
        .filter(|entrant| !entrant.samples.is_empty())
        .collect()
}

/// The two charts of a distribution, and the legend for both.
fn distributions(entrants: &[Entrant], line: &str) -> (Vec<(String, String)>, String) {
    let times: Vec<(&Entrant, Vec<f64>)> = entrants
        .iter()
        .map(|entrant| {
            let all = entrant.samples.iter();
            let all = all.flat_map(|sample| sample.output.near.numbers(line));
            (entrant, sorted(all.map(|time| time / 1e3)))
        })
        .filter(|(_, times)| !times.is_empty())
        .collect();
    let curves: Vec<Curve> = times
        .iter()
        .map(|(entrant, times)| Curve {
            paint: entrant.paint,
            times,
        })
        .collect();
    if curves.is_empty() {
        return (Vec::new(), String::new());
    }
    let entries: String = times
        .iter()
        .map(|(entrant, times)| {
            let at = |percent| with_unit(percentile(times, percent).unwrap_or(f64::NAN), "µs");
            format!(
                "<li><span class=\"swatch\" style=\"background:var({})\"></span>{} \
                 <small>p50 {}, p99 {}</small></li>\n",
                entrant.paint.variable(),
                escaped(entrant.name),
                at(50.0),
                at(99.0),
            )
        })
        .collect();
    let charts = vec![
        ("Cumulative distribution".to_owned(), cumulative(&curves)),
        ("Time by percentile".to_owned(), tail(&curves)),
    ];
    (charts, format!("<ul class=\"legend\">\n{entries}</ul>\n"))
}

/// The samples of a row with one figure per sample.
fn samples(entrants: &[Entrant], row: &Row, outcome: &Outcome) -> Option<(String, String)> {
    let lane = |entrant: &Entrant| {
        let samples = entrant.samples.iter();
        Lane {
            label: entrant.name.to_owned(),
            paint: entrant.paint,
            values: samples
                .filter_map(|sample| row.figure.of(&sample.output))
                .collect(),
            marks: Vec::new(),
        }
    };
    let mut all: Vec<Lane> = entrants
        .iter()
        .map(lane)
        .filter(|lane| !lane.values.is_empty())
        .collect();
    if !outcome.relative {
        all.first_mut()?.marks = marks(outcome);
    }
    if all.is_empty() {
        return None;
    }
    let title = format!(
        "{}: {}",
        row.title,
        median(outcome.library.as_ref(), outcome.unit)
    );
    Some((title, lanes(outcome.unit, &all, &[0.0])))
}

/// The ratios of all rows that have ratios.
fn ratios(work: &WorkReport, names: &[&str]) -> Option<(String, String)> {
    let mut all = Vec::new();
    for outcome in work
        .outcomes
        .iter()
        .filter(|one| one.relative || one.must.is_none())
    {
        let Some(yardstick) = &outcome.yardstick else {
            continue;
        };
        if yardstick.ratios.is_empty() {
            continue;
        }
        let contestants = &work.measured.work.contestants;
        let kind = contestants
            .iter()
            .find(|one| one.name == yardstick.name)
            .map_or(Kind::Yardstick, |one| one.kind);
        all.push(Lane {
            label: outcome.title.to_owned(),
            paint: paint_of(&yardstick.name, kind, names),
            values: yardstick.ratios.clone(),
            marks: marks(outcome),
        });
    }
    let chart = |all: &Vec<Lane>| lanes("library / yardstick", all, &[1.0]);
    let title = "Ratio to the yardstick, round by round".to_owned();
    (!all.is_empty()).then(|| (title, chart(&all)))
}

fn marks(outcome: &Outcome) -> Vec<Mark> {
    [(Paint::Must, outcome.must), (Paint::Aim, outcome.aim)]
        .into_iter()
        .filter_map(|(paint, at)| Some(Mark { paint, at: at? }))
        .collect()
}
