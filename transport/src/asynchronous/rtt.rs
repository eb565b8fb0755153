//! Round trips in tasks: the same measurements on the same sockets.

use std::future::{poll_fn, Future};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::io::unix::AsyncFd;
use tokio::io::Interest as Readiness;

use super::within::within;
use crate::error::{Result, TransportError};
use crate::rtt::{Answer, Measurement, Next, PingSocket, Session};
use crate::sys::poll::{wait, Deadline, Interest};
use crate::sys::reactor::{self, Registered, StableFd};

/// Measures in this task. After cancellation, pongs of outstanding pings are ignored.
pub(super) async fn run<M: Measurement>(
    mut session: Session<'_>,
    mut measurement: M,
) -> Result<M::Outcome> {
    // Must be dropped before the session, which releases the socket to others.
    let watched = Watched::new(session.socket())?;
    loop {
        match measurement.next(&mut session)? {
            Next::Done(outcome) => return Ok(outcome),
            Next::Wait(deadline) => {
                if let Some(answer) = next_answer(&mut session, &watched, deadline).await? {
                    measurement.take(&mut session, &answer)?;
                }
            }
        }
    }
}

/// Waits for the next answer to an outstanding ping. `None` if the deadline passes first.
async fn next_answer(
    session: &mut Session<'_>,
    watched: &Watched,
    deadline: Deadline,
) -> Result<Option<Answer>> {
    loop {
        if let Some(answer) = session.look()? {
            return Ok(Some(answer));
        }
        if deadline.passed() {
            return Ok(None);
        }
        if let Some(ready) = within(deadline, watched.ready()).await {
            match ready.map_err(cannot_wait)? {
                Ready::Socket => {}
                Ready::Reports => session.read_reports(),
                Ready::Woken => session.woken(),
            }
        }
    }
}

/// A ping socket whose descriptors are registered with the reactor.
struct Watched {
    socket: AsyncFd<Registered<Descriptor>>,
    wake: AsyncFd<Registered<Descriptor>>,
}

/// The source that became ready.
enum Ready {
    /// A datagram arrived.
    Socket,
    /// An ICMP error arrived.
    Reports,
    /// Another thread delivered a pong, or the state of the transport changed.
    Woken,
}

/// One of the descriptors of a ping socket, which stay open as long as it exists.
struct Descriptor {
    socket: Arc<PingSocket>,
    of: fn(&PingSocket) -> BorrowedFd<'_>,
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        (self.of)(&self.socket)
    }
}

impl StableFd for Descriptor {}

impl Watched {
    fn new(ping_socket: &Arc<PingSocket>) -> Result<Self> {
        let watch = |of, interest| {
            let socket = Arc::clone(ping_socket);
            reactor::watch(Descriptor { socket, of }, interest)
                .map_err(|(_, source)| cannot_wait(source))
        };
        Ok(Self {
            socket: watch(|ping_socket| ping_socket.socket.as_fd(), READABLE_OR_ERROR)?,
            wake: watch(|ping_socket| ping_socket.wake.as_fd(), Readiness::READABLE)?,
        })
    }

    async fn ready(&self) -> io::Result<Ready> {
        let mut woken = pin!(readable(&self.wake, Readiness::READABLE));
        let mut socket = pin!(readable(&self.socket, READABLE_OR_ERROR));
        poll_fn(|cx| {
            if let Poll::Ready(woken) = woken.as_mut().poll(cx) {
                return Poll::Ready(woken.map(|_| Ready::Woken));
            }
            socket.as_mut().poll(cx)
        })
        .await
    }
}

/// An ICMP error sets the error state of a socket, but does not make it readable.
const READABLE_OR_ERROR: Readiness = Readiness::READABLE.add(Readiness::ERROR);

/// Waits until the descriptor is readable or in error. The reactor reports only when that state began.
/// The descriptor may have been drained since then, so poll(2) checks the present state.
async fn readable(
    watched: &AsyncFd<Registered<Descriptor>>,
    interest: Readiness,
) -> io::Result<Ready> {
    loop {
        let mut ready = watched.ready(interest).await?;
        let mut interests = [Interest::readable(watched.get_ref().as_fd())];
        if wait(&mut interests, Deadline::Now)? {
            return Ok(match interests[0].is_in_error() {
                true => Ready::Reports,
                false => Ready::Socket,
            });
        }
        ready.clear_ready();
    }
}

fn cannot_wait(source: io::Error) -> TransportError {
    TransportError::io("cannot wait for a pong in an event loop", source)
}
