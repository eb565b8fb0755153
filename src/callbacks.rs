//! Callbacks: their types, the functions that set them, and the closures that call them.

use std::ffi::{c_char, c_void};

use thunderbolt_transport::{DataStream, LinkEvent, LogLevel, PeerEvent, Sender};

use crate::boundary;
use crate::fork::Busy;
use crate::objects::StreamSet;
use crate::pointers::c_string;
use crate::status::dcf_tb_status;
use crate::symbol_versions::exported_since;
use crate::types::{dcf_tb_stream, dcf_tb_transport};

/// A control message arrived. `message` has `message_len` bytes and no NUL. `sender` is a peer
/// string of at most `DCF_TB_PEER_SIZE` bytes with its NUL, and can be passed to other functions.
/// Both are valid only during the call.
///
/// Runs on the receiver thread, never twice at the same time, and gets the messages of each peer in
/// order. It may take long: other threads answer pings meanwhile, and up to `buffer_size` bytes of
/// messages wait in the kernel.
#[allow(non_camel_case_types)]
pub type dcf_tb_message_callback = Option<
    unsafe extern "C-unwind" fn(
        message: *const u8,
        message_len: usize,
        sender: *const c_char,
        user_data: *mut c_void,
    ),
>;

/// A peer opened a data stream. The callback owns the handle, may keep it after the call, and must
/// close it with `dcf_tb_stream_close`. `peer` is the address without a port, and is valid only
/// during the call.
///
/// Each call runs on its own thread, so it may read and write until the stream ends. If no thread
/// can be started, the stream is reset, counted in `errors`, and logged.
#[allow(non_camel_case_types)]
pub type dcf_tb_stream_callback = Option<
    unsafe extern "C-unwind" fn(stream: dcf_tb_stream, peer: *const c_char, user_data: *mut c_void),
>;

/// A log record. `level` is one of `DCF_TB_LOG_*`. `message` is one line without a line end, and is
/// valid only during the call.
///
/// Runs on the thread that logs, so several calls can run at the same time. That thread does no
/// other work meanwhile. It can be the one that accepts streams and watches the link.
#[allow(non_camel_case_types)]
pub type dcf_tb_log_callback =
    Option<unsafe extern "C-unwind" fn(level: i32, message: *const c_char, user_data: *mut c_void)>;

/// The link changed. `up` is 1 when the interface can carry traffic again (also after a replug),
/// and 0 when it cannot. `interface_name` is valid only during the call.
///
/// A change is reported when the library checks the interface. An outage that begins and ends
/// between two checks is not reported, for example an interface that is switched off and on
/// immediately, unless a call noticed it. A replugged cable creates a new interface, so both
/// changes are reported.
///
/// The order of a change is fixed. First, `link_up` and `link_changes` in the statistics change,
/// and `dcf_tb_wait_link` returns. Second, the calls and streams that the change ends fail with
/// `DCF_TB_ERR_LINK_DOWN`. Third, the change is logged. Last comes this callback, which delays no
/// other step. So after `DCF_TB_ERR_LINK_DOWN` the statistics show that the link is down, or that
/// it has already come back.
///
/// Runs on its own thread, in the order of the changes, and never twice at the same time. While it
/// runs, further changes wait for it, up to 64. Beyond that, a change and its reversal are left out
/// together.
#[allow(non_camel_case_types)]
pub type dcf_tb_link_callback = Option<
    unsafe extern "C-unwind" fn(up: i32, interface_name: *const c_char, user_data: *mut c_void),
>;

/// A peer appeared or vanished. `appeared` is 1 or 0. `peer` is its address with the interface and
/// without a port. It can be passed to other functions, and is valid only during the call.
///
/// A peer appears when anything comes from its address: a message, a ping, a pong, a stream, or
/// data of a stream. It vanishes when nothing came from it for `peer_timeout_ms`, or when the link
/// goes down. A peer that only listens vanishes too. No peer appears while the link is down.
/// `dcf_tb_forget` removes a peer without a call. Later traffic makes a removed peer appear again.
/// A source address does not prove the identity of the sender.
///
/// Any host on the link can forge source addresses, so the number of calls is limited. At most 256
/// peers appear at once, then 16 per second, and at most 1,024 are present. Traffic from other
/// sources is counted in `peers_not_reported`. Such a source appears with its next traffic once
/// there is room. Present peers are never removed to make room. Peers that the program passed to
/// `dcf_tb_last_heard` have 1,024 separate places, so they appear even during such a flood.
///
/// Runs on its own thread, in the order of the changes, and never twice at the same time. The
/// library never waits for it. If a peer vanishes and appears again before the callback could be
/// called, both changes are left out. A peer that appears only briefly is still reported, unless the
/// link goes down or the peer is forgotten first. The order relative to the link callback is not
/// defined.
#[allow(non_camel_case_types)]
pub type dcf_tb_peer_callback =
    Option<unsafe extern "C-unwind" fn(appeared: i32, peer: *const c_char, user_data: *mut c_void)>;

