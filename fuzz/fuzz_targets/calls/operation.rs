//! The operations of a run: calls of the C ABI with arguments, decoded from the fuzzer's bytes.

use arbitrary::{Arbitrary, Unstructured};

/// The most operations of one run.
const MOST: usize = 64;

/// One run.
#[derive(Debug)]
pub struct Script {
    /// Transports at the beginning.
    pub transports: u8,
    /// Streams from the first to the last of them.
    pub streams: u8,
    pub operations: Vec<Operation>,
}

impl<'a> Arbitrary<'a> for Script {
    /// Decodes operations until the bytes are used up, so that a longer input is a longer run.
    fn arbitrary(bytes: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let mut script = Self {
            transports: u8::arbitrary(bytes)? % 4,
            streams: u8::arbitrary(bytes)? % 4,
            operations: Vec::new(),
        };
        while !bytes.is_empty() && script.operations.len() < MOST {
            script.operations.push(Operation::arbitrary(bytes)?);
        }
        Ok(script)
    }
}

/// One call, or a few related ones.
#[derive(Debug, Arbitrary)]
pub enum Operation {
    Init(Settings),
    ConfigInit {
        size: u16,
    },
    Close(Handle),
    CloseUnderWaiters(Handle),
    IsRunning(Handle),
    Interface {
        at: Handle,
        cap: u8,
    },
    Ports(Handle),
    SetMessageCallback(Handle, OnMessage),
    SetStreamCallback(Handle, bool),
    SetLogCallback(Handle, bool),
    SetLinkCallback(Handle, bool),
    Send {
        from: Handle,
        to: Peer,
        message: Message,
        times: u16,
    },
    SendBatch {
        from: Handle,
        datagrams: Vec<(Peer, Message)>,
    },
    Recv {
        at: Handle,
        cap: u16,
        sender_cap: u8,
        wait: Wait,
    },
    EventFd(Handle),
    Open {
        from: Handle,
        to: Peer,
        wait: Wait,
    },
    Accept {
        at: Handle,
        wait: Wait,
    },
    Write {
        to: Handle,
        size: Bytes,
        wait: Wait,
    },
    Read {
        from: Handle,
        cap: u16,
        wait: Wait,
    },
    SendFile {
        to: Handle,
        offset: u32,
        size: Bytes,
        beyond: u8,
        wait: Wait,
    },
    ReceiveFile {
        from: Handle,
        into: Sink,
        offset: u16,
        size: Bytes,
        wait: Wait,
    },
    Finish(Handle),
    CloseStream(Handle),
    CloseStreamUnderReader(Handle),
    StreamPeer {
        of: Handle,
        cap: u8,
    },
    Detach(Handle),
    CloseDetached(u8),
    MeasureRtt {
        from: Handle,
        to: Peer,
        wait: Wait,
    },
    Ping {
        from: Handle,
        to: Peer,
        count: u8,
        interval_us: u8,
        wait: Wait,
        size: u8,
    },
    Discover {
        from: Handle,
        cap: u8,
        wait: Wait,
    },
    GetStats {
        of: Handle,
        size: u16,
    },
    ResetStats(Handle),
    LastError {
        cap: u8,
    },
    Nulls {
        transport: Handle,
        stream: Handle,
    },
}

/// A handle: that of object number `index`, live or closed, or for a few values of `twist` an invalid
/// one.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub struct Handle {
    pub index: u8,
    pub twist: u8,
}

impl Handle {
    pub fn of(index: u8) -> Self {
        Self {
            index,
            twist: u8::MAX,
        }
    }
}

/// The peer of a call.
#[derive(Debug, Arbitrary)]
pub enum Peer {
    /// A transport, live or closed, in one of the forms of its peer string.
    Transport {
        index: u8,
        form: u8,
    },
    /// The loopback address without a port, which means the transport's own port.
    Bare(bool),
    Bytes(Vec<u8>),
}

/// A control message.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum Message {
    Small(u8),
    Large(u16),
    TooLarge(u16),
    Ping(u64),
    Pong(u64),
}

/// A timeout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary)]
pub enum Wait {
    /// Zero.
    No,
    /// A millisecond or two.
    Brief,
    /// Long enough if the result is certain to come; otherwise like `Brief`.
    Long,
}

/// A number of bytes: few, or for some values of `chunks` more than a stream buffers without a reader.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub struct Bytes {
    few: u16,
    chunks: u8,
}

impl Bytes {
    pub fn count(self) -> usize {
        usize::from(self.few) + usize::from(self.chunks.saturating_sub(200)) * (128 << 10)
    }
}

/// A file to receive into.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum Sink {
    Memory,
    Pipe,
    /// `/dev/full`, which accepts no bytes.
    Full,
    NotOpen,
    Negative,
}

/// What the message callback does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary)]
pub enum OnMessage {
    /// No callback.
    None,
    Keep,
    /// Keeps one message, and removes itself.
    KeepOne,
    /// Keeps one message, and closes its transport.
    Close,
}

/// The configuration of a transport.
#[derive(Debug, Arbitrary)]
pub struct Settings {
    pub size: Size,
    pub ports: Ports,
    pub interface: Interface,
    pub buffer_size: u64,
    pub booleans: [u8; 3],
    pub wait_for_interface: u8,
    pub busy_poll: u8,
    pub receive_queue: u8,
    pub max_streams: u8,
    pub connect_timeout_ms: u32,
    pub stream_dead_after_ms: u32,
    pub log_level: i8,
    pub on_message: bool,
    pub on_stream: bool,
    pub on_log: bool,
    pub on_link: bool,
}

/// The size of the caller's configuration.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum Size {
    Ours,
    Null,
    Smaller(u8),
    /// With additional bytes, which are zero.
    Larger(u8),
    /// With additional bytes, of which one is not zero.
    Unknown(u8, u8),
    Nonsense(u32),
}

#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum Ports {
    Free,
    Own(u8),
}

#[derive(Debug, Arbitrary)]
pub enum Interface {
    Loopback,
    /// NULL, which is the default.
    Default,
    Auto,
    Named(Vec<u8>),
}

impl Default for Settings {
    /// A transport without callbacks.
    fn default() -> Self {
        Self {
            size: Size::Ours,
            ports: Ports::Free,
            interface: Interface::Loopback,
            buffer_size: 0,
            booleans: [1, 1, 0],
            wait_for_interface: 0,
            busy_poll: 1,
            receive_queue: 8,
            max_streams: 8,
            connect_timeout_ms: u32::MAX,
            stream_dead_after_ms: 0,
            log_level: 4,
            on_message: false,
            on_stream: false,
            on_log: false,
            on_link: false,
        }
    }
}
