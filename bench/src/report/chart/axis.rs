//! Axes: their ranges and labels.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

use crate::report::number::number;

/// An axis.
#[derive(Clone)]
pub struct Axis {
    /// Its quantity, with the unit.
    pub title: String,
    range: Range<f64>,
    scale: Scale,
    /// The positions and texts of its labels.
    labels: Vec<(f64, String)>,
}

#[derive(Clone, Copy)]
enum Scale {
    Linear,
    Logarithmic,
}

impl Axis {
    /// A linear axis that spans `values`.
    pub fn linear(title: &str, values: impl IntoIterator<Item = f64>) -> Self {
        let (low, high) = bounds(values);
        let room = ((high - low) * 0.06).max(high.abs() * 1e-3).max(1e-9);
        // No value is below zero, so the axis begins there.
        let low = if low >= 0.0 && low - room < 0.0 {
            0.0
        } else {
            low - room
        };
        let range = low..high + room;
        Self {
            title: title.to_owned(),
            labels: labelled(linear_steps(&range)),
            range,
            scale: Scale::Linear,
        }
    }

    /// A logarithmic axis from `low` to `high`, both above zero.
    pub fn logarithmic(title: &str, low: f64, high: f64) -> Self {
        let room = (high / low).powf(0.03).max(1.05);
        let range = low / room..high * room;
        Self {
            title: title.to_owned(),
            labels: labelled(logarithmic_steps(&range)),
            range,
            scale: Scale::Logarithmic,
        }
    }

    /// A linear axis with labels of its own.
    pub fn named(title: &str, range: Range<f64>, labels: Vec<(f64, String)>) -> Self {
        Self {
            title: title.to_owned(),
            range,
            scale: Scale::Linear,
            labels,
        }
    }

    /// The number of its labels.
    pub fn count(&self) -> usize {
        self.labels.len()
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (first, last): (i32, i32)) -> i32 {
        let Range { start, end } = self.range;
        // Values outside are drawn at the edge.
        let value = value.clamp(start, end);
        let share = match self.scale {
            Scale::Linear => (value - start) / (end - start),
            Scale::Logarithmic => (value / start).ln() / (end / start).ln(),
        };
        first + (share * f64::from(last - first)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        // Light lines are those between labels, which are not drawn.
        if hint.weight().allow_light_points() {
            Vec::new()
        } else {
            self.labels.iter().map(|(at, _)| *at).collect()
        }
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        let mut labels = self.labels.iter();
        let label = labels.find(|(at, _)| at == value);
        label.map(|(_, label)| label.clone()).unwrap_or_default()
    }
}

fn labelled(steps: Vec<f64>) -> Vec<(f64, String)> {
    let label = |step: f64| (step, short(step));
    steps.into_iter().map(label).collect()
}

/// A number without trailing zeros.
fn short(value: f64) -> String {
    let rounded = (value * 1e6).round() / 1e6;
    let plain = format!("{rounded}");
    if plain.len() <= 5 {
        plain
    } else {
        number(rounded)
    }
}

fn bounds(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let start = (f64::INFINITY, f64::NEG_INFINITY);
    let (low, high) = values
        .into_iter()
        .filter(|value| value.is_finite())
        .fold(start, |(low, high), value| {
            (low.min(value), high.max(value))
        });
    if low <= high {
        (low, high)
    } else {
        (0.0, 1.0)
    }
}

/// About six steps of 1, 2 or 5 times a power of ten.
fn linear_steps(range: &Range<f64>) -> Vec<f64> {
    let rough = (range.end - range.start) / 6.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= rough)
        .unwrap_or(rough);
    let first = (range.start / step).ceil() as i64;
    let last = (range.end / step).floor() as i64;
    (first..=last).map(|count| count as f64 * step).collect()
}

/// Powers of ten, and multiples of these where there is room.
fn logarithmic_steps(range: &Range<f64>) -> Vec<f64> {
    let decades = (range.end / range.start).log10();
    let factors: &[f64] = if decades < 0.5 {
        &[1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
    } else if decades < 1.2 {
        &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0]
    } else if decades < 4.0 {
        &[1.0, 2.0, 5.0]
    } else {
        &[1.0]
    };
    let powers = range.start.log10().floor() as i32..=range.end.log10().ceil() as i32;
    powers
        .flat_map(|power| {
            factors
                .iter()
                .map(move |factor| factor * 10_f64.powi(power))
        })
        .filter(|step| range.contains(step))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::Axis;
    use plotters::coord::ranged1d::Ranged;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.labels
            .iter()
            .map(|(_, label)| label.as_str())
            .collect()
    }

    #[test]
    fn linear_axes_have_round_labels() {
        let axis = Axis::linear("GB/s", [0.0, 19.7]);
        assert_eq!(labels(&axis), ["0", "5", "10", "15", "20"]);
        let axis = Axis::linear("ratio", [0.93, 1.02]);
        assert_eq!(labels(&axis), ["0.94", "0.96", "0.98", "1", "1.02"]);
        assert!(Axis::linear("nothing", []).count() > 0);
        assert!(Axis::linear("one", [5.0]).count() > 0);
    }

    #[test]
    fn logarithmic_axes_have_round_labels() {
        let axis = Axis::logarithmic("µs", 1.9, 31.0);
        assert_eq!(labels(&axis), ["2", "5", "10", "20"]);
        let middle = (axis.range.start * axis.range.end).sqrt();
        assert_eq!(axis.map(&middle, (0, 100)), 50);
        assert_eq!(axis.map(&1e9, (100, 0)), 0, "at the edge");
        let wide = Axis::logarithmic("µs", 1.0, 1e6);
        assert_eq!(labels(&wide)[..2], ["1", "10"]);
    }
}
