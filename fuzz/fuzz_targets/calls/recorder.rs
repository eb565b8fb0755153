//! Callbacks that record their arguments.

use std::ffi::{c_char, c_void, CStr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use dcf_thunderbolt::fuzzing::*;

use crate::operation::OnMessage;

/// The `user_data` of all callbacks of one transport.
#[derive(Default)]
pub struct Recorder {
    /// The handle, once `dcf_tb_init` has returned.
    pub transport: AtomicU64,
    messages: Mutex<Vec<(Vec<u8>, String)>>,
    streams: Mutex<Vec<(dcf_tb_stream, String)>>,
    pub lowest_log_level: AtomicUsize,
    pub link_events: AtomicUsize,
    pub closed: AtomicUsize,
}

impl Recorder {
    pub fn user_data(self: &Arc<Self>) -> *mut c_void {
        Arc::as_ptr(self).cast_mut().cast()
    }

    /// Messages that callbacks received, with their senders, in the order of the calls.
    pub fn messages(&self) -> MutexGuard<'_, Vec<(Vec<u8>, String)>> {
        self.messages.lock().unwrap()
    }

    /// Streams that callbacks received, with their peers.
    pub fn streams(&self) -> MutexGuard<'_, Vec<(dcf_tb_stream, String)>> {
        self.streams.lock().unwrap()
    }

    fn handle(&self) -> dcf_tb_transport {
        self.transport.load(Ordering::SeqCst)
    }

    unsafe fn keep(&self, message: *const u8, length: usize, sender: *const c_char) {
        // SAFETY: what the header promises of a message callback's arguments.
        let (message, sender) = unsafe {
            (
                std::slice::from_raw_parts(message, length),
                CStr::from_ptr(sender),
            )
        };
        let sender = sender.to_str().expect("senders are UTF-8").to_owned();
        assert!(sender.len() < DCF_TB_PEER_SIZE);
        self.messages().push((message.to_vec(), sender));
    }
}

/// The recorder behind a `user_data`.
unsafe fn of<'a>(user_data: *mut c_void) -> &'a Recorder {
    // SAFETY: every transport outlives its callbacks, and its recorder the transport.
    unsafe { &*user_data.cast() }
}

/// The callback for this behaviour.
pub fn on_message(what: OnMessage) -> dcf_tb_message_callback {
    match what {
        OnMessage::None => None,
        OnMessage::Keep => Some(keep),
        OnMessage::KeepOne => Some(keep_one),
        OnMessage::Close => Some(keep_and_close),
    }
}

unsafe extern "C-unwind" fn keep(
    message: *const u8,
    length: usize,
    sender: *const c_char,
    user_data: *mut c_void,
) {
    // SAFETY: as the header promises.
    unsafe { of(user_data).keep(message, length, sender) }
}

unsafe extern "C-unwind" fn keep_one(
    message: *const u8,
    length: usize,
    sender: *const c_char,
    user_data: *mut c_void,
) {
    // SAFETY: as the header promises.
    unsafe {
        let status = dcf_tb_set_message_callback(of(user_data).handle(), None, user_data);
        assert_eq!(status, DCF_TB_OK);
        of(user_data).keep(message, length, sender);
    }
}

unsafe extern "C-unwind" fn keep_and_close(
    message: *const u8,
    length: usize,
    sender: *const c_char,
    user_data: *mut c_void,
) {
    // SAFETY: as the header promises.
    unsafe {
        assert_eq!(dcf_tb_close(of(user_data).handle()), DCF_TB_OK);
        of(user_data).keep(message, length, sender);
    }
}

pub unsafe extern "C-unwind" fn on_stream(
    stream: dcf_tb_stream,
    peer: *const c_char,
    user_data: *mut c_void,
) {
    // SAFETY: as the header promises.
    let (recorder, peer) = unsafe { (of(user_data), CStr::from_ptr(peer)) };
    let peer = peer.to_str().expect("peers are UTF-8").to_owned();
    recorder.streams().push((stream, peer));
}

pub unsafe extern "C-unwind" fn on_log(level: i32, message: *const c_char, user_data: *mut c_void) {
    // SAFETY: as the header promises.
    let (recorder, message) = unsafe { (of(user_data), CStr::from_ptr(message)) };
    let message = message.to_str().expect("log records are UTF-8");
    assert!(
        !message.is_empty() && !message.contains('\n'),
        "{message:?}"
    );
    let lowest = recorder.lowest_log_level.load(Ordering::SeqCst);
    assert!((lowest..=4).contains(&usize::try_from(level).expect("not negative")));
}

pub unsafe extern "C-unwind" fn on_link(up: i32, interface: *const c_char, user_data: *mut c_void) {
    // SAFETY: as the header promises.
    let (recorder, interface) = unsafe { (of(user_data), CStr::from_ptr(interface)) };
    assert!((0..=1).contains(&up) && !interface.is_empty());
    recorder.link_events.fetch_add(1, Ordering::SeqCst);
}

pub unsafe extern "C-unwind" fn on_peer(
    appeared: i32,
    peer: *const c_char,
    user_data: *mut c_void,
) {
    // SAFETY: as the header promises.
    let (_, peer) = unsafe { (of(user_data), CStr::from_ptr(peer)) };
    assert!((0..=1).contains(&appeared) && !peer.is_empty());
}

pub unsafe extern "C-unwind" fn on_closed(user_data: *mut c_void) {
    // SAFETY: as the header promises.
    unsafe { of(user_data) }
        .closed
        .fetch_add(1, Ordering::SeqCst);
}
