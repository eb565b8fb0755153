//! One round: both hosts work, faults begin and end, the hosts come to rest, and their counts are
//! compared.

use std::thread;
use std::time::{Duration, Instant};

use crate::fault::{Effect, Planned, Undo};
use crate::judge::{messages_add_up, violations};
use crate::report::Report;
use crate::testbed::Testbed;

/// Duration of the work in a round without a fault.
const CALM: Duration = Duration::from_millis(1500);
/// Reports in a row with the same counts, after which no more messages are expected.
const STILL: usize = 3;
/// Counts that must grow after the faults.
const PROGRESS: [&str; 6] = [
    "messages_sent",
    "messages_received",
    "round_trips",
    "discoveries",
    "opened_whole",
    "transients",
];

/// Runs a round, and returns the reports of both hosts.
pub fn run(testbed: &mut Testbed, faults: &[Planned]) -> Result<[Report; 2], String> {
    testbed.both("go")?;
    if faults.is_empty() {
        thread::sleep(CALM);
    }
    happen(testbed, faults)?;
    check_signs_of_life(testbed)?;
    let effect = Effect::of(faults);
    come_to_rest(testbed, &effect)?;
    let reports = testbed.reports()?;
    let found = violations(&effect, &reports);
    if !found.is_empty() {
        let all = format!("host a: {:?}\nhost b: {:?}", reports[0], reports[1]);
        testbed.journal.line(&all);
        return Err(found.join("\n"));
    }
    testbed.round += 1;
    let settled = testbed.both(&format!("settle {}", testbed.round))?;
    for (host, report) in settled.iter().enumerate() {
        testbed.memory[host].look(&testbed.processes[host], report)?;
    }
    Ok(reports)
}

/// Begins and ends every fault at its time.
fn happen(testbed: &mut Testbed, faults: &[Planned]) -> Result<(), String> {
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
                testbed.journal.line(&fault.describe());
                undos[which] = Some(fault.begin(testbed)?);
            }
            Some(undo) => {
                undo(testbed)?;
                let over = format!("{} is over", fault.fault.name());
                testbed.journal.line(&over);
            }
        }
    }
    Ok(())
}

/// Waits until everything works again on both hosts.
fn check_signs_of_life(testbed: &mut Testbed) -> Result<(), String> {
    let before = testbed.reports()?;
    for sign in PROGRESS {
        testbed.wait(&format!("more {sign} on both hosts"), |testbed| {
            let now = testbed.reports()?;
            Ok((0..2).all(|host| now[host].get(sign) > before[host].get(sign)))
        })?;
    }
    Ok(())
}

/// Pauses the work, and waits until nothing is in flight.
fn come_to_rest(testbed: &mut Testbed, effect: &Effect) -> Result<(), String> {
    testbed.both("pause")?;
    testbed.wait("all calls and streams to end", |testbed| {
        let at_rest = |report: &Report| {
            report.get("busy") == 0
                && report.get("serving") == 0
                && report.library("streams_open") == 0
        };
        Ok(testbed.reports()?.iter().all(at_rest))
    })?;
    testbed.wait("a mark to arrive on each host", |testbed| {
        testbed.both("mark")?;
        Ok(testbed
            .reports()?
            .iter()
            .all(|report| report.get("marks_received") > 0))
    })?;
    let mut last = testbed.reports()?;
    let mut still = 0;
    testbed.wait("no more messages to arrive", |testbed| {
        let now = testbed.reports()?;
        still = if now == last { still + 1 } else { 0 };
        let [a, b] = &now;
        let add_up = messages_add_up(effect, a, b) && messages_add_up(effect, b, a);
        last = now;
        Ok(still >= STILL && (add_up || still >= 10 * STILL))
    })
}
