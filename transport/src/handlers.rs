//! The user's handlers: called without a lock, replaced and removed while they run.

use std::cell::Cell;
use std::fmt;
use std::net::SocketAddrV6;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;

use crate::error::{Result, TransportError};
use crate::log::LogLevel;
use crate::message::{MessageData, MessageType};
use crate::stream::DataStream;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{global, lock, thread_local, wait, Condvar, Mutex};
use crate::transport::ThunderboltTransport;

/// Called with a control message and who sent it; see
/// [`on_message`](crate::ThunderboltTransportBuilder::on_message).
pub type MessageHandler = Box<dyn Fn(&[u8], &Sender<'_>) + Send + Sync>;
/// Called with a data stream that a peer opened.
pub type StreamHandler = Box<dyn Fn(DataStream) + Send + Sync>;
/// Called with a log record.
pub type LogHandler = Box<dyn Fn(LogLevel, &str) + Send + Sync>;
/// Called when the link comes up or goes down.
pub type LinkHandler = Box<dyn Fn(&LinkEvent<'_>) + Send + Sync>;
/// Called when a peer appears or vanishes.
pub type PeerHandler = Box<dyn Fn(&PeerEvent<'_>) + Send + Sync>;
/// The last call of a transport.
pub type ClosedHandler = Box<dyn FnOnce() + Send>;

/// One handler for both kinds of traffic, as two.
pub(crate) fn combined<F>(handler: F) -> (MessageHandler, StreamHandler)
where
    F: Fn(MessageType, MessageData) + Send + Sync + 'static,
{
    let streams = Arc::new(handler);
    let messages = Arc::clone(&streams);
    (
        Box::new(move |data, _| {
            messages(
                MessageType::ControlMessage,
                MessageData::Bytes(data.to_vec()),
            )
        }),
        Box::new(move |stream| streams(MessageType::DataStream, MessageData::Stream(stream))),
    )
}

/// Who sent a control message, and how to answer.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    name: &'a SenderName,
    address: SocketAddrV6,
    transport: &'a ThunderboltTransport,
}

impl<'a> Sender<'a> {
    pub(crate) fn new(
        name: &'a SenderName,
        address: SocketAddrV6,
        transport: &'a ThunderboltTransport,
    ) -> Self {
        Self {
            name,
            address,
            transport,
        }
    }

    /// Sends a control message back to the sender, through the transport that received this one, as
    /// [`send_message`](ThunderboltTransport::send_message) does. Gives its size.
    ///
    /// It answers whoever asks. Where strangers can reach the link,
    /// [`may_answer`](ThunderboltTransport::may_answer) first.
    ///
    /// # Errors
    ///
    /// Those of [`send_message`](ThunderboltTransport::send_message).
    pub fn reply(&self, data: &[u8]) -> Result<usize> {
        self.transport.send_message(data, self.as_str())
    }

    /// The transport that received the message. It is lent for the call, and does not keep it open: a
    /// handler need not capture a reference. For later use there is
    /// [`downgrade`](ThunderboltTransport::downgrade).
    pub fn transport(&self) -> &'a ThunderboltTransport {
        self.transport
    }

    /// The peer string, which every call takes back: bare when the sender used our own configured
    /// control port, else with its port in the bracketed form.
    pub fn as_str(&self) -> &str {
        self.name.as_str()
    }

    /// The same with a NUL at its end, for who hands it on to C.
    pub fn as_bytes_with_nul(&self) -> &[u8] {
        self.name.0.as_bytes()
    }

    /// The address, with the interface's index as its scope.
    pub fn address(&self) -> SocketAddrV6 {
        self.address
    }
}

impl fmt::Display for Sender<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The peer string of a sender, shared by its messages. It ends in a NUL.
#[derive(Debug, Clone)]
pub(crate) struct SenderName(Arc<str>);

impl SenderName {
    pub fn new(peer: &str) -> Self {
        Self(format!("{peer}\0").into())
    }

    pub fn as_str(&self) -> &str {
        &self.0[..self.0.len() - 1]
    }
}

/// The link came up or went down.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct LinkEvent<'a> {
    /// Whether the interface can carry traffic now.
    pub up: bool,
    /// Its name.
    pub interface: &'a str,
    transport: &'a ThunderboltTransport,
}

