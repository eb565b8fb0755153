//! Data streams.

use std::ffi::{c_char, c_void};
use std::os::fd::{AsFd, AsRawFd, IntoRawFd};
use std::sync::atomic::Ordering;

use crate::boundary;
use crate::objects;
use crate::pointers::{peer as peer_text, reject_overlap, text_out, timeout, Out, Region};
use crate::status::dcf_tb_status;
use crate::symbol_versions::exported_since;
use crate::types::{dcf_tb_stream, dcf_tb_transport};

/// Opens a data stream to a peer.
///
/// - `transport`: the handle.
/// - `peer`: the peer to connect to; see "Peers" at the top of this header.
/// - `timeout_ms`: milliseconds; 0 = the configured `connect_timeout_ms`, `DCF_TB_WAIT_FOREVER` =
///   as long as the kernel tries.
/// - `stream`: receives the handle.
///
/// Ownership: the handle belongs to the caller, which ends it with `dcf_tb_stream_close` or
/// `dcf_tb_stream_detach`. `peer` is used only during the call.
/// Blocks: up to `timeout_ms`.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_CANCELLED                    the transport was closed during the call
///   DCF_TB_ERR_INVALID_HANDLE
///   DCF_TB_ERR_NULL_POINTER             `peer` or `stream` is NULL
///   DCF_TB_ERR_INVALID_ADDRESS          the error text quotes it
///   DCF_TB_ERR_INTERFACE_NOT_FOUND      `peer` names an interface that does not exist
///   DCF_TB_ERR_TIMEOUT
///   DCF_TB_ERR_CONNECTION_REFUSED       no program listens there
///   DCF_TB_ERR_CONNECTION_RESET         by the peer, for example because it has too many streams
///   DCF_TB_ERR_CONNECTION_ABORTED       the peer stopped answering
///   DCF_TB_ERR_HOST_UNREACHABLE
///   DCF_TB_ERR_CONNECTION_FAILED
///   DCF_TB_ERR_LINK_DOWN
///   DCF_TB_ERR_TOO_MANY_CONNECTIONS     `max_streams` are open
///   DCF_TB_ERR_TOO_MANY_FILES
///   DCF_TB_ERR_SOCKET_OPTION
///   DCF_TB_ERR_PERMISSION_DENIED
///   DCF_TB_ERR_OUT_OF_MEMORY
///   DCF_TB_ERR_IO                       see `dcf_tb_last_errno`
#[no_mangle]
pub unsafe extern "C" fn dcf_tb_open_stream(
    transport: dcf_tb_transport,
    peer: *const c_char,
    timeout_ms: u32,
    stream: *mut dcf_tb_stream,
) -> dcf_tb_status {
    boundary::on_transport("dcf_tb_open_stream", transport, |owner| {
        // SAFETY: the caller's promise about `peer`.
        let peer = unsafe { peer_text(peer, "peer") }?;
        reject_overlap(&[
            Region::text("peer", peer),
            Region::written("stream", stream, 1),
        ])?;
        // SAFETY: the caller's promise about `stream`.
        let handle = unsafe { Out::new(stream, "stream") }?;
        let data = match timeout_ms {
            0 => owner.transport.open_data_stream(peer),
            ms => owner.transport.open_data_stream_timeout(peer, timeout(ms)),
        }?;
        handle.set(owner.streams.add(data)?);
        Ok(())
    })
}

