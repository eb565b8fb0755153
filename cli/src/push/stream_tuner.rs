//! Tunes the number of streams: adds one as long as that increases the total rate.

/// The factor by which another stream must increase the rate.
const WORTH: f64 = 1.1;

/// Gets the rate once per period, and decides on the next step.
#[derive(Debug)]
pub struct StreamTuner {
    most: u16,
    streams: u16,
    /// The rate before the last stream was added.
    before: Option<f64>,
    ended: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    Stay,
    /// Add a stream.
    Add,
    /// Close the last stream.
    Remove,
}

impl StreamTuner {
    pub fn new(most: u16) -> Self {
        Self {
            most,
            streams: 1,
            before: None,
            ended: most <= 1,
        }
    }

    /// Takes the rate of the last period, in any unit.
    pub fn rate(&mut self, rate: f64) -> Step {
        if self.ended || rate <= 0.0 {
            return Step::Stay;
        }
        if self.before.is_some_and(|before| rate < before * WORTH) {
            self.ended = true;
            self.streams -= 1;
            return Step::Remove;
        }
        if self.streams == self.most {
            self.ended = true;
            return Step::Stay;
        }
        self.before = Some(rate);
        self.streams += 1;
        Step::Add
    }
}

#[cfg(test)]
mod tests {
    use super::{Step, StreamTuner};

    /// How many streams remain with these rates for each number of streams.
    fn ends_with(most: u16, rates: &[f64]) -> usize {
        let mut tuner = StreamTuner::new(most);
        let mut streams = 1;
        for _ in 0..20 {
            match tuner.rate(rates[streams - 1]) {
                Step::Stay => {}
                Step::Add => streams += 1,
                Step::Remove => streams -= 1,
            }
        }
        streams
    }

    #[test]
    fn it_stays_where_more_gain_nothing() {
        assert_eq!(ends_with(4, &[10.0, 10.5]), 1);
        assert_eq!(ends_with(4, &[10.0, 18.0, 18.0]), 2);
        assert_eq!(ends_with(4, &[10.0, 18.0, 25.0, 31.0]), 4);
        assert_eq!(ends_with(2, &[10.0, 18.0]), 2);
        assert_eq!(ends_with(1, &[10.0]), 1);
    }

    #[test]
    fn a_period_without_anything_tells_nothing() {
        let mut tuner = StreamTuner::new(4);
        assert_eq!(tuner.rate(0.0), Step::Stay);
        assert_eq!(tuner.rate(5.0), Step::Add);
        assert_eq!(tuner.rate(0.0), Step::Stay);
        assert_eq!(tuner.rate(9.0), Step::Add);
    }
}
