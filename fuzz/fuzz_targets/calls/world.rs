//! The model: all objects, which of them are live, and the data in flight.

use std::ffi::{CStr, CString};

use dcf_thunderbolt::fuzzing::*;
use thunderbolt_transport::fuzzing::peer;
use thunderbolt_transport::TransportError;

use crate::contract::call;
use crate::operation::{Handle, Operation, Peer, Settings, Wait};
use crate::streams::{Connection, Place};
use crate::surroundings::{BLOCK, BLOCK_SIZE, GENEROUS_MS};
use crate::transports::Transport;

#[derive(Default)]
pub struct World {
    /// All transports, in the order of their start.
    pub transports: Vec<Transport>,
    pub connections: Vec<Connection>,
    /// All stream handles, with their connection and side.
    pub streams: Vec<(dcf_tb_stream, usize, usize)>,
    /// How often a part of the block was used.
    taken: usize,
}

/// The target of a peer string.
pub enum Target {
    /// This transport.
    Live(usize),
    /// This host, on a free port.
    Nobody,
    /// An address that this host does not have.
    Elsewhere,
    /// The call is refused with this status.
    Refused(i32),
    /// All transports with this port.
    Everybody,
}

/// Part of the block.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    pub start: usize,
    pub length: usize,
}

impl Part {
    pub fn bytes(self) -> &'static [u8] {
        &BLOCK[self.start..][..self.length]
    }
}

impl World {
    /// Starts plain transports, and opens streams from the first to the last.
    pub fn new(transports: u8, streams: u8) -> Self {
        let mut world = Self::default();
        for _ in 0..transports {
            world.init(&Settings::default());
        }
        if let Some(last) = transports.checked_sub(1) {
            let (first, last) = (Handle::of(0), Handle::of(last));
            let to = Peer::Transport {
                index: last.index,
                form: 0,
            };
            for _ in 0..streams {
                world.open(first, &to, Wait::Long);
                world.accept(last, Wait::Long);
            }
        }
        world
    }

    pub fn run(&mut self, operation: &Operation) {
        use Operation as O;
        match *operation {
            O::Init(ref settings) => self.init(settings),
            O::ConfigInit { size } => self.config_init(size.into()),
            O::Close(at) => self.close(at),
            O::CloseUnderWaiters(at) => self.close_under_waiters(at),
            O::IsRunning(at) => self.is_running(at),
            O::Interface { at, cap } => self.interface(at, cap.into()),
            O::Ports(at) => self.ports(at),
            O::SetMessageCallback(at, what) => self.set_message_callback(at, what),
            O::SetStreamCallback(at, on) => self.set_stream_callback(at, on),
            O::SetLogCallback(at, on) => self.set_log_callback(at, on),
            O::SetLinkCallback(at, on) => self.set_link_callback(at, on),
            O::Send {
                from,
                ref to,
                message,
                times,
            } => self.send(from, to, message, times),
            O::SendBatch {
                from,
                ref datagrams,
            } => self.send_batch(from, datagrams),
            O::Recv {
                at,
                cap,
                sender_cap,
                wait,
            } => {
                self.recv(at, cap.into(), sender_cap.into(), wait);
            }
            O::EventFd(at) => self.event_fd(at),
            O::Open { from, ref to, wait } => self.open(from, to, wait),
            O::Accept { at, wait } => self.accept(at, wait),
            O::Write { to, size, wait } => self.write(to, size.count(), wait),
            O::Read { from, cap, wait } => self.read(from, cap.into(), wait),
            O::SendFile {
                to,
                offset,
                size,
                beyond,
                wait,
            } => {
                self.send_file(to, offset.into(), size.count() as u64, beyond, wait);
            }
            O::ReceiveFile {
                from,
                into,
                offset,
                size,
                wait,
            } => {
                self.receive_file(from, into, offset.into(), size.count() as u64, wait);
            }
            O::Finish(stream) => self.finish(stream),
            O::CloseStream(stream) => self.close_stream(stream),
            O::CloseStreamUnderReader(stream) => self.close_stream_under_reader(stream),
            O::StreamPeer { of, cap } => self.stream_peer(of, cap.into()),
            O::Detach(stream) => self.detach(stream),
            O::CloseDetached(index) => self.close_detached(index.into()),
            O::MeasureRtt { from, ref to, wait } => self.measure_rtt(from, to, wait),
            O::Ping {
                from,
                ref to,
                count,
                interval_us,
                wait,
                size,
            } => {
                self.ping(
                    from,
                    to,
                    count.into(),
                    interval_us.into(),
                    wait,
                    size.into(),
                );
            }
            O::Discover { from, cap, wait } => self.discover(from, cap.into(), wait),
            O::GetStats { of, size } => self.get_stats(of, size.into()),
            O::ResetStats(of) => self.reset_stats(of),
            O::LastError { cap } => last_error(cap.into()),
            O::Nulls { transport, stream } => self.nulls(transport, stream),
        }
    }

    /// Checks that all data in flight arrives, and closes everything.
    pub fn end(mut self) {
        self.drain();
        for at in 0..self.transports.len() {
            if self.transports[at].live {
                self.expect_counted(at);
                call!(dcf_tb_close(self.transports[at].handle)).gives(DCF_TB_OK);
                self.closed(at);
                self.transports[at].expect_closed();
            }
        }
        for &(handle, ..) in &self.streams {
            call!(dcf_tb_stream_close(handle)).gives(DCF_TB_ERR_INVALID_HANDLE);
        }
    }

