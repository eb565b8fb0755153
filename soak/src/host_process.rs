//! The process on one of the two hosts, and its commands.

use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use testkit::{Facts, Host, Running};

use crate::report::Report;

/// A process that takes longer to answer hangs: commands take milliseconds.
const ANSWER: Duration = Duration::from_secs(60);

/// Turns off the C library's caches, which would count as memory in use: freed blocks of each thread,
/// and stacks of ended threads.
const NO_CACHES: &str = "glibc.malloc.tcache_count=0:glibc.pthread.stack_cache_size=0";

/// A host's process.
pub struct HostProcess {
    name: &'static str,
    process: Running,
    /// Its resources before it opened a transport.
    bare: Facts,
    bare_heap: u64,
    /// False while it is stopped or killed.
    pub can_answer: bool,
}

impl HostProcess {
    /// Starts the program on `host`, without a transport.
    pub fn start(
        name: &'static str,
        host: &Host,
        program: &Path,
        arguments: &[String],
    ) -> Result<Self, String> {
        let mut command = host.command(&program.to_string_lossy());
        command.args(arguments).env("GLIBC_TUNABLES", NO_CACHES);
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

    /// Sends a command, and returns the report that follows.
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

    /// Its resources before it opened a transport.
    pub fn bare(&self) -> &Facts {
        &self.bare
    }

    /// Bytes in use before it opened a transport.
    pub fn bare_heap(&self) -> u64 {
        self.bare_heap
    }

    /// Ends the process, and checks its exit code.
    pub fn end(mut self) {
        self.process.go_on(ANSWER);
        self.process.answer("end");
        self.process.finish();
    }
}
