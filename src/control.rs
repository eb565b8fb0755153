//! Control messages.

use std::ffi::c_char;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;

use thunderbolt_transport::{Datagram, Progress, TransportError};

use crate::boundary;
use crate::failure::{Failure, Outcome};
use crate::objects::Owner;
use crate::pointers::{
    buffer, bytes, peer as peer_text, peer_member, reject_overlap, timeout, write_text, zero_count,
    Out, Region,
};
use crate::status::dcf_tb_status;
use crate::symbol_versions::exported_since;
use crate::types::{dcf_tb_transport, DCF_TB_PEER_SIZE};

/// One message of a batch.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct dcf_tb_datagram {
    /// The receiver, a peer string. Consecutive entries with the same pointer are parsed only once.
    pub peer: *const c_char,
    /// The message; NULL if `len` is 0.
    pub data: *const u8,
    /// Its size in bytes, 0 to `DCF_TB_MAX_MESSAGE_SIZE`.
    pub len: usize,
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<dcf_tb_datagram>() == 24);

/// Sends one control message as one UDP datagram: all of it, or none and an error. Delivery is not
/// guaranteed.
///
/// `DCF_TB_OK` means that the kernel accepted the message, and says nothing about the peer. ICMP
/// errors, for example because no program listens there, do not make later messages fail: they do
/// not identify a message, and any host on the link can forge them. `dcf_tb_measure_rtt` tells
/// whether a program with a transport runs on the peer.
///
/// A message to the multicast address of all nodes, `ff02::1`, goes to all other hosts on the link
/// that have a transport with this control port. This transport does not receive it. Streams and
/// round trips refuse multicast addresses.
///
/// - `transport`: the handle.
/// - `peer`: the receiver; see "Peers" at the top of this header.
/// - `data`, `len`: the message, 0 to `DCF_TB_MAX_MESSAGE_SIZE` bytes. `(NULL, 0)` is an empty
///   message.
///
/// Ownership: `peer` and `data` are used only during the call.
/// Blocks: at most a second, while the socket's send buffer or the interface's queue is full.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK                          the kernel accepted it
///   DCF_TB_CANCELLED                   the transport was closed during the call
///   DCF_TB_ERR_INVALID_HANDLE
///   DCF_TB_ERR_NULL_POINTER            `peer` is NULL, or `data` is NULL and `len` is not 0
///   DCF_TB_ERR_INVALID_ADDRESS         the error text quotes it
///   DCF_TB_ERR_INTERFACE_NOT_FOUND     `peer` names an interface that does not exist
///   DCF_TB_ERR_MESSAGE_TOO_LARGE
///   DCF_TB_ERR_OUT_OF_RANGE            `len` is larger than any buffer
///   DCF_TB_ERR_LINK_DOWN
///   DCF_TB_ERR_HOST_UNREACHABLE        this host has no route to it
///   DCF_TB_ERR_QUEUE_FULL
///   DCF_TB_ERR_PERMISSION_DENIED
///   DCF_TB_ERR_OUT_OF_MEMORY
///   DCF_TB_ERR_IO                      see `dcf_tb_last_errno`
#[no_mangle]
pub unsafe extern "C" fn dcf_tb_send(
    transport: dcf_tb_transport,
    peer: *const c_char,
    data: *const u8,
    len: usize,
) -> dcf_tb_status {
    boundary::on_transport("dcf_tb_send", transport, |owner| {
        // SAFETY: the caller's promise about `peer`.
        let peer = unsafe { peer_text(peer, "peer") }?;
        // SAFETY: the caller's promise about `data` and `len`.
        let data = unsafe { bytes(data, len, "data") }?;
        owner.transport.send_message(data, peer)?;
        Ok(())
    })
}

