//! Verdicts.

use std::fmt;

use serde::Serialize;

use crate::figure::Better;
use crate::statistics::Spread;
use crate::work::Goal;

/// Whether a row's goal was reached.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "verdict")]
pub enum Verdict {
    /// The desired value was reached.
    Aim,
    /// The required value was reached.
    Must,
    /// The value misses the required one, but the rounds do not agree.
    Unclear,
    /// The required value was missed.
    Missed,
    /// The machine changed in too many rounds.
    TooNoisy,
    /// A contestant crashed, hung, or damaged or lost data.
    Failed {
        /// The contestant, and its error.
        reason: String,
    },
    /// Another tool is not installed or does not work.
    Absent {
        /// The tool, and its error.
        reason: String,
    },
    /// There is no goal.
    Shown,
}

impl Verdict {
    /// Whether it fails the whole benchmark.
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Missed | Self::Failed { .. })
    }

    /// Its note, if it has one.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Failed { reason } | Self::Absent { reason } => Some(reason),
            _ => None,
        }
    }

    /// Its class in the style sheet.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Aim => "aim",
            Self::Must => "must",
            Self::Missed | Self::Failed { .. } => "missed",
            Self::Unclear | Self::TooNoisy => "unclear",
            Self::Absent { .. } | Self::Shown => "shown",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Aim => "aim",
            Self::Must => "must",
            Self::Unclear => "unclear",
            Self::Missed => "MISSED",
            Self::TooNoisy => "too noisy",
            Self::Failed { .. } => "FAILED",
            Self::Absent { .. } | Self::Shown => "–",
        })
    }
}

/// Judges the values of a row's steady rounds, of which `needed` are required: ratios by their median,
/// limits by the worst value. A miss is clear if three quarters of the ratios miss, or half of the
/// figures.
pub fn judge(goal: Goal, better: Better, values: &[f64], needed: usize) -> Verdict {
    let (must, aim, is_limit) = match goal {
        Goal::Ratio { must, aim, .. } => (must, aim, false),
        Goal::Limit { must, aim } => (must, aim, true),
        Goal::Shown => return Verdict::Shown,
    };
    let Some(spread) = Spread::of(values.iter().copied()).filter(|_| values.len() >= needed) else {
        return Verdict::TooNoisy;
    };
    let (value, kindest) = match (is_limit, better) {
        (false, Better::Lower) => (spread.median, spread.low),
        (false, Better::Higher) => (spread.median, spread.high),
        (true, Better::Lower) => (spread.max, spread.median),
        (true, Better::Higher) => (spread.min, spread.median),
    };
    let reaches = |value: f64, bound: f64| match better {
        Better::Lower => value <= bound,
        Better::Higher => value >= bound,
    };
    if reaches(value, aim) {
        Verdict::Aim
    } else if reaches(value, must) {
        Verdict::Must
    } else if reaches(kindest, must) {
        Verdict::Unclear
    } else {
        Verdict::Missed
    }
}

#[cfg(test)]
mod tests {
    use super::{judge, Verdict};
    use crate::figure::Better;
    use crate::work::{limit, ratio, Goal};

    #[test]
    fn ratios_are_judged_by_their_median() {
        let lower = |values: &[f64]| judge(ratio("C", 0.9, 0.7), Better::Lower, values, 3);
        assert_eq!(lower(&[0.6, 0.7, 2.0]), Verdict::Aim);
        assert_eq!(lower(&[0.6, 0.8, 2.0]), Verdict::Must);
        assert_eq!(lower(&[0.95, 0.96, 0.97]), Verdict::Missed);
        assert_eq!(lower(&[0.7, 0.91, 0.97]), Verdict::Unclear);
        let higher = |values: &[f64]| judge(ratio("C", 0.95, 1.5), Better::Higher, values, 3);
        assert_eq!(higher(&[1.5, 1.6, 0.1]), Verdict::Aim);
        assert_eq!(higher(&[1.0, 1.2, 0.1]), Verdict::Must);
        assert_eq!(higher(&[0.5, 0.6, 0.7]), Verdict::Missed);
    }

    #[test]
    fn limits_are_judged_by_the_worst_round() {
        let loss = |values: &[f64]| judge(limit(0.0, 0.0), Better::Lower, values, 3);
        assert_eq!(loss(&[0.0, 0.0, 0.0]), Verdict::Aim);
        assert_eq!(loss(&[0.0, 0.0, 0.1]), Verdict::Unclear);
        assert_eq!(loss(&[0.0, 0.1, 0.1]), Verdict::Missed);
    }

    #[test]
    fn too_few_values_are_no_verdict() {
        let verdict = judge(limit(1.0, 1.0), Better::Lower, &[5.0, 5.0], 3);
        assert_eq!(verdict, Verdict::TooNoisy);
        assert_eq!(judge(Goal::Shown, Better::Lower, &[], 3), Verdict::Shown);
    }
}
