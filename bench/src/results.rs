//! The output of a program: lines of a name and numbers.

use std::collections::BTreeMap;

/// The results of one role of one run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Results(BTreeMap<String, Vec<f64>>);

impl Results {
    /// Parses the lines. A line that is not a result is an error that quotes it, because the other results
    /// of such a program cannot be trusted.
    pub fn parse(output: &str) -> Result<Self, String> {
        output
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| parse_line(line).ok_or_else(|| format!("not a result: {:.60?}", line)))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// All numbers of a line; none if there is no such line.
    pub fn numbers(&self, name: &str) -> &[f64] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// The number of a line with one number.
    pub fn number(&self, name: &str) -> Option<f64> {
        match self.numbers(name) {
            [number] => Some(*number),
            _ => None,
        }
    }
}

fn parse_line(line: &str) -> Option<(String, Vec<f64>)> {
    let mut words = line.split_whitespace();
    let name = words.next()?.to_owned();
    let numbers: Vec<f64> = words
        .map(|word| word.parse().ok().filter(|number: &f64| number.is_finite()))
        .collect::<Option<_>>()?;
    (!numbers.is_empty()).then_some((name, numbers))
}

#[cfg(test)]
mod tests {
    use super::Results;

    #[test]
    fn reads_names_and_numbers() {
        let results = Results::parse("lost 0\nrtt_ns 4200 4180 5e3\n\n").expect("results");
        assert_eq!(results.number("lost"), Some(0.0));
        assert_eq!(results.numbers("rtt_ns"), [4200.0, 4180.0, 5000.0]);
        assert_eq!(results.number("rtt_ns"), None, "more than one");
        assert!(results.numbers("absent").is_empty());
    }

    #[test]
    fn quotes_what_is_no_result() {
        for line in ["bind: in use", "lost", "lost NaN", "rtt_ns 1 2 x"] {
            let error = Results::parse(&format!("lost 0\n{line}")).expect_err(line);
            assert!(error.contains(line), "{error}");
        }
    }
}
