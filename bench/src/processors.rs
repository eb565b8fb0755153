//! The processors of each host. Binding the hosts to different ones makes two machines of one.

use std::fmt;
use std::str::FromStr;

use nix::sched::{sched_getaffinity, CpuSet};
use nix::unistd::Pid;

/// A set of processors, written as the kernel writes it: `0-3,8`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Processors(Vec<usize>);

impl Processors {
    /// The lowest one.
    pub fn first(&self) -> usize {
        self.0[0]
    }
}

impl FromStr for Processors {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |word: &str| {
            word.parse()
                .ok()
                .filter(|&number| number < CpuSet::count())
                .ok_or_else(|| format!("{word:?} in {text:?} is no processor's number"))
        };
        let mut numbers = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last): (usize, usize) = (number(first)?, number(last)?);
            if first > last {
                return Err(format!("{part:?} in {text:?} ends before it begins"));
            }
            numbers.extend(first..=last);
        }
        numbers.sort_unstable();
        numbers.dedup();
        Ok(Self(numbers))
    }
}

impl fmt::Display for Processors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, run) in self.0.chunk_by(|one, next| one + 1 == *next).enumerate() {
            let comma = if place == 0 { "" } else { "," };
            match run {
                [one] => write!(formatter, "{comma}{one}")?,
                [first, .., last] => write!(formatter, "{comma}{first}-{last}")?,
                [] => {}
            }
        }
        Ok(())
    }
}

/// The processors of host a and of host b, none in both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Halves {
    /// Host a's.
    pub a: Processors,
    /// Host b's.
    pub b: Processors,
}

impl Halves {
    /// The two halves of the processors that this process may use; `None` if there is only one.
    pub fn of_allowed() -> Result<Option<Self>, String> {
        Ok(Self::split(&allowed()?))
    }

    fn split(all: &[usize]) -> Option<Self> {
        let (a, b) = all.split_at(all.len() / 2);
        (!a.is_empty()).then(|| Self {
            a: Processors(a.to_owned()),
            b: Processors(b.to_owned()),
        })
    }

    /// Fails if one of them may not be used here.
    pub fn check(&self) -> Result<(), String> {
        let allowed = allowed()?;
        let mut wanted = self.a.0.iter().chain(&self.b.0);
        match wanted.find(|number| !allowed.contains(number)) {
            None => Ok(()),
            Some(number) => Err(format!(
                "processor {number} may not be used here, only {}",
                Processors(allowed)
            )),
        }
    }
}

impl FromStr for Halves {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (a, b) = text.split_once(':').ok_or_else(|| {
            format!("{text:?} has no colon between the processors of host a and those of host b")
        })?;
        let halves = Self {
            a: a.parse()?,
            b: b.parse()?,
        };
        match halves.a.0.iter().find(|number| halves.b.0.contains(number)) {
            None => Ok(halves),
            Some(number) => Err(format!("{text:?} gives processor {number} to both hosts")),
        }
    }
}

fn allowed() -> Result<Vec<usize>, String> {
    let set = sched_getaffinity(Pid::from_raw(0))
        .map_err(|errno| format!("cannot tell the allowed processors: {errno}"))?;
    Ok((0..CpuSet::count())
        .filter(|&number| set.is_set(number).unwrap_or(false))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::{Halves, Processors};

    #[test]
    fn sets_are_written_as_the_kernel_writes_them() {
        for (text, shown) in [("0", "0"), ("3,0-1,1", "0-1,3"), ("4-7", "4-7")] {
            let set: Processors = text.parse().expect(text);
            assert_eq!(set.to_string(), shown);
        }
        for text in ["", "1,", "a", "-1", "3-1", "99999"] {
            let error = text.parse::<Processors>().expect_err(text);
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
    }

    #[test]
    fn hosts_share_no_processor() {
        let halves: Halves = "0-1:2,3".parse().expect("two halves");
        assert_eq!((halves.a.first(), halves.b.first()), (0, 2));
        for text in ["0", "0-2:2", "0:", ":1"] {
            text.parse::<Halves>().expect_err(text);
        }
    }

    #[test]
    fn what_is_allowed_is_halved() {
        assert_eq!(Halves::split(&[0]), None);
        assert_eq!(Halves::split(&[0, 1]), "0:1".parse().ok());
        assert_eq!(Halves::split(&[2, 3, 6, 7, 9]), "2-3:6-7,9".parse().ok());
    }
}
