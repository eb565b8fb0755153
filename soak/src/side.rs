//! One of the two hosts: its process, and talking to it.

use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use testkit::{Facts, Host, Running};

use crate::report::Report;

/// A process that doesn't answer for so long hangs: its commands take milliseconds.
const ANSWER: Duration = Duration::from_secs(60);

/// What the C library keeps for later would look like memory in use: freed blocks of each thread, and
/// the stacks of threads that ended.
const NOTHING_KEPT: &str = "glibc.malloc.tcache_count=0:glibc.pthread.stack_cache_size=0";

/// A host's process, from its start to its end.
pub struct Side {
    name: &'static str,
    process: Running,
    /// What it had before it had a transport.
    bare: Facts,
    bare_heap: u64,
    /// False while it stands still.
    pub can_answer: bool,
}

impl Side {
    /// Starts the program that does the work on `host`. It has no transport yet.
    pub fn start(
        name: &'static str,
        host: &Host,
        program: &Path,
        arguments: &[String],
    ) -> Result<Self, String> {
        let mut command = host.command(&program.to_string_lossy());
        command.args(arguments).env("GLIBC_TUNABLES", NOTHING_KEPT);
        let mut process = Running::start(name, command, ANSWER);
        let bare_heap = Report::parse(&process.question())?.get("heap");
        let bare = Facts::of(process.id());
        Ok(Self {
            name,
            process,
            bare,
            bare_heap,
            can_answer: true,
        })
    }

    /// Has it do something, and gives its report after that.
    pub fn command(&mut self, command: &str) -> Result<Report, String> {
        self.process.go_on(ANSWER);
        self.process.answer(command);
        let report = self.process.question();
        Report::parse(&report).map_err(|error| format!("{}: {error}", self.name))
    }

    pub fn tell(&mut self, command: &str) -> Result<(), String> {
        self.command(command).map(drop)
    }

    pub fn report(&mut self) -> Result<Report, String> {
        self.command("report")
    }

    pub fn signal(&self, signal: Signal) -> Result<(), String> {
        kill(Pid::from_raw(self.process.id().cast_signed()), signal)
            .map_err(|errno| format!("cannot send {signal} to {}: {errno}", self.name))
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    pub fn facts(&self) -> Facts {
        Facts::of(self.process.id())
    }

    /// Before it had a transport.
    pub fn bare(&self) -> &Facts {
        &self.bare
    }

    /// Bytes that it then had in use.
    pub fn bare_heap(&self) -> u64 {
        self.bare_heap
    }

    /// It ends well when it is told to.
    pub fn end(mut self) {
        self.process.go_on(ANSWER);
        self.process.answer("end");
        self.process.finish();
    }
}
