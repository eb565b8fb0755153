//! One transport: its parts, its threads, its life.

use std::cell::Cell;
use std::collections::HashMap;
use std::net::Ipv6Addr;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;
use std::time::Instant;

use crate::address::OwnPort;
use crate::config::ThunderboltTransportBuilder;
use crate::control::answers::Answers;
use crate::control::inbox::Inbox;
use crate::control::intake::Intake;
use crate::control::receiver;
use crate::control::Control;
use crate::error::{Result, TransportError};
use crate::handler_cell::{inside_handler, panic_text, HandlerCall, HandlerCell};
use crate::handlers::{ClosedHandler, LinkHandler, MessageHandler, PeerHandler, StreamHandler};
use crate::last_seen::{LastSeen, Seen};
use crate::link::events::LinkEvents;
use crate::link::watch::Watcher;
use crate::link::Link;
use crate::live_settings::LiveSettings;
use crate::log::{log, Logger};
use crate::progress::Progress;
use crate::rtt::Rtt;
use crate::settings::Settings;
use crate::spin::Spin;
use crate::stats::{Baseline, Counters, Stats};
use crate::stream::registry::{End, Streams};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{lock, thread_local, wait, Condvar, Mutex, MutexGuard};
use crate::sys::event::EventFd;
use crate::sys::reserve_alloc;
use crate::sys::spawn::{spawn, Thread};
use crate::wakers::Wakers;
use crate::weak::WeakTransport;

/// Everything that the threads of one transport share.
pub(crate) struct Core {
    /// As the transport was started. What can change since is not read from here but where it is used, or
    /// in `live`.
    pub settings: Settings,
    pub live: LiveSettings,
    pub log: Logger,
    pub on_message: HandlerCell<MessageHandler>,
    pub on_stream: HandlerCell<StreamHandler>,
    pub on_link: HandlerCell<LinkHandler>,
    pub on_peer: HandlerCell<PeerHandler>,
    pub link_events: LinkEvents,
    on_closed: Mutex<Option<ClosedHandler>>,
    pub counters: Counters,
    pub baseline: Baseline,
    pub link: Link,
    pub last_seen: LastSeen,
    pub control: Control,
    pub answers: Answers,
    pub intake: Intake,
    pub inbox: Inbox,
    pub rtt: Rtt,
    pub spin: Spin,
    pub streams: Streams,
    /// Wakes the accepting thread.
    pub accept_wake: EventFd,
    closing: AtomicBool,
    life: Mutex<Life>,
    life_changed: Condvar,
    /// Those that wait until it is closed.
    close_waiters: Wakers,
    /// Leads to the user's references.
    pub weak: WeakTransport,
}

#[derive(Default)]
struct Life {
    workers: HashMap<u64, Thread>,
    next_worker: u64,
    /// A thread cannot join itself: the next one to end does it, or who closes.
    last_ended: Option<Thread>,
    /// The last worker finishes the close, because nobody waits for it.
    deferred: bool,
    finished: bool,
}

thread_local! {
    /// The transport whose thread this is, by its address; 0 for the user's threads.
    static WORKER_OF: Cell<usize> = const { Cell::new(0) };
}

impl Core {
    /// Binds the sockets and starts the threads, or closes.
    pub fn start(self: &Arc<Self>) -> Result<()> {
        // Only a transport that started says that it closed.
        let on_closed = lock(&self.on_closed).take();
        let started = self.bind_and_spawn();
        if started.is_err() {
            self.log.handler.close();
            self.close();
        } else {
            *lock(&self.on_closed) = on_closed;
            let (name, index) = self.link.with(|now| (now.name.clone(), now.index));
            if let Some(index) = index {
                self.log_bound(&name, index);
            }
        }
        started
    }

    fn bind_and_spawn(self: &Arc<Self>) -> Result<()> {
        let batch = receiver::buffers()
            .map_err(|source| TransportError::from_os("cannot map the receive buffers", source))?;
        let watcher = Watcher::start(self)?;
        self.spawn("dcf-tb-recv", move |core| receiver::run(core, batch))?;
        self.spawn("dcf-tb-accept", move |core| watcher.run(core))
    }

