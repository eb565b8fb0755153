//! Reading and writing data streams.

use std::io::IoSlice;
use std::mem::MaybeUninit;

use thunderbolt_transport::Progress;

use crate::boundary;
use crate::failure::Failure;
use crate::pointers::{buffer, bytes, reject_overlap, timeout, zero_count, Out, Region};
use crate::status::{dcf_tb_status, DCF_TB_EOF};
use crate::symbol_versions::exported_since;
use crate::types::dcf_tb_stream;

/// Writes all of `data`, or says how much.
///
/// One thread may read while another writes. Concurrent writes may mix their bytes.
///
/// - `stream`: the handle.
/// - `data`, `len`: what to write. `(NULL, 0)` is nothing.
/// - `timeout_ms`: milliseconds for all of it; 0 = only what the kernel takes at once,
///   `DCF_TB_WAIT_FOREVER` = no limit.
/// - `written`: gets the number of bytes written, on errors too.
///
/// Ownership: `data` is used during the call only.
/// Blocks: up to `timeout_ms`, while the peer does not read.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK                         all were written
///   DCF_TB_WOULD_BLOCK                not all, and `timeout_ms` is 0
///   DCF_TB_CANCELLED                  the stream or the transport was closed meanwhile
///   DCF_TB_ERR_INVALID_HANDLE
///   DCF_TB_ERR_NULL_POINTER           `written` is NULL, or `data` is and `len` is not 0
///   DCF_TB_ERR_OUT_OF_RANGE           `len` is more than any buffer has
///   DCF_TB_ERR_TIMEOUT
///   DCF_TB_ERR_BROKEN_PIPE            the stream was finished, or the peer is gone
///   DCF_TB_ERR_CONNECTION_RESET       by the peer
///   DCF_TB_ERR_CONNECTION_ABORTED     the peer stopped answering
///   DCF_TB_ERR_HOST_UNREACHABLE
///   DCF_TB_ERR_CONNECTION_FAILED
///   DCF_TB_ERR_LINK_DOWN
///   DCF_TB_ERR_OUT_OF_MEMORY
///   DCF_TB_ERR_IO                     see `dcf_tb_last_errno`
#[no_mangle]
pub unsafe extern "C" fn dcf_tb_stream_write(
    stream: dcf_tb_stream,
    data: *const u8,
    len: usize,
    timeout_ms: u32,
    written: *mut usize,
) -> dcf_tb_status {
    // SAFETY: the caller's promise about `written`.
    unsafe { zero_count(written) };
    boundary::on_stream("dcf_tb_stream_write", stream, |stream| {
        reject_overlap(&[
            Region::read("data", data, len),
            Region::written("written", written, 1),
        ])?;
        // SAFETY: the caller's promise about `written`.
        let written = unsafe { Out::new(written, "written") }?;
        // SAFETY: the caller's promise about `data` and `len`.
        let data = unsafe { bytes(data, len, "data") }?;
        if data.is_empty() {
            return Ok(());
        }
        let Progress { count, outcome } = stream.data.write_timeout(data, timeout(timeout_ms));
        written.set(count as usize);
        Ok(outcome?)
    })
}

/// One of the pieces that `dcf_tb_stream_writev` writes.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct dcf_tb_slice {
    /// The bytes; NULL if `len` is 0.
    pub data: *const u8,
    /// Their number.
    pub len: usize,
}

