//! Messages, streams and round trips over a Thunderbolt/USB4 cable.
//!
//! Linux shows a Thunderbolt cable between two machines as a network interface, `thunderbolt0`, with an
//! IPv6 link-local address at each end. A [`ThunderboltTransport`] is bound to that interface only. It
//! provides:
//!
//! - **control messages**: one UDP datagram each, of up to [`MAX_MESSAGE_SIZE`] bytes, with low latency,
//!   unordered and unacknowledged;
//! - **data streams**: TCP connections at the speed of the link, and files over them;
//! - **round trips**: single measurements, series with percentiles, and discovery of peers.
//!
//! # Quick start
//!
//! ```
//! use std::io::{Read, Write};
//! use std::time::Duration;
//! use thunderbolt_transport::{DataStream, ThunderboltTransportBuilder};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // On a cable, leave out `interface` (thunderbolt0) and the ports (5000 and 5001).
//! let transport = ThunderboltTransportBuilder::new()
//!     .interface("lo")
//!     .control_port(0)
//!     .data_port(0)
//!     .on_stream(|mut stream: DataStream| {
//!         let mut echo = Vec::new();
//!         stream.read_to_end(&mut echo).and_then(|_| stream.write_all(&echo)).ok();
//!     })
//!     .build()?;
//! let peer = "::1"; // on a cable: transport.discover(…)
//!
//! transport.send_message(b"hello", peer)?;
//! let (message, sender) = {
//!     let mut buf = [0; 64];
//!     let (size, sender) = transport.recv(&mut buf, Some(Duration::from_secs(1)))?;
//!     (buf[..size].to_vec(), sender)
//! };
//! assert_eq!((&message[..], &sender[..]), (&b"hello"[..], "::1%lo"));
//!
//! let rtt = transport.measure_rtt(peer, Duration::from_secs(1))?;
//! println!("round trip: {:.1} us", rtt.expect("it answers itself") * 1e6);
//!
//! let mut stream = transport.open_data_stream(peer)?;
//! stream.write_all(b"weights")?;
//! stream.finish()?;
//! let mut back = String::new();
//! stream.read_to_string(&mut back)?;
//! assert_eq!(back, "weights");
//!
//! println!("{} bytes streamed", transport.get_stats().stream_bytes_sent);
//! transport.close();
//! # Ok(())
//! # }
//! ```
//!
//! # Threads
//!
//! Every method may be called from any thread, and from inside any handler. A transport always has two
//! threads, `dcf-tb-recv` and `dcf-tb-accept`. It starts one `dcf-tb-stream` for each call of the stream
//! handler, and `dcf-tb-link` and `dcf-tb-peer` while there are events for the link handler and the peer
//! handler. An idle transport sleeps and uses no CPU. No lock is held while a handler runs.
//!
//! # Handlers
//!
//! The transport owns its handlers. A handler that captures a strong reference to its transport
//! therefore keeps it, and the ports, open. The arguments of a handler lend what it needs:
//! [`Sender::reply`] answers a message, and [`Sender::transport`], [`DataStream::transport`],
//! [`LinkEvent::transport`] and [`PeerEvent::transport`] return the transport. Other code that must not
//! keep the transport open captures a [`WeakTransport`] ([`ThunderboltTransport::downgrade`],
//! [`ThunderboltTransportBuilder::weak`]). To replace a handler of a running transport, call the method
//! with the builder's name, such as [`ThunderboltTransport::message_handler`].
//!
//! ```
//! use std::time::Duration;
//! use thunderbolt_transport::ThunderboltTransportBuilder;
//!
//! let transport = ThunderboltTransportBuilder::new()
//!     .interface("lo")
//!     .control_port(0)
//!     .data_port(0)
//!     .on_message(|message, sender| {
//!         let count = sender.transport().get_stats().messages_received;
//!         if message == b"how many?" {
//!             sender.reply(count.to_string().as_bytes()).ok();
//!         }
//!     })
//!     .build()?;
//! # let asking = ThunderboltTransportBuilder::new().interface("lo").control_port(0).data_port(0).build()?;
//! # asking.send_message(b"how many?", &format!("[::1]:{}", transport.control_port()))?;
//! # let answer = asking.recv_with(Some(Duration::from_secs(10)), |text, _| Ok(text.to_vec()))?;
//! # assert_eq!(answer, b"1");
//! drop(transport); // the last reference: it closes
//! # Ok::<(), thunderbolt_transport::TransportError>(())
//! ```
//!
//! # Tasks
//!
//! The feature `async` adds `AsyncTransport` and `AsyncDataStream` for tokio. They use the same
//! transport, but await where the other calls block a thread. Each call is cancel-safe.
//!
#![cfg_attr(
    feature = "async",
    doc = r##"
