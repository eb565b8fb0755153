//! The module in `examples/python`: its behaviour, and the layout of its structs.

use std::fs;
use std::process::Command;
use std::time::Duration;

use testkit::{library_directory, package_root, Cable, Host, Running};

/// Longer than any script takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// Starts Python so that it finds the library and the module.
fn python(host: &Host, arguments: &[&str]) -> Running {
    let mut command = host.command("python3");
    command.args(arguments);
    let examples = package_root().join("examples/python");
    command.env("PYTHONPATH", &examples).current_dir(examples);
    // No bytecode files beside the sources, and unbuffered output.
    command
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONUNBUFFERED", "1");
    command.env(
        "DCF_THUNDERBOLT_LIBRARY",
        library_directory().join("libdcf_thunderbolt.so.1"),
    );
    Running::start("python3", command, LIMIT)
}

#[test]
fn messages_round_trips_and_a_stream_between_two_hosts() {
    let cable = Cable::new();
    let mut echo = python(cable.b(), &["talk.py", "thunderbolt0", "echo"]);
    echo.until("echoing");
    let printed = python(cable.a(), &["talk.py", "thunderbolt0", cable.b().address()]).finish();
    for result in [
        "50 of 50 answered",
        "50 messages came back",
        "5000000 bytes came back",
    ] {
        assert!(printed.contains(result), "{printed}");
    }
    echo.terminate();
    echo.finish();
}

#[test]
fn alone_on_the_loopback_interface() {
    let host = Host::alone();
    let printed = python(&host, &["talk.py", "lo"]).finish();
    assert!(printed.contains("hello from [::1%lo]:"), "{printed}");
    assert!(printed.contains("over a stream from ::1%lo"), "{printed}");
}

/// Errors are exceptions with the library's status and text.
#[test]
fn errors_are_exceptions() {
    let host = Host::alone();
    let program = "
import dcf_thunderbolt as tb
try:
    tb.Transport(interface_name='no-such-if0')
except tb.Error as error:
    print(hex(error.status), error)
with tb.Transport(interface_name='lo') as transport:
    try:
        transport.recv(timeout_ms=0)
    except tb.Timeout as error:
        print(hex(error.status))
    transport.close()
    try:
        transport.send('::1', b'')
    except tb.Error as error:
        print(hex(error.status))
";
    let printed = python(&host, &["-c", program]).finish();
    let lines: Vec<&str> = printed.lines().collect();
    assert!(
        lines[0].starts_with("0x306 ") && lines[0].contains("no-such-if0"),
        "{printed}"
    );
    assert_eq!(lines[1..], ["0x2", "0x805"], "{printed}");
}

/// ctypes silently truncates numbers to the size of the C type, and text at a zero byte.
#[test]
fn values_that_c_would_change_are_refused() {
    let program = "
import dcf_thunderbolt as tb
def refused(call):
    try:
        call()
    except ValueError as error:
        print(error)
for settings in (
    {'control_port': 70000}, {'data_port': -1}, {'buffer_size': 1 << 64}, {'tcp_nodelay': 256},
    {'log_level': 1 << 31}, {'interface_name': 'lo\\0x'},
):
    refused(lambda: tb.Transport(**settings))
with tb.Transport(interface_name='lo', control_port=0, data_port=0) as transport:
    peer = f'[::1%lo]:{transport.ports()[0]}'
    for call in (
        lambda: transport.recv(timeout_ms=-1), lambda: transport.accept(timeout_ms=1 << 32),
        lambda: transport.measure_rtt(peer, -1), lambda: transport.ping(peer, -1),
        lambda: transport.ping(peer, 1, interval_us=-1), lambda: transport.discover(timeout_ms=-1),
        lambda: transport.open_stream(peer, -1), lambda: transport.send(peer + '\\0', b''),
    ):
        try:
            call()
        except (ValueError, tb.ctypes.ArgumentError) as error:
            print(error)
    try:
        tb.Transport(struct_size=1)
    except TypeError as error:
        print(error)
";
    let printed = python(&Host::alone(), &["-c", program]).finish();
    let expected = [
        "control_port is 70000: it must be from 0 to 65535",
        "data_port is -1: it must be from 0 to 65535",
        "buffer_size is 18446744073709551616: ",
        "tcp_nodelay is 256: it must be from 0 to 255",
        "log_level is 2147483648: it must be from -2147483648 to 2147483647",
        "interface_name is 'lo\\x00x': ",
        "timeout_ms is -1: it must be from 0 to 4294967295",
        "timeout_ms is 4294967296: ",
        "timeout_ms is -1: ",
        "count is -1: ",
        "interval_us is -1: ",
        "timeout_ms is -1: ",
        "timeout_ms is -1: ",
        "\\x00': it must not contain a zero byte",
        "there is no setting struct_size",
    ];
    assert_eq!(printed.lines().count(), expected.len(), "{printed}");
    for (line, part) in printed.lines().zip(expected) {
        assert!(line.contains(part), "{line:?} has no {part:?}");
    }
}

