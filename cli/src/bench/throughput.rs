//! Measures the throughput of streams.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{select, tick};
use serde::Serialize;
use thunderbolt_transport::{DataStream, ThunderboltTransport};

use super::pattern::{Pattern, PIECE};
use super::progress::Progress;
use crate::common::Common;
use crate::connect;
use crate::event::{event, Event};
use crate::failure::Failure;
use crate::handshake::{self, Service};
use crate::peer::Peer;
use crate::transfer::error::TransferError;
use crate::units::{rate, rounded};

/// The period of a sample for the chart.
const SAMPLE: Duration = Duration::from_millis(100);
/// How long the peer may take to verify the data in flight.
const PATIENCE: Duration = Duration::from_secs(60);

/// The number of streams in each direction.
#[derive(Clone, Copy)]
pub struct Directions {
    name: &'static str,
    out: u16,
    into: u16,
}

impl Directions {
    pub const OUT: Self = Self {
        name: "out",
        out: 1,
        into: 0,
    };
    pub const IN: Self = Self {
        name: "in",
        out: 0,
        into: 1,
    };
    pub const BOTH: Self = Self {
        name: "both ways",
        out: 1,
        into: 1,
    };

    pub fn several(streams: u16) -> Self {
        Self {
            name: "several out",
            out: streams,
            into: 0,
        }
    }
}

#[derive(Serialize)]
pub struct Throughput {
    pub name: &'static str,
    pub streams: u16,
    pub bytes: u64,
    pub seconds: f64,
    pub bytes_per_second: f64,
    /// Whether all data was correct.
    pub right: bool,
    /// The bytes per second of successive samples.
    pub samples: Vec<f64>,
    pub sample_seconds: f64,
}

/// Generates load on the cable to a peer.
pub struct Load<'a> {
    transport: &'a ThunderboltTransport,
    common: &'a Common,
    peer: &'a Peer,
    time: Duration,
}

/// The result of one stream.
struct Moved {
    bytes: u64,
    right: bool,
}

impl<'a> Load<'a> {
    pub fn new(
        transport: &'a ThunderboltTransport,
        common: &'a Common,
        peer: &'a Peer,
        time: Duration,
    ) -> Self {
        Self {
            transport,
            common,
            peer,
            time,
        }
    }

    /// The duration of a measurement.
    pub fn time(&self) -> Duration {
        self.time
    }

    fn open(&self, service: Service) -> Result<DataStream, Failure> {
        let stream = connect::stream(self.transport, self.common, self.peer)?;
        handshake::ask(&stream, service, 0)?;
        Ok(stream)
    }

    /// Runs for the requested time.
    pub fn run(&self, directions: Directions, progress: &Progress) -> Result<Throughput, Failure> {
        self.until(directions, progress, |elapsed| elapsed >= self.time)
    }

    /// Runs until `is_enough` returns true. It is called after each piece with the time since all streams were
    /// open.
    pub fn until(
        &self,
        directions: Directions,
        progress: &Progress,
        is_enough: impl Fn(Duration) -> bool + Sync,
    ) -> Result<Throughput, Failure> {
        let Directions { name, out, into } = directions;
        // Open all streams before the time starts.
        let out: Vec<_> = (0..out)
            .map(|_| self.open(Service::Sink))
            .collect::<Result<_, _>>()?;
        let into: Vec<_> = (0..into)
            .map(|_| self.open(Service::Source))
            .collect::<Result<_, _>>()?;
        let streams = (out.len() + into.len()) as u16;
        let moved = AtomicU64::new(0);
        let (running, ended) = event();
        let begin = Instant::now();
        let is_enough = || is_enough(begin.elapsed());
        let (results, samples) = thread::scope(|scope| {
            let (moved, is_enough) = (&moved, &is_enough);
            let senders = out
                .iter()
                .map(|stream| scope.spawn(move || send(stream, moved, is_enough)));
            let senders: Vec<_> = senders.collect();
            let receivers = into
                .iter()
                .map(|stream| scope.spawn(move || receive(stream, moved, is_enough)));
            let receivers: Vec<_> = receivers.collect();
            let sampler = scope.spawn(|| sample(name, moved, &ended, progress));
            let joined = senders
                .into_iter()
                .chain(receivers)
                .map(|thread| thread.join());
            let results: Vec<_> = joined.collect();
            drop(running);
            (results, sampler.join().unwrap_or_default())
        });
        let time = begin.elapsed().as_secs_f64();
        let (mut bytes, mut right) = (0, true);
        for result in results {
            let moved = result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            bytes += moved.bytes;
            right &= moved.right;
        }
        Ok(Throughput {
            name,
            streams,
            bytes,
            seconds: rounded(time),
            bytes_per_second: (bytes as f64 / time.max(1e-9)).round(),
            right,
            samples,
            sample_seconds: SAMPLE.as_secs_f64(),
        })
    }
}

fn send(
    stream: &DataStream,
    moved: &AtomicU64,
    is_enough: &(impl Fn() -> bool + Sync),
) -> Result<Moved, Failure> {
    let mut pattern = Pattern::new();
    let mut sent = 0;
    loop {
        let written = stream.write_timeout(pattern.next(PIECE), Some(PATIENCE));
        moved.fetch_add(written.count, Ordering::Relaxed);
        sent += written.count;
        written.outcome?;
        if is_enough() {
            break;
        }
    }
    stream.finish()?;
    let mut answer = [0; 16];
    if handshake::read_exactly(stream, &mut answer, PATIENCE)? < answer.len() {
        return Err(ended());
    }
    let (taken, right) = answer.split_at(8);
    let number = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().expect("eight bytes"));
    Ok(Moved {
        // Cap the peer's claim at what was sent.
        bytes: number(taken).min(sent),
        right: number(taken) == sent && number(right) == sent,
    })
}

fn receive(
    stream: &DataStream,
    moved: &AtomicU64,
    is_enough: &(impl Fn() -> bool + Sync),
) -> Result<Moved, Failure> {
    let mut pattern = Pattern::new();
    let mut buf = vec![0; PIECE];
    let (mut bytes, mut right) = (0, true);
    loop {
        let read = stream.read_timeout(&mut buf, Some(PATIENCE))?;
        // The source continues until we close the stream.
        if read == 0 {
            return Err(ended());
        }
        right &= pattern.continues(&buf[..read]);
        bytes += read as u64;
        moved.fetch_add(read as u64, Ordering::Relaxed);
        if is_enough() {
            break;
        }
    }
    stream.close();
    Ok(Moved { bytes, right })
}

fn ended() -> Failure {
    Failure::from(TransferError::ended())
}

/// Samples the rate until `ended` happens.
fn sample(name: &str, moved: &AtomicU64, ended: &Event, progress: &Progress) -> Vec<f64> {
    let mut samples = Vec::new();
    let mut before = 0;
    let mut begin = Instant::now();
    let ticks = tick(SAMPLE);
    loop {
        select! {
            recv(ended) -> _ => return samples,
            recv(ticks) -> _ => {}
        }
        let time = begin.elapsed();
        let now = moved.load(Ordering::Relaxed);
        let bytes_per_second = (now - before) as f64 / time.as_secs_f64();
        progress.rate(name, &rate(bytes_per_second));
        samples.push(bytes_per_second.round());
        (before, begin) = (now, Instant::now());
    }
}