/// The transport has closed. No other callback of the transport runs after this one, so `user_data`
/// may be freed.
#[allow(non_camel_case_types)]
pub type dcf_tb_closed_callback = Option<unsafe extern "C-unwind" fn(user_data: *mut c_void)>;

/// The caller's pointer, which is passed back unchanged.
#[derive(Clone, Copy)]
pub(crate) struct UserData(pub(crate) *mut c_void);

// SAFETY: the library never dereferences the pointer. The header tells callers that callbacks run
// on threads of the library, so the pointed-to data must be usable there.
unsafe impl Send for UserData {}
// SAFETY: as above. The header also says which callbacks can run several times at once.
unsafe impl Sync for UserData {}

impl UserData {
    /// A method, so that closures capture the wrapper and not the raw pointer.
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
        // SAFETY: the caller's function and pointer; the other arguments are valid during the call.
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
        // `add` fails while the transport closes, and has then closed the stream.
        if let Ok(handle) = streams.add(stream) {
            // SAFETY: the caller's function and pointer; `peer` is valid during the call.
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
        // SAFETY: the caller's function and pointer; `message` is valid during the call.
        unsafe { callback(level as i32, message.as_ptr(), user_data.get()) }
    }
}

pub(crate) fn on_link(
    callback: unsafe extern "C-unwind" fn(i32, *const c_char, *mut c_void),
    user_data: UserData,
) -> impl Fn(&LinkEvent<'_>) + Send + Sync {
    move |event| {
        let interface = c_string(event.interface);
        // SAFETY: the caller's function and pointer; `interface` is valid during the call.
        unsafe { callback(event.up.into(), interface.as_ptr(), user_data.get()) }
    }
}

pub(crate) fn on_peer(
    callback: unsafe extern "C-unwind" fn(i32, *const c_char, *mut c_void),
    user_data: UserData,
) -> impl Fn(&PeerEvent<'_>) + Send + Sync {
    move |event| {
        let peer = c_string(event.peer);
        // SAFETY: the caller's function and pointer; `peer` is valid during the call.
        unsafe { callback(event.appeared.into(), peer.as_ptr(), user_data.get()) }
    }
}

/// Runs when the last thread of the transport has finished its work, so it also ends `busy`.
pub(crate) fn on_closed(
    callback: dcf_tb_closed_callback,
    user_data: UserData,
    busy: Busy,
) -> impl FnOnce() + Send {
    move || {
        if let Some(callback) = callback {
            // SAFETY: the caller's function and pointer.
            unsafe { callback(user_data.get()) }
        }
        drop(busy);
    }
}

/// Sets or replaces the message callback; NULL removes it.
///
/// The new callback first gets the queued messages, in order. Without a callback, messages are
/// queued for `dcf_tb_recv`.
///
/// - `callback`, `user_data`: the function or NULL, and a pointer that it receives.
///
/// Ownership: after the call, the old callback does not run any more, and its `user_data` may be
/// freed. If the old callback itself makes this call, it is not called again after it returns.
/// Blocks: until the old callback has returned, so do not hold a lock that it takes.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_CANCELLED            the transport was closed during the call
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

/// Sets or replaces the stream callback; NULL removes it.
///
/// Without a callback, streams that peers open are queued for `dcf_tb_accept`.
///
/// - `callback`, `user_data`: the function or NULL, and a pointer that it receives.
///
/// Ownership: after the call, the old callback does not run any more, and its `user_data` may be
/// freed. If the old callback itself makes this call, it is not called again after it returns.
/// Streams that the old callback received still belong to the caller.
/// Blocks: until all calls of the old callback have returned, so do not hold a lock that they take.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_CANCELLED            the transport was closed during the call
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

/// Sets or replaces the log callback; NULL removes it.
///
/// - `callback`, `user_data`: the function or NULL, and a pointer that it receives.
///
/// Ownership: after the call, the old callback does not run any more, and its `user_data` may be
/// freed. If the old callback itself makes this call, it is not called again after it returns.
/// Blocks: until all calls of the old callback have returned, so do not hold a lock that they take.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_CANCELLED            the transport was closed during the call
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

/// Sets or replaces the link callback; NULL removes it. The callback reports only later changes.
/// `link_up` in the statistics has the present state.
///
/// - `callback`, `user_data`: the function or NULL, and a pointer that it receives.
///
/// Ownership: after the call, the old callback does not run any more, and its `user_data` may be
/// freed. If the old callback itself makes this call, it is not called again after it returns.
/// Blocks: until the old callback has returned, so do not hold a lock that it takes.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_CANCELLED            the transport was closed during the call
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

/// Sets or replaces the peer callback; NULL removes it. If there was a callback before, the new one
/// reports only later changes. Otherwise each peer appears when something next comes from it.
///
/// - `callback`, `user_data`: the function or NULL, and a pointer that it receives.
///
/// Ownership: after the call, the old callback does not run any more, and its `user_data` may be
/// freed. If the old callback itself makes this call, it is not called again after it returns.
/// Blocks: until the old callback has returned, so do not hold a lock that it takes.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_CANCELLED            the transport was closed during the call
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
