//! `examples/python`: what it does, and that its structs are the library's.

use std::fs;
use std::process::Command;
use std::time::Duration;

use testkit::{library_directory, package_root, Cable, Host, Running};

/// Longer than any of them takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// Python with what it needs to find the library and the module.
fn python(host: &Host, arguments: &[&str]) -> Running {
    let mut command = host.command("python3");
    command.args(arguments);
    let examples = package_root().join("examples/python");
    command.env("PYTHONPATH", &examples).current_dir(examples);
    // It writes nothing beside the sources, and what it prints comes at once.
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

/// Errors are exceptions with the library's number and words.
#[test]
fn errors_are_exceptions() {
    let host = Host::alone();
    let program = "
import dcf_thunderbolt as tb
try:
    tb.Transport(interface_name=b'no-such-if0')
except tb.Error as error:
    print(hex(error.status), error)
with tb.Transport(interface_name=b'lo') as transport:
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

/// `tests/c/layout.c` has the places, which the C compiler checks.
#[test]
fn structs_lie_as_in_c() {
    let program = "
import ctypes, dcf_thunderbolt as tb
for name in ('Config', 'Stats', 'Rtt', 'Peer'):
    kind = getattr(tb, name)
    c = 'dcf_tb_' + name.lower()
    print(f'ASSERT(sizeof({c}) == {ctypes.sizeof(kind)});')
    for field in kind._fields_:
        print(f'AT({c}, {field[0]}, {getattr(kind, field[0]).offset});')
";
    let printed = python(&Host::alone(), &["-c", program]).finish();
    let layout = fs::read_to_string(package_root().join("tests/c/layout.c")).expect("our own file");
    let of_these = |line: &&str| {
        let structs = ["config", "stats", "rtt", "peer"];
        let is = |name| {
            line.starts_with(&format!("AT(dcf_tb_{name},"))
                || line.starts_with(&format!("ASSERT(sizeof(dcf_tb_{name}) =="))
        };
        structs.into_iter().any(is)
    };
    let in_c: Vec<&str> = layout.lines().filter(of_these).collect();
    assert_eq!(printed.lines().collect::<Vec<_>>(), in_c);
}

/// The oldest Python that it promises is any that has ctypes and `:=`; it compiles without a warning.
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
