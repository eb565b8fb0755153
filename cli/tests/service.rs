//! receive and listen as services: their messages to the service manager, and their exit codes.

mod common;

use std::fs;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::process::Command;

use common::folders::{push, Folders};
use common::{tool, Tool, TOOL};
use nix::sys::signal::Signal;
use testkit::{Cable, Host, GENEROUS};

/// The service manager's end of the socket.
struct Manager(UnixDatagram);

impl Manager {
    fn at(path: &str) -> Self {
        Self::on(UnixDatagram::bind(path).unwrap())
    }

    fn on(socket: UnixDatagram) -> Self {
        socket.set_read_timeout(Some(GENEROUS)).unwrap();
        Self(socket)
    }

    /// Waits for the next message that contains `wanted`.
    #[track_caller]
    fn hear(&self, wanted: &str) -> String {
        let mut buf = [0; 4096];
        loop {
            let count = self
                .0
                .recv(&mut buf)
                .unwrap_or_else(|error| panic!("{wanted}: {error}"));
            let said = std::str::from_utf8(&buf[..count]).unwrap();
            if said.contains(wanted) {
                return said.to_owned();
            }
        }
    }
}

fn start(host: &Host, arguments: &[&str], socket: &str) -> Tool {
    let mut command = tool(host, arguments);
    command.env("NOTIFY_SOCKET", socket);
    Tool::start(command)
}

#[test]
fn a_service_manager_gets_ready_and_status() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let socket = folders.at("notify");
    let manager = Manager::at(&socket);
    let receiver = start(cable.b(), &["receive", &folders.at("in")], &socket);
    let ready = manager.hear("READY=1");
    assert!(
        ready.contains("\nSTATUS=listening on thunderbolt0"),
        "{ready}"
    );
    let path = folders.write("out/file", "content");
    push(cable.a(), &[&path]).with(0);
    manager.hear("STATUS=receiving from fe80::");
    manager.hear("STATUS=waiting for a push");
    receiver.signal(Signal::SIGTERM);
    manager.hear("STOPPING=1");
    receiver.end().with(0);
}

#[test]
fn it_is_ready_before_the_cable_is_plugged_in() {
    let (cable, folders) = (Cable::unplugged(), Folders::new());
    // An abstract name belongs to the network namespace that it is bound in.
    let manager = cable.b().run(|| {
        let address = SocketAddr::from_abstract_name(b"dcf-tb-test").unwrap();
        Manager::on(UnixDatagram::bind_addr(&address).unwrap())
    });
    let listener = start(cable.b(), &["listen"], "@dcf-tb-test");
    let ready = manager.hear("READY=1");
    assert!(ready.contains("STATUS=waiting for the link"), "{ready}");
    cable.plug();
    manager.hear("STATUS=thunderbolt0 is up");
    listener.signal(Signal::SIGTERM);
    manager.hear("STOPPING=1");
    listener.end().with(0);
    drop(folders);
}

#[test]
fn an_absent_or_blocked_service_manager_has_no_effect() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let deaf = folders.at("deaf");
    let _bound = UnixDatagram::bind(&deaf).unwrap();
    let path = folders.write("out/file", "content");
    for socket in [&folders.at("nobody"), "nonsense", "vsock:2:1", "@", &deaf] {
        let mut receiver = start(cable.b(), &["receive", &folders.at("in")], socket);
        receiver.wait_err("listening on thunderbolt0");
        // More messages than an unread socket holds.
        for _ in 0..8 {
            push(cable.a(), &[&path]).with(0);
        }
        receiver.signal(Signal::SIGTERM);
        receiver.end().with(0);
    }
}

#[test]
fn a_service_succeeds_only_on_sigterm_without_a_push_in_progress() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let folder = folders.at("in");
    let endings: [(&[&str], Signal, i32); 7] = [
        (&["receive", &folder], Signal::SIGTERM, 0),
        (&["receive", &folder], Signal::SIGINT, 130),
        (&["receive", &folder], Signal::SIGHUP, 130),
        (&["receive", "--once", &folder], Signal::SIGTERM, 130),
        (&["listen"], Signal::SIGTERM, 0),
        (&["listen"], Signal::SIGINT, 130),
        (&["listen", "--count", "1"], Signal::SIGTERM, 130),
    ];
    for (arguments, signal, code) in endings {
        let mut service = Tool::start(tool(cable.b(), arguments));
        service.wait_err("listening on thunderbolt0");
        service.signal(signal);
        let ended = service.end();
        assert_eq!(ended.code, code, "{arguments:?} {signal}: {}", ended.err);
    }

    let receiver = folders.receive(cable.b(), &[]);
    let pusher = folders.push_slowly(&cable, 48 << 20, &[cable.b().address()]);
    receiver.signal(Signal::SIGTERM);
    let ended = receiver.end();
    assert!(
        ended.err.contains("are kept in .file.dcf-part"),
        "{}",
        ended.err
    );
    ended.with(130);
    drop(pusher);
    assert_eq!(folders.names("in"), [".file.dcf-part"]);
}

const UNIT: &str = "dcf-tb-receive@.service";

/// The unit file as `make install` writes it, for the program under test.
fn unit(directory: &Path) -> PathBuf {
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../packaging/{UNIT}.in"));
    let text = fs::read_to_string(template).unwrap();
    let programs = Path::new(TOOL).parent().unwrap().to_str().unwrap();
    let unit = directory.join(UNIT);
    fs::write(&unit, text.replace("@BINDIR@", programs)).unwrap();
    unit
}

#[test]
fn the_unit_file_starts_a_receiver_that_reports_ready() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let text = fs::read_to_string(unit(Path::new(&folders.at("")))).unwrap();
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{name} is missing"))
            .to_owned()
    };
    assert_eq!(value("Type="), "notify");
    assert_eq!(value("SuccessExitStatus="), "130");
    let command = value("ExecStart=").replace("${DIR}", &folders.at("in"));
    let words: Vec<&str> = command.split(' ').collect();
    assert_eq!(words[0], TOOL);
    let socket = folders.at("notify");
    let manager = Manager::at(&socket);
    let receiver = start(cable.b(), &words[1..], &socket);
    manager.hear("READY=1");
    receiver.signal(Signal::SIGTERM);
    receiver.end().with(0);
}

/// The check by systemd itself, where it is installed.
#[test]
fn systemd_accepts_the_unit_file() {
    let directory = tempfile::tempdir().unwrap();
    let unit = unit(directory.path());
    let verify = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(unit.with_file_name("dcf-tb-receive@root.service"))
        .env(
            "SYSTEMD_UNIT_PATH",
            format!("{}:", directory.path().display()),
        )
        .output();
    let verified = match verify {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
        verified => verified.unwrap(),
    };
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success(), "{said}");
    assert!(!said.contains("dcf-tb"), "{said}");
}
