//! One sample: a contestant does its work once, while the machine is observed.

use std::thread;
use std::time::{Duration, Instant};

use testkit::Cable;

use crate::contestant::Contestant;
use crate::figure::Output;
use crate::machine::ProcessorTime;
use crate::probe::Probe;
use crate::processors::Halves;
use crate::program::Program;

/// The time limit of host a's program.
const LIMIT: Duration = Duration::from_secs(60);
/// The additional time of host b's program, which starts earlier and ends later.
const MARGIN: Duration = Duration::from_secs(20);
/// The time for a receiver to empty its buffer.
const SETTLING: Duration = Duration::from_millis(150);

/// The output of a contestant's programs, and the state of the machine.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Their output.
    pub output: Output,
    /// Seconds since the start of the benchmark.
    pub at: f64,
    /// The machine before and after; empty if the hosts are not bound to processors.
    pub probes: Vec<Probe>,
    /// Percent of the processors' time that the host of this virtual machine took (steal).
    pub steal: f64,
}

/// The environment of samples.
pub struct Stage<'a> {
    /// The two hosts.
    pub cable: &'a Cable,
    /// Their processors; `None` if they are not bound.
    pub halves: Option<&'a Halves>,
    /// When the benchmark began.
    pub began: Instant,
}

impl Stage<'_> {
    /// Runs a contestant once. Damaged or lost data is an error too.
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
        // A failure of the far program often causes one of the near program.
        let far = far.map(Program::finish).transpose();
        match (near, far) {
            (Ok(near), Ok(far)) => Output::parse(&near, far.as_deref().unwrap_or_default()),
            (Err(near), Err(far)) => Err(format!("{near}; {far}")),
            (Err(failure), _) | (_, Err(failure)) => Err(failure),
        }
    }
}
