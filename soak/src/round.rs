//! One round: both hosts work, faults happen, everything goes on, and the books are closed.

use std::thread;
use std::time::{Duration, Instant};

use crate::fault::{Effect, Planned, Undo};
use crate::judge::{messages_add_up, violations};
use crate::report::Report;
use crate::stage::Stage;

/// Work before the first fault, and in a round without one.
const CALM: Duration = Duration::from_millis(1500);
/// How often counts have to stay the same before nothing more is expected to come.
const STILL: usize = 3;
/// What shows that everything works: messages both ways, round trips, discovery, streams, and other
/// transports.
const SIGNS_OF_LIFE: [&str; 6] = [
    "messages_sent",
    "messages_received",
    "round_trips",
    "discoveries",
    "opened_whole",
    "guests",
];

/// Runs it, and gives what both hosts did.
pub fn run(stage: &mut Stage, faults: &[Planned]) -> Result<[Report; 2], String> {
    stage.both("go")?;
    if faults.is_empty() {
        thread::sleep(CALM);
    }
    happen(stage, faults)?;
    see_signs_of_life(stage)?;
    let effect = Effect::of(faults);
    come_to_rest(stage, &effect)?;
    let reports = stage.reports()?;
    let found = violations(&effect, &reports);
    if !found.is_empty() {
        let all = format!("host a: {:?}\nhost b: {:?}", reports[0], reports[1]);
        stage.journal.line(&all);
        return Err(found.join("\n"));
    }
    stage.round += 1;
    let settled = stage.both(&format!("settle {}", stage.round))?;
    for (side, report) in settled.iter().enumerate() {
        stage.memory[side].look(&stage.sides[side], report)?;
    }
    Ok(reports)
}

/// Lets every fault begin and end at its time.
fn happen(stage: &mut Stage, faults: &[Planned]) -> Result<(), String> {
    let start = Instant::now();
    let mut undos: Vec<Option<Undo>> = faults.iter().map(|_| None).collect();
    let mut events: Vec<(Duration, usize)> = Vec::new();
    for (which, fault) in faults.iter().enumerate() {
        events.extend([(fault.begin, which), (fault.end, which)]);
    }
    events.sort();
    for (when, which) in events {
        thread::sleep(when.saturating_sub(start.elapsed()));
        let fault = &faults[which];
        match undos[which].take() {
            None => {
                stage.journal.line(&fault.describe());
                undos[which] = Some(fault.begin(stage)?);
            }
            Some(undo) => {
                undo(stage)?;
                let over = format!("{} is over", fault.fault.name());
                stage.journal.line(&over);
            }
        }
    }
    Ok(())
}

/// After the faults everything works again, on both hosts.
fn see_signs_of_life(stage: &mut Stage) -> Result<(), String> {
    let before = stage.reports()?;
    for sign in SIGNS_OF_LIFE {
        stage.wait(&format!("more {sign} on both hosts"), |stage| {
            let now = stage.reports()?;
            Ok((0..2).all(|side| now[side].get(sign) > before[side].get(sign)))
        })?;
    }
    Ok(())
}

/// Everybody finishes what they are at, and nothing is under way any more.
fn come_to_rest(stage: &mut Stage, effect: &Effect) -> Result<(), String> {
    stage.both("pause")?;
    stage.wait("calls and streams come to their ends", |stage| {
        let at_rest = |report: &Report| {
            report.get("busy") == 0
                && report.get("serving") == 0
                && report.library("streams_open") == 0
        };
        Ok(stage.reports()?.iter().all(at_rest))
    })?;
    stage.wait("messages get through", |stage| {
        stage.both("mark")?;
        Ok(stage
            .reports()?
            .iter()
            .all(|report| report.get("marks_received") > 0))
    })?;
    let mut last = stage.reports()?;
    let mut still = 0;
    stage.wait("no more messages come", |stage| {
        let now = stage.reports()?;
        still = if now == last { still + 1 } else { 0 };
        let [a, b] = &now;
        let add_up = messages_add_up(effect, a, b) && messages_add_up(effect, b, a);
        last = now;
        Ok(still >= STILL && (add_up || still >= 10 * STILL))
    })
}
