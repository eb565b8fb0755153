//! What handles stand for: open transports and their streams.

use std::collections::HashSet;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::AtomicPtr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use thunderbolt_transport::{DataStream, ThunderboltTransport};

use crate::failure::Failure;
use crate::fork::Busy;
use crate::handles::Table;
use crate::status::DCF_TB_CANCELLED;

static TRANSPORTS: Table<Owner> = Table::new(1);
static STREAMS: Table<Stream> = Table::new(2);

/// What a transport handle stands for.
pub(crate) struct Owner {
    pub(crate) transport: Arc<ThunderboltTransport>,
    pub(crate) streams: Arc<StreamSet>,
    closing: Box<dyn Fn() + Send + Sync>,
}

impl Owner {
    /// Closes the transport, whose handle is gone already.
    pub(crate) fn close(&self) {
        (self.closing)();
        self.transport.close();
    }
}

/// What a stream handle stands for.
pub(crate) struct Stream {
    pub(crate) data: DataStream,
    /// What the program keeps beside it; only ever copied here.
    pub(crate) user_data: AtomicPtr<c_void>,
    set: Arc<StreamSet>,
}

impl Stream {
    pub(crate) fn transport(&self) -> Option<Arc<ThunderboltTransport>> {
        self.set.transport.get()?.upgrade()
    }
}

/// The handles of one transport's streams, so that they end with it.
///
/// It is shared by the transport's owner, its streams, and its stream callback; the latter may
/// run before `dcf_tb_init` has returned, so the set exists before the transport does.
pub(crate) struct StreamSet {
    /// `None` from the moment that the transport closes: what comes later gets no handle.
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
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a new stream its handle. While the transport closes, the stream is closed instead.
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

    /// Ends all of its handles and streams, and lets no new one come. Letting go of a connection is not
    /// enough for its peer to learn of it: a forked child may have it as well.
    fn end(&self) {
        let handles = self.open().take();
        let removed = handles
            .into_iter()
            .flatten()
            .map(|handle| STREAMS.remove(handle));
        removed.flatten().for_each(|stream| stream.data.close());
    }
}

/// Looks a transport up, without a lock.
#[inline]
pub(crate) fn transport(handle: u64) -> Result<Arc<Owner>, Failure> {
    TRANSPORTS
        .get(handle)
        .ok_or_else(|| Failure::invalid_handle("transport", handle))
}

/// Looks a stream up, without a lock.
#[inline]
pub(crate) fn stream(handle: u64) -> Result<Arc<Stream>, Failure> {
    STREAMS
        .get(handle)
        .ok_or_else(|| Failure::invalid_handle("stream", handle))
}

/// Gives a started transport its handle. `closing` is called before it is closed: the close waits for
/// handlers, and it is to wake those that wait for something else than the transport.
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

/// Ends the handle of a transport and those of all its streams.
pub(crate) fn remove_transport(handle: u64) -> Result<Arc<Owner>, Failure> {
    // Looked up first: while it is live the process is busy anyway, and a stale handle must not
    // make it so.
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
