//! The event loop, on the thread `dcf-tb-accept`. It accepts connections, watches the interface, reads in the place of
//! a receiver whose handler takes long, and watches streams with data to send.

use std::net::Shutdown;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

use crate::acceptor::Acceptor;
use crate::announce;
use crate::control::ReceiverWatchdog;
use crate::core::Core;
use crate::error::Result;
use crate::interface_binding::Binding;
use crate::stream::ZeroWindowMonitor;
use crate::sys::poll::{wait, Deadline, Interest};

pub(crate) struct EventLoop {
    binding: Binding,
    acceptor: Acceptor,
    watchdog: ReceiverWatchdog,
    zero_windows: ZeroWindowMonitor,
}

/// The results of a wait.
#[derive(Default)]
struct Ready {
    link_changed: bool,
    connection: bool,
    /// A datagram that the receiver does not read.
    datagram: bool,
}

impl EventLoop {
    /// Finds the interface and binds to it. Without an interface that is an error, unless the
    /// transport is to wait for one.
    pub fn new(core: &Arc<Core>) -> Result<Self> {
        Ok(Self {
            binding: Binding::start(core)?,
            acceptor: Acceptor::new(),
            watchdog: ReceiverWatchdog::new(),
            zero_windows: ZeroWindowMonitor::default(),
        })
    }

    /// Body of the thread.
    pub fn run(mut self, core: &Arc<Core>) {
        let context = &*core.context;
        // The interface may have changed between the start and now.
        self.binding.refresh_all(core, &mut self.acceptor);
        while !context.is_closing() {
            let ready = self.wait(core);
            if ready.datagram {
                core.reader.drain_for_receiver();
            }
            context.event_loop_wake.clear();
            if context.is_closing() {
                break;
            }
            if ready.link_changed || self.binding.is_retry_due() || context.link.is_doubted() {
                self.binding.refresh_pending(core, &mut self.acceptor);
            }
            if let Some(listener) = self.binding.listener().filter(|_| ready.connection) {
                self.acceptor.accept(core, listener);
            }
            self.acceptor.hand_over_queued(core);
        }
        if let Some(listener) = self.binding.listener() {
            // A forked child may hold the listener too, and would never accept those who connect.
            let _ = listener.shutdown(Shutdown::Both);
        }
    }

    /// Waits for the next event, until the next deadline of what is watched.
    fn wait(&mut self, core: &Arc<Core>) -> Ready {
        let context = &*core.context;
        let streams_due = self.zero_windows.look(context, &core.streams);
        let peers_due = announce::peers(core);
        let (read_for_receiver, watchdog_due) = self.watchdog.look(&core.reader, Instant::now());
        let control = core.control.socket().filter(|_| read_for_receiver);
        let listener = self.binding.listener().filter(|_| self.acceptor.is_ready());
        let mut interests = vec![
            Interest::readable(context.event_loop_wake.as_fd()),
            Interest::readable(self.binding.link_watch()),
        ];
        let mut add = |fd| {
            interests.push(Interest::readable(fd));
            interests.len() - 1
        };
        let listener_at = listener.map(|listener| add(listener.as_fd()));
        let control_at = control.as_ref().map(|control| add(control.as_fd()));
        let deadlines = [
            self.binding.retry(),
            self.acceptor.pause(),
            watchdog_due,
            streams_due,
            peers_due,
        ];
        let deadline = deadlines.into_iter().fold(Deadline::Never, Deadline::min);
        // It can fail for lack of memory only; then the loop tries again.
        if !wait(&mut interests, deadline).unwrap_or(false) {
            return Ready::default();
        }
        let is_ready = |at: Option<usize>| at.is_some_and(|at| interests[at].is_ready());
        Ready {
            link_changed: is_ready(Some(1)),
            connection: is_ready(listener_at),
            datagram: is_ready(control_at),
        }
    }
}
