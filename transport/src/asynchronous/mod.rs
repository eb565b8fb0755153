//! The API for tokio. It uses the same transport with the same threads. Tasks wait for the descriptors
//! of streams and round trips with tokio's reactor ([`AsyncFd`](tokio::io::unix::AsyncFd)), and for all
//! else with [`Wakers`](crate::wakers::Wakers).

mod rtt;
mod stream;
mod transport;

pub use stream::AsyncDataStream;
pub use transport::AsyncTransport;

use std::future::Future;

use crate::sys::poll::Deadline;

/// The output of `future`, or `None` if the deadline passes first.
async fn within<T>(deadline: Deadline, future: impl Future<Output = T>) -> Option<T> {
    match deadline {
        Deadline::Never => Some(future.await),
        Deadline::At(end) => tokio::time::timeout_at(end.into(), future).await.ok(),
        Deadline::Now => {
            let now = tokio::time::Instant::now();
            tokio::time::timeout_at(now, future).await.ok()
        }
    }
}
