"""libdcf_thunderbolt for Python, by ctypes. Only the library must be installed.

    with Transport(interface_name="lo", control_port=0, data_port=0) as transport:
        transport.send(peer, b"hello")
        message, sender = transport.recv(timeout_ms=1000)

This is an example rather than a complete binding: other functions are called in the same way. Programs receive by
recv and accept. Only on_peer is a callback, which runs on a thread of the library. ctypes lets other Python threads
run while a call waits.

The system's linker finds the library; DCF_THUNDERBOLT_LIBRARY names another file.
"""

import ctypes
import operator
import os
import threading
from ctypes import POINTER, byref, c_char, c_char_p, c_int32, c_size_t, c_uint8, c_uint16, c_uint32, c_uint64, c_void_p

ABI_VERSION = 1
WAIT_FOREVER = 0xFFFFFFFF
MAX_MESSAGE_SIZE = 65507
PEER_SIZE = 80

OK, WOULD_BLOCK, CANCELLED, EOF = 0x0000, 0x0002, 0x0003, 0x0004
ERR_BUFFER_TOO_SMALL = 0x0104
ERR_TIMEOUT = 0x0A00


def _integer(kind, value, name):
    """Checks that C can hold `value`. ctypes would turn 70000 into port 4464, and -1 into an infinite timeout."""
    bits = 8 * ctypes.sizeof(kind)
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if kind(-1).value < 0 else (0, (1 << bits) - 1)
    value = operator.index(value)
    if not low <= value <= high:
        raise ValueError(f"{name} is {value}: it must be from {low} to {high}")
    return value


def _text(value, name):
    """A C string from str, bytes or None. A zero byte, which would end it, is refused."""
    if value is None:
        return None
    text = os.fsencode(value)
    if b"\0" in text:
        raise ValueError(f"{name} is {value!r}: it must not contain a zero byte")
    return text


def _bytes(data):
    """The bytes of anything that has them, as a pointer and a length. Read-only memory other than bytes, and memory
    that is not contiguous, is copied."""
    if isinstance(data, bytes):
        return data, len(data)
    view = memoryview(data)
    if view.readonly or not view.c_contiguous or view.nbytes == 0:
        data = view.tobytes()
        return data, len(data)
    return (c_char * view.nbytes).from_buffer(view), view.nbytes


def _bounded(kind, name):
    """An argument type that refuses values that `kind` cannot hold."""
    return type(name, (), {"from_param": classmethod(lambda cls, value: kind(_integer(kind, value, name)))})


class _Peer:
    """An argument type for peer strings."""

    @classmethod
    def from_param(cls, peer):
        return c_char_p.from_param(_text(peer, "peer"))


_timeout_ms = _bounded(c_uint32, "timeout_ms")


