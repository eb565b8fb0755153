//! An opener and an acceptor with simulated links between them, and the faults of a seed.

use std::fmt;
use std::time::Duration;

use super::host::{instant, Host};
use super::network::{Conn, Network, Read, Side, ACCEPTOR, OPENER};
use super::plan::{faults, links, programs, Fate, Fault, Link, MILLISECOND, SECOND};
use super::random::Random;
use crate::rails::greeting::{Greetings, Progress};
use crate::rails::session::{Session, Settings};
use crate::rails::table::{Answer, Table};
use crate::rails::wire::GREETING_SIZE;

/// Events of one schedule, and what happens at the same time, at most.
const MOST_STEPS: u64 = 100_000;

pub struct Simulation {
    pub fate: Fate,
    pub opener: Host,
    pub acceptor: Host,
    /// Rails of the opener when the peer was started again.
    pub rails_before_restart: Option<u64>,
    network: Network,
    random: Random,
    table: Table<()>,
    greetings: Greetings<Conn>,
    links: Vec<Link>,
    /// The last one is next.
    faults: Vec<(u64, Fault)>,
    settings: Settings,
    limit: u64,
}

impl fmt::Debug for Simulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let now = self.network.now;
        writeln!(f, "{:?} at {now} us of {}", self.fate, self.limit)?;
        writeln!(f, "{:?}\n{:?}", self.links, self.faults)?;
        write!(
            f,
            "{:?}\n{:?}\n{:?}",
            self.opener, self.acceptor, self.table
        )
    }
}