impl<'a> LinkEvent<'a> {
    pub(crate) fn new(up: bool, interface: &'a str, transport: &'a ThunderboltTransport) -> Self {
        Self {
            up,
            interface,
            transport,
        }
    }

    /// The transport whose link it is, lent for the call as [`Sender::transport`] does.
    pub fn transport(&self) -> &'a ThunderboltTransport {
        self.transport
    }
}

/// What happened to which interface; whichever transport says so.
impl PartialEq for LinkEvent<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.up, self.interface) == (other.up, other.interface)
    }
}

impl Eq for LinkEvent<'_> {}

/// A peer appeared or vanished; see [`on_peer`](crate::ThunderboltTransportBuilder::on_peer).
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct PeerEvent<'a> {
    /// Whether it was heard from; else it vanished.
    pub appeared: bool,
    /// Its address with the interface, as a peer string without a port.
    pub peer: &'a str,
    transport: &'a ThunderboltTransport,
}

impl<'a> PeerEvent<'a> {
    pub(crate) fn new(appeared: bool, peer: &'a str, transport: &'a ThunderboltTransport) -> Self {
        Self {
            appeared,
            peer,
            transport,
        }
    }

    /// The transport whose peer it is, lent for the call as [`Sender::transport`] does.
    pub fn transport(&self) -> &'a ThunderboltTransport {
        self.transport
    }
}

/// What happened to which peer; whichever transport says so.
impl PartialEq for PeerEvent<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.appeared, self.peer) == (other.appeared, other.peer)
    }
}

impl Eq for PeerEvent<'_> {}

/// A place for one handler.
pub(crate) struct Slot<H> {
    state: Mutex<State<H>>,
    /// Mirrors `state.current.is_some()` for a look without the lock.
    set: AtomicBool,
    /// Calls that panicked.
    failures: AtomicU64,
}

struct State<H> {
    current: Option<Arc<Entry<H>>>,
    /// Of handlers that were replaced and may still run.
    replaced: Vec<Arc<Calls>>,
    closed: bool,
}

/// Calls that may be under way, and the handler that was replaced.
type Put<H> = (Vec<Arc<Calls>>, Option<Arc<Entry<H>>>);

struct Entry<H> {
    handler: H,
    calls: Arc<Calls>,
}

/// The threads that are inside one handler.
#[derive(Default)]
struct Calls {
    retired: AtomicBool,
    threads: Mutex<Vec<ThreadToken>>,
    left: Condvar,
}

impl<H> Slot<H> {
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

