//! Charts, drawn as SVG that takes its colours from the page.

mod axis;
mod distribution;
mod lanes;
mod paint;
mod scatter;

use std::error::Error;

use plotters::chart::{ChartBuilder, ChartContext};
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::prelude::{Cartesian2d, SVGBackend};
use plotters::style::{IntoTextStyle, TRANSPARENT};

pub use axis::Axis;
pub use distribution::{cumulative, tail, Curve};
pub use lanes::{lanes, Lane, Mark};
pub use paint::{style_sheet, Paint};
pub use scatter::scatter;

/// Whole pixels are too coarse for curves: charts are drawn at twice their size.
const SCALE: u32 = 2;
/// The width of charts; the page scales them.
const WIDTH: u32 = 560;
/// The text size, in pixels of the page.
const TEXT: u32 = 13;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws a chart of a height. `what` describes it for screen readers.
fn render(
    height: u32,
    what: &str,
    draw: impl FnOnce(&Area) -> Result<(), Box<dyn Error>>,
) -> String {
    let mut text = String::new();
    {
        let size = (WIDTH * SCALE, height * SCALE);
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        let drawn = draw(&area).and_then(|()| Ok(area.present()?));
        drawn.expect("a string takes all that is written");
    }
    let start = text.find("viewBox").unwrap_or(0);
    format!(
        "<svg role=\"img\" aria-label=\"{}\" {}",
        super::html::escaped(what),
        paint::with_variables(&text[start..])
    )
}

/// Draws a grid and its axes. `left` is the room for the labels of the vertical axis.
fn frame<'a>(
    area: &Area<'a>,
    x: &Axis,
    y: &Axis,
    left: u32,
) -> Result<ChartContext<'a, SVGBackend<'a>, Cartesian2d<Axis, Axis>>, Box<dyn Error>> {
    let mut chart = ChartBuilder::on(area)
        .margin(8 * SCALE)
        .x_label_area_size(38 * SCALE)
        .y_label_area_size(left * SCALE)
        .build_cartesian_2d(x.clone(), y.clone())?;
    let color = Paint::Muted.color();
    let text = || ("sans-serif", TEXT * SCALE, &color).into_text_style(area);
    chart
        .configure_mesh()
        .x_desc(&x.title)
        .y_desc(&y.title)
        .x_labels(x.count())
        .y_labels(y.count())
        .bold_line_style(Paint::Grid.color())
        .light_line_style(TRANSPARENT)
        .axis_style(color)
        .label_style(text())
        .axis_desc_style(text())
        .draw()?;
    Ok(chart)
}
