//! Reading from and writing to data streams.

use std::io::IoSlice;
use std::mem::MaybeUninit;

use thunderbolt_transport::Progress;

use crate::boundary;
use crate::failure::Failure;
use crate::pointers::{buffer, bytes, reject_overlap, timeout, zero_count, Out, Region};
use crate::status::{dcf_tb_status, DCF_TB_EOF};
use crate::symbol_versions::exported_since;
use crate::types::dcf_tb_stream;

/// Writes all of `data`. If that fails, reports how much was written.
///
/// One thread may read while another writes. Concurrent writes may mix their bytes.
///
/// - `stream`: the handle.
/// - `data`, `len`: the bytes to write. `(NULL, 0)` writes none.
/// - `timeout_ms`: milliseconds for all of it; 0 = only what the kernel accepts at once,
///   `DCF_TB_WAIT_FOREVER` = no limit.
/// - `written`: receives the number of bytes written, also on errors.
///
/// Ownership: `data` is used only during the call.
/// Blocks: up to `timeout_ms`, while the peer does not read.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK                         all were written
///   DCF_TB_WOULD_BLOCK                not all, and `timeout_ms` is 0
///   DCF_TB_CANCELLED                  the stream or the transport was closed during the call
///   DCF_TB_ERR_INVALID_HANDLE
///   DCF_TB_ERR_NULL_POINTER           `written` is NULL, or `data` is NULL and `len` is not 0
///   DCF_TB_ERR_OUT_OF_RANGE           `len` is larger than any buffer
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

/// Writes several pieces one after another, such as a header and its payload, without copying them
/// together. Uses as few system calls as possible. If that fails, reports how much was written.
///
/// One thread may read while another writes. Concurrent writes may mix their bytes.
///
/// - `stream`: the handle.
/// - `slices`, `count`: the pieces. `(NULL, 0)` writes none, and pieces may be empty.
/// - `timeout_ms`: milliseconds for all of it; 0 = only what the kernel accepts at once,
///   `DCF_TB_WAIT_FOREVER` = no limit.
/// - `written`: receives the total number of bytes written, also on errors.
///
/// Ownership: the array and the memory that it points to are used only during the call.
/// Blocks: up to `timeout_ms`, while the peer does not read.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK                         all were written
///   DCF_TB_WOULD_BLOCK                not all, and `timeout_ms` is 0
///   DCF_TB_CANCELLED                  the stream or the transport was closed during the call
///   DCF_TB_ERR_INVALID_HANDLE
///   DCF_TB_ERR_NULL_POINTER           `written`, the array, or a piece of it is NULL; no byte was written
///   DCF_TB_ERR_OUT_OF_RANGE           a size is larger than any buffer; no byte was written
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

/// The pieces that are not empty. `own` is the memory of the count.
///
/// # Safety
///
/// The pointer of each slice is NULL, or points to as many bytes as it says, which stay unchanged
/// during the call.
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

/// Reads the bytes that are there, at least one. Waits if there are none.
///
/// One thread may write while another reads.
///
/// - `stream`: the handle.
/// - `buf`, `cap`: the buffer and its size in bytes. With a `cap` of 0 the call reads no byte and
///   returns DCF_TB_OK.
/// - `timeout_ms`: milliseconds; 0 = do not wait, `DCF_TB_WAIT_FOREVER` = no limit.
/// - `read`: receives the number of bytes read; 0 on errors and at the end of the stream.
///
/// Ownership: the bytes are a copy that belongs to the caller.
/// Blocks: up to `timeout_ms`.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_WOULD_BLOCK                no bytes are there, and `timeout_ms` is 0
///   DCF_TB_CANCELLED                  the stream or the transport was closed during the call
///   DCF_TB_EOF                        the peer ended the stream
///   DCF_TB_ERR_INVALID_HANDLE
///   DCF_TB_ERR_NULL_POINTER           `read` is NULL, or `buf` is NULL and `cap` is not 0
///   DCF_TB_ERR_OUT_OF_RANGE           `cap` is larger than any buffer
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

/// Reads exactly `len` bytes. If the stream ends or fails before, reports how many came.
///
/// One thread may write while another reads. If several threads read at the same time, each may get
/// a part of the bytes.
///
/// - `stream`: the handle.
/// - `buf`, `len`: the buffer, and how many bytes to read. `(NULL, 0)` reads none.
/// - `timeout_ms`: milliseconds for all of it; 0 = only the bytes that are there,
///   `DCF_TB_WAIT_FOREVER` = no limit.
/// - `read`: receives the number of bytes read, also on errors. They are in `buf`, in order.
///
/// Ownership: the bytes are a copy that belongs to the caller.
/// Blocks: up to `timeout_ms`.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK                         all were read
///   DCF_TB_WOULD_BLOCK                not all, and `timeout_ms` is 0
///   DCF_TB_CANCELLED                  the stream or the transport was closed during the call
///   DCF_TB_EOF                        the peer ended the stream before `len` bytes came
///   DCF_TB_ERR_INVALID_HANDLE
///   DCF_TB_ERR_NULL_POINTER           `read` is NULL, or `buf` is NULL and `len` is not 0
///   DCF_TB_ERR_OUT_OF_RANGE           `len` is larger than any buffer
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
