//! The two hosts, their cable, and the journal.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use testkit::{Cable, Host};

use crate::host_process::HostProcess;
use crate::journal::Journal;
use crate::report::Report;
use crate::resources::Memory;

const NAMES: [&str; 2] = ["host a", "host b"];
/// Time for everything to recover from a fault. Calls on streams wait for up to 30 s, and TCP's
/// retransmission timeout can grow to the length of the outage.
const PATIENCE: Duration = Duration::from_secs(120);
/// Pause between two checks of a condition.
const PAUSE: Duration = Duration::from_millis(100);

pub struct Testbed {
    pub cable: Cable,
    pub processes: [HostProcess; 2],
    pub memory: [Memory; 2],
    pub journal: Journal,
    pub round: u64,
    launcher: Launcher,
}

/// Starts the processes.
struct Launcher {
    program: PathBuf,
    logs: PathBuf,
    seed: u64,
    incarnations: u32,
}

impl Launcher {
    fn start(&mut self, cable: &Cable, host: usize) -> Result<HostProcess, String> {
        self.incarnations += 1;
        let peer = hosts(cable)[1 - host].address();
        let bare = peer.split('%').next().unwrap_or(peer);
        let arguments = [
            bare.to_owned(),
            self.incarnations.to_string(),
            self.seed.to_string(),
            self.log(host).to_string_lossy().into_owned(),
        ];
        HostProcess::start(NAMES[host], hosts(cable)[host], &self.program, &arguments)
    }

    fn log(&self, host: usize) -> PathBuf {
        self.logs.join(["host-a.log", "host-b.log"][host])
    }
}

fn hosts(cable: &Cable) -> [&Host; 2] {
    [cable.a(), cable.b()]
}

impl Testbed {
    /// Both hosts with open transports, at rest.
    pub fn new(
        program: PathBuf,
        logs: PathBuf,
        seed: u64,
        journal: Journal,
    ) -> Result<Self, String> {
        let cable = Cable::new();
        let mut launcher = Launcher {
            program,
            logs,
            seed,
            incarnations: 0,
        };
        for host in 0..2 {
            // The log of an earlier soak.
            let _ = fs::remove_file(launcher.log(host));
        }
        let mut processes = [launcher.start(&cable, 0)?, launcher.start(&cable, 1)?];
        for host in &mut processes {
            host.tell("open 0")?;
        }
        Ok(Self {
            cable,
            processes,
            memory: Default::default(),
            journal,
            round: 0,
            launcher,
        })
    }

    pub fn host(&self, host: usize) -> &Host {
        hosts(&self.cable)[host]
    }

    pub fn kill(&mut self, host: usize) -> Result<(), String> {
        self.processes[host].signal(Signal::SIGKILL)?;
        self.processes[host].can_answer = false;
        Ok(())
    }

    /// Replaces a killed process by a new one that works at once.
    pub fn restart(&mut self, host: usize) -> Result<(), String> {
        self.memory[host].check(NAMES[host])?;
        self.memory[host] = Memory::default();
        let mut new = self.launcher.start(&self.cable, host)?;
        new.tell(&format!("open {}", self.round))?;
        new.tell("go")?;
        self.processes[host] = new;
        Ok(())
    }

    pub fn both(&mut self, command: &str) -> Result<[Report; 2], String> {
        let [a, b] = &mut self.processes;
        Ok([a.command(command)?, b.command(command)?])
    }

    pub fn reports(&mut self) -> Result<[Report; 2], String> {
        self.both("report")
    }

    /// Waits for a condition; fails with `what` after `PATIENCE`.
    pub fn wait(
        &mut self,
        what: &str,
        mut holds: impl FnMut(&mut Self) -> Result<bool, String>,
    ) -> Result<(), String> {
        let start = Instant::now();
        while !holds(self)? {
            if start.elapsed() > PATIENCE {
                let reports = self.reports()?;
                self.journal.line(&format!(
                    "host a: {:?}\nhost b: {:?}",
                    reports[0], reports[1]
                ));
                return Err(format!("waited {} s for {what}", PATIENCE.as_secs()));
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }
}
