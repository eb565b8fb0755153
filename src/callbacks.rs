//! Callbacks: their types, the functions that set them, and the closures through which the
//! transport calls them.

use std::ffi::{c_char, c_void};

use thunderbolt_transport::{DataStream, LinkEvent, LogLevel, PeerEvent, Sender};

use crate::boundary;
use crate::fork::Busy;
use crate::objects::StreamSet;
use crate::pointers::c_string;
use crate::status::dcf_tb_status;
use crate::symbol_versions::exported_since;
use crate::types::{dcf_tb_stream, dcf_tb_transport};

/// A control message came. `message` has `message_len` bytes and no NUL; `sender` can be handed
/// back as a peer, and is at most `DCF_TB_PEER_SIZE` bytes with its NUL. Both live for the call only.
///
/// Runs on the receiver thread: the messages of one peer come in order, and no two calls overlap. It may
/// take long: meanwhile pings are answered, and messages wait, as many as fit into `buffer_size` bytes.
#[allow(non_camel_case_types)]
pub type dcf_tb_message_callback = Option<
    unsafe extern "C-unwind" fn(
        message: *const u8,
        message_len: usize,
        sender: *const c_char,
        user_data: *mut c_void,
    ),
>;

/// A peer opened a data stream. The handle is the callee's, which may keep it beyond the call, and
/// closes it with `dcf_tb_stream_close`. `peer` is the bare address and lives for the call only.
///
/// Each call has a thread of its own, so it may read and write to the end. Where no thread can be
/// started the stream is reset, counted under `errors`, and logged.
#[allow(non_camel_case_types)]
pub type dcf_tb_stream_callback = Option<
    unsafe extern "C-unwind" fn(stream: dcf_tb_stream, peer: *const c_char, user_data: *mut c_void),
>;

/// A log record: `level` is one of `DCF_TB_LOG_*`; `message` is one line without its end, and lives
/// for the call only.
///
/// Runs on whichever thread has something to say, several at once too; on the one that accepts streams
/// and watches the link, for example: they wait for it.
#[allow(non_camel_case_types)]
pub type dcf_tb_log_callback =
    Option<unsafe extern "C-unwind" fn(level: i32, message: *const c_char, user_data: *mut c_void)>;

/// The link changed. `up` is 1 when the interface can carry traffic again (after a replug too), and
/// 0 when it cannot. `interface_name` lives for the call only.
///
/// It reports what a look at the interface finds. It does not report an outage that begins and ends
/// between two looks and that no call noticed, such as an interface that is switched off and on at
/// once. (A replugged cable makes a new interface, and both changes are reported.)
///
/// The order of a change: first `link_up` and `link_changes` in the statistics, and with them
/// `dcf_tb_wait_link`; then the calls and streams that the change ends, with `DCF_TB_ERR_LINK_DOWN`; then
/// the log; then this callback, which does not delay them and may be later than a call that reports
/// the outage. So after `DCF_TB_ERR_LINK_DOWN` the statistics never say that the link is still up: it is
/// down, or has come back meanwhile.
///
/// Runs on a thread of its own, in the order of the changes, and never two at once. While it runs the
/// next changes wait for it, and nothing else does. Beyond 64 a change and the one back are left out
/// together.
#[allow(non_camel_case_types)]
pub type dcf_tb_link_callback = Option<
    unsafe extern "C-unwind" fn(up: i32, interface_name: *const c_char, user_data: *mut c_void),
>;

/// A peer appeared or vanished. `appeared` is 1 or 0. `peer` is its address with the interface, without a
/// port, can be handed back as a peer, and lives for the call only.
///
/// A peer appears when anything comes from its address while it is not there: a message, a ping, a pong,
/// a stream, or bytes of one. It vanishes when nothing has come for `peer_timeout_ms`, or when the link
/// goes down; a peer that only listens vanishes too. While the link is down no peer appears. One that is
/// given to `dcf_tb_forget` is gone without a call. What is heard later makes a peer appear again. An
/// address is no proof of who sends.
///
/// Anybody on the link can make up sources: no more than 256 peers appear at once, then 16 a second, and
/// no more than 1,024 are there. What comes from others is counted in `peers_not_reported`; they appear
/// with what they send when there is room again. Nobody who is there makes room for them. A peer that the
/// program asked for, by `dcf_tb_last_heard`, appears in any such flood: there are 1,024 places more for
/// those.
///
/// Runs on a thread of its own, in the order of the changes, and never two at once; nothing waits for it.
/// A change that comes while it runs, and the one back, are left out together; but that a peer appeared is
/// told, unless the link went down or it was forgotten before. The order with the link callback is not
/// defined.
#[allow(non_camel_case_types)]
pub type dcf_tb_peer_callback =
    Option<unsafe extern "C-unwind" fn(appeared: i32, peer: *const c_char, user_data: *mut c_void)>;

