//! Starting and closing a transport, and its state.

use std::ffi::c_char;

use thunderbolt_transport::TransportError;

use crate::boundary;
use crate::callbacks::{on_closed, on_link, on_log, on_message, on_peer, on_stream, UserData};
use crate::config::dcf_tb_config;
use crate::failure::Failure;
use crate::fork::Busy;
use crate::objects::{self, StreamSet};
use crate::pointers::{reject_overlap, text_out, timeout, Out, Region};
use crate::status::{dcf_tb_status, DCF_TB_ERR_CONFIG_INVALID};
use crate::symbol_versions::exported_since;
use crate::types::dcf_tb_transport;

/// Starts a transport: binds its ports on the interface and starts its threads.
///
/// Callbacks in the configuration may run before this call returns, and so before `*transport` is
/// set. If a callback needs the handle, it must wait for it, or the program sets the callback
/// later, for example with `dcf_tb_set_message_callback`.
///
/// A process may open any number of transports, each with its own ports or interface. A transport
/// without traffic uses 8 descriptors, 2 threads and about 100 KiB of memory. Each stream adds 1
/// descriptor, and so does `dcf_tb_event_fd`. Each thread that measures round trips adds 2, and up
/// to 8 such pairs stay open for reuse. Each peer that receives many messages adds 1, for up to 64
/// peers.
///
/// - `config`: from `dcf_tb_config_init`, or NULL for the defaults. Read only during the call.
/// - `transport`: receives the handle.
///
/// Ownership: the handle belongs to the caller, which ends it with `dcf_tb_close`. `user_data` must
/// stay valid until `on_closed` was called, or until `dcf_tb_close` has returned outside of a
/// callback.
/// Blocks: not on the network.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_ERR_NULL_POINTER            `transport` is NULL
///   DCF_TB_ERR_CONFIG_INVALID          the error text quotes the setting
///   DCF_TB_ERR_INTERFACE_NOT_FOUND     and `wait_for_interface` is 0
///   DCF_TB_ERR_LINK_DOWN               the interface cannot be bound to at the moment
///   DCF_TB_ERR_ADDRESS_IN_USE          the error text names the port
///   DCF_TB_ERR_PERMISSION_DENIED       a port below 1024, or binding to the interface
///   DCF_TB_ERR_SOCKET_OPTION
///   DCF_TB_ERR_TOO_MANY_FILES
///   DCF_TB_ERR_THREAD
///   DCF_TB_ERR_OUT_OF_MEMORY
///   DCF_TB_ERR_IO                      see `dcf_tb_last_errno`
#[no_mangle]
pub unsafe extern "C" fn dcf_tb_init(
    config: *const dcf_tb_config,
    transport: *mut dcf_tb_transport,
) -> dcf_tb_status {
    boundary::call("dcf_tb_init", || {
        // SAFETY: the caller's promise about `transport`.
        let handle = unsafe { Out::new(transport, "transport") }?;
        // SAFETY: the caller's promise about `config`.
        let config = unsafe { dcf_tb_config::read(config) }?;
        // SAFETY: the caller's promise about `config->interface_name`.
        let mut builder = unsafe { config.builder() }?;

        // Locks and threads exist from here on.
        let busy = Busy::transport()?;
        boundary::silence_panics();
        let streams = StreamSet::new();
        let user_data = UserData(config.user_data);
        if let Some(callback) = config.on_message {
            builder = builder.on_message(on_message(callback, user_data));
        }
        if let Some(callback) = config.on_stream {
            builder = builder.on_stream(on_stream(callback, user_data, streams.clone()));
        }
        if let Some(callback) = config.on_log {
            builder = builder.logger(on_log(callback, user_data));
        }
        if let Some(callback) = config.on_link {
            builder = builder.on_link(on_link(callback, user_data));
        }
        if let Some(callback) = config.on_peer {
            builder = builder.on_peer(on_peer(callback, user_data));
        }
        let transport = builder
            .on_closed(on_closed(config.on_closed, user_data, busy))
            .build()
            .map_err(start_failure)?;
        handle.set(objects::add_transport(transport, streams, || ())?);
        Ok(())
    })
}

/// If `build` reports a value out of range, it is a setting.
pub(crate) fn start_failure(error: TransportError) -> Failure {
    let setting = matches!(error, TransportError::OutOfRange { .. });
    let mut failure = Failure::from(error);
    if setting {
        failure.status = DCF_TB_ERR_CONFIG_INVALID;
    }
    failure
}

/// Closes a transport. It stops and joins the threads, closes the streams, and frees the ports.
/// Calls that wait on the transport or its streams return DCF_TB_CANCELLED. `on_closed` is called
/// last.
///
/// The handle, and the handles of the streams, are invalid as soon as the call begins. If a
/// callback of the transport makes this call, it returns at once, and the close completes after the
/// callback has returned. The ports are free when `on_closed` runs.
///
/// - `transport`: the handle.
///
/// Ownership: the handle, and the handles of the streams, no longer exist. No callback of the
/// transport runs after the call (if a callback made the call: after `on_closed`).
/// Blocks: until running callbacks have returned, so do not hold a lock that they take. It does not
/// wait for the network.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_ERR_INVALID_HANDLE   also on a second close
#[no_mangle]
pub extern "C" fn dcf_tb_close(transport: dcf_tb_transport) -> dcf_tb_status {
    boundary::call("dcf_tb_close", || {
        objects::remove_transport(transport)?.close();
        Ok(())
    })
}

