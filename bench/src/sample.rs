//! One sample: a contestant does its work once, and how the machine was meanwhile.

use std::thread;
use std::time::{Duration, Instant};

use testkit::Cable;

use crate::contestant::Contestant;
use crate::figure::Output;
use crate::machine::ProcessorTime;
use crate::probe::Probe;
use crate::processors::Halves;
use crate::program::Program;

/// What host a's program may take.
const LIMIT: Duration = Duration::from_secs(60);
/// What host b's may take more: it begins before and ends after.
const MARGIN: Duration = Duration::from_secs(20);
/// How long a receiver may need to empty its buffer.
const SETTLING: Duration = Duration::from_millis(150);

/// What a contestant's programs printed, and how the machine was.
#[derive(Debug, Clone)]
pub struct Sample {
    /// What they printed.
    pub output: Output,
    /// Seconds since the start of the benchmark.
    pub at: f64,
    /// The machine before and after; empty when the hosts are bound to no processors.
    pub probes: Vec<Probe>,
    /// Percent of the processors' time that the host of this virtual machine gave to others.
    pub steal: f64,
}

/// Where samples are taken.
pub struct Stage<'a> {
    /// The two hosts.
    pub cable: &'a Cable,
    /// Their processors; none when they are not bound to any.
    pub halves: Option<&'a Halves>,
    /// When the benchmark began.
    pub began: Instant,
}

impl Stage<'_> {
    /// Lets a contestant do its work once. A run that damaged or lost something is an error too.
    pub fn sample(&self, contestant: &Contestant, settles: bool) -> Result<Sample, String> {
        let at = self.began.elapsed().as_secs_f64();
        let before = self.halves.map(Probe::measure);
        let time = ProcessorTime::now();
        let output = self.run(contestant, settles)?;
        let steal = ProcessorTime::now().steal_since(&time);
        let after = self.halves.map(Probe::measure);
        match output.complaint() {
            Some(complaint) => Err(complaint),
            None => Ok(Sample {
                output,
                at,
                probes: before.into_iter().chain(after).collect(),
                steal,
            }),
        }
    }

    fn run(&self, contestant: &Contestant, settles: bool) -> Result<Output, String> {
        let halves = self.halves;
        let far = contestant
            .far()
            .map(|words| {
                let processors = halves.map(|halves| &halves.b);
                let host = self.cable.b();
                let mut far = Program::start(host, processors, words, LIMIT + MARGIN)?;
                far.wait_for("ready")?;
                Ok::<_, String>(far)
            })
            .transpose()?;
        let words = contestant.near(self.cable.b().address());
        let processors = halves.map(|halves| &halves.a);
        let near = Program::start(self.cable.a(), processors, &words, LIMIT)?.finish();
        if settles {
            thread::sleep(SETTLING);
        }
        // A failure of the far program is often what made the near one fail.
        let far = far.map(Program::finish).transpose();
        match (near, far) {
            (Ok(near), Ok(far)) => Output::parse(&near, far.as_deref().unwrap_or_default()),
            (Err(near), Err(far)) => Err(format!("{near}; {far}")),
            (Err(failure), _) | (_, Err(failure)) => Err(failure),
        }
    }
}
