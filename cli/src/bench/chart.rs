//! Charts as SVG whose letters keep their size: each is drawn for a wide and for a narrow page, and the page's style
//! shows one of them. Colours are classes, which the style defines for light and dark pages.

use std::fmt::Write;

/// How an axis maps values to places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    Linear,
    Logarithmic,
}

/// A range of values, and what they are.
pub struct Axis {
    pub name: &'static str,
    pub low: f64,
    pub high: f64,
    pub scale: Scale,
}

pub enum Series {
    /// A line through these points.
    Line(Vec<(f64, f64)>),
    /// Boxes from one value to another, with a height.
    Boxes(Vec<(f64, f64, f64)>),
}

pub struct Chart {
    /// A description, for readers who cannot see the chart.
    pub title: &'static str,
    pub x: Axis,
    pub y: Axis,
    pub series: Vec<(String, Series)>,
}

/// A drawing: its class, size, and the most ticks of its axes.
struct Size {
    class: &'static str,
    width: f64,
    height: f64,
    ticks: (usize, usize),
}

const SIZES: [Size; 2] = [
    Size {
        class: "wide",
        width: 900.0,
        height: 320.0,
        ticks: (10, 6),
    },
    Size {
        class: "narrow",
        width: 360.0,
        height: 260.0,
        ticks: (4, 5),
    },
];
/// The room for the ticks of the axes, and above and to the right of the curves.
const LEFT: f64 = 48.0;
const BOTTOM: f64 = 40.0;
const ABOVE: f64 = 24.0;
const RIGHT: f64 = 16.0;

impl Axis {
    /// Where a value is, from 0 to 1.
    fn place(&self, value: f64) -> f64 {
        let at = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Logarithmic => (value / self.low).ln() / (self.high / self.low).ln(),
        };
        at.clamp(0.0, 1.0)
    }

    /// At most `most` round values within the range.
    fn ticks(&self, most: usize) -> Vec<f64> {
        let of = |value: &f64| (self.low..=self.high).contains(value);
        let all: Vec<f64> = match self.scale {
            Scale::Linear => {
                let step = round_step((self.high - self.low) / most as f64);
                let first = (self.low / step).ceil() as i64;
                let last = (self.high / step).floor() as i64;
                (first..=last).map(|number| number as f64 * step).collect()
            }
            Scale::Logarithmic => {
                let decades = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
                let within = |steps: &[f64]| {
                    let of_decade = |decade: i32| {
                        let steps = steps.iter();
                        steps.map(move |step| step * 10_f64.powi(decade))
                    };
                    let all = decades.clone().flat_map(of_decade);
                    all.filter(of).collect::<Vec<f64>>()
                };
                let every = [&[1.0, 2.0, 5.0][..], &[1.0, 3.0], &[1.0]].map(within);
                let fits = every.iter().find(|ticks| ticks.len() <= most);
                fits.unwrap_or(&every[2]).clone()
            }
        };
        // Many decades have more powers of ten than fit.
        let each = all.len().div_ceil(most).max(1);
        all.into_iter().step_by(each).collect()
    }
}

/// The next of 1, 2, 5, 10, … above.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.max(1e-12).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    steps
        .into_iter()
        .find(|step| *step >= least * 0.999)
        .unwrap_or(steps[3])
}

/// A number without digits that say nothing.
fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    text.to_owned()
}

impl Chart {
    /// The legend and both drawings, as HTML.
    pub fn html(&self) -> String {
        let mut html = String::from("<ul class=\"legend\">");
        for (index, (name, _)) in self.series.iter().enumerate() {
            // Our own words.
            write!(html, "<li><i class=\"c{index}\"></i>{name}</li>").expect("a string");
        }
        html.push_str("</ul>\n");
        SIZES.iter().for_each(|size| html += &self.drawn(size));
        html
    }