/// Takes the oldest data stream that a peer opened, and waits for one if there is none. Streams
/// wait here while there is no stream callback.
///
/// - `transport`: the handle.
/// - `timeout_ms`: milliseconds; 0 = do not wait, `DCF_TB_WAIT_FOREVER` = no limit.
/// - `stream`: receives the handle.
///
/// Ownership: the handle belongs to the caller, which ends it with `dcf_tb_stream_close` or
/// `dcf_tb_stream_detach`.
/// Blocks: up to `timeout_ms`, also while the link is down.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_WOULD_BLOCK           no stream is waiting, and `timeout_ms` is 0
///   DCF_TB_CANCELLED             the transport was closed during the call
///   DCF_TB_ERR_INVALID_HANDLE
///   DCF_TB_ERR_NULL_POINTER      `stream` is NULL
///   DCF_TB_ERR_TIMEOUT
///   DCF_TB_ERR_TOO_MANY_FILES
///   DCF_TB_ERR_OUT_OF_MEMORY
///   DCF_TB_ERR_IO                see `dcf_tb_last_errno`
#[no_mangle]
pub unsafe extern "C" fn dcf_tb_accept(
    transport: dcf_tb_transport,
    timeout_ms: u32,
    stream: *mut dcf_tb_stream,
) -> dcf_tb_status {
    boundary::on_transport("dcf_tb_accept", transport, |owner| {
        // SAFETY: the caller's promise about `stream`.
        let handle = unsafe { Out::new(stream, "stream") }?;
        let data = owner.transport.accept(timeout(timeout_ms))?;
        handle.set(owner.streams.add(data)?);
        Ok(())
    })
}

/// Ends the sending direction. The peer reads the data that was written, and then DCF_TB_EOF. This
/// side can still read.
///
/// - `stream`: the handle.
///
/// Ownership: unchanged. The stream must still be closed.
/// Blocks: never.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_CANCELLED                 the stream or the transport was closed during the call
///   DCF_TB_ERR_INVALID_HANDLE
///   DCF_TB_ERR_BROKEN_PIPE           the connection has already ended
///   DCF_TB_ERR_CONNECTION_RESET      by the peer
///   DCF_TB_ERR_CONNECTION_FAILED
///   DCF_TB_ERR_IO                    see `dcf_tb_last_errno`
#[no_mangle]
pub extern "C" fn dcf_tb_stream_finish(stream: dcf_tb_stream) -> dcf_tb_status {
    boundary::on_stream("dcf_tb_stream_finish", stream, |stream| {
        Ok(stream.data.finish()?)
    })
}

/// Closes a stream. Threads that wait on it return with DCF_TB_CANCELLED.
///
/// - `stream`: the handle.
///
/// Ownership: the handle no longer exists.
/// Blocks: never. The kernel still delivers the data that was written.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_ERR_INVALID_HANDLE   also on a second close
#[no_mangle]
pub extern "C" fn dcf_tb_stream_close(stream: dcf_tb_stream) -> dcf_tb_status {
    boundary::call("dcf_tb_stream_close", || {
        objects::remove_stream(stream)?.data.close();
        Ok(())
    })
}

/// Copies the peer's address, without a port.
///
/// - `stream`: the handle.
/// - `buf`, `cap`: the buffer and its size. `DCF_TB_PEER_SIZE` bytes are always enough.
/// - `len`: receives the length without the NUL or, if the buffer is too small, the size needed.
///
/// Ownership: the text is a copy that belongs to the caller.
/// Blocks: never.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_ERR_INVALID_HANDLE
///   DCF_TB_ERR_NULL_POINTER       `len` is NULL, or `buf` is NULL and `cap` is not 0
///   DCF_TB_ERR_OUT_OF_RANGE       `cap` is larger than any buffer
///   DCF_TB_ERR_BUFFER_TOO_SMALL   `buf` is untouched
#[no_mangle]
pub unsafe extern "C" fn dcf_tb_stream_peer(
    stream: dcf_tb_stream,
    buf: *mut c_char,
    cap: usize,
    len: *mut usize,
) -> dcf_tb_status {
    boundary::on_stream("dcf_tb_stream_peer", stream, |stream| {
        // SAFETY: the caller's promise about `buf`, `cap` and `len`.
        unsafe { text_out(stream.data.peer(), buf, cap, len) }
    })
}

/// Stores a pointer of the program with a stream, in place of the previous one. The library never
/// dereferences it.
///
/// A thread that later gets the pointer from `dcf_tb_stream_user_data` sees everything that this
/// thread wrote before this call. A thread that got the previous pointer may still be using it.
///
/// - `stream`: the handle.
/// - `user_data`: any pointer, or NULL for none.
///
/// Ownership: the pointed-to data belongs to the caller, which frees it when no thread uses it any
/// more. Closing the stream or its transport does not free it, and calls no function for it.
/// Blocks: never.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_ERR_INVALID_HANDLE
#[no_mangle]
pub extern "C" fn dcf_tb_stream_set_user_data(
    stream: dcf_tb_stream,
    user_data: *mut c_void,
) -> dcf_tb_status {
    boundary::on_stream("dcf_tb_stream_set_user_data", stream, |stream| {
        stream.user_data.store(user_data, Ordering::Release);
        Ok(())
    })
}

