//! Measures round trips on an idle link and under load.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use thunderbolt_transport::{ThunderboltTransport, TransportError};

use super::progress::Progress;
use super::throughput::{Directions, Load};
use crate::failure::Failure;
use crate::histogram::{Bin, Summary, Times, BINS};
use crate::peer::Peer;

/// A ping without an answer after this time is lost.
const LOST: Duration = Duration::from_secs(1);

#[derive(Serialize)]
pub struct Latency {
    pub lost: u64,
    #[serde(flatten)]
    pub times: Summary,
    pub histogram: Vec<Bin>,
}

pub fn quiet(
    transport: &ThunderboltTransport,
    peer: &Peer,
    time: Duration,
) -> Result<Latency, Failure> {
    let mut times = Times::new();
    let mut lost = 0;
    let begin = Instant::now();
    // At least one, however short the time.
    while lost == 0 && times.is_empty() || begin.elapsed() < time {
        match transport.round_trip(&peer.control, Some(LOST)) {
            Ok(time) => times.add(time),
            Err(TransportError::Timeout) => lost += 1,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Latency {
        lost,
        times: times.summary(),
        histogram: times.bins(BINS),
    })
}

/// As [`quiet`], while a stream runs.
pub fn loaded(
    transport: &ThunderboltTransport,
    peer: &Peer,
    load: &Load<'_>,
    progress: &Progress,
) -> Result<Latency, Failure> {
    let enough = AtomicBool::new(false);
    thread::scope(|scope| {
        let is_enough = |_| enough.load(Ordering::Relaxed);
        let stream = scope.spawn(move || load.until(Directions::OUT, progress, is_enough));
        let measured = quiet(transport, peer, load.time());
        enough.store(true, Ordering::Relaxed);
        let streamed = stream.join();
        streamed.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        measured
    })
}
