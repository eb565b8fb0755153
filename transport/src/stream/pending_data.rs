//! Whether the event loop watches the streams that have data to send.

use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sys::event::EventFd;

/// Set while the event loop watches the streams that have data to send (`zero_window`).
#[derive(Default)]
pub(super) struct PendingData(AtomicBool);

impl PendingData {
    /// Data were just written. Called after the write: either the last look of the event loop sees the data, or this
    /// sees that the watch has ended.
    #[inline]
    pub fn written(&self, event_loop_wake: &EventFd) {
        if !self.is_watched() && !self.0.swap(true, Ordering::SeqCst) {
            event_loop_wake.signal();
        }
    }

    pub fn is_watched(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    pub fn set_watched(&self, watched: bool) {
        self.0.store(watched, Ordering::SeqCst);
    }
}
