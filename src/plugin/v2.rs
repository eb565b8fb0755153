//! The second contract: a struct of functions, with DCF's error numbers, senders and timeouts.

use std::ffi::{c_char, c_int, c_void};

use super::adapter::Adapter;
use super::memory::Buffer;
use super::object;
use crate::failure::Failure;
use crate::pointers::{peer, timeout, zero_count, Out};
use crate::status::{dcf_tb_version, DCF_TB_OK};
use crate::types::DCF_TB_PEER_SIZE;

/// DCF's `dcf_types.h`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ITransport {
    /// The object. Functions use only this, so that a copy of the struct works like the original.
    ctx: *mut c_void,
    setup: unsafe extern "C" fn(*mut ITransport, *const c_char, c_int) -> c_int,
    send: unsafe extern "C" fn(*mut ITransport, *const u8, usize, *const c_char, u32) -> c_int,
    receive: unsafe extern "C" fn(
        *mut ITransport,
        *mut *mut u8,
        *mut usize,
        *mut *mut c_char,
        u32,
    ) -> c_int,
    is_connected: unsafe extern "C" fn(*mut ITransport, *const c_char) -> bool,
    disconnect: unsafe extern "C" fn(*mut ITransport, *const c_char) -> c_int,
    shutdown: unsafe extern "C" fn(*mut ITransport) -> c_int,
    destroy: unsafe extern "C" fn(*mut ITransport),
    get_name: unsafe extern "C" fn(*mut ITransport) -> *const c_char,
    get_version: unsafe extern "C" fn(*mut ITransport) -> *const c_char,
    get_fd: unsafe extern "C" fn(*mut ITransport) -> c_int,
}

pub(super) fn table(ctx: *mut c_void) -> ITransport {
    ITransport {
        ctx,
        setup,
        send,
        receive,
        is_connected,
        disconnect,
        shutdown,
        destroy,
        get_name,
        get_version,
        get_fd,
    }
}

/// # Safety
///
/// `this` is NULL, from `create_plugin_v2`, or a copy of such a struct.
unsafe fn object_of(this: *mut ITransport) -> *mut c_void {
    // SAFETY: the caller's promise.
    unsafe { this.as_ref() }.map_or(std::ptr::null_mut(), |this| this.ctx)
}

unsafe extern "C" fn setup(this: *mut ITransport, host: *const c_char, port: c_int) -> c_int {
    // SAFETY: the caller's promises about `this` and `host`.
    unsafe { object::set_up(object_of(this), || object::settings_of(host, port)) }
}

unsafe extern "C" fn send(
    this: *mut ITransport,
    data: *const u8,
    len: usize,
    recipient: *const c_char,
    timeout_ms: u32,
) -> c_int {
    // SAFETY: the caller's promises about all pointers.
    unsafe { object::send(object_of(this), data, len, recipient, timeout(timeout_ms)) }
}

unsafe extern "C" fn receive(
    this: *mut ITransport,
    data_out: *mut *mut u8,
    len_out: *mut usize,
    sender_out: *mut *mut c_char,
    timeout_ms: u32,
) -> c_int {
    // SAFETY: the caller's promise about `len_out`.
    unsafe { zero_count(len_out) };
    // On failure the host can pass these to `free`.
    for pointer in [data_out.cast::<*mut c_void>(), sender_out.cast()] {
        if !pointer.is_null() {
            // SAFETY: not NULL, and the caller's promise about it.
            unsafe { pointer.write(std::ptr::null_mut()) };
        }
    }
    let body = |adapter: &Adapter| {
        // SAFETY: the caller's promise about `data_out`.
        let data_out = unsafe { Out::new(data_out, "data_out") }?;
        // SAFETY: the caller's promise about `len_out`.
        let len_out = unsafe { Out::new(len_out, "len_out") }?;
        // Allocated first, so that no message is lost if there is no memory for its sender.
        let mut sender = Buffer::with_capacity(DCF_TB_PEER_SIZE)
            .ok_or_else(|| Failure::out_of_memory("no memory for the sender of a message"))?;
        let message = adapter.receive(timeout(timeout_ms))?;
        if !sender_out.is_null() {
            sender.extend(message.sender.with_nul());
            // SAFETY: not NULL, and the caller's promise about `sender_out`.
            unsafe { sender_out.write(sender.into_raw().0.cast()) };
        }
        let (data, length) = message.data.into_raw();
        data_out.set(data);
        len_out.set(length);
        Ok(())
    };
    // SAFETY: the caller's promise about `this`.
    unsafe { object::call("receive", object_of(this), body) }
}

unsafe extern "C" fn is_connected(this: *mut ITransport, peer_text: *const c_char) -> bool {
    let mut connected = false;
    let body = |adapter: &Adapter| {
        // SAFETY: the caller's promise about `peer_text`.
        connected = adapter.is_connected(unsafe { peer(peer_text, "peer") }?)?;
        Ok(())
    };
    // SAFETY: the caller's promise about `this`.
    unsafe { object::call("is_connected", object_of(this), body) == DCF_TB_OK && connected }
}

unsafe extern "C" fn disconnect(this: *mut ITransport, peer_text: *const c_char) -> c_int {
    // SAFETY: the caller's promises about `this` and `peer_text`.
    unsafe {
        object::call("disconnect", object_of(this), |adapter| {
            adapter.disconnect(peer(peer_text, "peer")?)
        })
    }
}

unsafe extern "C" fn shutdown(this: *mut ITransport) -> c_int {
    // SAFETY: the caller's promise about `this`.
    unsafe { object::call("shutdown", object_of(this), Adapter::shut_down) }
}

unsafe extern "C" fn destroy(this: *mut ITransport) {
    // SAFETY: the caller's promise about `this`.
    unsafe { object::destroy(object_of(this)) };
}

unsafe extern "C" fn get_name(_this: *mut ITransport) -> *const c_char {
    c"thunderbolt".as_ptr()
}

unsafe extern "C" fn get_version(_this: *mut ITransport) -> *const c_char {
    dcf_tb_version()
}

unsafe extern "C" fn get_fd(this: *mut ITransport) -> c_int {
    let mut fd = -1;
    let body = |adapter: &Adapter| {
        fd = adapter.event_fd()?;
        Ok(())
    };
    // SAFETY: the caller's promise about `this`.
    unsafe { object::call("get_fd", object_of(this), body) };
    fd
}
