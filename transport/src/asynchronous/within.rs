//! A deadline for a future.

use std::future::Future;

use crate::sys::poll::Deadline;

/// The output of `future`, or `None` if the deadline passes first.
pub(super) async fn within<T>(deadline: Deadline, future: impl Future<Output = T>) -> Option<T> {
    match deadline {
        Deadline::Never => Some(future.await),
        Deadline::At(end) => tokio::time::timeout_at(end.into(), future).await.ok(),
        Deadline::Now => {
            let now = tokio::time::Instant::now();
            tokio::time::timeout_at(now, future).await.ok()
        }
    }
}
