//! A cell for one handler of the user: called without a lock, replaced and removed while it runs.

mod calls;

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;

use crate::error::{Result, TransportError};
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{lock, Mutex};
pub(crate) use calls::inside_handler;
use calls::Calls;

/// A cell for one handler.
pub(crate) struct HandlerCell<H> {
    state: Mutex<State<H>>,
    /// Mirrors `state.current.is_some()`, to be read without the lock.
    set: AtomicBool,
    /// Calls that panicked.
    failures: AtomicU64,
}

struct State<H> {
    current: Option<Arc<Entry<H>>>,
    /// The calls of handlers that were replaced and may still run.
    replaced: Vec<Arc<Calls>>,
    closed: bool,
}

/// The calls that may be under way, and the handler that was replaced.
type Replaced<H> = (Vec<Arc<Calls>>, Option<Arc<Entry<H>>>);

struct Entry<H> {
    handler: H,
    calls: Arc<Calls>,
}

impl<H> HandlerCell<H> {
    pub fn new(handler: Option<H>) -> Self {
        let current = handler.map(Entry::new);
        Self {
            set: AtomicBool::new(current.is_some()),
            state: Mutex::new(State {
                current,
                replaced: Vec::new(),
                closed: false,
            }),
            failures: AtomicU64::new(0),
        }
    }

    pub fn is_set(&self) -> bool {
        self.set.load(Ordering::Relaxed)
    }

    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Registers this thread as inside the handler, if there is one.
    pub fn enter(&self) -> Option<HandlerCall<'_, H>> {
        if !self.is_set() {
            return None;
        }
        let state = lock(&self.state);
        let entry = Arc::clone(state.current.as_ref()?);
        // Under the lock of `state`, so that `set` either sees this call or precedes it.
        entry.calls.enter();
        Some(HandlerCall { cell: self, entry })
    }

    /// Replaces the handler. When it returns, the old handler and all earlier ones have returned and are never
    /// called again. Called from inside one of them, it does not wait for that call.
    pub fn set(&self, handler: Option<H>) -> Result<()> {
        self.replace(handler, false)
    }

    /// As [`set`](Self::set), but does not wait.
    pub fn exchange(&self, handler: Option<H>) -> Result<()> {
        self.swap(handler, false).map(drop)
    }

    /// Removes the handler for good, and waits as [`set`](Self::set) does.
    pub fn close(&self) {
        // It fails only if the cell is closed already.
        let _ = self.replace(None, true);
    }

    /// Whether this thread is inside the handler, or inside an earlier one.
    pub fn is_inside(&self) -> bool {
        let state = lock(&self.state);
        let current = state.current.iter().map(|entry| &entry.calls);
        current
            .chain(&state.replaced)
            .any(|calls| calls.include_this_thread())
    }

    fn replace(&self, handler: Option<H>, close: bool) -> Result<()> {
        // The old handler is dropped last and without a lock, because its captures run user code.
        let (replaced, _old) = self.swap(handler, close)?;
        for calls in &replaced {
            calls.wait_for_the_last();
        }
        Ok(())
    }

    /// Stores a new handler. Returns the old one, and the calls of all handlers so far that may be under way.
    fn swap(&self, handler: Option<H>, close: bool) -> Result<Replaced<H>> {
        let mut state = lock(&self.state);
        if state.closed {
            return Err(TransportError::Shutdown);
        }
        state.closed = close;
        let old = std::mem::replace(&mut state.current, handler.map(Entry::new));
        self.set.store(state.current.is_some(), Ordering::Relaxed);
        state.replaced.retain(|calls| calls.are_under_way());
        if let Some(old) = &old {
            old.calls.retire();
            state.replaced.push(Arc::clone(&old.calls));
        }
        // Another thread may have replaced a handler a moment ago, and both wait for its calls.
        let replaced = state.replaced.clone();
        Ok((replaced, old))
    }
}

impl<H> Entry<H> {
    fn new(handler: H) -> Arc<Self> {
        Arc::new(Self {
            handler,
            calls: Arc::default(),
        })
    }
}

/// This thread is inside the handler until this is dropped.
pub(crate) struct HandlerCall<'a, H> {
    cell: &'a HandlerCell<H>,
    entry: Arc<Entry<H>>,
}

