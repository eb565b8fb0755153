//! One transport: its parts, its threads, and how it closes.

mod log_bound;
mod totals;

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::{Arc, OnceLock, Weak};

use crate::context::Context;
use crate::control::{Control, ControlReader};
use crate::error::Result;
use crate::handler_cell::{inside_handler, panic_text, HandlerCall, HandlerCell};
use crate::handlers::{ClosedHandler, LinkHandler, MessageHandler, PeerHandler, StreamHandler};
use crate::inbox::Inbox;
use crate::link::events::LinkEvents;
use crate::log::log;
use crate::rtt::RoundTrips;
use crate::stats::Baseline;
use crate::stream::{CloseReason, Streams};
use crate::sync::{lock, Mutex};
use crate::workers::{Close, Workers};

/// The parts of one transport, and what its threads share.
pub(crate) struct Core {
    pub context: Arc<Context>,
    pub handlers: Handlers,
    pub control: Arc<Control>,
    pub reader: Arc<ControlReader>,
    pub round_trips: RoundTrips,
    pub streams: Arc<Streams>,
    pub inbox: Inbox,
    pub link_events: LinkEvents,
    pub baseline: Baseline,
    pub workers: Workers,
    /// Leads to the references that the application holds.
    pub weak: WeakCell,
}

/// Filled with the first reference when the transport starts.
pub(crate) type WeakCell = Arc<OnceLock<Weak<ThunderboltTransport>>>;

/// The handlers of a transport.
pub(crate) struct Handlers {
    pub on_message: HandlerCell<MessageHandler>,
    pub on_stream: HandlerCell<StreamHandler>,
    pub on_link: HandlerCell<LinkHandler>,
    pub on_peer: HandlerCell<PeerHandler>,
    /// Called once, so it is taken out.
    pub on_closed: Mutex<Option<ClosedHandler>>,
}

impl Handlers {
    fn close(&self) {
        self.on_message.close();
        self.on_stream.close();
        self.on_link.close();
        self.on_peer.close();
    }
}

/// A running transport, bound to one interface. Dropping the last reference closes it, as
/// [`close`](Self::close) does: outside of handlers the ports are free when the drop has returned. A handler
/// that has a reference at that moment ([`WeakTransport::upgrade`](crate::WeakTransport::upgrade)) drops the last
/// one later; only `close` is sure to wait.
///
/// **Handlers** are kept by the transport, so one that captured a reference to it would keep it open for
/// ever. A handler borrows what it needs ([`Sender::transport`](crate::Sender::transport),
/// [`DataStream::transport`](crate::DataStream::transport),
/// [`LinkEvent::transport`](crate::LinkEvent::transport)); other code captures a
/// [`WeakTransport`](crate::WeakTransport).
///
/// **Peers** are strings: `fe80::1%thunderbolt0`, `fe80::1` (on our interface), `fe80::1%2`
/// (by index), `::1%lo`; `[fe80::1%thunderbolt0]:6000` names another port than our own. If our port is any
/// free one (0 was configured), no other host has it. A string then has to name the port, except for
/// loopback, where it means ours.
pub struct ThunderboltTransport {
    core: Arc<Core>,
    /// Lent to a handler or a stream: dropping it does not close the transport.
    lent: bool,
}

impl ThunderboltTransport {
    /// The first reference to a transport.
    pub(crate) fn first(core: Arc<Core>) -> Arc<Self> {
        let transport = Arc::new(Self { core, lent: false });
        let _ = transport.core.weak.set(Arc::downgrade(&transport));
        transport
    }

    /// For the handlers and streams of this transport.
    pub(crate) fn lend(core: &Arc<Core>) -> Self {
        Self {
            core: Arc::clone(core),
            lent: true,
        }
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Stops and joins all threads, closes all streams and sockets, and wakes every waiting call.
    /// When it returns, the ports are free and no handler runs.
    ///
    /// Called from inside a handler it returns at once, and the rest happens after that handler
    /// has returned. Closing twice is no error.
    pub fn close(&self) {
        self.core.close();
    }

    /// True until `close` begins; a link that is down changes nothing.
    pub fn is_running(&self) -> bool {
        !self.core.context.is_closing()
    }
}

impl Drop for ThunderboltTransport {
    fn drop(&mut self) {
        // A close that is under way may be what drops it.
        if !self.lent && self.is_running() {
            self.close();
        }
    }
}

impl Core {
    /// Starts a thread that `close` waits for.
    pub fn spawn<F>(self: &Arc<Self>, name: &'static str, body: F) -> Result<()>
    where
        F: FnOnce(&Arc<Self>) + Send + 'static,
    {
        let core = Arc::clone(self);
        let run = move |id| {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| body(&core))) {
                let text = panic_text(&*panic);
                log!(
                    core.context.log,
                    Error,
                    "a thread of the transport panicked: {text}"
                );
            }
            if core.workers.exited(id) {
                core.finish_close();
            }
        };
        self.workers.spawn(name, || self.context.is_closing(), run)
    }

    /// Stops and joins every thread and closes every descriptor. From inside a handler it only
    /// begins to, and the last thread completes it.
    pub fn close(&self) {
        self.close_and(self.may_wait());
    }

    /// As [`close`](Self::close) for a task: the last thread completes it, and wakes the task.
    #[cfg(feature = "async")]
    pub async fn close_async(&self) {
        let may_wait = self.may_wait();
        self.close_and(false);
        if may_wait {
            self.workers.closed().await;
        }
    }

    /// Whether this thread may wait for the close, which waits for handlers and workers.
    fn may_wait(&self) -> bool {
        !inside_handler() && !self.workers.include_this_thread()
    }

    fn close_and(&self, may_wait: bool) {
        let begin = || self.context.begin_close();
        let close = self.workers.begin_close(begin, may_wait);
        if close == Close::Nothing {
            return;
        }
        self.wake_all();
        if close == Close::WakeAndWait {
            self.workers.join();
            self.finish_close();
        }
    }

    fn wake_all(&self) {
        // This ends the streams that wait in the inbox, too.
        self.streams.end_all(CloseReason::TransportClosed);
        self.inbox.close();
        self.context.link.close();
        self.round_trips.wake_all();
        self.control.wake.signal();
        self.context.event_loop_wake.signal();
    }

    /// The end of the close, after the last thread. The ports are free and no handler runs when `on_closed` is
    /// called.
    fn finish_close(&self) {
        self.control.close_and_wait();
        self.round_trips.close_idle_sockets();
        // Streams that were opened while the threads ended.
        self.streams.end_all(CloseReason::TransportClosed);
        self.handlers.close();
        log!(self.context.log, Info, "Transport closed");
        self.context.log.handler.close();
        if let Some(on_closed) = lock(&self.handlers.on_closed).take() {
            // The logger is gone, so a panic is not reported.
            let _ = catch_unwind(AssertUnwindSafe(on_closed));
        }
        self.workers.finish_close();
    }

    /// Calls a handler and logs its panic.
    pub fn call<H>(&self, handler: &HandlerCall<'_, H>, call: impl FnOnce(&H)) {
        if let Some(text) = handler.call(call) {
            log!(self.context.log, Error, "a handler panicked: {text}");
        }
    }
}

#[cfg(all(loom, test))]
mod models;