/// The transport has closed. This is the last call of all for it: `user_data` may be freed.
#[allow(non_camel_case_types)]
pub type dcf_tb_closed_callback = Option<unsafe extern "C-unwind" fn(user_data: *mut c_void)>;

/// The caller's pointer, on its way back to the caller.
#[derive(Clone, Copy)]
pub(crate) struct UserData(pub(crate) *mut c_void);

// SAFETY: we never look behind the pointer. The header tells whoever registers a callback that it
// is called on library threads, so what the pointer leads to must be fit for that.
unsafe impl Send for UserData {}
// SAFETY: as above; the header says too which callbacks may run several at once.
unsafe impl Sync for UserData {}

impl UserData {
    /// As a method, so that closures capture the wrapper and not the bare pointer.
    fn get(self) -> *mut c_void {
        self.0
    }
}

pub(crate) fn on_message(
    callback: unsafe extern "C-unwind" fn(*const u8, usize, *const c_char, *mut c_void),
    user_data: UserData,
) -> impl Fn(&[u8], &Sender<'_>) + Send + Sync {
    move |message, sender| {
        let sender = sender.as_bytes_with_nul().as_ptr().cast();
        // SAFETY: the caller's own function and pointer; ours are valid for the call.
        unsafe { callback(message.as_ptr(), message.len(), sender, user_data.get()) }
    }
}

pub(crate) fn on_stream(
    callback: unsafe extern "C-unwind" fn(dcf_tb_stream, *const c_char, *mut c_void),
    user_data: UserData,
    streams: std::sync::Arc<StreamSet>,
) -> impl Fn(DataStream) + Send + Sync {
    move |stream| {
        let peer = c_string(stream.peer());
        // It fails when the transport is closing, and then the stream is closed already.
        if let Ok(handle) = streams.add(stream) {
            // SAFETY: the caller's own function and pointer; ours is valid for the call.
            unsafe { callback(handle, peer.as_ptr(), user_data.get()) }
        }
    }
}

pub(crate) fn on_log(
    callback: unsafe extern "C-unwind" fn(i32, *const c_char, *mut c_void),
    user_data: UserData,
) -> impl Fn(LogLevel, &str) + Send + Sync {
    move |level, message| {
        let message = c_string(message);
        // SAFETY: the caller's own function and pointer; ours is valid for the call.
        unsafe { callback(level as i32, message.as_ptr(), user_data.get()) }
    }
}

pub(crate) fn on_link(
    callback: unsafe extern "C-unwind" fn(i32, *const c_char, *mut c_void),
    user_data: UserData,
) -> impl Fn(&LinkEvent<'_>) + Send + Sync {
    move |event| {
        let interface = c_string(event.interface);
        // SAFETY: the caller's own function and pointer; ours is valid for the call.
        unsafe { callback(event.up.into(), interface.as_ptr(), user_data.get()) }
    }
}

pub(crate) fn on_peer(
    callback: unsafe extern "C-unwind" fn(i32, *const c_char, *mut c_void),
    user_data: UserData,
) -> impl Fn(&PeerEvent<'_>) + Send + Sync {
    move |event| {
        let peer = c_string(event.peer);
        // SAFETY: the caller's own function and pointer; ours is valid for the call.
        unsafe { callback(event.appeared.into(), peer.as_ptr(), user_data.get()) }
    }
}

/// Runs when the last thread of the transport has nothing more to do, and so ends `busy` as well.
pub(crate) fn on_closed(
    callback: dcf_tb_closed_callback,
    user_data: UserData,
    busy: Busy,
) -> impl FnOnce() + Send {
    move || {
        if let Some(callback) = callback {
            // SAFETY: the caller's own function and pointer.
            unsafe { callback(user_data.get()) }
        }
        drop(busy);
    }
}

/// Sets, replaces or (NULL) removes the message callback.
///
/// Messages that wait in the queue go to the new callback first, in order. While there is none,
/// they wait for `dcf_tb_recv`.
///
/// - `callback`, `user_data`: the function, or NULL; and a pointer that it is handed.
///
/// Ownership: when the call has returned, the old callback runs nowhere and never will again, and
/// its `user_data` may be freed. Called from inside that very callback, the running call is its last.
/// Blocks: until the old callback has returned, so do not hold a lock that it takes.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_CANCELLED            the transport was closed meanwhile
///   DCF_TB_ERR_INVALID_HANDLE
#[no_mangle]
pub unsafe extern "C" fn dcf_tb_set_message_callback(
    transport: dcf_tb_transport,
    callback: dcf_tb_message_callback,
    user_data: *mut c_void,
) -> dcf_tb_status {
    boundary::on_transport("dcf_tb_set_message_callback", transport, |owner| {
        let user_data = UserData(user_data);
        let handler = callback.map(|callback| Box::new(on_message(callback, user_data)) as _);
        Ok(owner.transport.set_message_handler(handler)?)
    })
}

