//! Sending and receiving files over data streams.

use std::os::fd::BorrowedFd;

use thunderbolt_transport::Progress;

use crate::boundary;
use crate::failure::{Failure, Outcome};
use crate::pointers::{timeout, zero_count, Out};
use crate::status::{dcf_tb_status, DCF_TB_EOF, DCF_TB_ERR_IO};
use crate::symbol_versions::exported_since;
use crate::types::dcf_tb_stream;

/// Sends `count` bytes of a file, inside the kernel where possible.
///
/// - `stream`: the handle.
/// - `fd`: a descriptor that is open for reading. For a regular file, its position is neither used
///   nor changed. For a pipe or a socket, which have no position, the bytes are sent in the order
///   in which they are read, and `offset` must be 0.
/// - `offset`: where to begin in the file, in bytes.
/// - `count`: how many bytes.
/// - `timeout_ms`: milliseconds for all of it; 0 = do not wait, `DCF_TB_WAIT_FOREVER` = no limit.
/// - `sent`: receives the number of bytes sent, also on errors.
///
/// Ownership: `fd` belongs to the caller, and must stay open during the call.
/// Blocks: up to `timeout_ms` while the peer does not read, and while the file is read.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK                         all were sent
///   DCF_TB_WOULD_BLOCK                not all, and `timeout_ms` is 0
///   DCF_TB_CANCELLED                  the stream or the transport was closed during the call
///   DCF_TB_EOF                        the file ended first
///   DCF_TB_ERR_INVALID_HANDLE
///   DCF_TB_ERR_NULL_POINTER           `sent` is NULL
///   DCF_TB_ERR_OUT_OF_RANGE           `fd` is negative, or `offset` is beyond the largest file
///   DCF_TB_ERR_TIMEOUT
///   DCF_TB_ERR_BROKEN_PIPE            the stream was finished, or the peer is gone
///   DCF_TB_ERR_CONNECTION_RESET       by the peer
///   DCF_TB_ERR_CONNECTION_ABORTED     the peer stopped answering
///   DCF_TB_ERR_HOST_UNREACHABLE
///   DCF_TB_ERR_CONNECTION_FAILED
///   DCF_TB_ERR_LINK_DOWN
///   DCF_TB_ERR_PERMISSION_DENIED
///   DCF_TB_ERR_TOO_MANY_FILES
///   DCF_TB_ERR_OUT_OF_MEMORY
///   DCF_TB_ERR_IO                     also if `fd` is not open (EBADF), see `dcf_tb_last_errno`
#[no_mangle]
pub unsafe extern "C" fn dcf_tb_stream_send_file(
    stream: dcf_tb_stream,
    fd: i32,
    offset: u64,
    count: u64,
    timeout_ms: u32,
    sent: *mut u64,
) -> dcf_tb_status {
    // SAFETY: the caller's promise about `sent`.
    unsafe { zero_count(sent) };
    boundary::on_stream("dcf_tb_stream_send_file", stream, |stream| {
        // SAFETY: the caller's promise about `sent`.
        let sent = unsafe { Out::new(sent, "sent") }?;
        let file = open_file(fd)?;
        let wait = timeout(timeout_ms);
        let done = stream.data.send_file(file, offset, count, wait);
        counted(done, count, &sent, "the file ended")
    })
}

/// Receives `count` bytes into a file, inside the kernel where possible.
///
/// - `stream`: the handle.
/// - `fd`: a descriptor that is open for writing. For a regular file, its position is neither used
///   nor changed. For a pipe or a socket, which have no position, the bytes are written as they
///   come, and `offset` must be 0.
/// - `offset`: where to begin in the file, in bytes.
/// - `count`: how many bytes.
/// - `timeout_ms`: milliseconds for all of it; 0 = do not wait, `DCF_TB_WAIT_FOREVER` = no limit.
/// - `received`: receives the number of bytes written to the file, also on errors.
///
/// Ownership: `fd` belongs to the caller, and must stay open during the call.
/// Blocks: up to `timeout_ms` while the peer does not write, and while the file is written.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK                         all were received
///   DCF_TB_WOULD_BLOCK                not all, and `timeout_ms` is 0
///   DCF_TB_CANCELLED                  the stream or the transport was closed during the call
///   DCF_TB_EOF                        the peer ended the stream first
///   DCF_TB_ERR_INVALID_HANDLE
///   DCF_TB_ERR_NULL_POINTER           `received` is NULL
///   DCF_TB_ERR_OUT_OF_RANGE           `fd` is negative, or `offset` is beyond the largest file
///   DCF_TB_ERR_TIMEOUT
///   DCF_TB_ERR_BROKEN_PIPE            `fd` is a pipe or socket without a reader
///   DCF_TB_ERR_CONNECTION_RESET       by the peer
///   DCF_TB_ERR_CONNECTION_ABORTED     the peer stopped answering
///   DCF_TB_ERR_HOST_UNREACHABLE
///   DCF_TB_ERR_CONNECTION_FAILED
///   DCF_TB_ERR_LINK_DOWN
///   DCF_TB_ERR_PERMISSION_DENIED
///   DCF_TB_ERR_TOO_MANY_FILES
///   DCF_TB_ERR_OUT_OF_MEMORY
///   DCF_TB_ERR_IO                     also if `fd` is not open (EBADF), or the disk is full
///                                     (ENOSPC), see `dcf_tb_last_errno`
#[no_mangle]
pub unsafe extern "C" fn dcf_tb_stream_receive_file(
    stream: dcf_tb_stream,
    fd: i32,
    offset: u64,
    count: u64,
    timeout_ms: u32,
    received: *mut u64,
) -> dcf_tb_status {
    // SAFETY: the caller's promise about `received`.
    unsafe { zero_count(received) };
    boundary::on_stream("dcf_tb_stream_receive_file", stream, |stream| {
        // SAFETY: the caller's promise about `received`.
        let received = unsafe { Out::new(received, "received") }?;
        let file = open_file(fd)?;
        let wait = timeout(timeout_ms);
        let done = stream.data.receive_file(file, offset, count, wait);
        counted(done, count, &received, "the peer ended the stream")
    })
}

/// The caller's descriptor, if it is open.
fn open_file<'a>(fd: i32) -> Result<BorrowedFd<'a>, Failure> {
    if fd < 0 {
        return Err(Failure::out_of_range(
            "fd",
            fd,
            "a descriptor must not be negative",
        ));
    }
    // SAFETY: reads a flag; any number is allowed.
    if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
        return Err(Failure::os(
            DCF_TB_ERR_IO,
            format_args!("cannot use descriptor {fd}"),
        ));
    }
    // SAFETY: it is open, and the header requires that it stays open during the call.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}

fn counted(done: Progress, asked: u64, out: &Out<u64>, ended: &str) -> Outcome {
    out.set(done.count);
    done.outcome?;
    if done.count < asked {
        let text = format!("{ended} after {} of {asked} bytes", done.count);
        return Err(Failure::new(DCF_TB_EOF, text));
    }
    Ok(())
}

exported_since! {
    "DCF_TB_1.0":
    dcf_tb_stream_send_file,
    dcf_tb_stream_receive_file,
}