/// Sends several control messages, in order, in as few system calls as possible.
///
/// Stops at the first message that fails; all messages before it were sent. As with `dcf_tb_send`,
/// ICMP errors do not make messages fail.
///
/// - `transport`: the handle.
/// - `datagrams`, `count`: the messages. `(NULL, 0)` sends none.
/// - `sent`: receives the number of messages sent, also on errors.
///
/// Ownership: the array and the memory that it points to are used only during the call.
/// Blocks: at most a second each time that the socket's send buffer or the interface's queue is
/// full.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK                          all were sent
///   DCF_TB_CANCELLED                   the transport was closed during the call
///   DCF_TB_ERR_INVALID_HANDLE
///   DCF_TB_ERR_NULL_POINTER            `sent`, the array, or a member of it is NULL
///   DCF_TB_ERR_INVALID_ADDRESS         the error text quotes it
///   DCF_TB_ERR_INTERFACE_NOT_FOUND     a peer names an interface that does not exist
///   DCF_TB_ERR_MESSAGE_TOO_LARGE
///   DCF_TB_ERR_OUT_OF_RANGE            a size is larger than any buffer
///   DCF_TB_ERR_LINK_DOWN
///   DCF_TB_ERR_HOST_UNREACHABLE        this host has no route to it
///   DCF_TB_ERR_QUEUE_FULL
///   DCF_TB_ERR_PERMISSION_DENIED
///   DCF_TB_ERR_OUT_OF_MEMORY
///   DCF_TB_ERR_IO                      see `dcf_tb_last_errno`
#[no_mangle]
pub unsafe extern "C" fn dcf_tb_send_batch(
    transport: dcf_tb_transport,
    datagrams: *const dcf_tb_datagram,
    count: usize,
    sent: *mut usize,
) -> dcf_tb_status {
    // SAFETY: the caller's promise about `sent`.
    unsafe { zero_count(sent) };
    boundary::on_transport("dcf_tb_send_batch", transport, |owner| {
        let own = Region::written("sent", sent, 1);
        reject_overlap(&[own, Region::read("datagrams", datagrams, count)])?;
        // SAFETY: the caller's promise about `sent`.
        let sent = unsafe { Out::new(sent, "sent") }?;
        // SAFETY: the caller's promise about `datagrams` and `count`; they are only read.
        let datagrams = unsafe { buffer(datagrams.cast_mut(), count, "datagrams") }?;
        // SAFETY: the caller's promise about what the datagrams point to.
        unsafe { send_all(owner, datagrams, &sent, own) }
    })
}

/// # Safety
///
/// The pointers of each datagram are NULL, or point to the memory that its members describe.
unsafe fn send_all(
    owner: &Owner,
    datagrams: &[dcf_tb_datagram],
    sent: &Out<usize>,
    own: Region,
) -> Outcome {
    let mut bad = Ok(());
    let mut last = (std::ptr::null(), "");
    let good = datagrams.iter().enumerate().map_while(|(n, datagram)| {
        // SAFETY: the caller's promise.
        match unsafe { convert(datagram, &mut last, own) } {
            Ok(datagram) => Some(datagram),
            Err(mut failure) => {
                failure.text = format!("datagrams[{n}]: {}", failure.text).into();
                bad = Err(failure);
                None
            }
        }
    });
    // The messages before an invalid one are sent before its error is returned.
    let Progress { count, outcome } = owner.transport.send_batch_from(good);
    sent.set(count as usize);
    outcome?;
    bad
}

/// Checks one datagram. `own` is the memory of the count. `last` is the peer of the datagram
/// before, which usually has the same peer.
///
/// # Safety
///
/// As for `send_all`.
#[inline(always)]
unsafe fn convert<'a>(
    datagram: &dcf_tb_datagram,
    last: &mut (*const c_char, &'a str),
    own: Region,
) -> Result<Datagram<'a>, Failure> {
    if datagram.peer != last.0 || last.0.is_null() {
        // SAFETY: the caller's promise.
        *last = (datagram.peer, unsafe { peer_text(datagram.peer, "peer") }?);
        reject_overlap(&[own, Region::text("peer", last.1)])?;
    }
    reject_overlap(&[own, Region::read("data", datagram.data, datagram.len)])?;
    Ok(Datagram {
        peer: last.1,
        // SAFETY: the caller's promise.
        data: unsafe { bytes(datagram.data, datagram.len, "data") }?,
    })
}