/// Everything with the buffer protocol can be sent; `array` stands for numpy's arrays.
#[test]
fn bytes_of_any_kind_are_sent() {
    let program = "
import array, dcf_thunderbolt as tb
numbers = array.array('i', range(6))
kinds = (
    b'bytes', bytearray(b'bytearray'), memoryview(b'read-only'), memoryview(bytearray(b'a slice'))[2:5],
    memoryview(bytearray(b'every other'))[::2], memoryview(numbers), memoryview(numbers).cast('B').cast('i', [2, 3]),
    b'', bytearray(), memoryview(b''), b'a zero \\0 byte',
)
with tb.Transport(interface_name='lo', control_port=0, data_port=0) as transport:
    control, data = transport.ports()
    with transport.open_stream(f'[::1%lo]:{data}') as near, transport.accept(10000) as far:
        for sent in kinds:
            want = memoryview(sent).tobytes()
            transport.send(f'[::1%lo]:{control}', sent)
            assert transport.recv(10000)[0] == want, sent
            near.write(sent)
            got = b''
            while len(got) < len(want):
                got += far.read(timeout_ms=10000)
            assert got == want, sent
    for wrong in ('text', 5, None):
        try:
            transport.send(f'[::1%lo]:{control}', wrong)
        except TypeError:
            print('refused')
";
    let printed = python(&Host::alone(), &["-c", program]).finish();
    assert_eq!(printed.lines().collect::<Vec<_>>(), ["refused"; 3]);
}

/// Exact reads, vectored writes, several messages received at once.
#[test]
fn pieces_and_batches() {
    let program = "
import dcf_thunderbolt as tb
with tb.Transport(interface_name='lo', control_port=0, data_port=0) as transport:
    control, data = transport.ports()
    peer = f'[::1%lo]:{control}'
    for number in range(5):
        transport.send(peer, b'%d' % number)
    got = []
    while len(got) < 5:
        got += transport.recv_batch(most=3, timeout_ms=10000)
    assert [message for message, _ in got] == [b'%d' % number for number in range(5)], got
    transport.send(got[0][1], b'back')
    assert transport.recv(10000)[0] == b'back'
    with transport.open_stream(f'[::1%lo]:{data}') as near, transport.accept(10000) as far:
        near.writev([b'one ', bytearray(b'two '), b'', memoryview(b'three')], 10000)
        near.writev([])
        assert far.read_exact(13, 10000) == b'one two three'
        assert near.user_data is None
        near.user_data = {'name': 'near'}
        stats = near.stats()
        assert (stats.connected, stats.bytes_sent, stats.writes) == (1, 13, 1), stats.bytes_sent
        assert far.stats().bytes_received == 13 and stats.rtt_ns > 0 and stats.mss > 0
        near.write(b'rest')
        assert near.user_data == {'name': 'near'} and far.user_data is None
        near.finish()
        try:
            far.read_exact(5, 10000)
        except tb.Error as error:
            print(error.status, error.done, error.data)
";
    let printed = python(&Host::alone(), &["-c", program]).finish();
    assert_eq!(printed.trim(), "4 4 b'rest'");
}

