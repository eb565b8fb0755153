//! Round trips: single measurements, series, discovery.
//!
//! A measurement waits on a socket of its own, connected to the peer: no other thread stands between the pong and its
//! arrival. A peer whose application answers by hand sends the pong to the control port instead. The thread that reads
//! that port then delivers it ([`PingSocketPool::deliver`]).

mod discover;
mod measure;
mod ping_socket;
mod pool;
mod round_trips;
mod series;
mod session;
mod single;
mod token;

pub(crate) use discover::check_port;
pub use discover::{DiscoveredPeer, MAX_DISCOVERED_PEERS};
pub(crate) use pool::PingSocketPool;
pub(crate) use round_trips::RoundTrips;
pub use series::{PingOptions, RttSummary};
#[cfg(feature = "async")]
pub(crate) use {
    discover::Discovery,
    measure::{Measurement, Next},
    ping_socket::{Answer, PingSocket},
    series::Series,
    session::Session,
    single::RoundTrip,
};
