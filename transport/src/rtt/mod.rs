//! Round trips: single measurements, series, discovery.
//!
//! Who measures waits on a socket of its own, connected to the peer: no other thread stands
//! between the pong and its arrival. A peer whose application answers by hand sends the pong to
//! the control port instead; the receiver then hands it over (`deliver`).

mod discover;
mod measure;
mod port;
mod series;
mod session;
mod single;

use std::net::SocketAddrV6;
use std::time::{Instant, SystemTime};

use crate::sync::atomic::{AtomicUsize, Ordering};
use port::{Pong, Ports};

pub(crate) use discover::check_port;
pub use discover::{DiscoveredPeer, MAX_DISCOVERED_PEERS};
pub use series::{PingOptions, RttSummary};
#[cfg(feature = "async")]
pub(crate) use {
    discover::Discovery,
    measure::{Measurement, Next},
    port::{Answer, Port},
    series::Series,
    session::Session,
    single::RoundTrip,
};

/// The round trips of a transport that are under way.
#[derive(Default)]
pub(crate) struct Rtt {
    ports: Ports,
    /// Threads asleep that do not watch the control socket.
    sleepers: AtomicUsize,
}

impl Rtt {
    /// Takes a pong that came to the control port. It counts when its token is outstanding and it
    /// came from the address that was pinged; else false.
    pub fn deliver(&self, token: u64, from: SocketAddrV6, at: Instant) -> bool {
        self.ports.deliver(Pong { token, from, at })
    }

    /// Makes every waiting thread look at the state of the transport.
    pub fn wake_all(&self) {
        self.ports.wake_all();
    }

    /// The same when the receiver stops reading the control socket: only for those who rely on it.
    pub fn wake_sleepers(&self) {
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            self.wake_all();
        }
    }

    /// Closes the sockets that are kept for the next round trip.
    pub fn forget_ports(&self) {
        self.ports.forget();
    }
}

/// A timestamp that no other outstanding ping of this process carries: nanoseconds, and always
/// later than the last one.
fn next_token() -> u64 {
    use std::sync::atomic::AtomicU64;
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.map_or(0, |time| time.as_nanos() as u64);
    let next = |last: u64| now.max(last.wrapping_add(1));
    match LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
        Some(next(last))
    }) {
        Ok(last) | Err(last) => next(last),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_different_whatever_the_clock_does() {
        let threads: Vec<_> = (0..4)
            .map(|_| std::thread::spawn(|| (0..1000).map(|_| next_token()).collect::<Vec<_>>()))
            .collect();
        let mut tokens: Vec<u64> = threads
            .into_iter()
            .flat_map(|t| t.join().unwrap())
            .collect();
        tokens.sort_unstable();
        tokens.dedup();
        assert_eq!(tokens.len(), 4000);
    }
}
