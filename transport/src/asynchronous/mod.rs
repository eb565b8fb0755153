//! The API for tokio. It uses the same transport with the same threads. Tasks wait for the descriptors
//! of streams and round trips with tokio's reactor ([`AsyncFd`](tokio::io::unix::AsyncFd)), and for all
//! else with [`Wakers`](crate::wakers::Wakers).

mod rtt;
mod stream;
mod transport;
mod within;

pub use stream::AsyncDataStream;
pub use transport::AsyncTransport;