    fn drawn(&self, size: &Size) -> String {
        let Size { width, height, .. } = *size;
        let (right, low) = (width - RIGHT, height - BOTTOM);
        let x = |value| LEFT + self.x.place(value) * (right - LEFT);
        let y = |value| low - self.y.place(value) * (low - ABOVE);
        let mut svg = format!(
            "<svg class=\"{}\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">\n",
            size.class, self.title
        );
        let mut add = |part: String| {
            svg.push_str(&part);
            svg.push('\n');
        };
        for tick in self.y.ticks(size.ticks.1) {
            let at = y(tick);
            add(format!(
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>"
            ));
            let (beside, text) = (LEFT - 6.0, number(tick));
            add(format!(
                "<text x=\"{beside}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
                at + 4.0
            ));
        }
        for tick in self.x.ticks(size.ticks.0) {
            let at = x(tick);
            add(format!(
                "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{ABOVE}\" y2=\"{low}\"/>"
            ));
            let (below, text) = (low + 16.0, number(tick));
            add(format!(
                "<text x=\"{at:.1}\" y=\"{below}\" text-anchor=\"middle\">{text}</text>"
            ));
        }
        add(format!("<text x=\"0\" y=\"12\">{}</text>", self.y.name));
        let end = height - 4.0;
        add(format!(
            "<text x=\"{right}\" y=\"{end}\" text-anchor=\"end\">{}</text>",
            self.x.name
        ));
        for (index, (_, series)) in self.series.iter().enumerate() {
            add(match series {
                Series::Line(points) => {
                    let points = points
                        .iter()
                        .map(|(a, b)| format!("{:.1},{:.1}", x(*a), y(*b)));
                    let points: Vec<String> = points.collect();
                    format!(
                        "<polyline class=\"line c{index}\" points=\"{}\"/>",
                        points.join(" ")
                    )
                }
                Series::Boxes(boxes) => {
                    let mut path = format!("<path class=\"boxes c{index}\" d=\"");
                    for (from, to, share) in boxes.iter().filter(|(.., share)| *share > 0.0) {
                        let (left, top) = (x(*from), y(*share));
                        let (across, down) = ((x(*to) - left).max(1.0), low - top);
                        write!(
                            path,
                            "M{left:.1} {top:.1}h{across:.1}v{down:.1}h-{across:.1}z"
                        )
                        .expect("a string");
                    }
                    path + "\"/>"
                }
            });
        }
        svg + "</svg>\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(low: f64, high: f64, scale: Scale) -> Axis {
        Axis {
            name: "",
            low,
            high,
            scale,
        }
    }

    #[test]
    fn ticks_are_round_and_few() {
        let of = |low, high, scale| axis(low, high, scale).ticks(6);
        assert_eq!(
            of(0.0, 10.0, Scale::Linear),
            [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
        );
        assert_eq!(of(0.0, 0.11, Scale::Linear).len(), 6);
        assert_eq!(
            of(9.0, 110.0, Scale::Logarithmic),
            [10.0, 20.0, 50.0, 100.0]
        );
        for (low, high) in [(1e-3, 1e9), (5.0, 10.0), (5.0, 5.1), (1.0, 1e4)] {
            for scale in [Scale::Linear, Scale::Logarithmic] {
                for most in [4, 6, 10] {
                    let ticks = axis(low, high, scale).ticks(most);
                    assert!(ticks.len() <= most + 1, "{low} {high} {scale:?}: {ticks:?}");
                }
            }
        }
        assert_eq!(
            [0.0, 0.25, 2.0, 1000.0].map(number),
            ["0", "0.25", "2", "1000"]
        );
    }

    #[test]
    fn everything_lies_within_the_drawing() {
        let chart = Chart {
            title: "t",
            x: axis(1.0, 100.0, Scale::Logarithmic),
            y: axis(0.0, 10.0, Scale::Linear),
            series: vec![
                (
                    "a".to_owned(),
                    Series::Line(vec![(1.0, 0.0), (100.0, 20.0)]),
                ),
                (
                    "b".to_owned(),
                    Series::Boxes(vec![(0.5, 2.0, 5.0), (2.0, 300.0, 0.0)]),
                ),
            ],
        };
        let html = chart.html();
        assert!(html.contains("points=\"48.0,280.0 884.0,24.0\""), "{html}");
        assert_eq!(html.matches("<svg").count(), SIZES.len());
        assert!(!html.contains("NaN") && !html.contains("inf"), "{html}");
    }
}