/// Settings that change while a transport runs, and those that do not.
#[test]
fn settings_change() {
    let program = "
import dcf_thunderbolt as tb
with tb.Transport(interface_name='lo', control_port=0, data_port=0) as transport:
    assert transport.setting('max_streams') == 1024
    transport.set(max_streams=0, log_level=1, allow_any_source=True)
    assert [transport.setting(name) for name in ('max_streams', 'log_level', 'allow_any_source')] == [0, 1, 1]
    for name, value in ('max_streams', 1 << 32), ('log_level', 5), ('log_level', -1), ('control_port', 7), ('size', 7):
        try:
            transport.set(**{name: value})
        except Exception as error:
            print(f'{type(error).__name__}: {error}')
";
    let printed = python(&Host::alone(), &["-c", program]).finish();
    let lines: Vec<&str> = printed.lines().collect();
    let expected = [
        (
            "Error: ",
            "max_streams is 4294967296: it must be at most 4294967295",
        ),
        ("Error: ", "log_level is 5: it must be 1 to 4"),
        ("ValueError: ", "log_level is -1"),
        (
            "TypeError: ",
            "cannot set control_port to 7: it is fixed when a transport starts",
        ),
        ("TypeError: ", "cannot set size to 7: it is no setting"),
    ];
    assert_eq!(lines.len(), expected.len(), "{printed}");
    for (line, (kind, text)) in lines.iter().zip(expected) {
        assert!(line.starts_with(kind) && line.contains(text), "{line}");
    }
}

#[test]
fn peers_appear_vanish_and_are_remembered() {
    let program = "
import queue, dcf_thunderbolt as tb
told = queue.Queue()
lo = dict(interface_name='lo', control_port=0, data_port=0)
tracking = dict(peer_timeout_ms=200, on_peer=lambda *change: told.put(change))
with tb.Transport(**lo, **tracking) as transport, tb.Transport(**lo, remember_peers=True) as other:
    assert transport.last_heard('::1') is None
    other.send(f'[::1%lo]:{transport.ports()[0]}', b'hello')
    assert [told.get(timeout=60) for _ in range(2)] == [(True, '::1%lo'), (False, '::1%lo')]
    assert 0 < transport.last_heard('::1')
    transport.forget('::1')
    assert transport.last_heard('::1') is None
    transport.send(f'[::1%lo]:{other.ports()[0]}', b'hello')
    other.recv(60000)
    assert 0 <= other.last_heard('::1')
    assert transport.stats().peers_not_reported == 0
    try:
        transport.forget('nobody')
    except tb.Error as error:
        print(error)
";
    let printed = python(&Host::alone(), &["-c", program]).finish();
    assert!(printed.contains("nobody"), "{printed}");
}

/// `OPTIONS` has the numbers of the header.
#[test]
fn options_have_the_numbers_of_the_header() {
    let program = "
import dcf_thunderbolt as tb
for name, number in tb.OPTIONS.items():
    print(f'#define DCF_TB_OPTION_{name.upper()} {number}')
";
    let printed = python(&Host::alone(), &["-c", program]).finish();
    let header = package_root().join("include/dcf_thunderbolt.h");
    let header = fs::read_to_string(header).expect("our own file");
    let lines = header.lines();
    let in_c: Vec<&str> = lines
        .filter(|line| line.starts_with("#define DCF_TB_OPTION_"))
        .collect();
    assert_eq!(printed.lines().collect::<Vec<_>>(), in_c);
}

/// A write that timed out, a ping without an answer, and more peers than there was room for.
#[test]
fn errors_carry_partial_results() {
    let program = "
import dcf_thunderbolt as tb
with tb.Transport(interface_name='lo', control_port=0, data_port=0) as transport:
    control, data = transport.ports()
    with transport.open_stream(f'[::1%lo]:{data}') as near, transport.accept(10000) as far:
        try:
            near.write(bytes(1 << 28), timeout_ms=100)
        except tb.Timeout as error:
            done = error.done
        near.finish()
        assert 0 < done < 1 << 28, done
        assert len(far.read_all(10000)) == done
        print('counted')
    import socket
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as silent:
        silent.bind(('::1', 0))
        try:
            transport.ping(f'[::1%lo]:{silent.getsockname()[1]}', 3, interval_us=0, timeout_ms=50)
        except tb.Timeout as error:
            print(error.summary.sent, error.summary.received)
        closed = f'[::1%lo]:{silent.getsockname()[1]}'
    for call in lambda: transport.measure_rtt(closed, 300), lambda: transport.ping(closed, 2, timeout_ms=300):
        for again in range(100): # a busy kernel drops some ICMP errors
            try:
                call()
            except tb.Timeout:
                continue
            except tb.Error as error:
                print(hex(error.status), 'UDP port' in str(error))
            break
";
    let printed = python(&Host::alone(), &["-c", program]).finish();
    assert_eq!(
        printed.lines().collect::<Vec<_>>(),
        ["counted", "3 0", "0x302 True", "0x302 True"]
    );
}