/// Whether a transport runs: from `dcf_tb_init` until its close begins, even while the link is
/// down. After the close its handle is invalid.
///
/// - `transport`: the handle.
/// - `running`: receives 1 or 0.
///
/// Ownership: unchanged.
/// Blocks: never.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_ERR_INVALID_HANDLE
///   DCF_TB_ERR_NULL_POINTER     `running` is NULL
#[no_mangle]
pub unsafe extern "C" fn dcf_tb_is_running(
    transport: dcf_tb_transport,
    running: *mut u8,
) -> dcf_tb_status {
    boundary::on_transport("dcf_tb_is_running", transport, |owner| {
        // SAFETY: the caller's promise about `running`.
        let running = unsafe { Out::new(running, "running") }?;
        running.set(owner.transport.is_running().into());
        Ok(())
    })
}

/// Copies the name of the transport's interface. If "auto" was configured, this is the interface
/// that was found.
///
/// - `transport`: the handle.
/// - `buf`, `cap`: the buffer and its size in bytes. 16 bytes are enough.
/// - `len`: receives the length without the NUL or, if the buffer is too small, the size needed.
///
/// Ownership: the text is a copy that belongs to the caller.
/// Blocks: never.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_ERR_INVALID_HANDLE
///   DCF_TB_ERR_NULL_POINTER       `len` is NULL, or `buf` is NULL and `cap` is not 0
///   DCF_TB_ERR_BUFFER_TOO_SMALL   `buf` is untouched
#[no_mangle]
pub unsafe extern "C" fn dcf_tb_interface(
    transport: dcf_tb_transport,
    buf: *mut c_char,
    cap: usize,
    len: *mut usize,
) -> dcf_tb_status {
    boundary::on_transport("dcf_tb_interface", transport, |owner| {
        // SAFETY: the caller's promise about `buf`, `cap` and `len`.
        unsafe { text_out(&owner.transport.interface(), buf, cap, len) }
    })
}

/// The ports that the transport uses. If 0 was configured, these are the ports that the kernel
/// chose.
///
/// - `transport`: the handle.
/// - `control_port`, `data_port`: receive the UDP port and the TCP port. Both are needed.
///
/// Ownership: unchanged.
/// Blocks: never.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_ERR_INVALID_HANDLE
///   DCF_TB_ERR_NULL_POINTER     `control_port` or `data_port` is NULL
#[no_mangle]
pub unsafe extern "C" fn dcf_tb_ports(
    transport: dcf_tb_transport,
    control_port: *mut u16,
    data_port: *mut u16,
) -> dcf_tb_status {
    boundary::on_transport("dcf_tb_ports", transport, |owner| {
        reject_overlap(&[
            Region::written("control_port", control_port, 1),
            Region::written("data_port", data_port, 1),
        ])?;
        // SAFETY: the caller's promise about `control_port`.
        let control = unsafe { Out::new(control_port, "control_port") }?;
        // SAFETY: the caller's promise about `data_port`.
        let data = unsafe { Out::new(data_port, "data_port") }?;
        control.set(owner.transport.control_port());
        data.set(owner.transport.data_port());
        Ok(())
    })
}

/// Waits until the link is up, or until it is down. Returns at once if the link already has that
/// state. It returns before any call or stream reports the change, and before the link callback
/// runs.
///
/// If the link changes to that state and back while the call waits, the call returns too, so a
/// short outage is not missed. By the time the call returns, the state may differ again: `link_up`
/// in the statistics has the present state.
///
/// - `transport`: the handle.
/// - `up`: 1 waits for a link that can carry traffic, 0 for one that cannot.
/// - `timeout_ms`: milliseconds; 0 = do not wait, `DCF_TB_WAIT_FOREVER` = no limit.
///
/// Ownership: unchanged.
/// Blocks: up to `timeout_ms`. It sleeps until the link changes, and does not poll.
/// In callbacks: allowed, also in the link callback: the state changes while that runs.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_WOULD_BLOCK          the link has the other state, and `timeout_ms` is 0
///   DCF_TB_CANCELLED            the transport was closed during the call
///   DCF_TB_ERR_INVALID_HANDLE
///   DCF_TB_ERR_OUT_OF_RANGE     `up` is neither 0 nor 1; the error text quotes it
///   DCF_TB_ERR_TIMEOUT          the error text says why the link is still down
#[no_mangle]
pub extern "C" fn dcf_tb_wait_link(
    transport: dcf_tb_transport,
    up: i32,
    timeout_ms: u32,
) -> dcf_tb_status {
    boundary::on_transport("dcf_tb_wait_link", transport, |owner| {
        let up = match up {
            0 => false,
            1 => true,
            other => {
                let allowed = "pass 1 to wait until the link is up, 0 to wait until it is down";
                return Err(Failure::out_of_range("up", other, allowed));
            }
        };
        Ok(owner.transport.wait_link(up, timeout(timeout_ms))?)
    })
}

exported_since! {
    "DCF_TB_1.0":
    dcf_tb_init,
    dcf_tb_close,
    dcf_tb_is_running,
    dcf_tb_interface,
    dcf_tb_ports,
    dcf_tb_wait_link,
}
