//! Distributions of times: the usual values, and the worst ones.

use plotters::element::{Circle, PathElement};
use plotters::style::Color;

use super::{frame, render, Axis, Paint, SCALE};
use crate::statistics::percentile;

/// A contestant's times.
pub struct Curve<'a> {
    /// The contestant's name.
    pub paint: Paint,
    /// In µs, ascending; not empty.
    pub times: &'a [f64],
}

impl Curve<'_> {
    fn at(&self, percent: f64) -> f64 {
        percentile(self.times, percent).unwrap_or(f64::NAN)
    }
}

const HEIGHT: u32 = 270;
const TIME: &str = "µs, logarithmic";
/// Marked on every curve.
const MARKED: [f64; 2] = [50.0, 99.0];

fn span(curves: &[Curve], from: f64, to: f64) -> (f64, f64) {
    let low = curves.iter().map(|curve| curve.at(from));
    let high = curves.iter().map(|curve| curve.at(to));
    (
        low.fold(f64::INFINITY, f64::min),
        high.fold(f64::NEG_INFINITY, f64::max),
    )
}

/// The share of the times up to each time.
pub fn cumulative(curves: &[Curve]) -> String {
    // The slowest percent may be hundreds of times slower; the other chart shows it.
    let (low, high) = span(curves, 0.1, 99.3);
    let x = Axis::logarithmic(TIME, low, high);
    let y = Axis::named(
        "share of all, %",
        0.0..102.0,
        [0, 25, 50, 75, 100]
            .map(|share| (f64::from(share), share.to_string()))
            .to_vec(),
    );
    let points = |curve: &Curve| -> Vec<(f64, f64)> {
        (0..=400)
            .map(|step| f64::from(step) / 4.0)
            .map(|percent| (curve.at(percent), percent))
            .filter(|(time, _)| (low..=high).contains(time))
            .collect()
    };
    let marks = |curve: &Curve| MARKED.map(|percent| (curve.at(percent), percent));
    draw("Cumulative distribution", curves, &x, &y, points, marks)
}

/// The time of each percentile, with more room for higher percentiles.
pub fn tail(curves: &[Curve]) -> String {
    const LABELS: [(f64, &str); 6] = [
        (0.0, "0"),
        (50.0, "p50"),
        (90.0, "p90"),
        (99.0, "p99"),
        (99.9, "p99.9"),
        (99.99, "p99.99"),
    ];
    let rarity = |percent: f64| -(1.0 - percent / 100.0).log10();
    let most = curves
        .iter()
        .map(|curve| curve.times.len())
        .max()
        .unwrap_or(1);
    let end = (most as f64).log10().clamp(2.2, 4.4);
    let labels = LABELS
        .into_iter()
        .map(|(percent, label)| (rarity(percent), label.to_owned()))
        .filter(|(at, _)| *at <= end)
        .collect();
    let x = Axis::named("percentile", 0.0..end, labels);
    let (low, high) = span(curves, 0.1, 100.0 - 100.0 / 10_f64.powf(end));
    let y = Axis::logarithmic(TIME, low, high);
    let points = |curve: &Curve| -> Vec<(f64, f64)> {
        // A higher percentile is less than one value.
        let last = (curve.times.len() as f64).log10().min(end);
        (0..=300)
            .map(|step| last * f64::from(step) / 300.0)
            .map(|at| (at, 100.0 - 100.0 / 10_f64.powf(at)))
            .map(|(at, percent)| (at, curve.at(percent)))
            .collect()
    };
    let marks = |curve: &Curve| MARKED.map(|percent| (rarity(percent), curve.at(percent)));
    draw("Percentiles", curves, &x, &y, points, marks)
}

fn draw(
    what: &str,
    curves: &[Curve],
    x: &Axis,
    y: &Axis,
    points: impl Fn(&Curve) -> Vec<(f64, f64)>,
    marks: impl Fn(&Curve) -> [(f64, f64); 2],
) -> String {
    render(HEIGHT, what, |area| {
        let mut chart = frame(area, x, y, 52)?;
        // The library is drawn last, on top.
        for curve in curves.iter().rev() {
            let color = curve.paint.color();
            let width = if curve.paint == Paint::Contestant(0) {
                3
            } else {
                2
            } * SCALE;
            let line = PathElement::new(points(curve), color.stroke_width(width));
            chart.draw_series([line])?;
            let marks = marks(curve).map(|at| Circle::new(at, 4 * SCALE, color.filled()));
            chart.draw_series(marks)?;
        }
        Ok(())
    })
}
