//! Round trips of tasks: the same measurements, on the same sockets.

use std::future::{poll_fn, Future};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::io::unix::AsyncFd;
use tokio::io::Interest as Readiness;

use super::within;
use crate::error::{Result, TransportError};
use crate::rtt::{Answer, Measurement, Next, Port, Session};
use crate::sys::poll::{wait, Deadline, Interest};
use crate::sys::reactor::{self, Registered, StableFd};

/// Measures in this task. When it is cancelled, the answers to pings that are out are ignored.
pub(super) async fn run<M: Measurement>(
    mut session: Session<'_>,
    mut measurement: M,
) -> Result<M::Outcome> {
    // Dropped before the session, which hands the port on.
    let watched = Watched::new(session.port())?;
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

/// Waits for the next answer to a ping that is outstanding; `None` when the time is up.
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

/// A port in the event loop.
struct Watched {
    socket: AsyncFd<Registered<Descriptor>>,
    wake: AsyncFd<Registered<Descriptor>>,
}

/// What there is to look at.
enum Ready {
    /// A datagram has come.
    Socket,
    /// An ICMP error has come.
    Reports,
    /// A pong was left, or the state of the transport changed.
    Woken,
}

/// One of a port's descriptors, which live as long as it does.
struct Descriptor {
    port: Arc<Port>,
    of: fn(&Port) -> BorrowedFd<'_>,
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        (self.of)(&self.port)
    }
}

impl StableFd for Descriptor {}

impl Watched {
    fn new(port: &Arc<Port>) -> Result<Self> {
        let watch = |of, interest| {
            let port = Arc::clone(port);
            reactor::watch(Descriptor { port, of }, interest)
                .map_err(|(_, source)| cannot_wait(source))
        };
        Ok(Self {
            socket: watch(|port| port.socket.as_fd(), READABLE_OR_ERROR)?,
            wake: watch(|port| port.wake.as_fd(), Readiness::READABLE)?,
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

/// Reports make a socket fail, but not readable.
const READABLE_OR_ERROR: Readiness = Readiness::READABLE.add(Readiness::ERROR);

/// Waits until it is readable or in error, as poll(2) says. The reactor says when that began; who has
/// read since then may have left something, or nothing.
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