/// Takes the oldest control message out of the receive queue, and waits for one if the queue is
/// empty. Messages are queued while there is no message callback.
///
/// - `transport`: the handle.
/// - `buf`, `cap`: the buffer for the message and its size. `DCF_TB_MAX_MESSAGE_SIZE` bytes are
///   always enough.
/// - `len`: receives the length of the message. If a buffer is too small, the message stays in the
///   queue, and `len` still receives its length.
/// - `sender`, `sender_cap`: the buffer for the sender and its size. It receives a NUL-terminated
///   peer string. `DCF_TB_PEER_SIZE` bytes are always enough. `(NULL, 0)` if the sender is not
///   needed.
/// - `timeout_ms`: milliseconds; 0 = do not wait, `DCF_TB_WAIT_FOREVER` = no limit.
///
/// Ownership: the message and the sender are copies that belong to the caller.
/// Blocks: up to `timeout_ms`, also while the link is down: messages that come after the link is
/// back are received. Inside the message callback no message is queued, so the call waits for the
/// whole timeout.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_WOULD_BLOCK            the queue is empty, and `timeout_ms` is 0
///   DCF_TB_CANCELLED              the transport was closed during the call
///   DCF_TB_ERR_INVALID_HANDLE
///   DCF_TB_ERR_NULL_POINTER       `len` is NULL, or a buffer is NULL and its size is not 0
///   DCF_TB_ERR_BUFFER_TOO_SMALL   `cap` is less than `*len`, or else `sender_cap` is too small
///   DCF_TB_ERR_OUT_OF_RANGE       a size is larger than any buffer
///   DCF_TB_ERR_TIMEOUT
#[no_mangle]
pub unsafe extern "C" fn dcf_tb_recv(
    transport: dcf_tb_transport,
    buf: *mut u8,
    cap: usize,
    len: *mut usize,
    sender: *mut c_char,
    sender_cap: usize,
    timeout_ms: u32,
) -> dcf_tb_status {
    boundary::on_transport("dcf_tb_recv", transport, |owner| {
        reject_overlap(&[
            Region::written("buf", buf, cap),
            Region::written("len", len, 1),
            Region::written("sender", sender, sender_cap),
        ])?;
        // SAFETY: the caller's promise about `len`.
        let len = unsafe { Out::new(len, "len") }?;
        // SAFETY: the caller's promise about `buf` and `cap`.
        let buf = unsafe { buffer(buf, cap, "buf") }?;
        let wanted = !sender.is_null();
        // SAFETY: the caller's promise about `sender` and `sender_cap`.
        let sender = unsafe { buffer(sender.cast::<u8>(), sender_cap, "sender") }?;
        owner
            .transport
            .recv_with(timeout(timeout_ms), |message, from| {
                len.set(message.len());
                require("buf", buf, message.len())?;
                if wanted {
                    require("sender", sender, from.as_str().len() + 1)?;
                    write_text(from.as_str(), sender);
                }
                buf[..message.len()].copy_from_slice(message);
                Ok(())
            })?;
        Ok(())
    })
}

/// A message that `dcf_tb_recv_batch` received.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct dcf_tb_received {
    /// Its first byte, in the buffer that the caller passed.
    pub data: *const u8,
    /// Its size in bytes.
    pub len: usize,
    /// The sender, a NUL-terminated peer string.
    pub sender: [c_char; DCF_TB_PEER_SIZE],
}