class Config(ctypes.Structure):
    """dcf_tb_config; Transport fills it with the defaults."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("control_port", c_uint16),
        ("data_port", c_uint16),
        ("interface_name", c_char_p),
        ("buffer_size", c_uint64),
        ("tcp_nodelay", c_uint8),
        ("tcp_keepalive", c_uint8),
        ("allow_any_source", c_uint8),
        ("wait_for_interface", c_uint8),
        ("busy_poll_us", c_uint32),
        ("receive_queue", c_uint32),
        ("max_streams", c_uint32),
        ("connect_timeout_ms", c_uint32),
        ("stream_dead_after_ms", c_uint32),
        ("log_level", c_int32),
        # Callbacks: only on_peer is used here.
        ("on_message", c_void_p),
        ("on_stream", c_void_p),
        ("on_log", c_void_p),
        ("on_link", c_void_p),
        ("on_closed", c_void_p),
        ("user_data", c_void_p),
        ("receive_queue_bytes", c_uint64),
        ("max_silent_streams", c_uint32),
        ("silent_after_ms", c_uint32),
        ("on_peer", c_void_p),
        ("peer_timeout_ms", c_uint32),
        ("remember_peers", c_uint32),
    ]


# Settings that can change while a transport runs: the numbers of DCF_TB_OPTION_*.
OPTIONS = {
    name: number
    for number, name in enumerate(
        (
            "log_level busy_poll_us receive_queue receive_queue_bytes max_streams max_silent_streams silent_after_ms "
            "connect_timeout_ms allow_any_source stream_dead_after_ms"
        ).split(),
        start=1,
    )
}


class Rtt(ctypes.Structure):
    """dcf_tb_rtt: the summary of a series of pings."""

    _fields_ = [("struct_size", c_uint32), ("sent", c_uint32), ("received", c_uint32), ("reserved", c_uint32)] + [
        (name, c_uint64) for name in ("min_ns", "mean_ns", "p50_ns", "p90_ns", "p99_ns", "p999_ns", "max_ns")
    ]


class Peer(ctypes.Structure):
    """dcf_tb_peer: a peer that discovery found."""

    _fields_ = [("address", c_char * PEER_SIZE), ("rtt_ns", c_uint64)]


class Received(ctypes.Structure):
    """dcf_tb_received: a message of a batch."""

    _fields_ = [("data", c_void_p), ("len", c_size_t), ("sender", c_char * PEER_SIZE)]


class Slice(ctypes.Structure):
    """dcf_tb_slice: a piece of a vectored write."""

    _fields_ = [("data", c_void_p), ("len", c_size_t)]


class Stats(ctypes.Structure):
    """dcf_tb_stats, with the members that this file knows. Those of a newer library are left out."""

    _fields_ = [("struct_size", c_uint32), ("link_up", c_uint32)] + [
        (name, c_uint64)
        for name in (
            "messages_sent messages_received bytes_sent bytes_received connections_accepted connections_initiated "
            "errors uptime_ns messages_dropped kernel_drops rejected stream_bytes_sent stream_bytes_received "
            "streams_open pings_sent pongs_received pings_answered last_rtt_ns link_changes callback_failures "
            "udp_send_buffer udp_receive_buffer rejected_source rejected_max_streams rejected_silent "
            "rejected_resources dropped_memory pongs_ignored rejected_malformed discovery_dropped "
            "send_drops pings_limited dropped_slow pings_undelivered peers_not_reported"
        ).split()
    ]


class StreamStats(ctypes.Structure):
    """dcf_tb_stream_stats: the statistics of one stream, and the state of its connection."""

    _fields_ = [("struct_size", c_uint32), ("connected", c_uint32)] + [
        (name, c_uint64)
        for name in (
            "bytes_sent bytes_received writes reads age_ns idle_ns since_sent_ns since_received_ns bytes_unsent "
            "bytes_unacknowledged rtt_ns rtt_variation_ns rtt_min_ns retransmits delivery_rate peer_window "
            "stalled stalled_ns congestion_window mss"
        ).split()
    ]


def _load():
    library = ctypes.CDLL(os.environ.get("DCF_THUNDERBOLT_LIBRARY", "libdcf_thunderbolt.so.1"))
    # Without these, ctypes takes every argument for an int and cuts handles and sizes to 32 bits.
    functions = {
        "config_init": [POINTER(Config), c_size_t],
        "init": [POINTER(Config), POINTER(c_uint64)],
        "close": [c_uint64],
        "set_option": [c_uint64, c_int32, c_uint64],
        "get_option": [c_uint64, c_int32, POINTER(c_uint64)],
        "ports": [c_uint64, POINTER(c_uint16), POINTER(c_uint16)],
        "wait_link": [c_uint64, c_int32, _timeout_ms],
        "send": [c_uint64, _Peer, c_void_p, c_size_t],
        "recv": [c_uint64, c_char_p, c_size_t, POINTER(c_size_t), c_char_p, c_size_t, _timeout_ms],
        "recv_batch": [c_uint64, c_void_p, c_size_t, POINTER(Received), c_size_t, POINTER(c_size_t), _timeout_ms],
        "event_fd": [c_uint64, POINTER(c_int32)],
        "open_stream": [c_uint64, _Peer, _timeout_ms, POINTER(c_uint64)],
        "accept": [c_uint64, _timeout_ms, POINTER(c_uint64)],
        "stream_write": [c_uint64, c_void_p, c_size_t, _timeout_ms, POINTER(c_size_t)],
        "stream_writev": [c_uint64, POINTER(Slice), c_size_t, _timeout_ms, POINTER(c_size_t)],
        "stream_read_exact": [c_uint64, c_char_p, c_size_t, _timeout_ms, POINTER(c_size_t)],
        "stream_read": [c_uint64, c_char_p, c_size_t, _timeout_ms, POINTER(c_size_t)],
        "stream_finish": [c_uint64],
        "stream_close": [c_uint64],
        "stream_peer": [c_uint64, c_char_p, c_size_t, POINTER(c_size_t)],
        "last_heard": [c_uint64, _Peer, POINTER(c_uint64)],
        "forget": [c_uint64, _Peer],
        "measure_rtt": [c_uint64, _Peer, _timeout_ms, POINTER(c_uint64)],
        "ping": [
            c_uint64,
            _Peer,
            _bounded(c_uint32, "count"),
            _bounded(c_uint32, "interval_us"),
            _timeout_ms,
            POINTER(Rtt),
        ],
        "discover_first": [c_uint64, _timeout_ms, POINTER(Peer), c_size_t, POINTER(c_size_t)],
        "discover": [c_uint64, _timeout_ms, POINTER(Peer), c_size_t, POINTER(c_size_t)],
        "get_stats": [c_uint64, POINTER(Stats)],
        "stream_get_stats": [c_uint64, POINTER(StreamStats)],
    }
    for name, arguments in functions.items():
        function = getattr(library, "dcf_tb_" + name)
        function.argtypes, function.restype = arguments, c_int32
    library.dcf_tb_status_string.argtypes, library.dcf_tb_status_string.restype = [c_int32], c_char_p
    library.dcf_tb_last_error.argtypes, library.dcf_tb_last_error.restype = [c_char_p, c_size_t], c_size_t
    library.dcf_tb_abi_version.restype = c_uint32
    if library.dcf_tb_abi_version() != ABI_VERSION:
        raise ImportError("libdcf_thunderbolt has another ABI than this file")
    return library


_library = _load()


class Error(Exception):
    """A call that failed: `status` is the number, the text is the library's.

    `done` is how many bytes a write or an exact read had moved before it failed, `data` what such a read had
    read, and `summary` what a ping without any answer measured.
    """

    done = 0
    data = b""
    summary = None

    def __init__(self, status):
        why = ctypes.create_string_buffer(1100)
        _library.dcf_tb_last_error(why, len(why))
        words = _library.dcf_tb_status_string(status).decode()
        super().__init__(f"{words}: {why.value.decode(errors='replace')}")
        self.status = status


class Timeout(Error):
    """The timeout expired."""


def _call(name, *arguments):
    status = getattr(_library, "dcf_tb_" + name)(*arguments)
    if status in (WOULD_BLOCK, ERR_TIMEOUT):
        raise Timeout(status)
    if status != OK:
        raise Error(status)


def _counted(name, *arguments):
    """A call whose last argument returns how much was transferred, also on errors."""
    count = c_size_t()
    try:
        _call(name, *arguments, byref(count))
    except Error as error:
        error.done = count.value
        raise


_PEER_CALLBACK = ctypes.CFUNCTYPE(None, c_int32, c_char_p, c_void_p)


class Transport:
    """A transport; the arguments are members of Config that should differ from the defaults.

    `on_peer(appeared, peer)` is called when a peer appears (True) or vanishes, on a thread of the library."""

    def __init__(self, on_peer=None, **settings):
        self._handle = c_uint64(0)
        config = Config()
        _call("config_init", byref(config), ctypes.sizeof(config))
        kinds = dict(Config._fields_)
        for name, value in settings.items():
            kind = kinds.get(name)
            if kind is None or kind is c_void_p or name == "struct_size":
                raise TypeError(f"there is no setting {name}")
            setattr(config, name, _text(value, name) if kind is c_char_p else _integer(kind, value, name))
        if on_peer is not None:
            # Kept as long as this object: the library calls it until the transport is closed.
            self._on_peer = _PEER_CALLBACK(lambda appeared, peer, _: on_peer(bool(appeared), peer.decode()))
            config.on_peer = ctypes.cast(self._on_peer, c_void_p)
        _call("init", byref(config), byref(self._handle))
        self._received = threading.local()

    def close(self):
        """Closes it, with its streams. Waiting calls raise an Error with CANCELLED."""
        handle, self._handle = self._handle, c_uint64(0)
        _call("close", handle)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._handle.value:
            self.close()

    def ports(self):
        """The actual control port and data port."""
        control, data = c_uint16(), c_uint16()
        _call("ports", self._handle, byref(control), byref(data))
        return control.value, data.value

    def wait_link(self, up=True, timeout_ms=WAIT_FOREVER):
        """Waits until the link is up, or with `up=False` until it is down."""
        _call("wait_link", self._handle, bool(up), timeout_ms)

    def set(self, **settings):
        """Changes settings while it runs, one after another: those in OPTIONS, named as in Config. They hold at once
        for what begins afterwards. The others are fixed when it starts."""
        kinds = dict(Config._fields_)
        for name, value in settings.items():
            if name not in OPTIONS:
                known = "is fixed when a transport starts" if name in kinds else "is no setting"
                raise TypeError(f"cannot set {name} to {value!r}: it {known}")
            _call("set_option", self._handle, OPTIONS[name], _integer(c_uint64, value, name))

    def setting(self, name):
        """The current value of one of OPTIONS."""
        value = c_uint64()
        _call("get_option", self._handle, OPTIONS[name], byref(value))
        return value.value

    def send(self, peer, message):
        """Sends one message: a datagram, which may be lost."""
        _call("send", self._handle, peer, *_bytes(message))

    def recv(self, timeout_ms=WAIT_FOREVER):
        """The oldest message, and its sender."""
        length, sender = c_size_t(), ctypes.create_string_buffer(PEER_SIZE)
        buffer = self._own_buffer()
        _call("recv", self._handle, buffer, len(buffer), byref(length), sender, len(sender), timeout_ms)
        return ctypes.string_at(buffer, length.value), sender.value.decode()

    def recv_batch(self, most=64, timeout_ms=WAIT_FOREVER):
        """Up to `most` messages, the oldest first, each with its sender. Waits for the first one only."""
        messages, count = (Received * most)(), c_size_t()
        buffer = self._own_buffer()
        _call("recv_batch", self._handle, buffer, len(buffer), messages, most, byref(count), timeout_ms)
        return [
            (ctypes.string_at(message.data, message.len), message.sender.decode())
            for message in messages[: count.value]
        ]

    def _own_buffer(self):
        """A buffer for the largest message; each thread has its own."""
        if not hasattr(self._received, "buffer"):
            self._received.buffer = ctypes.create_string_buffer(MAX_MESSAGE_SIZE)
        return self._received.buffer

    def fileno(self):
        """A descriptor for select: readable while recv or accept would not block."""
        fd = c_int32()
        _call("event_fd", self._handle, byref(fd))
        return fd.value

    def last_heard(self, peer):
        """Seconds since data last came from a peer; None if none came, or if the transport does not remember peers."""
        ago = c_uint64()
        try:
            _call("last_heard", self._handle, peer, byref(ago))
        except Timeout:
            return None
        return ago.value / 1e9

    def forget(self, peer):
        """Forgets a peer. on_peer reports it when it appears again."""
        _call("forget", self._handle, peer)

    def measure_rtt(self, peer, timeout_ms):
        """One round trip, in seconds. ERR_CONNECTION_REFUSED means that the host is up, but no transport listens."""
        rtt = c_uint64()
        _call("measure_rtt", self._handle, peer, timeout_ms, byref(rtt))
        return rtt.value / 1e9

    def ping(self, peer, count, interval_us=1000, timeout_ms=1000):
        """A series of round trips."""
        summary = Rtt(struct_size=ctypes.sizeof(Rtt))
        try:
            _call("ping", self._handle, peer, count, interval_us, timeout_ms, byref(summary))
        except Error as error:
            error.summary = summary
            raise
        return summary

    def discover(self, timeout_ms=1000, most=64):
        """The addresses of the peers that answer within the timeout, at most `most`."""
        peers, count = (Peer * most)(), c_size_t()
        try:
            _call("discover", self._handle, timeout_ms, peers, most, byref(count))
        except Error as error:
            if error.status != ERR_BUFFER_TOO_SMALL:
                raise
        return [peer.address.decode() for peer in peers[: count.value]]

    def discover_first(self, most=1, timeout_ms=1000):
        """The addresses of the first `most` peers that answer. Returns as soon as these have. A cable has one peer."""
        peers, count = (Peer * most)(), c_size_t()
        _call("discover_first", self._handle, timeout_ms, peers, most, byref(count))
        return [peer.address.decode() for peer in peers[: count.value]]

    def open_stream(self, peer, timeout_ms=0):
        """Opens a data stream to a peer; timeout 0 means the configured connect_timeout_ms."""
        handle = c_uint64()
        _call("open_stream", self._handle, peer, timeout_ms, byref(handle))
        return Stream(handle)

    def accept(self, timeout_ms=WAIT_FOREVER):
        """The oldest stream that a peer opened."""
        handle = c_uint64()
        _call("accept", self._handle, timeout_ms, byref(handle))
        return Stream(handle)

    def stats(self):
        """Its statistics."""
        stats = Stats(struct_size=ctypes.sizeof(Stats))
        _call("get_stats", self._handle, byref(stats))
        return stats


class Stream:
    """A data stream: bytes in order, in both directions. The program may store any object in `user_data`."""

    def __init__(self, handle):
        self._handle = handle
        self.user_data = None

    def write(self, data, timeout_ms=WAIT_FOREVER):
        """Writes all bytes. An Error has the number of written bytes in `done`."""
        _counted("stream_write", self._handle, *_bytes(data), timeout_ms)

    def writev(self, pieces, timeout_ms=WAIT_FOREVER):
        """Writes all pieces in order, without joining them first. Errors as in `write`."""
        held = [_bytes(piece) for piece in pieces]
        slices = (Slice * len(held))(*((ctypes.cast(data, c_void_p), size) for data, size in held))
        _counted("stream_writev", self._handle, slices, len(held), timeout_ms)

    def read(self, most=1 << 18, timeout_ms=WAIT_FOREVER):
        """Available bytes, at least one; b"" when the peer has ended the stream."""
        buffer, got = ctypes.create_string_buffer(most), c_size_t()
        try:
            _call("stream_read", self._handle, buffer, most, timeout_ms, byref(got))
        except Error as error:
            if error.status != EOF:
                raise
            return b""
        return ctypes.string_at(buffer, got.value)

    def read_exact(self, size, timeout_ms=WAIT_FOREVER):
        """Exactly `size` bytes, within timeout_ms for all of them. An Error has what came before it in `data`; its
        status is EOF when the peer has ended the stream too early."""
        buffer = ctypes.create_string_buffer(size)
        try:
            _counted("stream_read_exact", self._handle, buffer, size, timeout_ms)
        except Error as error:
            error.data = ctypes.string_at(buffer, error.done)
            raise
        return ctypes.string_at(buffer, size)

    def read_all(self, timeout_ms=WAIT_FOREVER):
        """Everything until the peer ends the stream."""
        return b"".join(iter(lambda: self.read(timeout_ms=timeout_ms), b""))

    def finish(self):
        """Ends the sending direction: the peer reads the end of the stream, and reading here still works."""
        _call("stream_finish", self._handle)

    def peer(self):
        """The peer's address."""
        text, length = ctypes.create_string_buffer(PEER_SIZE), c_size_t()
        _call("stream_peer", self._handle, text, len(text), byref(length))
        return text.value.decode()

    def stats(self):
        """Its statistics, and the state of its connection."""
        stats = StreamStats(struct_size=ctypes.sizeof(StreamStats))
        _call("stream_get_stats", self._handle, byref(stats))
        return stats

    def close(self):
        """Closes it. Waiting calls raise an Error with CANCELLED."""
        handle, self._handle = self._handle, c_uint64(0)
        _call("stream_close", handle)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._handle.value:
            self.close()