/// Returns the pointer that was last stored with a stream. It is NULL for a new stream, also in a
/// stream callback.
///
/// - `stream`: the handle.
/// - `user_data`: receives the pointer.
///
/// Ownership: the pointed-to data belongs to the caller.
/// Blocks: never.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_ERR_INVALID_HANDLE   also if the stream was closed or detached: get the pointer before
///   DCF_TB_ERR_NULL_POINTER     `user_data` is NULL
#[no_mangle]
pub unsafe extern "C" fn dcf_tb_stream_user_data(
    stream: dcf_tb_stream,
    user_data: *mut *mut c_void,
) -> dcf_tb_status {
    boundary::on_stream("dcf_tb_stream_user_data", stream, |stream| {
        // SAFETY: the caller's promise about `user_data`.
        let out = unsafe { Out::new(user_data, "user_data") }?;
        out.set(stream.user_data.load(Ordering::Acquire));
        Ok(())
    })
}

/// The descriptor of a stream, for poll, select or epoll.
///
/// - `stream`: the handle.
/// - `fd`: receives the descriptor.
///
/// Ownership: the descriptor belongs to the library, which closes it with the stream. Do not close
/// it.
/// Blocks: never.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_ERR_INVALID_HANDLE
///   DCF_TB_ERR_NULL_POINTER     `fd` is NULL
#[no_mangle]
pub unsafe extern "C" fn dcf_tb_stream_fd(stream: dcf_tb_stream, fd: *mut i32) -> dcf_tb_status {
    boundary::on_stream("dcf_tb_stream_fd", stream, |stream| {
        // SAFETY: the caller's promise about `fd`.
        let fd = unsafe { Out::new(fd, "fd") }?;
        fd.set(stream.data.as_fd().as_raw_fd());
        Ok(())
    })
}

/// Takes the descriptor of a stream out of the library. The descriptor is in blocking mode, and no
/// longer ends with the transport.
///
/// - `stream`: the handle.
/// - `fd`: receives the descriptor.
///
/// Ownership: the descriptor belongs to the caller, which closes it. The handle no longer exists,
/// and threads that wait on it return with DCF_TB_CANCELLED. If the call fails, the stream is
/// unchanged.
/// Blocks: until calls on the stream in other threads have returned, so that none of them takes
/// bytes that belong to the caller. They return at once, except a call that is reading or writing a file on
/// disk. It does not wait for the network.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_CANCELLED            the stream or the transport was closed during the call
///   DCF_TB_ERR_INVALID_HANDLE
///   DCF_TB_ERR_NULL_POINTER     `fd` is NULL
///   DCF_TB_ERR_INVALID_MESSAGE  there are bytes that `dcf_tb_stream_receive_file` could not write:
///                               read them first
///   DCF_TB_ERR_TOO_MANY_FILES
///   DCF_TB_ERR_IO               see `dcf_tb_last_errno`
#[no_mangle]
pub unsafe extern "C" fn dcf_tb_stream_detach(
    stream: dcf_tb_stream,
    fd: *mut i32,
) -> dcf_tb_status {
    boundary::on_stream("dcf_tb_stream_detach", stream, |open| {
        // SAFETY: the caller's promise about `fd`.
        let fd = unsafe { Out::new(fd, "fd") }?;
        let detached = open.data.detach()?;
        // If another thread closed the handle meanwhile, the descriptor is still ours.
        let _ = objects::remove_stream(stream);
        fd.set(detached.into_raw_fd());
        Ok(())
    })
}

exported_since! {
    "DCF_TB_1.0":
    dcf_tb_stream_set_user_data,
    dcf_tb_stream_user_data,
    dcf_tb_open_stream,
    dcf_tb_accept,
    dcf_tb_stream_finish,
    dcf_tb_stream_close,
    dcf_tb_stream_peer,
    dcf_tb_stream_fd,
    dcf_tb_stream_detach,
}