    /// Puts this thread on record as inside the handler, if there is one.
    pub fn enter(&self) -> Option<Running<'_, H>> {
        if !self.is_set() {
            return None;
        }
        let state = lock(&self.state);
        let entry = Arc::clone(state.current.as_ref()?);
        // Under the lock of `state`: who replaces the handler now sees us inside.
        lock(&entry.calls.threads).push(ThreadToken::current());
        DEPTH.with(|depth| depth.set(depth.get() + 1));
        Some(Running { slot: self, entry })
    }

    /// Replaces the handler. Returns when the old one, and those before it, run nowhere and never
    /// will again; called from inside one of them, does not wait for that.
    pub fn set(&self, handler: Option<H>) -> Result<()> {
        self.replace(handler, false)
    }

    /// The same without waiting.
    pub fn exchange(&self, handler: Option<H>) -> Result<()> {
        self.put(handler, false).map(drop)
    }

    /// Removes the handler for good, and waits as [`set`](Self::set) does.
    pub fn close(&self) {
        // It fails when it was closed before: nothing to do then.
        let _ = self.replace(None, true);
    }

    /// Whether this thread is inside the handler, or inside one before it.
    pub fn is_inside(&self) -> bool {
        let me = ThreadToken::current();
        let state = lock(&self.state);
        let current = state.current.iter().map(|entry| &entry.calls);
        current
            .chain(&state.replaced)
            .any(|calls| lock(&calls.threads).contains(&me))
    }

    fn replace(&self, handler: Option<H>, close: bool) -> Result<()> {
        // The old handler is dropped last, without a lock: what it captured is not ours.
        let (replaced, _old) = self.put(handler, close)?;
        for calls in &replaced {
            calls.wait_for_the_last();
        }
        Ok(())
    }

    /// Puts a handler in the place of another. Gives that, and the calls of it and of those before it
    /// that may be under way.
    fn put(&self, handler: Option<H>, close: bool) -> Result<Put<H>> {
        let mut state = lock(&self.state);
        if state.closed {
            return Err(TransportError::Shutdown);
        }
        state.closed = close;
        let old = std::mem::replace(&mut state.current, handler.map(Entry::new));
        self.set.store(state.current.is_some(), Ordering::Relaxed);
        state.replaced.retain(|calls| calls.are_under_way());
        if let Some(old) = &old {
            old.calls.retired.store(true, Ordering::Release);
            state.replaced.push(Arc::clone(&old.calls));
        }
        // Others may have replaced theirs a moment ago, and wait for it as we do.
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

/// This thread, inside a handler until it is dropped.
pub(crate) struct Running<'a, H> {
    slot: &'a Slot<H>,
    entry: Arc<Entry<H>>,
}

impl<H> Running<'_, H> {
    /// Whether the handler was replaced meanwhile: then it must not be called any more.
    pub fn is_retired(&self) -> bool {
        self.entry.calls.retired.load(Ordering::Acquire)
    }

    /// Calls the handler. A panic in it goes no further; the text of it comes back.
    pub fn call(&self, call: impl FnOnce(&H)) -> Option<String> {
        let outcome = catch_unwind(AssertUnwindSafe(|| call(&self.entry.handler)));
        let panic = outcome.err()?;
        self.slot.failures.fetch_add(1, Ordering::Relaxed);
        Some(panic_text(&*panic))
    }
}

impl<H> Drop for Running<'_, H> {
    fn drop(&mut self) {
        DEPTH.with(|depth| depth.set(depth.get() - 1));
        self.entry.calls.leave();
    }
}

/// The words of a panic.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("(a panic without text)").to_owned()
}

impl Calls {
    fn leave(&self) {
        let me = ThreadToken::current();
        let mut threads = lock(&self.threads);
        if let Some(position) = threads.iter().rposition(|&thread| thread == me) {
            threads.swap_remove(position);
        }
        if self.retired.load(Ordering::Acquire) {
            self.left.notify_all();
        }
    }

    fn are_under_way(&self) -> bool {
        !lock(&self.threads).is_empty()
    }

    /// Waits for those under way, when no more can begin.
    fn wait_for_the_last(self: &Arc<Self>) {
        let Some(_waiting) = Waiting::register(self) else {
            return;
        };
        let mut threads = lock(&self.threads);
        while !threads.is_empty() {
            threads = wait(&self.left, threads, None);
        }
    }
}

global! {
    /// Threads inside a handler that wait for another handler to end, and which one: two handlers
    /// that unregister each other must not wait for each other for ever.
    static WAITING: Mutex<Vec<(ThreadToken, Arc<Calls>)>> = Mutex::new(Vec::new());
}

struct Waiting(ThreadToken);

impl Waiting {
    /// `None` when this thread may not wait: the calls would, directly or through other waiting
    /// threads, wait for this very thread.
    fn register(target: &Arc<Calls>) -> Option<Self> {
        let me = ThreadToken::current();
        let mut waiting = lock(&WAITING);
        let mut reached = vec![Arc::clone(target)];
        let mut next = 0;
        while let Some(calls) = reached.get(next).cloned() {
            next += 1;
            for &thread in lock(&calls.threads).iter() {
                if thread == me {
                    return None;
                }
                for (_, further) in waiting.iter().filter(|(waiter, _)| *waiter == thread) {
                    if !reached.iter().any(|seen| Arc::ptr_eq(seen, further)) {
                        reached.push(Arc::clone(further));
                    }
                }
            }
        }
        waiting.push((me, Arc::clone(target)));
        Some(Self(me))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut waiting = lock(&WAITING);
        if let Some(position) = waiting.iter().rposition(|(waiter, _)| *waiter == self.0) {
            waiting.swap_remove(position);
        }
    }
}

