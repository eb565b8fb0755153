//! The results of rows, from the samples of a work.

use serde::Serialize;

use crate::campaign::{are_steady, Measured};
use crate::contestant::Kind;
use crate::figure::Better;
use crate::sample::Sample;
use crate::statistics::Spread;
use crate::verdict::{judge, Verdict};
use crate::work::{Goal, Row};

/// The results of a contestant other than the library.
#[derive(Debug, Clone, Serialize)]
pub struct Compared {
    /// Its name.
    pub name: String,
    /// A note for readers of its figures; may be empty.
    pub note: &'static str,
    /// Its figures, in the row's unit.
    pub figure: Option<Spread>,
    /// The library's figure divided by its, one for each steady round.
    pub ratios: Vec<f64>,
    /// Their statistics.
    pub ratio: Option<Spread>,
    /// Rounds in which the machine changed.
    pub dropped: usize,
    /// Why it no longer ran.
    pub failure: Option<String>,
}

/// The result of a row.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The row's id.
    pub id: String,
    /// The row's title.
    pub title: &'static str,
    /// The unit of its figures.
    pub unit: &'static str,
    /// Whether lower or higher is better.
    pub better: Better,
    /// The library's figures.
    pub library: Option<Spread>,
    /// The yardstick.
    pub yardstick: Option<Compared>,
    /// Other contestants.
    pub others: Vec<Compared>,
    /// Whether the goals below are ratios to the yardstick.
    pub relative: bool,
    /// The required value.
    pub must: Option<f64>,
    /// The desired value.
    pub aim: Option<f64>,
    /// Whether they were reached.
    pub verdict: Verdict,
}

impl Outcome {
    /// Computes it from the samples.
    pub fn of(measured: &Measured, row: &Row) -> Self {
        let yardstick = yardstick(measured, row.goal);
        let figures = |samples: &mut dyn Iterator<Item = &Sample>| -> Vec<f64> {
            samples
                .filter_map(|sample| row.figure.of(&sample.output))
                .collect()
        };
        let alone = figures(
            &mut measured
                .of_library()
                .filter(|sample| row.figure.is_count() || are_steady(sample, sample)),
        );
        let all = figures(&mut measured.of_library());
        let compared = yardstick.map(|index| compare(measured, row, index));
        let values = match row.goal {
            Goal::Ratio { .. } => compared.as_ref().map_or(&[][..], |one| &one.ratios),
            Goal::Limit { .. } | Goal::Shown => &alone,
        };
        let verdict = failure(measured, row, yardstick, all.is_empty())
            .unwrap_or_else(|| judge(row.goal, row.figure.better(), values, measured.needed()));
        // Other contestants would appear twice with a second yardstick.
        let beside = yardstick.is_none_or(|index| kind(measured, index) == Kind::Yardstick);
        let others = (0..measured.failures.len())
            .filter(|&index| beside && kind(measured, index) == Kind::Other)
            .map(|index| compare(measured, row, index))
            .filter(|one| one.figure.is_some() || one.failure.is_some())
            .collect();
        let (must, aim) = match row.goal {
            Goal::Ratio { must, aim, .. } | Goal::Limit { must, aim } => (Some(must), Some(aim)),
            Goal::Shown => (None, None),
        };
        Self {
            id: row.id.clone(),
            title: row.title,
            unit: row.figure.unit(),
            better: row.figure.better(),
            library: Spread::of(if alone.is_empty() { all } else { alone }),
            yardstick: compared,
            others,
            relative: matches!(row.goal, Goal::Ratio { .. }),
            must,
            aim,
            verdict,
        }
    }
}

fn kind(measured: &Measured, index: usize) -> Kind {
    measured.work.contestants[index].kind
}

/// The contestant that the library is compared with.
fn yardstick(measured: &Measured, goal: Goal) -> Option<usize> {
    let mut contestants = measured.work.contestants.iter();
    match goal {
        Goal::Ratio { to, .. } => contestants.position(|one| one.name.starts_with(to)),
        Goal::Limit { .. } | Goal::Shown => contestants.position(|one| one.kind == Kind::Yardstick),
    }
}

