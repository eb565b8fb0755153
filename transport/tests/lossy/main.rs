//! The documented behaviour on a link that drops, corrupts, duplicates, reorders and delays packets, or
//! goes silent.

mod messages;
mod round_trips;
mod silence;
mod streams;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use testkit::{Host, LossyCable, GENEROUS};
use thunderbolt_transport::{
    DataStream, Result, ThunderboltTransport, ThunderboltTransportBuilder, TransportError,
};

const PATIENCE: Option<Duration> = Some(GENEROUS);

/// Two hosts, each with a transport, and the cable in between.
struct Link {
    cable: LossyCable,
    a: Arc<ThunderboltTransport>,
    b: Arc<ThunderboltTransport>,
}

impl Link {
    fn new() -> Self {
        Self::with(|builder| builder)
    }

    /// The same with settings for both transports. The hosts have permanent neighbour entries, so that
    /// only packets of the transports cross the cable.
    fn with(settings: impl Fn(ThunderboltTransportBuilder) -> ThunderboltTransportBuilder) -> Self {
        let cable = LossyCable::new();
        cable.set_neighbours();
        Self::over(cable, settings)
    }

    fn over(
        cable: LossyCable,
        settings: impl Fn(ThunderboltTransportBuilder) -> ThunderboltTransportBuilder,
    ) -> Self {
        let start = |host: &Host| {
            let builder = settings(ThunderboltTransportBuilder::new());
            host.run(|| builder.build())
                .expect("a transport on thunderbolt0")
        };
        let (a, b) = (start(cable.a()), start(cable.b()));
        Self { cable, a, b }
    }

    /// Runs `work` on host a, with host b's address.
    fn on_a<T: Send>(&self, work: impl FnOnce(&ThunderboltTransport, &str) -> T + Send) -> T {
        let peer = self.cable.b().address();
        self.cable.a().run(|| work(&self.a, peer))
    }

    fn open(&self, timeout: Option<Duration>) -> Result<DataStream> {
        self.on_a(|a, peer| a.open_data_stream_timeout(peer, timeout))
    }

    /// Both ends of a new stream, host a's first.
    fn stream(&self) -> [DataStream; 2] {
        let opened = self.open(PATIENCE).expect("b listens");
        [opened, self.b.accept(PATIENCE).expect("it was opened")]
    }
}

/// Runs a test at 0, 1, 10 and 50 % of loss, each on a link of its own, all at once.
fn at_every_loss(test: impl Fn(f64, Link) + Sync) {
    let test = &test;
    thread::scope(|scope| {
        for loss in [0.0, 0.01, 0.1, 0.5] {
            thread::Builder::new()
                .name(format!("at {loss}"))
                .spawn_scoped(scope, move || test(loss, Link::new()))
                .expect("a thread");
        }
    });
}

/// Pseudo-random bytes.
fn bytes(seed: u32, count: usize) -> Vec<u8> {
    let mut state = u64::from(seed) + 1;
    let next = || {
        // Knuth's 64-bit generator, of which only the upper bits are used.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// An error with its text.
fn in_words<T>(result: Result<T>) -> std::result::Result<T, (TransportError, String)> {
    result.map_err(|error| {
        let text = error.last_error_text();
        (error, text)
    })
}

/// Whether the kernel reported a broken connection, rather than a timeout or a local close.
fn is_broken(error: &TransportError) -> bool {
    matches!(error, TransportError::ConnectionFailed(_))
}
