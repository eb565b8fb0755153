//! Each command with a standard output that cannot be written: it reports that and ends.

mod common;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use common::{local, plain, run, tool, Tool};
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use testkit::{wait_until, Cable, GENEROUS};

/// A program with its own output, killed if it does not end.
struct Started(Child);

impl Started {
    fn new(mut command: Command, out: impl Into<Stdio>) -> Self {
        Self(command.stdout(out).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// Its exit code and standard error.
    #[track_caller]
    fn end(self) -> (Option<i32>, String) {
        self.end_by(|| ())
    }

    /// As above, with a call before each check.
    #[track_caller]
    fn end_by(mut self, mut call: impl FnMut()) -> (Option<i32>, String) {
        let mut status = None;
        wait_until("it ends", GENEROUS, || {
            call();
            status = self.0.try_wait().unwrap();
            status.is_some()
        });
        let mut said = String::new();
        let mut err = self.0.stderr.take().unwrap();
        err.read_to_string(&mut said).unwrap();
        (status.unwrap().code(), said)
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A terminal that was hung up: writing to it is EIO.
fn hung_up() -> OwnedFd {
    use rustix::pty::{grantpt, openpt, ptsname, unlockpt, OpenptFlags};
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY;
    rustix::fs::open(name, flags, rustix::fs::Mode::empty()).unwrap()
}

/// A pipe whose reader has exited.
fn broken() -> OwnedFd {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn full() -> OwnedFd {
    File::options()
        .write(true)
        .open("/dev/full")
        .unwrap()
        .into()
}

fn read_only() -> OwnedFd {
    File::open("/dev/null").unwrap().into()
}

/// The same command whose descriptor `number` is closed.
fn closed(command: &Command, number: u32) -> Command {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("exec \"$@\" {number}>&-"), "sh"])
        .arg(command.get_program())
        .args(command.get_args());
    plain(&mut shell);
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

#[track_caller]
fn fails(what: &str, command: impl Fn() -> Command) {
    for (out, reason) in [
        (full(), "No space left on device"),
        (read_only(), "Bad file descriptor"),
        (hung_up(), "Input/output error"),
    ] {
        let (code, said) = Started::new(command(), out).end();
        assert_eq!(code, Some(1), "{what}: {said}");
        let wanted = format!("dcf-tb: cannot write the result to standard output: {reason}");
        assert_eq!(said.matches(&wanted).count(), 1, "{what}: {said}");
    }
    let (code, said) = Started::new(closed(&command(), 1), Stdio::null()).end();
    assert_eq!(code, Some(1), "{what}, closed: {said}");
    assert!(said.contains("Bad file descriptor"), "{what}: {said}");
    let (code, said) = Started::new(command(), broken()).end();
    assert_eq!(code, Some(141), "{what}: {said}");
    assert!(!said.contains("dcf-tb:"), "quietly: {what}: {said}");
}

#[test]
fn local_commands_end_when_their_output_fails() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("sys/class/net/lo")).unwrap();
    let root = root.path().to_str().unwrap();
    for words in [
        &["completions", "bash"][..],
        &["--help"],
        &["--version"],
        &["help", "push"],
        &["push", "--help"],
        &["doctor", "--root", root],
        &["doctor", "--json", "--root", root],
    ] {
        fails(&words.join(" "), || local(words));
        // A standard error without a reader makes no difference.
        let usual = run(local(words));
        let mut mute = closed(&local(words), 2);
        let out = mute.output().unwrap();
        assert_eq!(out.status.code(), Some(usual.code), "{words:?}");
        assert_eq!(String::from_utf8_lossy(&out.stdout), usual.out, "{words:?}");
        let both = Started::new(closed(&closed(&local(words), 2), 1), Stdio::null());
        assert_eq!(both.end().0, Some(1), "{words:?}");
    }
}

#[test]
fn network_commands_end_when_their_output_fails() {
    let cable = Cable::new();
    let mut listener = Tool::start(tool(cable.b(), &["listen"]));
    listener.wait_err("listening");
    let to = cable.b().address();
    for words in [
        &["discover", "--wait", "0.3"][..],
        &["discover", "--json", "--wait", "0.3"],
        &["discover", "--watch", "--wait", "0.2"],
        &["ping", to],
        &["ping", "-q", "-c", "1", "--json", to],
        &["ping", "-q", "-c", "1", to],
        &["env"],
        &["bench", "--time", "0.05", to],
        &["bench", "--time", "0.05", "--json", to],
        &["doctor"],
    ] {
        fails(&words.join(" "), || tool(cable.a(), words));
    }
}

#[test]
fn a_listener_ends_when_its_output_fails() {
    let cable = Cable::new();
    for (out, code) in [(full(), 1), (hung_up(), 1), (broken(), 141)] {
        for options in [&[][..], &["--json"], &["--hex", "--echo"]] {
            let out = out.try_clone().unwrap();
            let listener = Started::new(tool(cable.b(), &[&["listen"], options].concat()), out);
            wait_until("it answers", GENEROUS, || {
                run(tool(cable.a(), &["ping", "-q", "-c1", cable.b().address()])).code == 0
            });
            // A message may be lost.
            let (ended, said) = listener.end_by(|| {
                run(tool(cable.a(), &["send", "x", cable.b().address()])).with(0);
            });
            assert_eq!(ended, Some(code), "{said}");
        }
    }
}

#[test]
fn a_signal_ends_a_program_with_unread_output() {
    let cable = Cable::new();
    let mut listener = Tool::start(tool(cable.b(), &["listen"]));
    listener.wait_err("listening");
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let (_reader, mut writer) = io::pipe().unwrap();
        rustix::io::ioctl_fionbio(&writer, true).unwrap();
        while writer.write(&[b'.'; 4096]).is_ok() {}
        // A blocking descriptor waits in write(2), a non-blocking one in poll(2).
        for blocks in [true, false] {
            rustix::io::ioctl_fionbio(&writer, !blocks).unwrap();
            let mut command = tool(cable.a(), &["ping", "-i", "0.01", cable.b().address()]);
            let (mut says, err) = io::pipe().unwrap();
            command.stdout(writer.try_clone().unwrap()).stderr(err);
            let mut child = command.spawn().unwrap();
            drop(command);
            let mut said = String::new();
            let mut byte = [0];
            while !said.contains("16 bytes") && says.read(&mut byte).unwrap() == 1 {
                said.push(byte[0].into());
            }
            kill(Pid::from_raw(child.id() as i32), signal).unwrap();
            let mut status = None;
            wait_until("it ends", GENEROUS, || {
                status = child.try_wait().unwrap();
                status.is_some()
            });
            assert_eq!(status.unwrap().code(), Some(130), "{signal} {blocks}");
        }
    }
}

#[test]
fn signals_end_waiting_commands() {
    let cable = Cable::new();
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    let made = Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    let fifo = fifo.to_str().unwrap();
    let to = cable.b().address();
    let at = folder.path().to_str().unwrap();
    for (words, code) in [
        (&["listen"][..], 130),
        (&["receive", at], 130),
        (&["ping", "-W", "3600", to], 1),
        (&["discover", "--wait", "3600"], 130),
        (&["discover", "--watch", "--wait", "3600"], 0),
        (&["env"], 130),
        (&["bench"], 130),
        // The signal itself ends these, which is -1 here, and 130 in a shell.
        (&["send", "--file", fifo, to], -1),
    ] {
        let tool = Tool::start(tool(cable.a(), words));
        wait_until("it runs", GENEROUS, || match code {
            -1 => name(tool.id()) == "dcf-tb",
            _ => takes_signals(tool.id()),
        });
        tool.interrupt();
        assert_eq!(tool.end().code, code, "{words:?}");
    }
}

fn name(process: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{process}/comm")).unwrap();
    name.trim().to_owned()
}

/// Whether SIGINT is blocked, for the thread that takes it.
fn takes_signals(process: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:"));
    let blocked = u64::from_str_radix(blocked.unwrap().trim(), 16).unwrap();
    blocked & 1 << (Signal::SIGINT as u32 - 1) != 0
}
