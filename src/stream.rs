//! Data streams.

use std::ffi::{c_char, c_void};
use std::os::fd::{AsFd, AsRawFd, IntoRawFd};
use std::sync::atomic::Ordering;

use crate::boundary;
use crate::objects;
use crate::pointers::{buffer, copy_text, peer as peer_text, reject_overlap, timeout, Out, Region};
use crate::status::dcf_tb_status;
use crate::symbol_versions::exported_since;
use crate::types::{dcf_tb_stream, dcf_tb_transport};

/// Opens a data stream to a peer.
///
/// - `transport`: the handle.
/// - `peer`: to whom; the strings are described at the top of this header.
/// - `timeout_ms`: milliseconds; 0 = the configured `connect_timeout_ms`, `DCF_TB_WAIT_FOREVER` = as
///   long as the kernel tries.
/// - `stream`: gets the handle.
///
/// Ownership: the handle is the caller's, who ends it with `dcf_tb_stream_close` or
/// `dcf_tb_stream_detach`. `peer` is used during the call only.
/// Blocks: up to `timeout_ms`.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_CANCELLED                    the transport was closed meanwhile
///   DCF_TB_ERR_INVALID_HANDLE
///   DCF_TB_ERR_NULL_POINTER             `peer` or `stream` is NULL
///   DCF_TB_ERR_INVALID_ADDRESS          the text quotes it
///   DCF_TB_ERR_INTERFACE_NOT_FOUND      `peer` names an interface that does not exist
///   DCF_TB_ERR_TIMEOUT
///   DCF_TB_ERR_CONNECTION_REFUSED       nothing listens there
///   DCF_TB_ERR_CONNECTION_RESET         for example, it has too many streams
///   DCF_TB_ERR_CONNECTION_ABORTED       the kernel gave the peer up
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

/// Takes the oldest data stream that a peer opened; waits for one if there is none. Streams wait
/// here while no stream callback is set.
///
/// - `transport`: the handle.
/// - `timeout_ms`: milliseconds; 0 = do not wait, `DCF_TB_WAIT_FOREVER` = no limit.
/// - `stream`: gets the handle.
///
/// Ownership: the handle is the caller's, who ends it with `dcf_tb_stream_close` or
/// `dcf_tb_stream_detach`.
/// Blocks: up to `timeout_ms`, also while the link is down.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_WOULD_BLOCK           nothing there, and `timeout_ms` is 0
///   DCF_TB_CANCELLED             the transport was closed meanwhile
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

/// Ends our direction: the peer reads what was written and then DCF_TB_EOF; we may still read.
///
/// - `stream`: the handle.
///
/// Ownership: nothing changes hands; the stream is still to be closed.
/// Blocks: never.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_CANCELLED                 the stream or the transport was closed meanwhile
///   DCF_TB_ERR_INVALID_HANDLE
///   DCF_TB_ERR_BROKEN_PIPE           the connection is gone already
///   DCF_TB_ERR_CONNECTION_RESET      by the peer
///   DCF_TB_ERR_CONNECTION_FAILED
///   DCF_TB_ERR_IO                    see `dcf_tb_last_errno`
#[no_mangle]
pub extern "C" fn dcf_tb_stream_finish(stream: dcf_tb_stream) -> dcf_tb_status {
    boundary::on_stream("dcf_tb_stream_finish", stream, |stream| {
        Ok(stream.data.finish()?)
    })
}

/// Closes a stream. Threads that wait on it wake with DCF_TB_CANCELLED.
///
/// - `stream`: the handle.
///
/// Ownership: the handle is gone.
/// Blocks: never; the kernel delivers what was written.
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
/// - `buf`, `cap`: where to, and its size in bytes. `DCF_TB_PEER_SIZE` always suffice.
/// - `len`: gets the length without the NUL; or, if the buffer is too small, the size needed.
///
/// Ownership: the text is the caller's copy.
/// Blocks: never.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_ERR_INVALID_HANDLE
///   DCF_TB_ERR_NULL_POINTER       `len` is NULL, or `buf` is and `cap` is not 0
///   DCF_TB_ERR_OUT_OF_RANGE       `cap` is more than any buffer has
///   DCF_TB_ERR_BUFFER_TOO_SMALL   `buf` is untouched
#[no_mangle]
pub unsafe extern "C" fn dcf_tb_stream_peer(
    stream: dcf_tb_stream,
    buf: *mut c_char,
    cap: usize,
    len: *mut usize,
) -> dcf_tb_status {
    boundary::on_stream("dcf_tb_stream_peer", stream, |stream| {
        reject_overlap(&[
            Region::written("buf", buf, cap),
            Region::written("len", len, 1),
        ])?;
        // SAFETY: the caller's promise about `len`.
        let len = unsafe { Out::new(len, "len") }?;
        // SAFETY: the caller's promise about `buf` and `cap`.
        let buf = unsafe { buffer(buf.cast(), cap, "buf") }?;
        copy_text(stream.data.peer(), buf, &len)
    })
}

/// Keeps a pointer of the program's own beside a stream, in place of the one before. The library copies
/// it and does nothing else with it.
///
/// A thread that then gets the pointer by `dcf_tb_stream_user_data` sees what this thread had written
/// to what it leads to. A thread that got the one before may still use that.
///
/// - `stream`: the handle.
/// - `user_data`: any pointer; NULL takes it away.
///
/// Ownership: what it leads to stays the caller's, who frees it when no thread uses it any more. The
/// close of the stream or of its transport frees nothing, and tells nobody.
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

/// The pointer that the program keeps beside a stream: the last one that was set. NULL on a new stream,
/// also on one that a callback gets.
///
/// - `stream`: the handle.
/// - `user_data`: gets the pointer.
///
/// Ownership: what it leads to is the caller's.
/// Blocks: never.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_ERR_INVALID_HANDLE   also when the stream was closed or detached: get it before
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

/// The stream's descriptor, for poll, select or epoll.
///
/// - `stream`: the handle.
/// - `fd`: gets the descriptor.
///
/// Ownership: it stays the library's, which closes it with the stream. Never close it.
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

/// Takes the stream's descriptor out of the library. It is in blocking mode, and the stream no
/// longer ends with the transport.
///
/// - `stream`: the handle.
/// - `fd`: gets the descriptor.
///
/// Ownership: the descriptor is the caller's, who closes it. The handle is gone; threads that wait on
/// it wake with DCF_TB_CANCELLED. If the call fails, nothing has changed.
/// Blocks: until the stream's calls on other threads have returned, so that none takes a byte of the
/// caller's. They wake at once; only one that is inside a read or write of a file's disk goes on as long
/// as that takes. Not on the network.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_CANCELLED            the stream or the transport was closed meanwhile
///   DCF_TB_ERR_INVALID_HANDLE
///   DCF_TB_ERR_NULL_POINTER     `fd` is NULL
///   DCF_TB_ERR_INVALID_MESSAGE  bytes wait that `dcf_tb_stream_receive_file` could not write: read
///                               them first
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
        // Another thread may close the handle meanwhile; the connection is ours all the same.
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
