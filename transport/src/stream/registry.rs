//! The open streams of a transport: their number is bounded, and one call ends them all.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::shared::Shared;
use super::silent::Silent;
use super::stall::Watched;
use crate::error::{Result, TransportError};
use crate::settings::Settings;
use crate::stats::Counter;
use crate::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use crate::sync::{lock, Mutex};
use crate::sys::event::EventFd;
use crate::sys::reserve_alloc;
use crate::sys::thread::wait_until;
use crate::throttle::Throttle;

/// Streams that are visited at a time.
const SOME: usize = 64;

/// Why a stream takes no more calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum End {
    Closed = 1,
    Detached = 2,
    LinkGone = 3,
    TransportClosed = 4,
    /// It was silent, and gave way to another stream.
    GaveWay = 5,
    /// This side reset it.
    Rejected = 6,
}

impl End {
    /// The end that is stored as this number; 0 is an open stream.
    pub fn from_number(number: u8) -> Option<Self> {
        [
            Self::Closed,
            Self::Detached,
            Self::LinkGone,
            Self::TransportClosed,
            Self::GaveWay,
            Self::Rejected,
        ]
        .into_iter()
        .find(|end| *end as u8 == number)
    }
}

pub(crate) struct Streams {
    open: Mutex<Open>,
    /// Those that peers opened and that may still be silent.
    silent: Mutex<Silent>,
    /// Whether somebody looks after those that have data to send.
    pub watched: Watched,
    limit: AtomicU32,
    port: AtomicU16,
    /// Readable for a moment when threads that wait on streams are to look at their state again:
    /// in the poll set of each of them, so that not every stream needs a descriptor of its own.
    nudge: EventFd,
    /// One nudge at a time.
    nudging: Mutex<()>,
    /// Bytes of send buffer that a stream is given; 0: tuned by the kernel.
    pub send_buffer: Counter,
    /// The system's congestion control is one for shared paths.
    paced: AtomicBool,
    /// Of records of streams that this side resets.
    pub malformed: Throttle,
}

#[derive(Default)]
struct Open {
    /// By their numbers, which go up.
    streams: BTreeMap<u64, Weak<Shared>>,
    next_id: u64,
    closed: bool,
}

impl Streams {
    pub fn new(settings: &Settings) -> io::Result<Self> {
        let (max, after) = (settings.max_silent_streams, settings.silent_after);
        Ok(Self {
            open: Mutex::default(),
            silent: Mutex::new(Silent::new(max, after)),
            watched: Watched::default(),
            limit: AtomicU32::new(settings.max_streams),
            port: AtomicU16::new(0),
            nudge: EventFd::new()?,
            nudging: Mutex::new(()),
            send_buffer: Counter::default(),
            paced: AtomicBool::new(false),
            malformed: Throttle::default(),
        })
    }

    pub fn port(&self) -> u16 {
        self.port.load(Ordering::Relaxed)
    }

    pub fn set_port(&self, port: u16) {
        self.port.store(port, Ordering::Relaxed);
    }

    pub fn is_paced(&self) -> bool {
        self.paced.load(Ordering::Relaxed)
    }

    pub fn set_paced(&self, paced: bool) {
        self.paced.store(paced, Ordering::Relaxed);
    }

    pub fn limit(&self) -> u32 {
        self.limit.load(Ordering::Relaxed)
    }

    pub fn set_limit(&self, streams: u32) {
        self.limit.store(streams, Ordering::Relaxed);
    }

    /// How many may be silent, and from when on they give way.
    pub fn silent_limits(&self) -> (u32, Duration) {
        lock(&self.silent).limits()
    }

    pub fn set_silent_after(&self, after: Duration) {
        lock(&self.silent).set_after(after);
    }

    pub fn set_max_silent(&self, max: u32) {
        // Under the lock all along: what is accepted meanwhile is watched afterwards.
        let mut silent = lock(&self.silent);
        if silent.set_max(max) {
            self.each(|stream| silent.watch_again(stream));
        }
    }

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

    /// Takes a place for a connection that a peer opened, which may say nothing for long. Gives the
    /// stream besides, if there is one, that gives way to it: it has ended.
    pub fn reserve_accepted(&self) -> Result<(u64, Option<Arc<Shared>>)> {
        let gave_way = lock(&self.silent).make_room()?;
        if let Some(stream) = &gave_way {
            stream.end(End::GaveWay);
        }
        Ok((self.reserve()?, gave_way))
    }

    /// From now on its silence is noticed.
    pub fn watch_silence(&self, stream: &Arc<Shared>) {
        lock(&self.silent).watch(stream);
    }

    /// Puts the stream into its place. False when the transport was closed meanwhile.
    pub fn register(&self, id: u64, stream: Weak<Shared>) -> bool {
        let mut open = lock(&self.open);
        open.streams.insert(id, stream);
        !open.closed
    }

    pub fn release(&self, id: u64) {
        lock(&self.open).streams.remove(&id);
    }

    /// Ends every stream. After `TransportClosed` there are no new ones.
    pub fn end_all(&self, end: End) {
        lock(&self.open).closed |= end == End::TransportClosed;
        self.each(|stream| {
            stream.end(end);
        });
    }

    /// Ends those that are still being opened: there is no carrier to open them over.
    pub fn end_connecting(&self) {
        self.each(|stream| {
            if stream.is_connecting() {
                stream.end(End::LinkGone);
            }
        });
    }

    /// Visits those that are open.
    pub fn each(&self, mut visit: impl FnMut(&Arc<Shared>)) {
        // A few at a time: it has to work without memory. Ending one, and dropping the last reference,
        // takes the lock again.
        let mut some = Vec::with_capacity(SOME);
        let mut next = 0;
        loop {
            let open = lock(&self.open);
            for (&id, stream) in open.streams.range(next..) {
                some.extend(stream.upgrade());
                next = id + 1;
                if some.len() == SOME {
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

    /// What a thread that waits on a stream waits for besides.
    pub fn nudge_fd(&self) -> BorrowedFd<'_> {
        self.nudge.as_fd()
    }

    /// Makes every waiting thread look at its stream again, until `done`.
    pub fn nudge_until(&self, done: impl Fn() -> bool) {
        let _one_at_a_time = lock(&self.nudging);
        self.nudge.signal();
        wait_until(done);
        self.nudge.clear();
    }
}
