//! The parts of a schedule: the programs at both ends, the links between them, and the faults.

use super::host::{material, Program};
use super::network::{Side, Speed, ACCEPTOR, OPENER};
use super::random::Random;

pub const MILLISECOND: u64 = 1000;
pub const SECOND: u64 = 1_000_000;

/// How a schedule has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Complete,
    ResetBy(Side),
    PeerRestarts,
    LinksNeverReturn,
}

#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// Connections of a path break, and each side learns of it within this time.
    Cut {
        path: usize,
        within: u64,
    },
    /// Only one side learns soon.
    HalfOpen {
        path: usize,
        knows: Side,
    },
    /// Neither side ever learns: only the other rails show it.
    Vanish {
        path: usize,
    },
    /// Bytes that a side sends over a path are late.
    Stall {
        path: usize,
        side: Side,
        time: u64,
    },
    LinkDown {
        path: usize,
        time: u64,
        told: bool,
    },
    LinkUp {
        path: usize,
        told: bool,
    },
    Restart,
}

#[derive(Debug)]
pub struct Link {
    pub is_up: bool,
    pub speed: Speed,
    /// Of a hundred connections so many vanish while the greetings are on their way.
    pub fragile: u64,
}

pub fn programs(random: &mut Random, fate: Fate) -> [Program; 2] {
    let lengths = [0, 1].map(|_| random.spread(8 << 10));
    let parts = lengths.map(|length| {
        let from = random.within(0..500_000) as usize;
        &material()[from..from + length as usize]
    });
    let resets_at = random.within(0..200 * MILLISECOND);
    [OPENER, ACCEPTOR].map(|side| {
        let (sends, receives) = (parts[side], parts[1 - side]);
        let write_size = 1 + sends.len() as u64 / (1 + random.spread(15));
        let read_size = 1 + receives.len() as u64 / (1 + random.spread(15));
        Program {
            sends,
            receives,
            write_size,
            read_size,
            write_pause: random.spread(3 * MILLISECOND),
            read_pause: random.spread(3 * MILLISECOND),
            reads_from: random.spread(500 * MILLISECOND),
            resets_at: (fate == Fate::ResetBy(side)).then_some(resets_at),
        }
    })
}

pub fn links(random: &mut Random, largest: u64) -> Vec<Link> {
    let fragile = if random.chance(20) { 40 } else { 0 };
    let count = random.within(1..5);
    let link = |_| Link {
        is_up: true,
        speed: Speed {
            delay: 10 + random.spread(4 * MILLISECOND),
            rate: 1 + largest / 200 + random.spread(10_000),
            buffer: 100 + (largest / 32 + random.spread(8 << 10)) as usize,
        },
        fragile,
    };
    (0..count).map(link).collect()
}

pub fn faults(random: &mut Random, paths: usize, fate: Fate) -> Vec<(u64, Fault)> {
    let count = random.spread(10);
    let span = 20 + random.spread(100 * MILLISECOND);
    let mut faults: Vec<(u64, Fault)> = (0..count)
        .map(|_| {
            let path = random.within(0..paths as u64) as usize;
            let side = random.within(0..2) as Side;
            let time = random.spread(2 * SECOND);
            let told = random.chance(70);
            let fault = match random.within(0..10) {
                0..3 => Fault::Cut { path, within: time },
                3..5 => Fault::HalfOpen { path, knows: side },
                5..7 => Fault::Stall { path, side, time },
                _ => Fault::LinkDown { path, time, told },
            };
            (random.spread(span), fault)
        })
        .collect();
    let at = random.spread(span);
    let all_down = |time: u64, told: bool| {
        (0..paths).map(move |path| (at, Fault::LinkDown { path, time, told }))
    };
    match fate {
        Fate::PeerRestarts => faults.push((at, Fault::Restart)),
        Fate::LinksNeverReturn => {
            // No other fault brings a link back.
            faults.retain(|(_, fault)| !matches!(fault, Fault::LinkDown { .. }));
            faults.extend(all_down(u64::MAX, random.chance(50)));
        }
        // Without another path that works, only TCP's own timeouts would help.
        Fate::Complete if paths > 1 && random.chance(30) => {
            let path = random.within(0..paths as u64) as usize;
            faults.push((at, Fault::Vanish { path }));
        }
        _ if random.chance(20) => faults.extend(all_down(time_down(random), random.chance(50))),
        _ => {}
    }
    faults.sort_by_key(|fault| std::cmp::Reverse(fault.0));
    faults
}

fn time_down(random: &mut Random) -> u64 {
    random.spread(3 * SECOND)
}