/// The loopback interface goes down and comes back, and a thread waits for each.
#[test]
fn waits_for_the_link() {
    let program = "
import subprocess, threading, dcf_thunderbolt as tb
def change(what):
    subprocess.run(['ip', 'link', 'set', 'lo', what], check=True)
with tb.Transport(interface_name='lo', control_port=0, data_port=0) as transport:
    transport.wait_link()
    try:
        transport.wait_link(up=False, timeout_ms=10)
    except tb.Timeout as error:
        print('within 10 ms' in str(error))
    for up in (False, True):
        waiting = threading.Thread(target=transport.wait_link, args=[up])
        waiting.start()
        change('up' if up else 'down')
        waiting.join()
        transport.wait_link(up, 0)
    waits = []
    def wait():
        try:
            transport.wait_link(False)
        except tb.Error as error:
            waits.append(error.status)
    waiting = threading.Thread(target=wait)
    waiting.start()
    transport.close()
    waiting.join()
print(waits)
";
    let printed = python(&Host::alone(), &["-c", program]).finish();
    // The transport was closed before the thread waited, or while it did.
    let printed: Vec<&str> = printed.lines().collect();
    assert!(
        [["True", "[3]"], ["True", "[2053]"]].contains(&[printed[0], printed[1]]),
        "{printed:?}"
    );
}

/// Threads that receive at once get their own messages, unmixed.
#[test]
fn threads_may_receive_at_once() {
    let program = "
import threading, dcf_thunderbolt as tb
COUNT = 400
got, lock = [], threading.Lock()
def receive(transport):
    while True:
        message, _ = transport.recv(10000)
        if message == b'end':
            return
        with lock:
            got.append(message)
with tb.Transport(interface_name='lo', control_port=0, data_port=0) as transport:
    peer = f'[::1%lo]:{transport.ports()[0]}'
    threads = [threading.Thread(target=receive, args=[transport]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(COUNT):
        transport.send(peer, b'%d,' % number * 200)
    for _ in threads:
        transport.send(peer, b'end')
    for thread in threads:
        thread.join()
assert sorted(got) == sorted(b'%d,' % number * 200 for number in range(COUNT)), len(got)
print('unmixed')
";
    let printed = python(&Host::alone(), &["-c", program]).finish();
    assert_eq!(printed.trim(), "unmixed");
}

/// `tests/c/layout.c` has the offsets, which the C compiler checks.
#[test]
fn structs_have_the_layout_of_c() {
    let program = "
import ctypes, re, dcf_thunderbolt as tb
for name in ('Config', 'Stats', 'Rtt', 'Peer', 'Received', 'Slice', 'StreamStats'):
    kind = getattr(tb, name)
    c = 'dcf_tb_' + re.sub('(?<=[a-z])(?=[A-Z])', '_', name).lower()
    print(f'ASSERT(sizeof({c}) == {ctypes.sizeof(kind)});')
    for field in kind._fields_:
        print(f'AT({c}, {field[0]}, {getattr(kind, field[0]).offset});')
";
    let printed = python(&Host::alone(), &["-c", program]).finish();
    let layout = fs::read_to_string(package_root().join("tests/c/layout.c")).expect("our own file");
    let of_these = |line: &&str| {
        let structs = [
            "config",
            "stats",
            "rtt",
            "peer",
            "received",
            "slice",
            "stream_stats",
        ];
        let is = |name| {
            line.starts_with(&format!("AT(dcf_tb_{name},"))
                || line.starts_with(&format!("ASSERT(sizeof(dcf_tb_{name}) =="))
        };
        structs.into_iter().any(is)
    };
    let in_c: Vec<&str> = layout.lines().filter(of_these).collect();
    assert_eq!(printed.lines().collect::<Vec<_>>(), in_c);
}

/// The module supports every Python with ctypes and `:=`, and compiles without a warning.
#[test]
fn compiles_without_a_warning() {
    let sources = ["dcf_thunderbolt.py", "talk.py"].map(|name| {
        let path = package_root().join("examples/python").join(name);
        path.to_str().expect("UTF-8").to_owned()
    });
    for source in sources {
        let check =
            format!("with open({source:?}) as file: compile(file.read(), {source:?}, 'exec')");
        let output = Command::new("python3")
            .args(["-W", "error", "-c", &check])
            .output();
        let output = output.expect("python3");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{said}");
    }
}