```
use thunderbolt_transport::{ThunderboltTransportBuilder, TransportError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

# #[tokio::main(flavor = "current_thread")]
# async fn main() -> Result<(), Box<dyn std::error::Error>> {
let transport = ThunderboltTransportBuilder::new()
    .interface("lo")
    .control_port(0)
    .data_port(0)
    .build_async()?;

let server = transport.clone();
let serving = tokio::spawn(async move {
    let mut stream = server.accept().await?;
    stream.write_all(b"gradient").await?;
    Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
});
let mut stream = transport.open_data_stream("::1").await?;
let mut text = String::new();
stream.read_to_string(&mut text).await?;
assert_eq!(text, "gradient");
serving.await?.map_err(|error| error.to_string())?;

let mut buf = [0; 64];
tokio::select! {
    received = transport.recv(&mut buf) => println!("{:?}", received?),
    rtt = transport.round_trip("::1", None) => println!("{:?}", rtt?),
}
transport.close().await;
assert!(matches!(transport.recv(&mut buf).await, Err(TransportError::Shutdown)));
# Ok(())
# }
```
"##
)]
//!
//! # The cable comes and goes
//!
//! When the cable is unplugged, calls fail at once with [`TransportError::LinkDown`], and streams end.
//! When it is plugged in again, the same transport works again. The handler of
//! [`ThunderboltTransportBuilder::on_link`] is called on each change.

#![forbid(clippy::undocumented_unsafe_blocks)]

mod acceptor;
mod address;
mod announce;
#[cfg(feature = "async")]
mod asynchronous;
mod bind;
mod change_settings;
mod clock_cache;
mod config;
mod context;
mod control;
mod core;
mod data_stream;
mod datagram;
mod error;
mod event_loop;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod handler_cell;
mod handlers;
mod inbox;
mod interface_binding;
mod last_seen;
mod link;
mod live_settings;
mod log;
mod message;
#[cfg(all(loom, test))]
mod models;
mod peer_cache;
mod progress;
mod published;
// Nothing but tests drives it so far.
#[cfg(any(test, fuzzing))]
mod rails;
mod receiver;
mod rtt;
mod sender_name;
mod set_handlers;
mod settings;
mod spin;
mod start;
mod stats;
mod stream;
#[doc(hidden)]
pub mod support;
mod sync;
#[allow(unsafe_code)]
mod sys;
mod throttle;
mod time_limit;
mod transport;
mod wakers;
mod weak;
mod wire;
mod workers;

pub use self::core::ThunderboltTransport;
pub use address::{address_in, interface_in, suggest_peer, MAX_PEER_TEXT};
#[cfg(feature = "async")]
pub use asynchronous::{AsyncDataStream, AsyncTransport};
pub use config::ThunderboltTransportBuilder;
pub use data_stream::DataStream;
pub use datagram::Datagram;
pub use error::{Result, TransportError};
pub use handlers::{
    ClosedHandler, LinkEvent, LinkHandler, MessageHandler, PeerEvent, PeerHandler, Sender,
    StreamHandler,
};
pub use log::{LogHandler, LogLevel};
pub use message::{DropReason, MessageData, MessageType};
pub use progress::Progress;
pub use published::{make_thunderbolt_transport, LoggerFn, MessageHandlerFn, MAX_UDP_PAYLOAD};
pub use rtt::{DiscoveredPeer, PingOptions, RttSummary, MAX_DISCOVERED_PEERS};
pub use settings::{
    ThunderboltConfig, DEFAULT_BUFFER_SIZE, DEFAULT_CONTROL_PORT, DEFAULT_DATA_PORT,
    DEFAULT_INTERFACE,
};
pub use stats::Stats;
pub use stream::StreamStats;
pub use sys::reserve_alloc::ReserveAllocator;

pub use weak::WeakTransport;
pub use wire::MAX_MESSAGE_SIZE;