/// Writes all pieces as if they were one, in as few system calls as possible, or says how much: a
/// header and its payload need no copy.
///
/// One thread may read while another writes. Concurrent writes may mix their bytes.
///
/// - `stream`: the handle.
/// - `slices`, `count`: the pieces. `(NULL, 0)` is nothing, and pieces may be empty.
/// - `timeout_ms`: milliseconds for all of it; 0 = only what the kernel takes at once,
///   `DCF_TB_WAIT_FOREVER` = no limit.
/// - `written`: gets the number of bytes written, of all pieces together, on errors too.
///
/// Ownership: the array and what it points to are used during the call only.
/// Blocks: up to `timeout_ms`, while the peer does not read.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK                         all were written
///   DCF_TB_WOULD_BLOCK                not all, and `timeout_ms` is 0
///   DCF_TB_CANCELLED                  the stream or the transport was closed meanwhile
///   DCF_TB_ERR_INVALID_HANDLE
///   DCF_TB_ERR_NULL_POINTER           `written`, the array, or a piece of it is NULL; nothing was written
///   DCF_TB_ERR_OUT_OF_RANGE           a size is more than any buffer has; nothing was written
///   DCF_TB_ERR_TIMEOUT
///   DCF_TB_ERR_BROKEN_PIPE            the stream was finished, or the peer is gone
///   DCF_TB_ERR_CONNECTION_RESET       by the peer
///   DCF_TB_ERR_CONNECTION_ABORTED     the peer stopped answering
///   DCF_TB_ERR_HOST_UNREACHABLE
///   DCF_TB_ERR_CONNECTION_FAILED
///   DCF_TB_ERR_LINK_DOWN
///   DCF_TB_ERR_OUT_OF_MEMORY
///   DCF_TB_ERR_IO                     see `dcf_tb_last_errno`
#[no_mangle]
pub unsafe extern "C" fn dcf_tb_stream_writev(
    stream: dcf_tb_stream,
    slices: *const dcf_tb_slice,
    count: usize,
    timeout_ms: u32,
    written: *mut usize,
) -> dcf_tb_status {
    // SAFETY: the caller's promise about `written`.
    unsafe { zero_count(written) };
    boundary::on_stream("dcf_tb_stream_writev", stream, |stream| {
        let own = Region::written("written", written, 1);
        reject_overlap(&[own, Region::read("slices", slices, count)])?;
        // SAFETY: the caller's promise about `written`.
        let written = unsafe { Out::new(written, "written") }?;
        // SAFETY: the caller's promise about `slices` and `count`; they are only read.
        let slices = unsafe { buffer(slices.cast_mut(), count, "slices") }?;
        // SAFETY: the caller's promise about what the slices point to.
        let mut pieces = unsafe { pieces(slices, own) }?;
        if pieces.is_empty() {
            return Ok(());
        }
        let timeout = timeout(timeout_ms);
        let Progress { count, outcome } = stream.data.write_vectored_timeout(&mut pieces, timeout);
        written.set(count as usize);
        Ok(outcome?)
    })
}

/// The pieces that are not empty. `own` is where the count goes.
///
/// # Safety
///
/// Each slice's pointer is NULL or leads to as many bytes as it says, which nobody writes to.
unsafe fn pieces(slices: &[dcf_tb_slice], own: Region) -> Result<Vec<IoSlice<'_>>, Failure> {
    let mut pieces = Vec::new();
    let room = pieces.try_reserve_exact(slices.len());
    room.map_err(|_| {
        Failure::out_of_memory("no memory for the list of pieces: write fewer at once")
    })?;
    for (n, slice) in slices.iter().enumerate() {
        reject_overlap(&[own, Region::read("data", slice.data, slice.len)])?;
        // SAFETY: the caller's promise.
        let piece = unsafe { bytes(slice.data, slice.len, "data") }.map_err(|mut failure| {
            failure.text = format!("slices[{n}]: {}", failure.text).into();
            failure
        })?;
        if !piece.is_empty() {
            pieces.push(IoSlice::new(piece));
        }
    }
    Ok(pieces)
}

/// Reads what is there, at least one byte; waits for it if there is none.
///
/// One thread may write while another reads.
///
/// - `stream`: the handle.
/// - `buf`, `cap`: where to, and its size in bytes. With a `cap` of 0 nothing is read and that is
///   DCF_TB_OK.
/// - `timeout_ms`: milliseconds; 0 = do not wait, `DCF_TB_WAIT_FOREVER` = no limit.
/// - `read`: gets the number of bytes read; 0 on errors and at the end.
///
/// Ownership: the bytes are the caller's copy.
/// Blocks: up to `timeout_ms`.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_WOULD_BLOCK                nothing there, and `timeout_ms` is 0
///   DCF_TB_CANCELLED                  the stream or the transport was closed meanwhile
///   DCF_TB_EOF                        the peer ended the stream
///   DCF_TB_ERR_INVALID_HANDLE
///   DCF_TB_ERR_NULL_POINTER           `read` is NULL, or `buf` is and `cap` is not 0
///   DCF_TB_ERR_OUT_OF_RANGE           `cap` is more than any buffer has
///   DCF_TB_ERR_TIMEOUT
///   DCF_TB_ERR_CONNECTION_RESET       by the peer
///   DCF_TB_ERR_CONNECTION_ABORTED     the peer stopped answering
///   DCF_TB_ERR_HOST_UNREACHABLE
///   DCF_TB_ERR_CONNECTION_FAILED
///   DCF_TB_ERR_LINK_DOWN
///   DCF_TB_ERR_OUT_OF_MEMORY
///   DCF_TB_ERR_IO                     see `dcf_tb_last_errno`
#[no_mangle]
pub unsafe extern "C" fn dcf_tb_stream_read(
    stream: dcf_tb_stream,
    buf: *mut u8,
    cap: usize,
    timeout_ms: u32,
    read: *mut usize,
) -> dcf_tb_status {
    // SAFETY: the caller's promise about `read`.
    unsafe { zero_count(read) };
    boundary::on_stream("dcf_tb_stream_read", stream, |stream| {
        reject_overlap(&[
            Region::written("buf", buf, cap),
            Region::written("read", read, 1),
        ])?;
        // SAFETY: the caller's promise about `read`.
        let read = unsafe { Out::new(read, "read") }?;
        // SAFETY: the caller's promise about `buf` and `cap`.
        let buf = unsafe { buffer(buf.cast::<MaybeUninit<u8>>(), cap, "buf") }?;
        if buf.is_empty() {
            return Ok(());
        }
        let got = stream.data.read_uninit_timeout(buf, timeout(timeout_ms))?;
        match got.len() {
            0 => Err(Failure::new(DCF_TB_EOF, "the peer ended the stream")),
            count => {
                read.set(count);
                Ok(())
            }
        }
    })
}

