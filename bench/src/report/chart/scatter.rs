//! Points over time.

use plotters::element::Circle;
use plotters::style::Color;

use super::{frame, render, Axis, Paint, SCALE};

const HEIGHT: u32 = 200;

/// Draws points: seconds, and values above zero on a logarithmic axis.
pub fn scatter(unit: &str, points: &[(f64, f64)]) -> String {
    let x = Axis::linear("seconds", points.iter().map(|(at, _)| *at));
    let values = || points.iter().map(|(_, value)| *value);
    let low = values().fold(f64::INFINITY, f64::min) / 1.2;
    let high = values().fold(0.0, f64::max) * 1.2;
    let title = format!("{unit}, logarithmic");
    let y = Axis::logarithmic(&title, low, high);
    render(HEIGHT, &title, |area| {
        let color = Paint::Contestant(0).color().mix(0.6);
        let mut chart = frame(area, &x, &y, 52)?;
        chart.draw_series(
            points
                .iter()
                .map(|(at, value)| Circle::new((*at, *value), 2 * SCALE, color.filled())),
        )?;
        Ok(())
    })
}
