//! What must hold at the end of a round, when both hosts are at rest.

use crate::fault::Effect;
use crate::report::Report;
use crate::status;

/// Messages that the kernel takes in one piece at most (UDP_MAX_SEGMENTS, and what the library uses
/// of it), and drops in one piece.
const LONGEST_TRAIN: u64 = 64;
const NAMES: [&str; 2] = ["host a", "host b"];

/// Everything that does not hold, in words.
pub fn violations(effect: &Effect, reports: &[Report; 2]) -> Vec<String> {
    let mut judge = Judge {
        effect,
        reports,
        found: Vec::new(),
    };
    for side in 0..2 {
        judge.messages(1 - side, side);
        judge.streams(1 - side, side);
        judge.statistics(side);
        judge.failures(side);
    }
    judge.found
}

/// Whether every message from `from` is accounted for, where that can be said.
pub fn messages_add_up(effect: &Effect, from: &Report, to: &Report) -> bool {
    let Some(lost) = sent(from).checked_sub(to.get("messages_received")) else {
        return false;
    };
    // What was dropped may have been a stranger's.
    let dropped = to.library("messages_dropped");
    let least = if effect.strangers { 0 } else { dropped };
    // The kernel counts a train of messages as one, and pings as well.
    let most = dropped + to.library("kernel_drops") * LONGEST_TRAIN;
    effect.loses_messages || (least..=most).contains(&lost)
}

fn sent(report: &Report) -> u64 {
    report.get("messages_sent") + report.get("guest_messages_sent")
}

struct Judge<'a> {
    effect: &'a Effect,
    reports: &'a [Report; 2],
    found: Vec<String>,
}

impl Judge<'_> {
    fn demand(&mut self, holds: bool, violation: impl FnOnce() -> String) {
        if !holds {
            self.found.push(violation());
        }
    }

    /// Two numbers that must be the same.
    fn same(&mut self, side: usize, what: &str, one: u64, other: u64) {
        self.demand(one == other, || {
            format!("{}: {what}: {one} and {other}", NAMES[side])
        });
    }

    fn messages(&mut self, from: usize, to: usize) {
        let (sender, receiver) = (&self.reports[from], &self.reports[to]);
        // Who was started anew does not know what it sent before.
        let known = !self.effect.forgets.contains(&true);
        let add_up = !known || messages_add_up(self.effect, sender, receiver);
        self.demand(add_up, || {
            format!(
                "{} to {}: {} messages sent, {} received, {} dropped by the library, {} by the kernel",
                NAMES[from],
                NAMES[to],
                sent(sender),
                receiver.get("messages_received"),
                receiver.library("messages_dropped"),
                receiver.library("kernel_drops"),
            )
        });
        if !self.effect.strangers {
            self.same(
                to,
                "messages of strangers",
                receiver.get("messages_foreign"),
                0,
            );
        }
    }

    fn streams(&mut self, opener: usize, server: usize) {
        let (effect, opened, served) = (self.effect, &self.reports[opener], &self.reports[server]);
        if effect.breaks_streams {
            return;
        }
        self.same(
            opener,
            "opened streams that broke",
            opened.get("opened_broken"),
            0,
        );
        self.same(
            server,
            "served streams that broke",
            served.get("served_broken"),
            0,
        );
        for what in ["whole", "whole_bytes"] {
            let [one, other] = [("opened", opened), ("served", served)]
                .map(|(role, report)| report.get(&format!("{role}_{what}")));
            self.same(
                opener,
                &format!("{what} of opened and served streams"),
                one,
                other,
            );
        }
        if !effect.strangers && !effect.breaks_opening {
            let all = opened.get("streams_opened") + opened.get("guest_streams_opened");
            self.same(
                server,
                "streams opened and accepted",
                all,
                served.get("streams_accepted"),
            );
            self.same(
                server,
                "streams of strangers",
                served.get("streams_foreign"),
                0,
            );
        }
    }

    /// The library's own figures, against what went through the host's hands.
    fn statistics(&mut self, side: usize) {
        if self.effect.forgets[side] {
            return;
        }
        let report = &self.reports[side];
        let lost = report.library("messages_dropped");
        let received = report.get("messages_received") + report.get("messages_foreign") + lost;
        for (library, counted) in [
            ("messages_sent", report.get("messages_sent")),
            ("bytes_sent", report.get("message_bytes_sent")),
            ("messages_received", received),
            ("connections_initiated", report.get("streams_opened")),
            ("connections_accepted", report.get("streams_accepted")),
            ("callback_failures", 0),
            ("streams_open", 0),
        ] {
            self.same(side, library, report.library(library), counted);
        }
        if lost == 0 {
            let bytes = report.get("message_bytes_received");
            self.same(
                side,
                "bytes_received",
                report.library("bytes_received"),
                bytes,
            );
        }
        for (library, counted) in [
            ("stream_bytes_sent", "stream_bytes_written"),
            ("stream_bytes_received", "stream_bytes_read"),
        ] {
            self.same(side, library, report.library(library), report.get(counted));
        }
        if !self.effect.refuses {
            self.same(side, "rejected", report.library("rejected"), 0);
        }
    }

    /// Calls fail only as the faults make them fail, and the library counts those that do.
    fn failures(&mut self, side: usize) {
        let report = &self.reports[side];
        // Pings are dropped where messages are.
        let full = self
            .reports
            .iter()
            .any(|report| report.library("kernel_drops") > 0);
        for trouble in report.troubles() {
            let lost_ping = full
                && trouble.status == status::TIMEOUT
                && ["trip", "series", "guest"].contains(&trouble.place.as_str());
            let allowed = lost_ping || self.effect.allowed[side].contains(&trouble.status);
            self.demand(allowed, || {
                format!(
                    "{}: {} × {} from {}",
                    NAMES[side],
                    trouble.count,
                    status::name(trouble.status),
                    trouble.place
                )
            });
        }
        if self.effect.forgets[side] {
            return;
        }
        let (counted, failed) = (report.library("errors"), report.get("failures"));
        if *self.effect == Effect::default() {
            self.same(side, "errors", counted, failed);
        } else {
            // It has some of its own, too.
            self.demand(counted >= failed, || {
                format!(
                    "{}: errors: {counted}, and {failed} calls failed",
                    NAMES[side]
                )
            });
        }
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