    /// A transport without sockets and threads.
    pub fn new(builder: ThunderboltTransportBuilder) -> Result<Arc<Self>> {
        let ThunderboltTransportBuilder {
            settings,
            on_message,
            on_stream,
            on_log,
            on_link,
            on_peer,
            on_closed,
            weak,
        } = builder;
        let on_peer = HandlerCell::new(on_peer);
        let no_event = |source| TransportError::from_os("cannot make an eventfd", source);
        Ok(Arc::new(Self {
            live: LiveSettings::new(
                settings.allow_any_source,
                settings.connect_timeout,
                settings.stream_dead_after,
            ),
            log: Logger::new(settings.log_level, on_log),
            on_message: HandlerCell::new(on_message),
            on_stream: HandlerCell::new(on_stream),
            on_link: HandlerCell::new(on_link),
            link_events: LinkEvents::default(),
            on_closed: Mutex::new(on_closed),
            counters: Counters::default(),
            baseline: Baseline::new(),
            link: Link::absent(&settings.config.interface),
            last_seen: LastSeen::new(settings.remember_peers, settings.peer_timeout, || {
                on_peer.is_set()
            }),
            on_peer,
            control: Control::new().map_err(no_event)?,
            answers: Answers::default(),
            intake: Intake::default(),
            inbox: Inbox::new(settings.receive_queue, settings.receive_queue_bytes),
            rtt: Rtt::default(),
            spin: Spin::new(settings.busy_poll),
            streams: Streams::new(&settings).map_err(no_event)?,
            accept_wake: EventFd::new().map_err(no_event)?,
            closing: AtomicBool::new(false),
            life: Mutex::default(),
            life_changed: Condvar::new(),
            close_waiters: Wakers::default(),
            weak,
            settings,
        }))
    }

    /// Tells that the sockets are bound to this interface, and what the kernel granted. Programs look for
    /// the first words of these records.
    pub fn log_bound(&self, interface: &str, index: u32) {
        let (control, streams) = (&self.control, &self.streams);
        log!(
            self.log,
            Info,
            "Initialized interface {interface} (index {index})"
        );
        log!(
            self.log,
            Info,
            "UDP socket bound to port {}; buffers: {} bytes asked, {} granted to send and {} to receive",
            control.port(),
            self.settings.config.buffer_size,
            control.send_buffer.get(),
            control.receive_buffer.get(),
        );
        log!(
            self.log,
            Info,
            "TCP listener bound to port {}; buffers: {}",
            streams.port(),
            match streams.send_buffer.get() {
                0 => "tuned by the kernel".to_owned(),
                bytes => format!("{bytes} bytes granted to send, receiving tuned by the kernel"),
            },
        );
    }