/// The verdict, if it does not depend on figures.
fn failure(
    measured: &Measured,
    row: &Row,
    yardstick: Option<usize>,
    empty: bool,
) -> Option<Verdict> {
    let name = |index: usize| &measured.work.contestants[index].name;
    let reason = |index: usize| {
        let reason = measured.failures[index].as_ref()?;
        Some(format!("{}: {reason}", name(index)))
    };
    if let Some(reason) = reason(0) {
        return Some(Verdict::Failed { reason });
    }
    if let Goal::Ratio { to, .. } = row.goal {
        let Some(index) = yardstick else {
            let reason = format!("{to} is not installed");
            return Some(Verdict::Absent { reason });
        };
        if let Some(reason) = reason(index) {
            // A failure of another tool does not fail the run.
            return Some(match kind(measured, index) {
                Kind::Other => Verdict::Absent { reason },
                Kind::Library | Kind::Yardstick => Verdict::Failed { reason },
            });
        }
    }
    empty.then(|| Verdict::Failed {
        reason: format!("{} did not print what this is made of", name(0)),
    })
}

fn compare(measured: &Measured, row: &Row, index: usize) -> Compared {
    let figure = |sample: &Sample| row.figure.of(&sample.output);
    let pairs: Vec<_> = measured.pairs(index).collect();
    let steady: Vec<_> = pairs
        .iter()
        .filter(|(library, other)| are_steady(library, other))
        .collect();
    let ratios: Vec<f64> = steady
        .iter()
        .filter_map(|(library, other)| Some(figure(library)? / figure(other)?))
        .filter(|ratio| ratio.is_finite())
        .collect();
    let good = Spread::of(steady.iter().filter_map(|(_, other)| figure(other)));
    let contestant = &measured.work.contestants[index];
    Compared {
        name: contestant.name.clone(),
        note: contestant.note,
        figure: good.or_else(|| Spread::of(pairs.iter().filter_map(|(_, other)| figure(other)))),
        ratio: Spread::of(ratios.iter().copied()),
        ratios,
        dropped: pairs.len() - steady.len(),
        failure: measured.failures[index].clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::Outcome;
    use crate::campaign::tests::{measured, sample};
    use crate::verdict::Verdict;

    #[test]
    fn ratios_are_made_within_a_round_and_without_noisy_ones() {
        let measured = measured(vec![
            [sample(1.0, 90.0), sample(2.0, 90.0), sample(4.0, 90.0)],
            [sample(3.0, 90.0), sample(3.0, 500.0), None],
            [sample(6.0, 500.0), sample(10.0, 500.0), None],
        ]);
        let outcome = Outcome::of(&measured, &measured.work.rows[0]);
        let yardstick = outcome.yardstick.expect("C");
        assert_eq!(yardstick.ratios, [0.5, 0.6]);
        assert_eq!(yardstick.dropped, 1);
        assert_eq!(yardstick.figure.map(|figure| figure.max), Some(10.0));
        assert_eq!(outcome.others[0].ratios, [0.25]);
        assert_eq!(outcome.verdict, Verdict::Aim);
    }

    #[test]
    fn too_few_steady_pairs_say_nothing() {
        let noisy = || [sample(1.0, 90.0), sample(9.0, 500.0), None];
        let measured = measured(vec![noisy(), noisy(), noisy()]);
        let outcome = Outcome::of(&measured, &measured.work.rows[0]);
        assert_eq!(outcome.verdict, Verdict::TooNoisy);
        let yardstick = outcome.yardstick.expect("C");
        assert_eq!(yardstick.figure.map(|figure| figure.median), Some(9.0));
    }

    #[test]
    fn a_failure_is_quoted_and_others_may_fail() {
        let round = || [sample(1.0, 90.0), sample(2.0, 90.0), None];
        let mut measured = measured(vec![round(), round(), round()]);
        measured.failures[2] = Some("crashed".to_owned());
        let outcome = Outcome::of(&measured, &measured.work.rows[0]);
        assert_eq!(outcome.verdict, Verdict::Aim);
        assert_eq!(outcome.others[0].failure.as_deref(), Some("crashed"));
        measured.failures[1] = Some("bad 3 on host b".to_owned());
        let outcome = Outcome::of(&measured, &measured.work.rows[0]);
        let reason = "C: bad 3 on host b".to_owned();
        assert_eq!(outcome.verdict, Verdict::Failed { reason });
    }
}
