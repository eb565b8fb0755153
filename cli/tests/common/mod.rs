//! Runs the real binary on a host, and reads its output and its exit code.

// Each test program uses its own part of this.
#![allow(dead_code)]

pub mod folders;
pub mod pusher;
pub mod recording;
pub mod terminal;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use testkit::{wait_until, Host, GENEROUS};

/// The program under test.
pub const TOOL: &str = env!("CARGO_BIN_EXE_dcf-tb");

/// `dcf-tb` with arguments, to be run on a host, on its cable.
pub fn tool(host: &Host, arguments: &[&str]) -> Command {
    let mut command = host.command(TOOL);
    plain(&mut command).env("DCF_TB_INTERFACE", "thunderbolt0");
    command.args(arguments);
    command
}

/// `dcf-tb` where the network does not matter.
pub fn local(arguments: &[&str]) -> Command {
    let mut command = Command::new(TOOL);
    plain(&mut command).args(arguments);
    command
}

/// Without variables of the tests' environment that affect it.
pub fn plain(command: &mut Command) -> &mut Command {
    for name in [
        "DCF_TB_INTERFACE",
        "DCF_TB_CONTROL_PORT",
        "DCF_TB_DATA_PORT",
        "NO_COLOR",
        "CLICOLOR_FORCE",
        "COLUMNS",
    ] {
        command.env_remove(name);
    }
    command.env("LC_ALL", "C.UTF-8").stdin(Stdio::null())
}

/// How it ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ended {
    /// Its standard output, if it ended with `code`.
    #[track_caller]
    pub fn with(self, code: i32) -> String {
        assert_eq!(self.code, code, "{self:#?}");
        self.out
    }
}

/// Runs it to its end.
#[track_caller]
pub fn run(command: Command) -> Ended {
    Tool::start(command).end()
}

/// A running program. Dropping this value kills it.
pub struct Tool {
    child: Child,
    out: Arc<Mutex<String>>,
    err: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Tool {
    #[track_caller]
    pub fn start(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        let (out, err) = (Arc::default(), Arc::default());
        let readers = vec![
            collect(child.stdout.take().expect("piped"), &out),
            collect(child.stderr.take().expect("piped"), &err),
        ];
        Self {
            child,
            out,
            err,
            readers,
        }
    }

    /// Its process number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn out(&self) -> String {
        self.out.lock().expect("no panic").clone()
    }

    pub fn err(&self) -> String {
        self.err.lock().expect("no panic").clone()
    }

    /// Waits until its standard output has `text` in it.
    #[track_caller]
    pub fn wait_out(&mut self, text: &str) {
        self.wait(text, |tool| tool.out().contains(text));
    }

    /// Waits until its standard error has `text` in it.
    #[track_caller]
    pub fn wait_err(&mut self, text: &str) {
        self.wait(text, |tool| tool.err().contains(text));
    }

    #[track_caller]
    fn wait(&mut self, text: &str, seen: impl Fn(&Self) -> bool) {
        let mut ended = false;
        wait_until(&format!("it prints {text:?}"), GENEROUS, || {
            // Its last output may arrive after its end was seen.
            let was_ended = ended;
            ended = self.child.try_wait().expect("our own child").is_some();
            if ended {
                self.readers
                    .drain(..)
                    .for_each(|reader| drop(reader.join()));
            }
            assert!(
                !was_ended || seen(self),
                "it ended without {text:?}: {} {}",
                self.out(),
                self.err()
            );
            seen(self)
        });
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().expect("a pid"));
        kill(pid, signal).expect("our own child");
    }

    /// Ctrl-C.
    pub fn interrupt(&self) {
        self.signal(Signal::SIGINT);
    }

    /// Waits for its end.
    #[track_caller]
    pub fn end(mut self) -> Ended {
        let mut status = None;
        wait_until("it ends", GENEROUS, || {
            status = self.child.try_wait().expect("our own child");
            status.is_some()
        });
        self.readers
            .drain(..)
            .for_each(|reader| drop(reader.join()));
        Ended {
            code: status.and_then(|status| status.code()).unwrap_or(-1),
            out: self.out(),
            err: self.err(),
        }
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        // Both fail if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads to the end, into `text`.
fn collect(pipe: impl Read + Send + 'static, text: &Arc<Mutex<String>>) -> JoinHandle<()> {
    let text = Arc::clone(text);
    thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            let mut text = text.lock().expect("no panic");
            text.push_str(&String::from_utf8_lossy(&line));
            text.push('\n');
        }
    })
}
