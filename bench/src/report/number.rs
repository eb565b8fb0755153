//! Numbers in a readable form.

use crate::figure::Better;
use crate::outcome::Outcome;
use crate::statistics::Spread;

/// Three significant digits, thousands with commas.
pub fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 1000.0 {
        grouped(value)
    } else if size >= 99.95 {
        format!("{value:.0}")
    } else if size >= 9.995 {
        format!("{value:.1}")
    } else if size >= 0.9995 {
        format!("{value:.2}")
    } else if size == 0.0 {
        "0".to_owned()
    } else if size >= 0.000_5 {
        format!("{value:.3}")
    } else {
        format!("{value:.0e}")
    }
}

fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0.0 {
        text.insert(0, '-');
    }
    text
}

/// A number with its unit.
pub fn with_unit(value: f64, unit: &str) -> String {
    format!("{} {unit}", number(value))
}

/// The median with its unit, or a dash.
pub fn median(spread: Option<&Spread>, unit: &str) -> String {
    spread.map_or_else(dash, |spread| with_unit(spread.median, unit))
}

/// Stands for a missing measurement.
pub fn dash() -> String {
    "–".to_owned()
}

/// The median of ratios, with the quartiles if there are several.
pub fn ratio(spread: Option<&Spread>) -> String {
    let Some(spread) = spread else {
        return dash();
    };
    let [low, median, high] = [spread.low, spread.median, spread.high].map(quotient);
    if spread.min == spread.max {
        median
    } else {
        format!("{median} [{low}..{high}]")
    }
}

fn quotient(value: f64) -> String {
    if value.abs() >= 9.995 {
        number(value)
    } else {
        format!("{value:.2}")
    }
}

/// The goal of a row.
pub fn bound(outcome: &Outcome, bound: Option<f64>) -> String {
    let Some(bound) = bound else {
        return dash();
    };
    let sign = match outcome.better {
        Better::Lower if bound == 0.0 => "",
        Better::Lower => "≤ ",
        Better::Higher => "≥ ",
    };
    if outcome.relative {
        format!("{sign}{bound:.2}")
    } else {
        format!("{sign}{bound} {}", outcome.unit)
    }
}

#[cfg(test)]
mod tests {
    use super::{number, ratio};
    use crate::statistics::Spread;

    #[test]
    fn three_digits_matter() {
        for (value, text) in [
            (0.0, "0"),
            (0.000_04, "4e-5"),
            (0.0783, "0.078"),
            (0.9999, "1.00"),
            (6.3, "6.30"),
            (19.72, "19.7"),
            (99.96, "100"),
            (536.2, "536"),
            (99_999.6, "100,000"),
            (-1_234_567.0, "-1,234,567"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn ratios_show_their_quartiles() {
        let spread = Spread::of([0.5, 0.7, 0.6]);
        assert_eq!(ratio(spread.as_ref()), "0.60 [0.55..0.65]");
        assert_eq!(ratio(Spread::of([12.0]).as_ref()), "12.0");
        assert_eq!(ratio(None), "–");
    }
}
