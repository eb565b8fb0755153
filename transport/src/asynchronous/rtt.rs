//! Round trips of tasks: the same measurements, on the same sockets.

use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::task::{ready, Context, Poll};

use tokio::io::unix::AsyncFd;
use tokio::io::Interest as Readiness;

use super::within;
use crate::error::{Result, TransportError};
use crate::rtt::{Measurement, Next, Pong, Port, Session};
use crate::sys::poll::{wait, Deadline, Interest};
use crate::sys::reactor::{self, Held, Steady};
use crate::sys::socket;

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
                if let Some(pong) = next_pong(&mut session, &watched, deadline).await? {
                    measurement.take(&mut session, &pong)?;
                }
            }
        }
    }
}

/// Waits for the next pong of a token that is outstanding; `None` when the time is up.
async fn next_pong(
    session: &mut Session<'_>,
    watched: &Watched,
    deadline: Deadline,
) -> Result<Option<Pong>> {
    loop {
        if let Some(pong) = session.look()? {
            return Ok(Some(pong));
        }
        if deadline.passed() {
            return Ok(None);
        }
        if let Some(ready) = within(deadline, watched.ready()).await {
            if ready.map_err(cannot_wait)? == Ready::Woken {
                session.woken();
            }
        }
    }
}

/// A port in the event loop.
struct Watched {
    socket: AsyncFd<Held<Descriptor>>,
    wake: AsyncFd<Held<Descriptor>>,
}

/// What there is to look at.
#[derive(PartialEq, Eq)]
enum Ready {
    /// A datagram has come.
    Socket,
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

impl Steady for Descriptor {}

impl Watched {
    fn new(port: &Arc<Port>) -> Result<Self> {
        let watch = |of| {
            let port = Arc::clone(port);
            reactor::watch(Descriptor { port, of }, Readiness::READABLE)
                .map_err(|(_, source)| cannot_wait(source))
        };
        Ok(Self {
            socket: watch(|port| port.socket.as_fd())?,
            wake: watch(|port| port.wake.as_fd())?,
        })
    }

    async fn ready(&self) -> io::Result<Ready> {
        poll_fn(|cx| {
            if let Poll::Ready(woken) = poll_readable(&self.wake, cx) {
                return Poll::Ready(woken.map(|()| Ready::Woken));
            }
            poll_readable(&self.socket, cx).map_ok(|()| Ready::Socket)
        })
        .await
    }
}

/// Whether it is readable, as poll(2) says. The reactor says when that began; who has read since then
/// may have left something, or nothing.
fn poll_readable(
    watched: &AsyncFd<Held<Descriptor>>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    loop {
        let mut ready = ready!(watched.poll_read_ready(cx))?;
        let descriptor = watched.get_ref().as_fd();
        let mut interests = [Interest::readable(descriptor)];
        if wait(&mut interests, Deadline::Now)? {
            if interests[0].is_in_error() {
                socket::discard_reports(descriptor);
            }
            return Poll::Ready(Ok(()));
        }
        ready.clear_ready();
    }
}

fn cannot_wait(source: io::Error) -> TransportError {
    TransportError::io("cannot wait for a pong in an event loop", source)
}
