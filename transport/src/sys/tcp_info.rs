//! The kernel's information about a TCP connection (TCP_INFO of tcp(7)).

use std::io;
use std::mem::{size_of, MaybeUninit};
use std::os::fd::AsRawFd;
use std::time::Duration;

use socket2::Socket;

use super::check;

/// Fields that an older kernel does not have are 0.
fn tcp_info(socket: &Socket) -> io::Result<libc::tcp_info> {
    let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
    let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes into `info`.
    check(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &mut length,
        )
    })?;
    // SAFETY: the struct has integers only, for which all bytes are valid.
    Ok(unsafe { info.assume_init() })
}

/// Whether a connection has carried data in either direction (since Linux 4.6).
pub(crate) fn has_carried_data(socket: &Socket) -> io::Result<bool> {
    let info = tcp_info(socket)?;
    Ok(info.tcpi_data_segs_in > 0 || info.tcpi_data_segs_out > 0)
}

/// The data that a connection still has to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pending {
    /// Bytes that have not been sent yet (since Linux 4.6).
    pub unsent: u32,
    /// Segments that have been sent and not acknowledged.
    pub in_flight: u32,
    /// The peer's receive window in bytes (since Linux 5.5; before that 0).
    pub window: u32,
    /// The time since the peer's last acknowledgement, including answers to window probes.
    pub last_answer: Duration,
}

impl Pending {
    pub fn any(&self) -> bool {
        self.unsent > 0 || self.in_flight > 0
    }

    /// Whether the peer's window is too small for the data to be sent. There is then no data in flight,
    /// or it was sent before the window closed.
    pub fn waits_for_window(&self) -> bool {
        self.unsent > 0 && (self.in_flight == 0 || self.window == 0)
    }
}

pub(crate) fn pending(socket: &Socket) -> io::Result<Pending> {
    Ok(Pending::of(&tcp_info(socket)?))
}

impl Pending {
    fn of(info: &libc::tcp_info) -> Self {
        Self {
            unsent: info.tcpi_notsent_bytes,
            in_flight: info.tcpi_unacked,
            window: info.tcpi_snd_wnd,
            last_answer: Duration::from_millis(info.tcpi_last_ack_recv.into()),
        }
    }
}

/// The state of a connection for the statistics of a stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Connection {
    pub pending: Pending,
    pub connected: bool,
    /// Bytes in the send buffer that have not been sent.
    pub unsent: u64,
    /// Bytes that have been sent and not acknowledged.
    pub unacknowledged: u64,
    pub since_sent: Duration,
    pub since_received: Duration,
    /// Zero until it has been measured.
    pub rtt: Duration,
    pub rtt_variation: Duration,
    pub rtt_min: Duration,
    pub retransmits: u64,
    /// Bytes a second.
    pub delivery_rate: u64,
    /// The total time for which the peer's window limited sending.
    pub window_limited: Duration,
    /// Segments.
    pub congestion_window: u64,
    pub mss: u64,
}

pub(crate) fn connection(socket: &Socket) -> io::Result<Connection> {
    let info = tcp_info(socket)?;
    let micros = |time: u32| Duration::from_micros(time.into());
    let millis = |time: u32| Duration::from_millis(time.into());
    // The FIN takes one sequence number, as if it were a byte.
    let end = match info.tcpi_state {
        FIN_WAIT_1 | CLOSING | LAST_ACK => 1,
        _ => 0,
    };
    let unsent = u64::from(info.tcpi_notsent_bytes);
    let unacknowledged = not_acknowledged(socket)?.saturating_sub(unsent);
    Ok(Connection {
        pending: Pending::of(&info),
        connected: info.tcpi_state != CLOSE,
        // The FIN is sent after all bytes.
        unsent: unsent.saturating_sub(end),
        unacknowledged: match unsent {
            0 => unacknowledged.saturating_sub(end),
            _ => unacknowledged,
        },
        since_sent: millis(info.tcpi_last_data_sent),
        since_received: millis(info.tcpi_last_data_recv),
        rtt: micros(info.tcpi_rtt),
        rtt_variation: micros(info.tcpi_rttvar),
        rtt_min: match info.tcpi_min_rtt {
            u32::MAX => Duration::ZERO, // not measured yet
            time => micros(time),
        },
        retransmits: info.tcpi_total_retrans.into(),
        delivery_rate: info.tcpi_delivery_rate,
        window_limited: Duration::from_micros(info.tcpi_rwnd_limited),
        congestion_window: info.tcpi_snd_cwnd.into(),
        mss: info.tcpi_snd_mss.into(),
    })
}

/// The number of bytes that have been written and not acknowledged, sent or not (SIOCOUTQ of tcp(7)).
fn not_acknowledged(socket: &Socket) -> io::Result<u64> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the kernel writes an int.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) })?;
    Ok(u64::try_from(bytes).unwrap_or(0))
}

/// TCP states (include/net/tcp_states.h).
const FIN_WAIT_1: u8 = 4;
const CLOSE: u8 = 7;
const LAST_ACK: u8 = 9;
const CLOSING: u8 = 11;