/// Takes several control messages out of the receive queue, oldest first. Waits if the queue is
/// empty, but never for more than the first message. Messages are queued while there is no message
/// callback.
///
/// - `transport`: the handle.
/// - `buf`, `cap`: the buffer for all messages, one after the other, and its size.
///   `DCF_TB_MAX_MESSAGE_SIZE` bytes are always enough for one.
/// - `messages`, `most`: an array that receives the place and the sender of each message, and its
///   length.
/// - `count`: receives the number of messages; 0 on errors.
/// - `timeout_ms`: milliseconds; 0 = do not wait, `DCF_TB_WAIT_FOREVER` = no limit.
///
/// A message that does not fit into the rest of `buf` stays in the queue for the next call. If the
/// first message does not fit, the call fails, and `messages[0].len` is its size.
///
/// Ownership: the messages are copies that belong to the caller. `data` points into `buf`.
/// Blocks: up to `timeout_ms`, also while the link is down.
/// In callbacks: allowed. Inside the message callback no message is queued, so the call waits for
/// the whole timeout.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_WOULD_BLOCK            the queue is empty, and `timeout_ms` is 0
///   DCF_TB_CANCELLED              the transport was closed during the call
///   DCF_TB_ERR_INVALID_HANDLE
///   DCF_TB_ERR_NULL_POINTER       `messages` or `count` is NULL, or `buf` is NULL and `cap` is not 0
///   DCF_TB_ERR_BUFFER_TOO_SMALL   `cap` is less than `messages[0].len`; the message stays in the queue
///   DCF_TB_ERR_OUT_OF_RANGE       `most` is 0, or a size is larger than any buffer
///   DCF_TB_ERR_TIMEOUT
#[no_mangle]
pub unsafe extern "C" fn dcf_tb_recv_batch(
    transport: dcf_tb_transport,
    buf: *mut u8,
    cap: usize,
    messages: *mut dcf_tb_received,
    most: usize,
    count: *mut usize,
    timeout_ms: u32,
) -> dcf_tb_status {
    // SAFETY: the caller's promise about `count`.
    unsafe { zero_count(count) };
    boundary::on_transport("dcf_tb_recv_batch", transport, |owner| {
        reject_overlap(&[
            Region::written("buf", buf, cap),
            Region::written("messages", messages, most),
            Region::written("count", count, 1),
        ])?;
        // SAFETY: the caller's promise about `count`.
        let count = unsafe { Out::new(count, "count") }?;
        // SAFETY: the caller's promise about `buf` and `cap`.
        let mut rest = unsafe { buffer(buf, cap, "buf") }?;
        // SAFETY: the caller's promise about `messages` and `most`; they are only written to.
        let messages = unsafe { buffer(messages.cast::<MaybeUninit<_>>(), most, "messages") }?;
        if messages.is_empty() && most > 0 {
            return Err(Failure::null("messages"));
        }
        let mut places = messages.iter_mut();
        let received =
            owner
                .transport
                .recv_batch_with(most, timeout(timeout_ms), |message, from| {
                    let mut place = dcf_tb_received {
                        data: rest.as_ptr(),
                        len: message.len(),
                        sender: [0; DCF_TB_PEER_SIZE],
                    };
                    let room = require("buf", rest, message.len());
                    let target = places.next();
                    if room.is_ok() {
                        let (now, later) = std::mem::take(&mut rest).split_at_mut(message.len());
                        now.copy_from_slice(message);
                        rest = later;
                        place.sender = peer_member(from.as_str());
                    }
                    if let Some(target) = target {
                        target.write(place);
                    }
                    room
                })?;
        count.set(received);
        Ok(())
    })
}

fn require(name: &'static str, buf: &[u8], needed: usize) -> Result<(), TransportError> {
    let size = buf.len();
    if size < needed {
        return Err(TransportError::BufferTooSmall {
            buffer: name,
            size,
            needed,
        });
    }
    Ok(())
}

/// A descriptor for poll, select or epoll. It is readable exactly while `dcf_tb_recv` or
/// `dcf_tb_accept` would not wait.
///
/// - `transport`: the handle.
/// - `fd`: receives the descriptor, which is the same for each call.
///
/// Ownership: the descriptor belongs to the library, which closes it with the transport. Do not
/// read or close it.
/// Blocks: never.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_CANCELLED             the transport was closed during the call
///   DCF_TB_ERR_INVALID_HANDLE
///   DCF_TB_ERR_NULL_POINTER      `fd` is NULL
///   DCF_TB_ERR_TOO_MANY_FILES
///   DCF_TB_ERR_IO                see `dcf_tb_last_errno`
#[no_mangle]
pub unsafe extern "C" fn dcf_tb_event_fd(
    transport: dcf_tb_transport,
    fd: *mut i32,
) -> dcf_tb_status {
    boundary::on_transport("dcf_tb_event_fd", transport, |owner| {
        // SAFETY: the caller's promise about `fd`.
        let fd = unsafe { Out::new(fd, "fd") }?;
        fd.set(owner.transport.event_fd()?.as_raw_fd());
        Ok(())
    })
}

exported_since! {
    "DCF_TB_1.0":
    dcf_tb_send,
    dcf_tb_send_batch,
    dcf_tb_recv,
    dcf_tb_recv_batch,
    dcf_tb_event_fd,
}