impl Simulation {
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let fate = match random.within(0..100) {
            0..5 => Fate::ResetBy(random.within(0..2) as Side),
            5..10 => Fate::PeerRestarts,
            10..14 => Fate::LinksNeverReturn,
            _ => Fate::Complete,
        };
        let dead_after = match fate {
            Fate::Complete => 120,
            _ => 12,
        };
        let programs = programs(&mut random, fate);
        let largest = programs.iter().map(|program| program.sends.len()).max();
        let largest = largest.unwrap_or_default() as u64;
        let links = links(&mut random, largest);
        let faults = faults(&mut random, links.len(), fate);
        let last_fault = faults.first().map_or(0, |fault| fault.0);
        let [first, second] = programs;
        let windows = [0, 1].map(|_| 64 + (largest / 16 + random.spread(8 << 10)) as u32);
        let settings = Settings {
            window: windows[OPENER],
            chunk: 4 + (largest / 16 + random.spread(4 << 10)) as u32,
            dead_after: Duration::from_secs(dead_after),
        };
        let mut opener = Host::new(OPENER, first, windows[OPENER], random.clone());
        random.next();
        let acceptor = Host::new(ACCEPTOR, second, windows[ACCEPTOR], random.clone());
        let (id, host) = (random.id(), random.id());
        let session = Session::open(instant(0), id, host, settings.clone(), links.len());
        opener.session = Some(session);
        Self {
            fate,
            opener,
            acceptor,
            rails_before_restart: None,
            network: Network::default(),
            table: Table::new(random.id(), 1),
            random,
            greetings: Greetings::new(8),
            links,
            faults,
            settings: Settings {
                window: windows[ACCEPTOR],
                ..settings
            },
            limit: last_fault + 60 * SECOND,
        }
    }

    /// Until both ends are over.
    pub fn run(&mut self) {
        for step in 0.. {
            assert!(step < MOST_STEPS, "an endless loop: {self:?}");
            self.fail();
            self.run_hosts();
            if self.opener.is_over() && (self.acceptor.session.is_none() || self.acceptor.is_over())
            {
                return;
            }
            let now = self.network.now;
            let hosts = [&self.opener, &self.acceptor].map(|host| host.next(now));
            let fault = self.faults.last().map(|fault| fault.0);
            let greeting = self.greetings.deadline().map(|at| {
                let time = at - instant(0);
                time.as_micros() as u64
            });
            let times = [hosts[0], hosts[1], fault, greeting, self.network.next()];
            let next = times.into_iter().flatten().filter(|at| *at > now).min();
            let next = next.unwrap_or_else(|| panic!("nothing goes on: {self:?}"));
            assert!(next < self.limit, "no progress: {self:?}");
            self.network.now = next;
        }
    }

    fn run_hosts(&mut self) {
        for step in 0.. {
            assert!(step < MOST_STEPS, "an endless loop: {self:?}");
            let mut is_busy = self.opener.run(&mut self.network);
            for path in std::mem::take(&mut self.opener.to_connect) {
                self.connect(path);
                is_busy = true;
            }
            is_busy |= self.accept();
            is_busy |= self.acceptor.run(&mut self.network);
            if self.acceptor.is_over() {
                let session = self.acceptor.session.as_ref().unwrap();
                let id = self.session_id();
                let now = instant(self.network.now);
                self.table.remove(now, id, session.final_position());
            }
            if !is_busy {
                return;
            }
        }
    }

    /// Rails that came after the end of the session.
    pub fn late_rails(&self) -> u64 {
        self.table.refusals.ended
    }

    fn session_id(&self) -> [u8; 16] {
        self.acceptor.session.as_ref().unwrap().id()
    }

    fn connect(&mut self, path: usize) {
        let link = &self.links[path];
        if !link.is_up {
            // Some attempts fail at once, others never answer.
            if self.random.chance(70) {
                let now = instant(self.network.now);
                let session = self.opener.session.as_mut().unwrap();
                session.connect_failed(now, path);
            }
            return;
        }
        let (speed, fragile) = (link.speed, link.fragile);
        let conn = self.network.connect(path, speed);
        self.opener.connected(&mut self.network, path, conn);
        if let Some(evicted) = self.greetings.add(instant(self.network.now), conn) {
            self.network.close(evicted, ACCEPTOR, false);
        }
        if self.random.chance(fragile) {
            let at = self.network.now + self.random.within(0..4 * speed.delay);
            let within = self.random.spread(SECOND);
            self.add_fault(at, Fault::Cut { path, within });
        }
    }

    fn add_fault(&mut self, at: u64, fault: Fault) {
        let index = self.faults.partition_point(|it| it.0 > at);
        self.faults.insert(index, (at, fault));
    }

    /// The rail port of the acceptor.
    fn accept(&mut self) -> bool {
        let now = instant(self.network.now);
        let mut is_busy = false;
        while let Some(conn) = self.greetings.expired(now) {
            self.network.close(conn, ACCEPTOR, false);
        }
        for conn in self.greetings.keys() {
            let mut bytes = [0; GREETING_SIZE];
            let missing = self.greetings.missing(conn);
            match self.network.read(conn, ACCEPTOR, &mut bytes[..missing]) {
                Read::Nothing => continue,
                Read::End | Read::Broken => {
                    self.network.close(conn, ACCEPTOR, false);
                    self.greetings.remove(conn);
                }
                Read::Bytes(length) => match self.greetings.receive(conn, &bytes[..length]) {
                    Progress::Pending => {}
                    Progress::Whole(hello) => self.greeted(conn, &hello),
                    Progress::Foreign => panic!("an opener says no hello"),
                },
            }
            is_busy = true;
        }
        is_busy
    }

    fn greeted(&mut self, conn: Conn, hello: &[u8; GREETING_SIZE]) {
        let now = instant(self.network.now);
        let host = self.table.host();
        let mut answer = self.table.hello(now, hello);
        let granted = match &answer {
            Answer::New(hello) => {
                let accepted = Session::accept(now, hello, host, self.settings.clone());
                let (session, rail, reply) = accepted.unwrap();
                self.table.insert(hello.session, ());
                self.acceptor.session = Some(session);
                Some((rail, reply))
            }
            Answer::Join((), hello) => {
                let session = self.acceptor.session.as_mut().unwrap();
                let joined = session.join(now, hello);
                match joined {
                    Ok(granted) => Some(granted),
                    Err(refusal) => {
                        answer = self.table.refused(&hello.clone(), refusal);
                        None
                    }
                }
            }
            Answer::Refuse(_) | Answer::Close => None,
        };
        if let Some((rail, reply)) = granted {
            self.network.write(conn, ACCEPTOR, &reply);
            self.acceptor.add_rail(rail, conn);
            return;
        }
        let Answer::Refuse(reply) = answer else {
            panic!("an opener says no hello")
        };
        self.network.write(conn, ACCEPTOR, &reply);
        self.network.close(conn, ACCEPTOR, true);
    }

    /// Lets the faults happen that are due.
    fn fail(&mut self) {
        while let Some(&(at, fault)) = self.faults.last() {
            if at > self.network.now {
                return;
            }
            self.faults.pop();
            self.fail_with(fault);
        }
    }

    fn fail_with(&mut self, fault: Fault) {
        let now = self.network.now;
        match fault {
            Fault::Cut { path, within } => {
                for conn in self.network.open_over(path) {
                    let after = [0, 1].map(|_| self.random.within(0..within + 1));
                    self.network.vanish(conn, after);
                }
            }
            Fault::HalfOpen { path, knows } => {
                for conn in self.network.open_over(path) {
                    let mut after = [0, 1].map(|_| self.random.within(0..6 * SECOND));
                    after[knows] = self.random.within(0..5 * MILLISECOND);
                    self.network.vanish(conn, after);
                }
            }
            Fault::Vanish { path } => {
                for conn in self.network.open_over(path) {
                    self.network.vanish(conn, [1000 * SECOND; 2]);
                }
            }
            Fault::Stall { path, side, time } => {
                for conn in self.network.open_over(path) {
                    self.network.stall(conn, side, time);
                }
            }
            Fault::LinkDown { path, time, told } => {
                self.links[path].is_up = false;
                let within = self.random.spread(2 * SECOND);
                self.fail_with(Fault::Cut { path, within });
                if told {
                    let session = self.opener.session.as_mut().unwrap();
                    session.link_down(instant(now), path);
                }
                if time < 1000 * SECOND {
                    self.add_fault(now + time, Fault::LinkUp { path, told });
                }
            }
            Fault::LinkUp { path, told } => {
                self.links[path].is_up = true;
                if told {
                    let session = self.opener.session.as_mut().unwrap();
                    session.link_up(instant(now), path);
                }
            }
            Fault::Restart => self.restart(),
        }
    }

    /// The acceptor's process ends, and begins anew without its sessions.
    fn restart(&mut self) {
        self.rails_before_restart = Some(self.opener.rails_seen);
        for path in 0..self.links.len() {
            for conn in self.network.open_over(path) {
                self.network.close(conn, ACCEPTOR, false);
            }
        }
        self.table = Table::new(self.random.id(), 1);
        self.greetings = Greetings::new(8);
        let (program, window) = (self.acceptor.program.clone(), self.acceptor.window as u32);
        self.acceptor = Host::new(ACCEPTOR, program, window, self.random.clone());
    }
}
