//! The state that all round trips of a transport share.

use std::sync::Arc;

use super::pool::PingSocketPool;
use crate::context::Context;
use crate::control::ControlReader;

/// The round trips of a transport.
pub(crate) struct RoundTrips {
    pub context: Arc<Context>,
    pub(super) reader: Arc<ControlReader>,
    pub(super) sockets: Arc<PingSocketPool>,
}

impl RoundTrips {
    pub fn new(reader: &Arc<ControlReader>) -> Self {
        let dispatch = &reader.dispatch;
        Self {
            context: Arc::clone(&dispatch.context),
            reader: Arc::clone(reader),
            sockets: Arc::clone(&dispatch.ping_sockets),
        }
    }

    /// Wakes every waiting thread and task, to look at the state of the transport again.
    pub fn wake_all(&self) {
        self.sockets.wake_all();
    }

    /// Closes the sockets that are kept for the next round trip.
    pub fn close_idle_sockets(&self) {
        self.sockets.close_idle();
    }
}
