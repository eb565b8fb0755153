//! Two hosts, the cable, and whoever tells what happens.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use testkit::{Cable, Host};

use crate::journal::Journal;
use crate::report::Report;
use crate::resources::Memory;
use crate::side::Side;

const NAMES: [&str; 2] = ["host a", "host b"];
/// In which everything has to be well again after a fault: streams wait for up to 30 s, and a TCP
/// that was cut off tries again only after as long as that took.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);

pub struct Stage {
    pub cable: Cable,
    pub sides: [Side; 2],
    pub memory: [Memory; 2],
    pub journal: Journal,
    pub round: u64,
    cast: Cast,
}

/// How processes are started.
struct Cast {
    program: PathBuf,
    logs: PathBuf,
    seed: u64,
    incarnations: u32,
}

impl Cast {
    fn start(&mut self, cable: &Cable, side: usize) -> Result<Side, String> {
        self.incarnations += 1;
        let peer = hosts(cable)[1 - side].address();
        let bare = peer.split('%').next().unwrap_or(peer);
        let arguments = [
            bare.to_owned(),
            self.incarnations.to_string(),
            self.seed.to_string(),
            self.log(side).to_string_lossy().into_owned(),
        ];
        Side::start(NAMES[side], hosts(cable)[side], &self.program, &arguments)
    }

    fn log(&self, side: usize) -> PathBuf {
        self.logs.join(["host-a.log", "host-b.log"][side])
    }
}

fn hosts(cable: &Cable) -> [&Host; 2] {
    [cable.a(), cable.b()]
}

impl Stage {
    /// Both hosts with open transports, at rest.
    pub fn new(
        program: PathBuf,
        logs: PathBuf,
        seed: u64,
        journal: Journal,
    ) -> Result<Self, String> {
        let cable = Cable::new();
        let mut cast = Cast {
            program,
            logs,
            seed,
            incarnations: 0,
        };
        for side in 0..2 {
            // Of an earlier soak.
            let _ = fs::remove_file(cast.log(side));
        }
        let mut sides = [cast.start(&cable, 0)?, cast.start(&cable, 1)?];
        for side in &mut sides {
            side.tell("open 0")?;
        }
        Ok(Self {
            cable,
            sides,
            memory: Default::default(),
            journal,
            round: 0,
            cast,
        })
    }

    pub fn host(&self, side: usize) -> &Host {
        hosts(&self.cable)[side]
    }

    pub fn kill(&mut self, side: usize) -> Result<(), String> {
        self.sides[side].signal(Signal::SIGKILL)?;
        self.sides[side].can_answer = false;
        Ok(())
    }

    /// Another process in the place of one that was killed, at work at once.
    pub fn start_again(&mut self, side: usize) -> Result<(), String> {
        self.memory[side].check(NAMES[side])?;
        self.memory[side] = Memory::default();
        let mut new = self.cast.start(&self.cable, side)?;
        new.tell(&format!("open {}", self.round))?;
        new.tell("go")?;
        self.sides[side] = new;
        Ok(())
    }

    pub fn both(&mut self, command: &str) -> Result<[Report; 2], String> {
        let [a, b] = &mut self.sides;
        Ok([a.command(command)?, b.command(command)?])
    }

    pub fn reports(&mut self) -> Result<[Report; 2], String> {
        self.both("report")
    }

    /// Waits until something holds; fails when it doesn't in time.
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
                return Err(format!("not within {} s: {what}", PATIENCE.as_secs()));
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }
}
