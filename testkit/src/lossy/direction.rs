//! One direction of a lossy cable: its faults, their record, and the forwarding thread.

use std::io::PipeReader;
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{ppoll, PollFd, PollFlags};
use nix::sys::time::TimeSpec;
use tun_rs::SyncDevice;

use super::delay_queue::DelayQueue;
use super::faults::{Fate, Faults, Schedule};
use super::packet::{flip, Kind};

/// An MTU of 65520 and an Ethernet header fit.
const FRAME: usize = 65_536;

/// Counts for packets of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Packets that were sent.
    pub sent: u64,
    /// Dropped by the schedule.
    pub dropped: u64,
    /// Dropped because the link was cut.
    pub cut: u64,
    /// Carried with one bit flipped.
    pub corrupted: u64,
    /// Carried twice.
    pub duplicated: u64,
    /// Held back, to be overtaken.
    pub reordered: u64,
    /// Carried late.
    pub delayed: u64,
    /// Packets that reach the other end unaltered, those in flight included. A duplicated one counts
    /// twice.
    pub delivered: u64,
}

impl Tally {
    fn count(&mut self, fate: &Fate) {
        self.dropped += u64::from(fate.dropped);
        self.corrupted += u64::from(fate.flipped.is_some());
        self.duplicated += u64::from(fate.duplicated);
        self.reordered += u64::from(fate.overtakers > 0);
        self.delayed += u64::from(!fate.late.is_zero());
        if !fate.dropped && fate.flipped.is_none() {
            self.delivered += 1 + u64::from(fate.duplicated);
        }
    }
}

/// Counts of one direction since the link was created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Record {
    /// Control messages and pings.
    pub udp: Tally,
    /// Data streams.
    pub tcp: Tally,
    /// Neighbour discovery and the like.
    pub other: Tally,
}

/// One direction of a [`LossyCable`](super::LossyCable).
#[derive(Debug)]
pub struct Direction {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    schedule: Schedule,
    cut: bool,
    queue: DelayQueue,
    record: Record,
}

impl Direction {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                schedule: Schedule::new(Faults::default()),
                cut: false,
                queue: DelayQueue::default(),
                record: Record::default(),
            }),
        }
    }

    /// Changes the faults. The next packet is the first one of the new schedule.
    pub fn set_faults(&self, faults: Faults) {
        self.state().schedule = Schedule::new(faults);
    }

    /// From now on no packet arrives, while the carrier stays.
    pub fn cut(&self) {
        let mut state = self.state();
        state.cut = true;
        state.queue.clear();
    }

    /// Undoes [`cut`](Self::cut), with the faults from before. Packets that the sending host still has
    /// queued are forwarded.
    pub fn mend(&self) {
        self.state().cut = false;
    }

    /// The counts so far.
    pub fn record(&self) -> Record {
        self.state().record
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forwards packets until `stop` is closed or an interface is gone.
    pub(super) fn forward(&self, from: &SyncDevice, to: &SyncDevice, stop: &PipeReader) {
        let mut frame = vec![0; FRAME];
        let mut next = None;
        loop {
            let (there, stopped) = match wait(from, stop, next) {
                Ok(ready) => ready,
                Err(Errno::EINTR) => continue,
                Err(errno) => panic!("cannot wait for packets: {errno}"),
            };
            if stopped {
                return;
            }
            let received = match there.then(|| from.recv(&mut frame)) {
                None => None,
                Some(Ok(size)) => Some(&frame[..size]),
                Some(Err(_)) => return,
            };
            next = self.state().step(received, |packet| {
                // This fails while the interface is switched off; the packet is lost then.
                let _ = to.send(packet);
            });
        }
    }
}

impl State {
    /// Takes a packet, delivers all that are due, and returns when the next one is due.
    ///
    /// Delivers under the lock, so that no packet arrives after `cut` has returned.
    fn step(&mut self, received: Option<&[u8]>, deliver: impl Fn(&[u8])) -> Option<Instant> {
        let now = Instant::now();
        if let Some(packet) = received {
            self.take(packet, now);
        }
        while let Some(packet) = self.queue.pop_due(now) {
            deliver(&packet);
        }
        self.queue.next_due()
    }

    fn take(&mut self, packet: &[u8], now: Instant) {
        let kind = Kind::of(packet);
        let tally = match kind {
            Kind::Udp => &mut self.record.udp,
            Kind::Tcp => &mut self.record.tcp,
            Kind::Other => &mut self.record.other,
        };
        tally.sent += 1;
        if self.cut {
            tally.cut += 1;
            return;
        }
        let mut fate = self.schedule.next(kind);
        let mut packet = packet.to_vec();
        fate.flipped = fate.flipped.filter(|bit| flip(&mut packet, *bit));
        tally.count(&fate);
        if !fate.dropped {
            self.queue.push(packet, &fate, now);
        }
    }
}

/// Waits until there is a packet (first result), `stop` is closed (second), or the time `next`.
fn wait(
    from: &SyncDevice,
    stop: &PipeReader,
    next: Option<Instant>,
) -> Result<(bool, bool), Errno> {
    let timeout = next.map(|at| at.saturating_duration_since(Instant::now()));
    let mut interests = [
        PollFd::new(from.as_fd(), PollFlags::POLLIN),
        PollFd::new(stop.as_fd(), PollFlags::POLLIN),
    ];
    ppoll(&mut interests, timeout.map(TimeSpec::from_duration), None)?;
    let ready = |at: usize| interests[at].any().unwrap_or(true);
    Ok((ready(0), ready(1)))
}
