//! The API over tokio. It keeps the promises of the synchronous API, and cancelling a call loses no data.

mod cable;
mod closing;
mod messages;
mod peers;
mod round_trips;
mod streams;

use std::future::{poll_fn, Future};
use std::pin::Pin;
use std::task::Poll;

use testkit::GENEROUS;
use thunderbolt_transport::{AsyncTransport, ThunderboltTransportBuilder};

fn loopback() -> ThunderboltTransportBuilder {
    ThunderboltTransportBuilder::new()
        .interface("lo")
        .control_port(0)
        .data_port(0)
}

fn transport() -> AsyncTransport {
    loopback().build_async().expect("a transport on lo")
}

fn control_of(peer: &AsyncTransport) -> String {
    format!("[::1%lo]:{}", peer.transport().control_port())
}

fn data_of(peer: &AsyncTransport) -> String {
    format!("[::1%lo]:{}", peer.transport().data_port())
}

/// Waits for a future that takes milliseconds, on a machine that may be very busy.
#[track_caller]
fn soon<T>(future: impl Future<Output = T>) -> impl Future<Output = T> {
    let here = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(GENEROUS, future).await {
            Ok(outcome) => outcome,
            Err(_) => panic!("it hangs, at {here}"),
        }
    }
}

/// Polls once, and checks that the future waits. Dropping it afterwards cancels a waiting call.
async fn assert_waits<F: Future>(future: &mut Pin<&mut F>) {
    let waits = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await;
    assert!(waits, "the future must wait");
}

/// Cancels a future at the first await that waits, after letting other tasks run.
async fn give_up_at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    let mut polls = 0;
    poll_fn(|cx| {
        polls += 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
            Poll::Pending if polls > 1 => Poll::Ready(None),
            Poll::Pending => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    })
    .await
}