/// Tells threads apart without allocating: the address of a thread-local.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ThreadToken(usize);

impl ThreadToken {
    fn current() -> Self {
        DEPTH.with(|depth| Self(std::ptr::from_ref(depth).addr()))
    }
}

thread_local! {
    /// How many handlers this thread is inside of.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Whether this thread is inside any handler of any transport.
pub(crate) fn inside_handler() -> bool {
    DEPTH.with(Cell::get) > 0
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
        slot: Arc<Slot<Handler>>,
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
            let slot: Arc<Slot<Handler>> = Arc::new(Slot::new(Some(Box::new(move || {
                entered.send(()).unwrap();
                lock(&wait_end).recv().unwrap();
                seen.store(true, Ordering::SeqCst);
            }))));
            let caller = Arc::clone(&slot);
            let thread = thread::spawn(move || caller.enter().unwrap().call(|handler| handler()));
            wait_entered.recv().unwrap();
            Self {
                slot,
                end,
                ended,
                thread,
            }
        }

        /// Lets it end while `wait` waits for that, as it has to.
        fn end_during(self, wait: impl FnOnce(&Slot<Handler>)) {
            let end = thread::spawn(move || self.end.send(()).unwrap());
            wait(&self.slot);
            assert!(self.ended.load(Ordering::SeqCst), "the handler still ran");
            assert!(self.slot.enter().is_none());
            end.join().unwrap();
            assert!(self.thread.join().unwrap().is_none());
        }
    }

    #[test]
    fn replacing_waits_for_the_running_call() {
        Call::begin().end_during(|slot| slot.set(None).unwrap());
    }

    #[test]
    fn closing_waits_for_a_handler_that_another_thread_is_just_removing() {
        let call = Call::begin();
        let slot = Arc::clone(&call.slot);
        let removing = thread::spawn(move || slot.set(None).unwrap());
        testkit::wait_until("it is removed", testkit::GENEROUS, || !call.slot.is_set());
        call.end_during(Slot::close);
        removing.join().unwrap();
    }

    #[test]
    fn a_handler_can_unregister_itself() {
        let slot: Arc<Slot<Handler>> = Arc::new(Slot::new(None));
        let inner = Arc::downgrade(&slot);
        slot.set(Some(Box::new(move || {
            inner.upgrade().unwrap().set(None).unwrap()
        })))
        .unwrap();
        slot.enter().unwrap().call(|handler| handler());
        assert!(!slot.is_set());
    }

    #[test]
    fn two_handlers_can_unregister_each_other() {
        let slots: Arc<[Slot<Handler>; 2]> = Arc::new([Slot::new(None), Slot::new(None)]);
        let both_inside = Arc::new(std::sync::Barrier::new(2));
        for own in 0..2 {
            let (slots_inside, barrier) = (Arc::downgrade(&slots), Arc::clone(&both_inside));
            let handler: Handler = Box::new(move || {
                barrier.wait();
                slots_inside.upgrade().unwrap()[1 - own].set(None).unwrap();
            });
            slots[own].set(Some(handler)).unwrap();
        }
        let threads = [0, 1].map(|own| {
            let slots = Arc::clone(&slots);
            thread::spawn(move || slots[own].enter().unwrap().call(|handler| handler()))
        });
        for thread in threads {
            assert!(thread.join().unwrap().is_none());
        }
    }

    #[test]
    fn a_panic_stays_inside_and_is_counted() {
        let slot: Slot<Handler> = Slot::new(Some(Box::new(|| panic!("broken handler"))));
        let text = slot.enter().unwrap().call(|handler| handler());
        assert_eq!(text.as_deref(), Some("broken handler"));
        assert_eq!(slot.failures(), 1);
        assert!(!inside_handler());
    }
}
