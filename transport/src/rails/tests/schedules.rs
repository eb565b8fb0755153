//! Ten thousand schedules of faults. `RAILS_SEED=N` runs one again, `RAILS_SCHEDULES=N` another number of them.

use std::env;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::host::Host;
use super::plan::Fate;
use super::simulation::Simulation;
use crate::rails::session::End;

const SCHEDULES: u64 = 10_000;

/// Names the seed of a schedule that fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if thread::panicking() {
            let seed = self.0;
            eprintln!("this was schedule {seed}: RAILS_SEED={seed} runs it again");
        }
    }
}

/// What happened in all schedules, to see that they reach what they are for.
#[derive(Debug, Default)]
struct Reached {
    rails: AtomicU64,
    dropped: AtomicU64,
    retransmitted: AtomicU64,
    complete: AtomicU64,
    reset: AtomicU64,
    unknown: AtomicU64,
    dead: AtomicU64,
    late: AtomicU64,
}

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is no number")),
    )
}

#[test]
fn no_schedule_loses_doubles_or_reorders_a_byte() {
    let reached = Reached::default();
    if let Some(seed) = number("RAILS_SEED") {
        schedule(seed, &reached);
        return;
    }
    let count = number("RAILS_SCHEDULES").unwrap_or(SCHEDULES);
    let next = AtomicU64::new(0);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= count {
                    return;
                }
                schedule(seed, &reached);
            });
        }
    });
    println!("{reached:?}");
    if count >= SCHEDULES {
        let counts = [
            &reached.dropped,
            &reached.retransmitted,
            &reached.reset,
            &reached.unknown,
            &reached.dead,
            &reached.late,
        ];
        for count in counts {
            assert!(count.load(Ordering::Relaxed) > 20, "{reached:?}");
        }
    }
}

fn schedule(seed: u64, reached: &Reached) {
    let _seed = Seed(seed);
    let mut simulation = Simulation::new(seed);
    simulation.run();
    check(&simulation);

    let add = |counter: &AtomicU64, amount| {
        counter.fetch_add(amount, Ordering::Relaxed);
    };
    add(&reached.late, simulation.late_rails());
    for host in [&simulation.opener, &simulation.acceptor] {
        add(&reached.rails, host.rails_seen);
        add(&reached.dropped, host.dropped);
        let session = host.session.as_ref();
        add(
            &reached.retransmitted,
            session.map_or(0, |session| session.bytes_retransmitted()),
        );
        match host.end() {
            Some(End::Complete) => add(&reached.complete, 1),
            Some(End::ResetByPeer(_)) => add(&reached.reset, 1),
            Some(End::Unknown) => add(&reached.unknown, 1),
            Some(End::Dead) => add(&reached.dead, 1),
            _ => {}
        }
    }
}

/// All bytes that were read were compared. Here is how the ends may have ended.
fn check(simulation: &Simulation) {
    let Simulation {
        opener,
        acceptor,
        fate,
        ..
    } = simulation;
    let ends = (opener.end(), acceptor.end());
    let has_all = |host: &Host| host.read == host.program.receives.len() as u64;
    for host in [opener, acceptor] {
        if host.end() == Some(&End::Complete) {
            assert!(has_all(host), "an end without everything: {simulation:?}");
        }
    }
    let is_reset = |end: &End| *end == End::ResetByPeer("enough".to_owned());
    let is_fine = match (fate, ends) {
        (_, (Some(End::Complete), Some(End::Complete))) => true,
        (Fate::Complete, _) => false,
        (Fate::ResetBy(0), (Some(End::Reset(_)), None)) => true,
        (Fate::ResetBy(0), (Some(End::Reset(_)), Some(end))) => {
            is_reset(end) || matches!(end, End::Dead | End::Complete)
        }
        (Fate::ResetBy(_), (Some(end), Some(End::Reset(_)))) => {
            is_reset(end) || matches!(end, End::Unknown | End::Complete)
        }
        // The new peer does not know the session of the first one.
        (Fate::PeerRestarts, (Some(End::Unknown), _)) => simulation.rails_before_restart.is_some(),
        (Fate::PeerRestarts, (Some(End::Complete), None)) => true,
        (Fate::LinksNeverReturn, (Some(End::Dead | End::Complete), other)) => {
            matches!(other, None | Some(End::Dead | End::Complete))
        }
        _ => false,
    };
    assert!(is_fine, "{ends:?}: {simulation:?}");
}