    /// The handle to pass to the next call, and the live transport that it belongs to.
    pub fn transport(&self, handle: Handle) -> (dcf_tb_transport, Option<usize>) {
        let of_transports = |index: usize| self.transports.get(index).map(|one| one.handle);
        let of_streams = |index: usize| self.streams.get(index).map(|one| one.0);
        let number = twisted(
            handle,
            pick(handle, self.transports.len(), of_transports),
            pick(handle, self.streams.len(), of_streams),
        );
        let live = |one: &Transport| one.live && one.handle == number;
        (number, self.transports.iter().position(live))
    }

    /// The same for a stream's handle: its connection and side.
    pub fn stream(&self, handle: Handle) -> (dcf_tb_stream, Option<(usize, usize)>) {
        let of_transports = |index: usize| self.transports.get(index).map(|one| one.handle);
        let of_streams = |index: usize| self.streams.get(index).map(|one| one.0);
        let number = twisted(
            handle,
            pick(handle, self.streams.len(), of_streams),
            pick(handle, self.transports.len(), of_transports),
        );
        let live = self.streams.iter().find(|&&(stream, connection, side)| {
            let place = &self.connections[connection].ends[side].place;
            stream == number && matches!(place, Place::Open(_))
        });
        (
            number,
            live.map(|&(_, connection, side)| (connection, side)),
        )
    }

    /// The peer string.
    pub fn text(&self, from: usize, peer: &Peer, of_streams: bool) -> CString {
        let text = match peer {
            Peer::Transport { index, form } => {
                let to = &self.transports[usize::from(*index) % self.transports.len()];
                let port = if of_streams { to.data } else { to.control };
                let host = ["::1%lo", "::1", "::1%1", "0:0::1%lo"][usize::from(*form % 4)];
                // A transport without an interface has no loopback addresses.
                let host = if self.transports[from].up {
                    host
                } else {
                    "::1"
                };
                format!("[{host}]:{port}").into_bytes()
            }
            Peer::Bare(true) => b"::1".to_vec(),
            Peer::Bare(false) => b"::1%lo".to_vec(),
            Peer::Bytes(bytes) => bytes
                .iter()
                .copied()
                .take_while(|&byte| byte != 0)
                .collect(),
        };
        CString::new(text).expect("no NUL")
    }

    /// The target of a peer string.
    pub fn target(&self, from: usize, text: &CStr, of_streams: bool) -> Target {
        let from = &self.transports[from];
        let Ok(text) = text.to_str() else {
            return Target::Refused(DCF_TB_ERR_INVALID_ADDRESS);
        };
        let own_port = if of_streams { from.data } else { from.control };
        let index = from.up.then_some(1);
        let address = match peer::parse(text, &from.interface, index, own_port) {
            Ok(address) => address,
            Err(TransportError::InterfaceNotFound(_)) => {
                return Target::Refused(DCF_TB_ERR_INTERFACE_NOT_FOUND);
            }
            Err(_) => return Target::Refused(DCF_TB_ERR_INVALID_ADDRESS),
        };
        if address.ip().is_multicast() {
            return Target::Everybody;
        }
        if !address.ip().is_loopback() {
            return Target::Elsewhere;
        }
        let has_port = |one: &Transport| {
            let port = if of_streams { one.data } else { one.control };
            one.live && one.up && port == address.port()
        };
        let found = self.transports.iter().position(has_port);
        found.map_or(Target::Nobody, Target::Live)
    }

    /// A part of the block that was not used before.
    pub fn part(&mut self, length: usize) -> Part {
        self.taken += 1;
        let start = self.taken * 7919 % (BLOCK_SIZE - length + 1);
        Part { start, length }
    }
}

/// Milliseconds; `sure` says that the result is certain to come.
pub fn timeout(wait: Wait, sure: bool) -> u32 {
    match wait {
        Wait::No => 0,
        Wait::Long if sure => GENEROUS_MS,
        Wait::Brief | Wait::Long => 1,
    }
}

/// The status of a call whose timeout expired.
pub fn expired(timeout_ms: u32) -> i32 {
    match timeout_ms {
        0 => DCF_TB_WOULD_BLOCK,
        _ => DCF_TB_ERR_TIMEOUT,
    }
}

fn pick(handle: Handle, count: usize, get: impl Fn(usize) -> Option<u64>) -> u64 {
    let index = usize::from(handle.index).checked_rem(count);
    index.and_then(get).unwrap_or(0)
}

fn twisted(handle: Handle, right: u64, other_kind: u64) -> u64 {
    match handle.twist {
        0 => 0,
        1 => other_kind,
        2 => right ^ 1 << (handle.index % 64),
        _ => right,
    }
}

/// Checks that the last error is cut to fit a buffer, and that the returned length is the full one.
fn last_error(cap: usize) {
    let whole = crate::contract::last_error();
    let mut buffer = vec![0x5A_u8; cap];
    // SAFETY: as many bytes as we say.
    let length = unsafe { dcf_tb_last_error(buffer.as_mut_ptr().cast(), cap) };
    assert_eq!(length, whole.len());
    if cap > 0 {
        let cut = CStr::from_bytes_until_nul(&buffer).expect("a NUL");
        assert!(whole.starts_with(cut.to_str().expect("cut at the end of a character")));
        assert!(cut.count_bytes() + 4 >= cap.min(whole.len() + 1));
    }
}
