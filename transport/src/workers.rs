//! The threads of a transport: starting them, and waiting for their end when it closes.

use std::cell::Cell;
use std::collections::HashMap;

use crate::error::{Result, TransportError};
use crate::sync::{lock, thread_local, wait, Condvar, Mutex};
use crate::sys::reserve_alloc;
use crate::sys::spawn::{spawn, Thread};
use crate::wakers::Wakers;

/// The threads of a transport.
#[derive(Default)]
pub(crate) struct Workers {
    state: Mutex<State>,
    changed: Condvar,
    /// The tasks that wait until the transport is closed.
    close_waiters: Wakers,
}

#[derive(Default)]
struct State {
    threads: HashMap<u64, Thread>,
    next_id: u64,
    /// A thread cannot join itself, so the next thread to exit joins it, or `close` does.
    last_exited: Option<Thread>,
    /// The last thread finishes the close, because no call waits for it.
    deferred: bool,
    /// The transport is closed.
    finished: bool,
}

/// What a call of `close` has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Close {
    /// Nothing: another call closes the transport, or has closed it.
    Nothing,
    /// It wakes all threads; the last one to exit finishes the close.
    Wake,
    /// It wakes all threads, waits for their end and finishes the close.
    WakeAndWait,
}

thread_local! {
    /// Whose worker this thread is, as the address of the `Workers`; 0 for the user's threads.
    static WORKER_OF: Cell<usize> = const { Cell::new(0) };
}

impl Workers {
    /// Starts a thread. `body` gets the number of the thread and has to report its end by
    /// [`exited`](Self::exited), which may find that the thread has to finish the close.
    pub fn spawn(
        &self,
        name: &'static str,
        is_closing: impl FnOnce() -> bool,
        body: impl FnOnce(u64) + Send + 'static,
    ) -> Result<()> {
        // The lock is held until the handle is stored: the thread takes it at its end.
        let mut state = lock(&self.state);
        if is_closing() {
            return Err(TransportError::Shutdown);
        }
        if state.threads.try_reserve(1).is_err() {
            return Err(reserve_alloc::exhausted("cannot start another thread"));
        }
        let id = state.next_id;
        state.next_id += 1;
        let owner = self.identity();
        let thread = spawn(name, move || {
            WORKER_OF.with(|of| of.set(owner));
            body(id);
        });
        let thread = thread.map_err(|source| TransportError::Thread {
            name: name.to_owned(),
            source,
        })?;
        state.threads.insert(id, thread);
        Ok(())
    }

    /// The thread with this number, which is the calling one, is about to exit. True if it has to finish the close.
    pub fn exited(&self, id: u64) -> bool {
        let mut state = lock(&self.state);
        let own = state.threads.remove(&id);
        let before = std::mem::replace(&mut state.last_exited, own);
        let finish = state.threads.is_empty() && state.deferred;
        if state.threads.is_empty() {
            self.changed.notify_all();
        }
        drop(state);
        if let Some(before) = before {
            // It has exited, or is about to.
            before.join();
        }
        finish
    }

    fn identity(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Whether the calling thread is one of these.
    pub fn include_this_thread(&self) -> bool {
        WORKER_OF.with(Cell::get) == self.identity()
    }

    /// Begins to close, and says what the caller has to do. `begin` marks the transport as closing and returns
    /// whether it was before. If so, a call that may wait does so until the transport is closed.
    pub fn begin_close(&self, begin: impl FnOnce() -> bool, may_wait: bool) -> Close {
        let mut state = lock(&self.state);
        if begin() {
            while may_wait && !state.finished {
                state = wait(&self.changed, state, None);
            }
            return Close::Nothing;
        }
        // The threads live at least until they are woken, so one of them sees the flag.
        state.deferred = !may_wait && !state.threads.is_empty();
        match state.deferred {
            true => Close::Wake,
            false => Close::WakeAndWait,
        }
    }

    /// Waits until all threads have exited.
    pub fn join(&self) {
        let mut state = lock(&self.state);
        while !state.threads.is_empty() {
            state = wait(&self.changed, state, None);
        }
        let last = state.last_exited.take();
        drop(state);
        if let Some(last) = last {
            last.join();
        }
    }

    /// The transport is closed.
    pub fn finish_close(&self) {
        lock(&self.state).finished = true;
        self.changed.notify_all();
        self.close_waiters.wake();
    }

    /// Waits in a task until the transport is closed.
    #[cfg(feature = "async")]
    pub async fn closed(&self) {
        let closed = || lock(&self.state).finished.then_some(());
        self.close_waiters.until(closed).await;
    }

    /// Whether the transport is closed and every thread has exited.
    #[cfg(all(loom, test))]
    pub fn are_finished(&self) -> bool {
        let state = lock(&self.state);
        state.finished && state.threads.is_empty()
    }
}