impl<H> HandlerCall<'_, H> {
    /// Whether the handler was replaced meanwhile. It must not be called again then.
    pub fn is_retired(&self) -> bool {
        self.entry.calls.are_retired()
    }

    /// Calls the handler. Catches a panic and returns its text.
    pub fn call(&self, call: impl FnOnce(&H)) -> Option<String> {
        let outcome = catch_unwind(AssertUnwindSafe(|| call(&self.entry.handler)));
        let panic = outcome.err()?;
        self.cell.failures.fetch_add(1, Ordering::Relaxed);
        Some(panic_text(&*panic))
    }
}

impl<H> Drop for HandlerCall<'_, H> {
    fn drop(&mut self) {
        self.entry.calls.leave();
    }
}

/// The text of a panic.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("(a panic without text)").to_owned()
}

#[cfg(all(loom, test))]
mod models;

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;

    type Handler = Box<dyn Fn() + Send + Sync>;

    /// A call that goes on until it is told to end, on a thread of its own.
    struct Call {
        cell: Arc<HandlerCell<Handler>>,
        end: mpsc::Sender<()>,
        ended: Arc<AtomicBool>,
        thread: thread::JoinHandle<Option<String>>,
    }

    impl Call {
        fn begin() -> Self {
            let (entered, wait_entered) = mpsc::channel();
            let (end, wait_end) = mpsc::channel();
            let wait_end = Mutex::new(wait_end);
            let ended = Arc::new(AtomicBool::new(false));
            let seen = Arc::clone(&ended);
            let cell: Arc<HandlerCell<Handler>> =
                Arc::new(HandlerCell::new(Some(Box::new(move || {
                    entered.send(()).unwrap();
                    lock(&wait_end).recv().unwrap();
                    seen.store(true, Ordering::SeqCst);
                }))));
            let caller = Arc::clone(&cell);
            let thread = thread::spawn(move || caller.enter().unwrap().call(|handler| handler()));
            wait_entered.recv().unwrap();
            Self {
                cell,
                end,
                ended,
                thread,
            }
        }

        /// Lets it end while `wait` waits for that, as it has to.
        fn end_during(self, wait: impl FnOnce(&HandlerCell<Handler>)) {
            let end = thread::spawn(move || self.end.send(()).unwrap());
            wait(&self.cell);
            assert!(self.ended.load(Ordering::SeqCst), "the handler still ran");
            assert!(self.cell.enter().is_none());
            end.join().unwrap();
            assert!(self.thread.join().unwrap().is_none());
        }
    }

    #[test]
    fn replacing_waits_for_the_running_call() {
        Call::begin().end_during(|cell| cell.set(None).unwrap());
    }

    #[test]
    fn closing_waits_for_a_handler_that_another_thread_is_just_removing() {
        let call = Call::begin();
        let cell = Arc::clone(&call.cell);
        let removing = thread::spawn(move || cell.set(None).unwrap());
        testkit::wait_until("it is removed", testkit::GENEROUS, || !call.cell.is_set());
        call.end_during(HandlerCell::close);
        removing.join().unwrap();
    }

    #[test]
    fn a_handler_can_unregister_itself() {
        let cell: Arc<HandlerCell<Handler>> = Arc::new(HandlerCell::new(None));
        let inner = Arc::downgrade(&cell);
        cell.set(Some(Box::new(move || {
            inner.upgrade().unwrap().set(None).unwrap()
        })))
        .unwrap();
        cell.enter().unwrap().call(|handler| handler());
        assert!(!cell.is_set());
    }

    #[test]
    fn two_handlers_can_unregister_each_other() {
        let cells: Arc<[HandlerCell<Handler>; 2]> =
            Arc::new([HandlerCell::new(None), HandlerCell::new(None)]);
        let both_inside = Arc::new(std::sync::Barrier::new(2));
        for own in 0..2 {
            let (cells_inside, barrier) = (Arc::downgrade(&cells), Arc::clone(&both_inside));
            let handler: Handler = Box::new(move || {
                barrier.wait();
                cells_inside.upgrade().unwrap()[1 - own].set(None).unwrap();
            });
            cells[own].set(Some(handler)).unwrap();
        }
        let threads = [0, 1].map(|own| {
            let cells = Arc::clone(&cells);
            thread::spawn(move || cells[own].enter().unwrap().call(|handler| handler()))
        });
        for thread in threads {
            assert!(thread.join().unwrap().is_none());
        }
    }

    #[test]
    fn a_panic_stays_inside_and_is_counted() {
        let cell: HandlerCell<Handler> =
            HandlerCell::new(Some(Box::new(|| panic!("broken handler"))));
        let text = cell.enter().unwrap().call(|handler| handler());
        assert_eq!(text.as_deref(), Some("broken handler"));
        assert_eq!(cell.failures(), 1);
        assert!(!inside_handler());
    }
}
