//! Order statistics, which do not assume that noise is symmetric or normal.

use serde::Serialize;

/// The percentile of sorted values by the nearest rank, which is one of the values.
pub fn percentile(sorted: &[f64], percent: f64) -> Option<f64> {
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

/// The value at `share` (0 to 1) of the sorted values, interpolated between neighbours: for few values,
/// where the nearest rank jumps.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let at = share * sorted.len().checked_sub(1)? as f64;
    let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    Some(low + (high - low) * at.fract())
}

/// The values in ascending order.
pub fn sorted(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The middle value, or the mean of the two in the middle.
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    quantile(&sorted(values), 0.5)
}

/// Statistics of one quantity over several rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The smallest value.
    pub min: f64,
    /// A quarter of the values lie below it.
    pub low: f64,
    /// The middle value.
    pub median: f64,
    /// A quarter of the values lie above it.
    pub high: f64,
    /// The largest value.
    pub max: f64,
}

impl Spread {
    /// `None` without values.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let values = sorted(values);
        Some(Self {
            min: *values.first()?,
            low: quantile(&values, 0.25)?,
            median: quantile(&values, 0.5)?,
            high: quantile(&values, 0.75)?,
            max: *values.last()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{median, percentile, sorted, Spread};

    #[test]
    fn percentiles_are_measured_values() {
        let values = sorted((1..=200).rev().map(f64::from));
        assert_eq!(percentile(&values, 50.0), Some(100.0));
        assert_eq!(percentile(&values, 99.0), Some(198.0));
        assert_eq!(percentile(&values, 100.0), Some(200.0));
        assert_eq!(percentile(&values, 0.0), Some(1.0));
        assert_eq!(percentile(&[7.0], 99.0), Some(7.0));
        assert_eq!(percentile(&[], 50.0), None);
    }

    #[test]
    fn medians() {
        assert_eq!(median([3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median([]), None);
    }

    #[test]
    fn a_spread_has_quartiles() {
        let spread = Spread::of([5.0, 1.0, 4.0, 2.0, 3.0]).expect("values");
        let expected = Spread {
            min: 1.0,
            low: 2.0,
            median: 3.0,
            high: 4.0,
            max: 5.0,
        };
        assert_eq!(spread, expected);
        assert_eq!(Spread::of([]), None);
    }
}
