//! The open streams of a transport: their number is bounded, and one call ends them all.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::close_reason::CloseReason;
use super::options::StreamOptions;
use super::pending_data::PendingData;
use super::silent::{MayBeSilent, SilentStreams};
use crate::error::{Result, TransportError};
use crate::settings::Settings;
use crate::sync::atomic::Ordering;
use crate::sync::{lock, Mutex};
use crate::sys::event::EventFd;
use crate::sys::reserve_alloc;
use crate::sys::thread::wait_until;
use crate::throttle::Throttle;

/// The number of streams in one batch of a visit.
const AT_ONCE: usize = 64;

/// The operations of a registry on a stream.
pub(crate) trait Registered: MayBeSilent {
    /// Ends the stream, once; false if it had ended before.
    fn end(&self, reason: CloseReason) -> bool;
    /// Whether the stream is being connected.
    fn is_connecting(&self) -> bool;
}

/// The open streams of a transport.
pub(crate) struct Registry<S> {
    open: Mutex<Open<S>>,
    /// The streams that peers opened and that may still be silent.
    silent: Mutex<SilentStreams<S>>,
    pub(super) pending_data: PendingData,
    limit: AtomicU32,
    /// Readable for a moment when threads that wait on streams have to look at their state again. It is in the poll
    /// set of each of them, so a stream needs no descriptor of its own for that.
    broadcast: EventFd,
    /// Held during a broadcast, so that broadcasts do not overlap.
    broadcasting: Mutex<()>,
    pub(super) options: StreamOptions,
    /// For the log records of streams that this side resets.
    pub malformed: Throttle,
}

struct Open<S> {
    /// By their numbers, which ascend.
    streams: BTreeMap<u64, Weak<S>>,
    next_id: u64,
    closed: bool,
}

impl<S: Registered> Registry<S> {
    pub fn new(settings: &Settings) -> io::Result<Self> {
        let (max, after) = (settings.max_silent_streams, settings.silent_after);
        Ok(Self {
            open: Mutex::new(Open {
                streams: BTreeMap::new(),
                next_id: 0,
                closed: false,
            }),
            silent: Mutex::new(SilentStreams::new(max, after)),
            pending_data: PendingData::default(),
            limit: AtomicU32::new(settings.max_streams),
            broadcast: EventFd::new()?,
            broadcasting: Mutex::new(()),
            options: StreamOptions::default(),
            malformed: Throttle::default(),
        })
    }

    pub fn limit(&self) -> u32 {
        self.limit.load(Ordering::Relaxed)
    }

    pub fn set_limit(&self, streams: u32) {
        self.limit.store(streams, Ordering::Relaxed);
    }

    /// The size of each stream's send buffer in bytes. 0: the kernel tunes it.
    pub fn send_buffer(&self) -> u64 {
        self.options.send_buffer.get()
    }

    /// How many streams may be silent, and after which time they may be evicted.
    pub fn silent_limits(&self) -> (u32, Duration) {
        lock(&self.silent).limits()
    }

    pub fn set_silent_after(&self, after: Duration) {
        lock(&self.silent).set_after(after);
    }

    pub fn set_max_silent(&self, max: u32) {
        // The lock is held throughout, so a stream that is accepted during this call is watched after it.
        let mut silent = lock(&self.silent);
        if silent.set_max(max) {
            self.each(|stream| silent.watch_again(stream));
        }
    }

    /// The number of open streams.
    pub fn open(&self) -> usize {
        lock(&self.open).streams.len()
    }

    /// Takes a place for a stream that is about to be opened or accepted.
    pub fn reserve(&self) -> Result<u64> {
        let mut open = lock(&self.open);
        if open.closed {
            return Err(TransportError::Shutdown);
        }
        let max = self.limit();
        if open.streams.len() >= max as usize {
            return Err(TransportError::TooManyStreams { max });
        }
        reserve_alloc::check("cannot have another stream")?;
        open.next_id += 1;
        let id = open.next_id;
        open.streams.insert(id, Weak::new());
        Ok(id)
    }

    /// Takes a place for a connection that a peer opened, and that may be silent for long. Also returns the stream
    /// that was evicted for it, if any.
    pub fn reserve_accepted(&self) -> Result<(u64, Option<Arc<S>>)> {
        let evicted = lock(&self.silent).make_room()?;
        if let Some(stream) = &evicted {
            stream.end(CloseReason::Evicted);
        }
        Ok((self.reserve()?, evicted))
    }

    /// From now on the stream counts as silent until something is sent on it.
    pub fn watch_silence(&self, stream: &Arc<S>) {
        lock(&self.silent).watch(stream);
    }

    /// Puts the stream into its place. False if the transport was closed meanwhile.
    pub fn register(&self, id: u64, stream: Weak<S>) -> bool {
        let mut open = lock(&self.open);
        open.streams.insert(id, stream);
        !open.closed
    }

    /// Gives a place back.
    pub fn release(&self, id: u64) {
        lock(&self.open).streams.remove(&id);
    }

    /// Ends every stream. After `TransportClosed` no new ones are admitted.
    pub fn end_all(&self, reason: CloseReason) {
        lock(&self.open).closed |= reason == CloseReason::TransportClosed;
        self.each(|stream| {
            stream.end(reason);
        });
    }

    /// Ends the streams that are being connected: the link has no carrier.
    pub fn end_connecting(&self) {
        self.each(|stream| {
            if stream.is_connecting() {
                stream.end(CloseReason::LinkGone);
            }
        });
    }

    /// Visits the open streams.
    pub fn each(&self, mut visit: impl FnMut(&Arc<S>)) {
        // Visit in small batches, because this must work without memory. The lock is released for each batch: ending a
        // stream, or dropping its last reference, takes the lock.
        let mut some = Vec::with_capacity(AT_ONCE);
        let mut next = 0;
        loop {
            let open = lock(&self.open);
            for (&id, stream) in open.streams.range(next..) {
                some.extend(stream.upgrade());
                next = id + 1;
                if some.len() == AT_ONCE {
                    break;
                }
            }
            drop(open);
            if some.is_empty() {
                return;
            }
            some.drain(..).for_each(|stream| visit(&stream));
        }
    }

    /// The descriptor of broadcasts, for the poll set of a thread that waits on a stream.
    #[inline]
    pub fn broadcast_fd(&self) -> BorrowedFd<'_> {
        self.broadcast.as_fd()
    }

    /// Wakes every waiting thread to look at its stream again, until `done`.
    pub fn wake_all_until(&self, done: impl Fn() -> bool) {
        let _one_at_a_time = lock(&self.broadcasting);
        self.broadcast.signal();
        wait_until(done);
        self.broadcast.clear();
    }
}
