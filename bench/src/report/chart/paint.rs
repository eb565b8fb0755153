//! Colours. Only the page knows whether it is light or dark. So charts are drawn with placeholder
//! colours, which are then replaced by variables of the page's style sheet.

use plotters::style::RGBColor;

/// A colour by its purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// Important text.
    Ink,
    /// Axes and their labels.
    Muted,
    /// The grid.
    Grid,
    /// Required values.
    Must,
    /// Desired values.
    Aim,
    /// A contestant: 0 is the library, 1 the yardstick.
    Contestant(usize),
}

/// The colours of the light and of the dark style.
const FIXED: [(Paint, &str, [&str; 2]); 5] = [
    (Paint::Ink, "ink", ["#1d2430", "#e6e9ef"]),
    (Paint::Muted, "muted", ["#667085", "#98a2b3"]),
    (Paint::Grid, "grid", ["#e6e9ef", "#2a3140"]),
    (Paint::Must, "must", ["#c4320a", "#ff8a5c"]),
    (Paint::Aim, "aim", ["#16803c", "#57d68a"]),
];

/// The library, C, and others in the order of their appearance.
const CONTESTANTS: [[&str; 2]; 12] = [
    ["#1660d0", "#5ea2ff"],
    ["#7a828f", "#9aa3b2"],
    ["#d97706", "#f5a742"],
    ["#0d9488", "#2dd4bf"],
    ["#c026a3", "#ee7ad8"],
    ["#5a8f0a", "#a3d94a"],
    ["#7c3aed", "#b392ff"],
    ["#c8283c", "#ff7b8a"],
    ["#0e86a8", "#45c8ec"],
    ["#8a5a12", "#d3a35a"],
    ["#4b5bb5", "#96a4f5"],
    ["#2f7d52", "#76cfa0"],
];

impl Paint {
    /// Its placeholder.
    pub fn color(self) -> RGBColor {
        let number = match self {
            Self::Contestant(index) => FIXED.len() + index % CONTESTANTS.len(),
            fixed => FIXED
                .iter()
                .position(|(paint, ..)| *paint == fixed)
                .unwrap_or(0),
        };
        RGBColor(1, 2, u8::try_from(number).unwrap_or(0))
    }

    /// Its variable in the style sheet.
    pub fn variable(self) -> String {
        match self {
            Self::Contestant(index) => format!("--contestant-{}", index % CONTESTANTS.len()),
            fixed => FIXED
                .iter()
                .find(|(paint, ..)| *paint == fixed)
                .map(|(_, name, _)| format!("--{name}"))
                .unwrap_or_default(),
        }
    }
}

fn all() -> impl Iterator<Item = (Paint, [&'static str; 2])> {
    let contestants = CONTESTANTS.into_iter().enumerate();
    FIXED
        .into_iter()
        .map(|(paint, _, colors)| (paint, colors))
        .chain(contestants.map(|(index, colors)| (Paint::Contestant(index), colors)))
}

/// The variables, for a style sheet's light (0) or dark (1) part.
pub fn style_sheet(mode: usize) -> String {
    all()
        .map(|(paint, colors)| format!("{}:{};", paint.variable(), colors[mode]))
        .collect()
}

/// Replaces the placeholders of a drawing by variables.
pub(super) fn with_variables(drawing: &str) -> String {
    let replace = |drawing: String, (paint, _): (Paint, _)| {
        let RGBColor(red, green, blue) = paint.color();
        let stand_in = format!("\"#{red:02X}{green:02X}{blue:02X}\"");
        drawing.replace(&stand_in, &format!("\"var({})\"", paint.variable()))
    };
    all().fold(drawing.to_owned(), replace)
}

#[cfg(test)]
mod tests {
    use super::{with_variables, Paint};

    #[test]
    fn stand_ins_become_variables() {
        let drawing = "<line stroke=\"#010202\"/><circle fill=\"#010205\"/>";
        assert_eq!(Paint::Contestant(0).color().2, 5);
        assert_eq!(
            with_variables(drawing),
            "<line stroke=\"var(--grid)\"/><circle fill=\"var(--contestant-0)\"/>"
        );
    }
}
