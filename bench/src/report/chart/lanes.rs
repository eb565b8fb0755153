//! Strip charts: a lane for each contestant or row, a point for each round.

use plotters::element::{Circle, PathElement, Rectangle};
use plotters::style::Color;

use super::{frame, render, Axis, Paint, SCALE};
use crate::statistics::Spread;

/// A lane.
pub struct Lane {
    /// Its label.
    pub label: String,
    /// Its colour.
    pub paint: Paint,
    /// Its points.
    pub values: Vec<f64>,
    /// Marks, such as the required value.
    pub marks: Vec<Mark>,
}

/// A value that is marked across a lane.
pub struct Mark {
    /// Its colour.
    pub paint: Paint,
    /// Its value.
    pub at: f64,
}

/// The height of a lane, in pixels of the page.
const HEIGHT: u32 = 30;
/// The height of everything above and below the lanes.
const AROUND: u32 = 56;
/// Points of a lane are drawn side by side, so that equal ones can be distinguished.
const BESIDE: [f64; 5] = [0.0, -0.14, 0.14, -0.07, 0.07];

/// Draws lanes over an axis, whose range includes the values in `with`.
pub fn lanes(title: &str, lanes: &[Lane], with: &[f64]) -> String {
    let marks = lanes
        .iter()
        .flat_map(|lane| &lane.marks)
        .map(|mark| mark.at);
    let values = lanes.iter().flat_map(|lane| lane.values.iter().copied());
    let x = Axis::linear(title, values.chain(marks).chain(with.iter().copied()));
    let last = lanes.len() as f64 - 1.0;
    let place = |index: usize| last - index as f64;
    let labels = lanes.iter().enumerate();
    let y = Axis::named(
        "",
        -0.5..last + 0.5,
        labels
            .map(|(index, lane)| (place(index), lane.label.clone()))
            .collect(),
    );
    let count = u32::try_from(lanes.len()).unwrap_or(1);
    render(HEIGHT * count + AROUND, title, |area| {
        let mut chart = frame(area, &x, &y, 176)?;
        for (index, lane) in lanes.iter().enumerate() {
            let color = lane.paint.color();
            let middle = place(index);
            let across = |at: f64, half: f64| vec![(at, middle - half), (at, middle + half)];
            for mark in &lane.marks {
                let style = mark.paint.color().stroke_width(2 * SCALE);
                chart.draw_series([PathElement::new(across(mark.at, 0.42), style)])?;
            }
            if let Some(spread) = Spread::of(lane.values.iter().copied()) {
                let corners = [(spread.low, middle - 0.3), (spread.high, middle + 0.3)];
                chart.draw_series([Rectangle::new(corners, color.mix(0.22).filled())])?;
                let style = color.stroke_width(3 * SCALE);
                chart.draw_series([PathElement::new(across(spread.median, 0.32), style)])?;
            }
            let points = lane.values.iter().zip(BESIDE.iter().cycle());
            chart.draw_series(points.map(|(value, beside)| {
                Circle::new(
                    (*value, middle + beside),
                    3 * SCALE,
                    color.mix(0.8).filled(),
                )
            }))?;
        }
        Ok(())
    })
}