    /// Starts a thread that `close` waits for.
    pub fn spawn<F>(self: &Arc<Self>, name: &'static str, body: F) -> Result<()>
    where
        F: FnOnce(&Arc<Self>) + Send + 'static,
    {
        // The lock is held until the handle is in its place: the thread looks for it at its end.
        let mut life = lock(&self.life);
        if self.is_closing() {
            return Err(TransportError::Shutdown);
        }
        if life.workers.try_reserve(1).is_err() {
            return Err(reserve_alloc::exhausted("cannot start another thread"));
        }
        let id = life.next_worker;
        life.next_worker += 1;
        let core = Arc::clone(self);
        let thread = spawn(name, move || {
            WORKER_OF.with(|of| of.set(core.identity()));
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| body(&core))) {
                let text = panic_text(&*panic);
                log!(
                    core.log,
                    Error,
                    "a thread of the transport panicked: {text}"
                );
            }
            core.worker_ended(id);
        });
        let handle = thread.map_err(|source| TransportError::Thread {
            name: name.to_owned(),
            source,
        })?;
        life.workers.insert(id, handle);
        Ok(())
    }

    fn worker_ended(&self, id: u64) {
        let mut life = lock(&self.life);
        let own = life.workers.remove(&id);
        let before = std::mem::replace(&mut life.last_ended, own);
        let finish = life.workers.is_empty() && life.deferred;
        if life.workers.is_empty() {
            self.life_changed.notify_all();
        }
        drop(life);
        if let Some(before) = before {
            // It has ended or is about to.
            before.join();
        }
        if finish {
            self.finish();
        }
    }

    fn identity(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Stops and joins every thread and closes every descriptor. From inside a handler it only
    /// begins that, and the last thread completes it.
    pub fn close(&self) {
        self.close_and(self.may_wait());
    }

    /// The same for a task: the last thread completes it, and wakes the task.
    #[cfg(feature = "async")]
    pub async fn close_async(&self) {
        let may_wait = self.may_wait();
        self.close_and(false);
        if may_wait {
            let closed = || lock(&self.life).finished.then_some(());
            self.close_waiters.until(closed).await;
        }
    }

    /// Whether this thread is none of those that a close waits for.
    fn may_wait(&self) -> bool {
        !inside_handler() && WORKER_OF.with(Cell::get) != self.identity()
    }

    fn close_and(&self, may_wait: bool) {
        let mut life = lock(&self.life);
        if self.closing.swap(true, Ordering::AcqRel) {
            while may_wait && !life.finished {
                life = self.wait_for_change(life);
            }
            return;
        }
        // The threads live at least until they are woken, so one of them will see it.
        life.deferred = !may_wait && !life.workers.is_empty();
        let deferred = life.deferred;
        drop(life);
        self.wake_everybody();
        if deferred {
            return;
        }
        let mut life = lock(&self.life);
        while !life.workers.is_empty() {
            life = self.wait_for_change(life);
        }
        let last = life.last_ended.take();
        drop(life);
        if let Some(last) = last {
            last.join();
        }
        self.finish();
    }

    fn wait_for_change<'a>(&self, life: MutexGuard<'a, Life>) -> MutexGuard<'a, Life> {
        wait(&self.life_changed, life, None)
    }

    fn wake_everybody(&self) {
        // Those that wait in the inbox, too.
        self.streams.end_all(End::TransportClosed);
        self.inbox.close();
        self.link.close();
        self.rtt.wake_all();
        self.control.wake.signal();
        self.accept_wake.signal();
    }

    /// What comes after the last thread: ports are free and no handler runs when the user is told.
    fn finish(&self) {
        self.control.close_and_wait(&self.counters);
        self.rtt.forget_ports();
        // Those that were opened while the threads ended.
        self.streams.end_all(End::TransportClosed);
        self.on_message.close();
        self.on_stream.close();
        self.on_link.close();
        self.on_peer.close();
        log!(self.log, Info, "Transport closed");
        self.log.handler.close();
        if let Some(on_closed) = lock(&self.on_closed).take() {
            // There is nobody left to tell of a panic.
            let _ = catch_unwind(AssertUnwindSafe(on_closed));
        }
        lock(&self.life).finished = true;
        self.life_changed.notify_all();
        self.close_waiters.wake();
    }

    /// Calls a handler and logs its panic.
    pub fn call<H>(&self, running: &HandlerCall<'_, H>, call: impl FnOnce(&H)) {
        if let Some(text) = running.call(call) {
            log!(self.log, Error, "a handler panicked: {text}");
        }
    }

    /// Something came from this address, whatever it is. Calls no handler: locks may be held.
    #[inline]
    pub fn heard_from(&self, from: &Ipv6Addr, at: impl FnOnce() -> Instant) {
        let name = || {
            let up = self.link.is_up();
            up.then(|| format!("{from}%{}", self.link.name()))
        };
        match self.last_seen.note(from, at, name) {
            Seen::Known => {}
            // The accepting thread looks, and sees to it that the handler is told.
            Seen::Appeared => self.accept_wake.signal(),
            Seen::Refused => self.counters.cold.peers_not_reported.increment(),
        }
    }

    /// Counts the failure of a call that stopped early, if it is one.
    pub fn count_progress(&self, progress: Progress) -> Progress {
        if let Err(error) = &progress.outcome {
            self.count_error(error);
        }
        progress
    }

    /// Counts a failure, if it is one.
    pub fn count<T>(&self, result: Result<T>) -> Result<T> {
        if let Err(error) = &result {
            self.count_error(error);
        }
        result
    }

    pub fn count_error(&self, error: &TransportError) {
        if error.counts() {
            self.counters.cold.errors.increment();
        }
    }

    /// The control port of peers that name none.
    pub fn own_control_port(&self) -> OwnPort {
        let configured = self.settings.config.control_port;
        OwnPort::new(configured, self.control.port(), "control_port")
    }

    /// The data port of peers that name none.
    pub fn own_data_port(&self) -> OwnPort {
        let configured = self.settings.config.data_port;
        OwnPort::new(configured, self.streams.port(), "data_port")
    }

    pub fn allows_any_source(&self) -> bool {
        self.live.allow_any_source.load(Ordering::Relaxed)
    }

    /// Whether this source is served.
    pub fn serves(&self, source: &Ipv6Addr) -> bool {
        crate::address::is_local(source) || self.allows_any_source()
    }

    /// All counters since the start.
    pub fn totals(&self) -> Stats {
        let (counters, cold) = (&self.counters, &self.counters.cold);
        let failures = [
            self.on_message.failures(),
            self.on_stream.failures(),
            self.on_link.failures(),
            self.on_peer.failures(),
            self.log.handler.failures(),
        ];
        let mut totals = Stats {
            link_up: self.link.is_up(),
            messages_sent: counters.sent.sum(|sent| &sent.messages),
            messages_received: counters.received.messages.get(),
            bytes_sent: counters.sent.sum(|sent| &sent.bytes),
            bytes_received: counters.received.bytes.get(),
            kernel_drops: cold.kernel_drops_before.get() + self.control.kernel_drops(),
            stream_bytes_sent: counters.stream_bytes_sent.sum(|bytes| bytes),
            stream_bytes_received: counters.stream_bytes_received.sum(|bytes| bytes),
            streams_open: self.streams.open() as u64,
            last_rtt_ns: cold.last_rtt_ns.get(),
            link_changes: self.link.changes(),
            callback_failures: failures.iter().sum(),
            udp_send_buffer: self.control.send_buffer.get(),
            udp_receive_buffer: self.control.receive_buffer.get(),
            ..Stats::default()
        };
        cold.read_into(&mut totals);
        totals
    }
}

#[cfg(all(loom, test))]
mod models;
