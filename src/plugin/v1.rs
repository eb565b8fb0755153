//! The first contract: four functions for objects of `create_plugin`.

use std::ffi::{c_char, c_int, c_void};
use std::time::Duration;

use super::adapter::Adapter;
use super::object;
use crate::pointers::{zero_count, Out};
use crate::status::DCF_TB_OK;

/// The timeout of a send: DCF's default in the contracts that have one.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);
/// The timeout of a receive.
const RECEIVE_TIMEOUT: Duration = Duration::from_millis(100);

/// DCF's `dcf_transport_v1.h`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct DCFTransportV1 {
    setup: unsafe extern "C" fn(*mut c_void, *const c_char, c_int) -> bool,
    send: unsafe extern "C" fn(*mut c_void, *const u8, usize, *const c_char) -> bool,
    receive: unsafe extern "C" fn(*mut c_void, *mut usize) -> *mut u8,
    destroy: unsafe extern "C" fn(*mut c_void),
}

pub(super) const TABLE: DCFTransportV1 = DCFTransportV1 {
    setup,
    send,
    receive,
    destroy,
};

unsafe extern "C" fn setup(this: *mut c_void, host: *const c_char, port: c_int) -> bool {
    // SAFETY: the caller's promises about `this` and `host`.
    unsafe { object::set_up(this, || object::settings_of(host, port)) == DCF_TB_OK }
}

pub(super) unsafe extern "C" fn send(
    this: *mut c_void,
    data: *const u8,
    size: usize,
    target: *const c_char,
) -> bool {
    // SAFETY: the caller's promises about all pointers.
    unsafe { object::send(this, data, size, target, Some(SEND_TIMEOUT)) == DCF_TB_OK }
}

pub(super) unsafe extern "C" fn receive(this: *mut c_void, size: *mut usize) -> *mut u8 {
    // SAFETY: the caller's promise about `size`.
    unsafe { zero_count(size) };
    let mut message = std::ptr::null_mut();
    let body = |adapter: &Adapter| {
        // SAFETY: the caller's promise about `size`.
        let size = unsafe { Out::new(size, "size") }?;
        let (data, length) = adapter.receive(Some(RECEIVE_TIMEOUT))?.data.into_raw();
        message = data;
        size.set(length);
        Ok(())
    };
    // SAFETY: the caller's promise about `this`.
    unsafe { object::call("receive", this, body) };
    message
}

pub(super) unsafe extern "C" fn destroy(this: *mut c_void) {
    // SAFETY: the caller's promise about `this`.
    unsafe { object::destroy(this) };
}
