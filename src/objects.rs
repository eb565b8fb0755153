//! The objects behind handles: open transports and their streams.

use std::collections::HashSet;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::AtomicPtr;
use std::sync::{Arc, OnceLock, Weak};

use thunderbolt_transport::{DataStream, ThunderboltTransport};

use crate::failure::Failure;
use crate::fork::Busy;
use crate::handles::Table;
use crate::status::DCF_TB_CANCELLED;
use crate::sync::{lock, Mutex, MutexGuard};

#[cfg(not(loom))]
static TRANSPORTS: Table<Owner> = Table::new(1);
#[cfg(not(loom))]
static STREAMS: Table<Stream> = Table::new(2);
#[cfg(loom)]
static TRANSPORTS: std::sync::LazyLock<Table<Owner>> = std::sync::LazyLock::new(|| Table::new(1));
#[cfg(loom)]
static STREAMS: std::sync::LazyLock<Table<Stream>> = std::sync::LazyLock::new(|| Table::new(2));

/// The object of a transport handle.
pub(crate) struct Owner {
    pub(crate) transport: Arc<ThunderboltTransport>,
    pub(crate) streams: Arc<StreamSet>,
    closing: Box<dyn Fn() + Send + Sync>,
}

impl Owner {
    /// Closes the transport. Its handle has been removed before.
    pub(crate) fn close(&self) {
        (self.closing)();
        self.transport.close();
    }
}

/// The object of a stream handle.
pub(crate) struct Stream {
    pub(crate) data: DataStream,
    /// The program's pointer. The library only stores and returns it.
    pub(crate) user_data: AtomicPtr<c_void>,
    set: Arc<StreamSet>,
}

impl Stream {
    pub(crate) fn transport(&self) -> Option<Arc<ThunderboltTransport>> {
        self.set.transport.get()?.upgrade()
    }
}

/// The handles of one transport's streams, which end with it.
///
/// The transport's owner, its streams and its stream callback share it. The callback may run before
/// `dcf_tb_init` has returned, so the set exists before the transport does.
pub(crate) struct StreamSet {
    /// `None` after the transport began to close: new streams then get no handle.
    open: Mutex<Option<HashSet<u64>>>,
    transport: OnceLock<Weak<ThunderboltTransport>>,
}

impl StreamSet {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            open: Mutex::new(Some(HashSet::new())),
            transport: OnceLock::new(),
        })
    }

    fn open(&self) -> MutexGuard<'_, Option<HashSet<u64>>> {
        lock(&self.open)
    }

    /// Adds a new stream and returns its handle. If the transport is closing, closes the stream
    /// instead.
    pub(crate) fn add(self: &Arc<Self>, data: DataStream) -> Result<u64, Failure> {
        let stream = Arc::new(Stream {
            data,
            user_data: AtomicPtr::new(null_mut()),
            set: Arc::clone(self),
        });
        let _busy = Busy::lock();
        let mut open = self.open();
        let Some(handles) = open.as_mut() else {
            return Err(Failure::new(DCF_TB_CANCELLED, "the transport was closed"));
        };
        let no_memory = || Failure::out_of_memory("no memory for another stream handle");
        handles.try_reserve(1).map_err(|_| no_memory())?;
        let handle = STREAMS.insert(stream).ok_or_else(no_memory)?;
        handles.insert(handle);
        Ok(handle)
    }

    /// Ends all handles and closes their streams; no stream can be added any more. Dropping a
    /// stream is not enough to notify its peer, because a forked child may have a copy of the
    /// descriptor.
    fn end(&self) {
        let handles = self.open().take();
        let removed = handles
            .into_iter()
            .flatten()
            .map(|handle| STREAMS.remove(handle));
        removed.flatten().for_each(|stream| stream.data.close());
    }
}

/// Looks up a transport, without a lock.
#[inline]
pub(crate) fn transport(handle: u64) -> Result<Arc<Owner>, Failure> {
    TRANSPORTS
        .get(handle)
        .ok_or_else(|| Failure::invalid_handle("transport", handle))
}

/// Looks up a stream, without a lock.
#[inline]
pub(crate) fn stream(handle: u64) -> Result<Arc<Stream>, Failure> {
    STREAMS
        .get(handle)
        .ok_or_else(|| Failure::invalid_handle("stream", handle))
}

/// Gives a transport its handle. `closing` runs before the transport is closed. The close waits for
/// handlers, so `closing` must wake handlers that wait for something else than the transport.
pub(crate) fn add_transport(
    transport: Arc<ThunderboltTransport>,
    streams: Arc<StreamSet>,
    closing: impl Fn() + Send + Sync + 'static,
) -> Result<u64, Failure> {
    let _busy = Busy::lock();
    let _ = streams.transport.set(Arc::downgrade(&transport));
    let owner = Arc::new(Owner {
        transport,
        streams,
        closing: Box::new(closing),
    });
    TRANSPORTS.insert(Arc::clone(&owner)).ok_or_else(|| {
        owner.streams.end();
        Failure::out_of_memory("no memory for another transport handle")
    })
}

/// Ends the handles of a transport and of all its streams.
pub(crate) fn remove_transport(handle: u64) -> Result<Arc<Owner>, Failure> {
    // Looked up first, because a stale handle must not make the process busy. With a live
    // transport, the process is busy anyway.
    let owner = transport(handle)?;
    let _busy = Busy::lock();
    if TRANSPORTS.remove(handle).is_none() {
        return Err(Failure::invalid_handle("transport", handle)); // another thread was faster
    }
    owner.streams.end();
    Ok(owner)
}

/// Ends the handle of a stream.
pub(crate) fn remove_stream(handle: u64) -> Result<Arc<Stream>, Failure> {
    let found = stream(handle)?;
    let _busy = Busy::lock();
    if STREAMS.remove(handle).is_none() {
        return Err(Failure::invalid_handle("stream", handle));
    }
    if let Some(handles) = found.set.open().as_mut() {
        handles.remove(&handle);
    }
    Ok(found)
}
