//! The object that a host holds: one function table for each contract, and the adapter behind them.

use std::ffi::{c_char, c_int, c_void, CStr};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use thunderbolt_transport::support::wait_until;
use thunderbolt_transport::LogLevel;

use super::adapter::Adapter;
use super::host::Host;
use super::params::Settings;
use super::v1::{self, DCFTransportV1};
use super::v2::{self, ITransport};
use crate::boundary::{self, PanicLogger};
use crate::failure::{Failure, Outcome};
use crate::pointers::{bytes, peer};
use crate::status::{dcf_tb_status, DCF_TB_ERR_CONFIG_INVALID};

/// The object behind all contracts. A v1 host uses the first four words as its function table.
#[repr(C)]
pub(super) struct Object {
    v1: DCFTransportV1,
    /// The native handle of the transport, for hosts that use this library directly; 0 before the setup.
    transport: AtomicU64,
    v2: ITransport,
    /// Calls that are running.
    calls: AtomicUsize,
    adapter: Adapter,
}

#[cfg(target_pointer_width = "64")]
const _: () = {
    use std::mem::{offset_of, size_of};
    assert!(size_of::<DCFTransportV1>() == 32);
    assert!(size_of::<ITransport>() == 88);
    assert!(offset_of!(Object, transport) == 32);
};

impl Object {
    /// A new object, which `destroy` frees.
    pub(super) fn create() -> *mut Self {
        let object = Box::into_raw(Box::new(Self {
            v1: v1::TABLE,
            transport: AtomicU64::new(0),
            v2: v2::table(std::ptr::null_mut()),
            calls: AtomicUsize::new(0),
            adapter: Adapter::default(),
        }));
        // SAFETY: it was created just now, and nothing else refers to it.
        unsafe { (*object).v2 = v2::table(object.cast()) };
        object
    }

    /// The table of a v2 host.
    ///
    /// # Safety
    ///
    /// `object` is from `create`.
    pub(super) unsafe fn v2(object: *mut Self) -> *mut ITransport {
        // SAFETY: the caller's promise.
        unsafe { &raw mut (*object).v2 }
    }
}

/// Counts a running call until it is dropped.
struct CallGuard(NonNull<Object>);

impl CallGuard {
    /// # Safety
    ///
    /// `object` is NULL or from `create`, and `destroy` is not called before this returns.
    unsafe fn begin(object: *mut c_void) -> Result<Self, Failure> {
        let object = NonNull::new(object.cast::<Object>()).ok_or_else(|| Failure::null("self"))?;
        // SAFETY: not NULL, and the caller's promise.
        unsafe { object.as_ref() }
            .calls
            .fetch_add(1, Ordering::SeqCst);
        Ok(Self(object))
    }

    fn object(&self) -> &Object {
        // SAFETY: `destroy` waits until this guard is dropped.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for CallGuard {
    fn drop(&mut self) {
        self.object().calls.fetch_sub(1, Ordering::SeqCst);
    }
}

impl PanicLogger for CallGuard {
    fn log(&self, level: LogLevel, record: std::fmt::Arguments<'_>) {
        self.object().adapter.log(level, record);
    }
}

/// Runs the body of a plugin's function.
///
/// # Safety
///
/// `object` is NULL or from [`Object::create`], and not destroyed yet.
pub(super) unsafe fn call(
    function: &'static str,
    object: *mut c_void,
    body: impl FnOnce(&Adapter) -> Outcome,
) -> dcf_tb_status {
    boundary::call_with_logger(function, |logger: &mut Option<CallGuard>| {
        // SAFETY: the caller's promise.
        let call = logger.insert(unsafe { CallGuard::begin(object) }?);
        body(&call.object().adapter)
    })
}

/// Starts the transport. `settings` reads them from the arguments of the contract.
///
/// # Safety
///
/// As for [`call`].
pub(super) unsafe fn set_up(
    object: *mut c_void,
    settings: impl FnOnce() -> Result<Settings, Failure>,
) -> dcf_tb_status {
    boundary::call_with_logger("setup", |logger: &mut Option<CallGuard>| {
        // SAFETY: the caller's promise.
        let object = logger.insert(unsafe { CallGuard::begin(object) }?).object();
        let handle = object.adapter.set_up(settings()?)?;
        object.transport.store(handle, Ordering::SeqCst);
        Ok(())
    })
}

/// The settings from a host string and a port.
///
/// # Safety
///
/// `host` is NULL or a NUL-terminated string.
pub(super) unsafe fn settings_of(host: *const c_char, port: c_int) -> Result<Settings, Failure> {
    let invalid = |text: String| Failure::new(DCF_TB_ERR_CONFIG_INVALID, text);
    let mut settings = Settings::on_port(port.into()).map_err(invalid)?;
    if !host.is_null() {
        // SAFETY: not NULL, and the caller's promise.
        let host = unsafe { CStr::from_ptr(host) };
        let text = host
            .to_str()
            .map_err(|_| invalid(format!("host {host:?} is not UTF-8")))?;
        let host = Host::parse(text).map_err(invalid)?;
        settings.interface = host.interface;
        settings.address = host.address;
    }
    Ok(settings)
}

/// Sends a message.
///
/// # Safety
///
/// As for [`call`]; `data` is NULL or points to `size` bytes, `recipient` is NULL or a NUL-terminated
/// string, and both stay unchanged during the call.
pub(super) unsafe fn send(
    object: *mut c_void,
    data: *const u8,
    size: usize,
    recipient: *const c_char,
    timeout: Option<Duration>,
) -> dcf_tb_status {
    let body = |adapter: &Adapter| {
        // SAFETY: the caller's promise about `recipient`.
        let recipient = unsafe { peer(recipient, "the recipient") }?;
        // SAFETY: the caller's promise about `data` and `size`.
        let data = unsafe { bytes(data, size, "data") }?;
        adapter.send(data, recipient, timeout)
    };
    // SAFETY: the caller's promise about `object`.
    unsafe { call("send", object, body) }
}

/// Closes the transport and frees the object. In a forked child it does nothing, because the threads
/// that it would wait for do not exist there.
///
/// # Safety
///
/// As for [`call`]; no other call begins from now on.
pub(super) unsafe fn destroy(object: *mut c_void) {
    boundary::call("destroy", || {
        let Some(object) = NonNull::new(object.cast::<Object>()) else {
            return Ok(());
        };
        {
            // SAFETY: not NULL, and the caller's promise.
            let object = unsafe { object.as_ref() };
            object.adapter.end();
            // The close has woken all running calls.
            wait_until(|| object.calls.load(Ordering::SeqCst) == 0);
            // One of these calls may have been a setup.
            object.adapter.end();
        }
        // SAFETY: from `Box::into_raw`, and no call uses it any more.
        drop(unsafe { Box::from_raw(object.as_ptr()) });
        Ok(())
    });
}