/// Sets, replaces or (NULL) removes the stream callback.
///
/// While there is none, streams that peers open wait for `dcf_tb_accept`.
///
/// - `callback`, `user_data`: the function, or NULL; and a pointer that it is handed.
///
/// Ownership: when the call has returned, the old callback runs nowhere and never will again, and
/// its `user_data` may be freed. Called from inside that very callback, the running call is its last.
/// Streams that it was given stay the caller's.
/// Blocks: until the old callback's calls have returned, so do not hold a lock that they take.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_CANCELLED            the transport was closed meanwhile
///   DCF_TB_ERR_INVALID_HANDLE
#[no_mangle]
pub unsafe extern "C" fn dcf_tb_set_stream_callback(
    transport: dcf_tb_transport,
    callback: dcf_tb_stream_callback,
    user_data: *mut c_void,
) -> dcf_tb_status {
    boundary::on_transport("dcf_tb_set_stream_callback", transport, |owner| {
        let user_data = UserData(user_data);
        let handler = callback.map(|callback| {
            let streams = std::sync::Arc::clone(&owner.streams);
            Box::new(on_stream(callback, user_data, streams)) as _
        });
        Ok(owner.transport.set_stream_handler(handler)?)
    })
}

/// Sets, replaces or (NULL) removes the log callback.
///
/// - `callback`, `user_data`: the function, or NULL; and a pointer that it is handed.
///
/// Ownership: when the call has returned, the old callback runs nowhere and never will again, and
/// its `user_data` may be freed. Called from inside that very callback, the running call is its last.
/// Blocks: until the old callback's calls have returned, so do not hold a lock that they take.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_CANCELLED            the transport was closed meanwhile
///   DCF_TB_ERR_INVALID_HANDLE
#[no_mangle]
pub unsafe extern "C" fn dcf_tb_set_log_callback(
    transport: dcf_tb_transport,
    callback: dcf_tb_log_callback,
    user_data: *mut c_void,
) -> dcf_tb_status {
    boundary::on_transport("dcf_tb_set_log_callback", transport, |owner| {
        let user_data = UserData(user_data);
        let handler = callback.map(|callback| Box::new(on_log(callback, user_data)) as _);
        Ok(owner.transport.set_logger(handler)?)
    })
}

/// Sets, replaces or (NULL) removes the link callback. It tells changes from now on; the present
/// state is `link_up` in the statistics.
///
/// - `callback`, `user_data`: the function, or NULL; and a pointer that it is handed.
///
/// Ownership: when the call has returned, the old callback runs nowhere and never will again, and
/// its `user_data` may be freed. Called from inside that very callback, the running call is its last.
/// Blocks: until the old callback has returned, so do not hold a lock that it takes.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_CANCELLED            the transport was closed meanwhile
///   DCF_TB_ERR_INVALID_HANDLE
#[no_mangle]
pub unsafe extern "C" fn dcf_tb_set_link_callback(
    transport: dcf_tb_transport,
    callback: dcf_tb_link_callback,
    user_data: *mut c_void,
) -> dcf_tb_status {
    boundary::on_transport("dcf_tb_set_link_callback", transport, |owner| {
        let user_data = UserData(user_data);
        let handler = callback.map(|callback| Box::new(on_link(callback, user_data)) as _);
        Ok(owner.transport.set_link_handler(handler)?)
    })
}

/// Sets, replaces or (NULL) removes the peer callback. In the place of another it tells changes from now
/// on; if there was none, every peer appears when it is heard from.
///
/// - `callback`, `user_data`: the function, or NULL; and a pointer that it is handed.
///
/// Ownership: when the call has returned, the old callback runs nowhere and never will again, and
/// its `user_data` may be freed. Called from inside that very callback, the running call is its last.
/// Blocks: until the old callback has returned, so do not hold a lock that it takes.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_CANCELLED            the transport was closed meanwhile
///   DCF_TB_ERR_INVALID_HANDLE
#[no_mangle]
pub unsafe extern "C" fn dcf_tb_set_peer_callback(
    transport: dcf_tb_transport,
    callback: dcf_tb_peer_callback,
    user_data: *mut c_void,
) -> dcf_tb_status {
    boundary::on_transport("dcf_tb_set_peer_callback", transport, |owner| {
        let user_data = UserData(user_data);
        let handler = callback.map(|callback| Box::new(on_peer(callback, user_data)) as _);
        Ok(owner.transport.set_peer_handler(handler)?)
    })
}

exported_since! {
    "DCF_TB_1.0":
    dcf_tb_set_message_callback,
    dcf_tb_set_stream_callback,
    dcf_tb_set_log_callback,
    dcf_tb_set_link_callback,
    dcf_tb_set_peer_callback,
}