/// Reads exactly `len` bytes, or says how many came before the end of the stream or a failure.
///
/// One thread may write while another reads. Several threads that read at once may each get a part of
/// what the others wait for.
///
/// - `stream`: the handle.
/// - `buf`, `len`: where to, and how many bytes. `(NULL, 0)` is nothing.
/// - `timeout_ms`: milliseconds for all of it; 0 = only what is there, `DCF_TB_WAIT_FOREVER` = no limit.
/// - `read`: gets the number of bytes read, on errors too. They are in `buf`, in order.
///
/// Ownership: the bytes are the caller's copy.
/// Blocks: up to `timeout_ms`.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK                         all were read
///   DCF_TB_WOULD_BLOCK                not all, and `timeout_ms` is 0
///   DCF_TB_CANCELLED                  the stream or the transport was closed meanwhile
///   DCF_TB_EOF                        the peer ended the stream before all came
///   DCF_TB_ERR_INVALID_HANDLE
///   DCF_TB_ERR_NULL_POINTER           `read` is NULL, or `buf` is and `len` is not 0
///   DCF_TB_ERR_OUT_OF_RANGE           `len` is more than any buffer has
///   DCF_TB_ERR_TIMEOUT
///   DCF_TB_ERR_CONNECTION_RESET       by the peer
///   DCF_TB_ERR_CONNECTION_ABORTED     the peer stopped answering
///   DCF_TB_ERR_HOST_UNREACHABLE
///   DCF_TB_ERR_CONNECTION_FAILED
///   DCF_TB_ERR_LINK_DOWN
///   DCF_TB_ERR_OUT_OF_MEMORY
///   DCF_TB_ERR_IO                     see `dcf_tb_last_errno`
#[no_mangle]
pub unsafe extern "C" fn dcf_tb_stream_read_exact(
    stream: dcf_tb_stream,
    buf: *mut u8,
    len: usize,
    timeout_ms: u32,
    read: *mut usize,
) -> dcf_tb_status {
    // SAFETY: the caller's promise about `read`.
    unsafe { zero_count(read) };
    boundary::on_stream("dcf_tb_stream_read_exact", stream, |stream| {
        reject_overlap(&[
            Region::written("buf", buf, len),
            Region::written("read", read, 1),
        ])?;
        // SAFETY: the caller's promise about `read`.
        let read = unsafe { Out::new(read, "read") }?;
        // SAFETY: the caller's promise about `buf` and `len`.
        let buf = unsafe { buffer(buf.cast::<MaybeUninit<u8>>(), len, "buf") }?;
        if buf.is_empty() {
            return Ok(());
        }
        let timeout = timeout(timeout_ms);
        let Progress { count, outcome } = stream.data.read_exact_uninit_timeout(buf, timeout);
        read.set(count as usize);
        outcome?;
        if (count as usize) < len {
            let text = format!("the peer ended the stream after {count} of {len} bytes");
            return Err(Failure::new(DCF_TB_EOF, text));
        }
        Ok(())
    })
}

exported_since! {
    "DCF_TB_1.0":
    dcf_tb_stream_write,
    dcf_tb_stream_writev,
    dcf_tb_stream_read,
    dcf_tb_stream_read_exact,
}
