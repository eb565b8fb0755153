//! The report of a host.

use std::collections::BTreeMap;

/// Numbers by name: `messages_sent` and the like are the host's own counts of this round, `library.…`
/// the library's statistics, `failure.PLACE.STATUS` the failed calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report(BTreeMap<String, u64>);

/// The calls at one place that failed with one status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub place: String,
    pub status: u16,
    pub count: u64,
}

impl Report {
    /// Reads `NAME=NUMBER …`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let one = |word: &str| {
            let (name, value) = word.split_once('=')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        text.split_whitespace()
            .map(|word| one(word).ok_or_else(|| format!("a host reports {word:?}")))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// A number by name; 0 if the report does not have it.
    pub fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    pub fn library(&self, name: &str) -> u64 {
        self.get(&format!("library.{name}"))
    }

    pub fn failed_calls(&self) -> Vec<Failure> {
        let one = |(name, &count): (&String, &u64)| {
            let (place, status) = name.strip_prefix("failure.")?.split_once('.')?;
            Some(Failure {
                place: place.to_owned(),
                status: u16::from_str_radix(status, 16).ok()?,
                count,
            })
        };
        self.0.iter().filter_map(one).collect()
    }

    /// Adds the numbers of another report.
    pub fn add(&mut self, other: &Self) {
        for (name, value) in &other.0 {
            *self.0.entry(name.clone()).or_default() += value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Failure, Report};

    #[test]
    fn numbers_are_found_by_name() {
        let report = Report::parse("sent=3 library.errors=2 failure.send.030F=7").expect("good");
        assert_eq!((report.get("sent"), report.library("errors")), (3, 2));
        let expected = Failure {
            place: "send".to_owned(),
            status: 0x030F,
            count: 7,
        };
        assert_eq!(report.failed_calls(), [expected]);
    }

    #[test]
    fn what_is_no_number_is_quoted() {
        let error = Report::parse("sent=3 what").expect_err("bad");
        assert!(error.contains("what"), "{error}");
    }

    #[test]
    fn reports_add_up() {
        let mut total = Report::parse("a=1 b=2").expect("good");
        total.add(&Report::parse("b=3 c=4").expect("good"));
        assert_eq!(total, Report::parse("a=1 b=5 c=4").expect("good"));
    }
}
