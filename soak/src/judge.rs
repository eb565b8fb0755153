//! The rules that must hold at the end of a round, when both hosts are at rest.

use crate::fault::Effect;
use crate::report::Report;
use crate::status;

/// The most messages in one packet (UDP_MAX_SEGMENTS; the library uses all of them). The kernel drops
/// such a packet as a whole.
const LONGEST_TRAIN: u64 = 64;
const NAMES: [&str; 2] = ["host a", "host b"];

/// Describes every violated rule.
pub fn violations(effect: &Effect, reports: &[Report; 2]) -> Vec<String> {
    let mut judge = Judge {
        effect,
        reports,
        found: Vec::new(),
    };
    for host in 0..2 {
        judge.messages(1 - host, host);
        judge.streams(1 - host, host);
        judge.statistics(host);
        judge.failures(host);
    }
    judge.found
}

/// Whether every message from `from` was received or counted as dropped. Always true where the effects
/// permit losses.
pub fn messages_add_up(effect: &Effect, from: &Report, to: &Report) -> bool {
    let Some(lost) = sent(from).checked_sub(to.get("messages_received")) else {
        return false;
    };
    // A dropped message may have been a stranger's.
    let dropped = to.library("messages_dropped");
    let least = if effect.strangers { 0 } else { dropped };
    // The kernel counts a packet of several messages as one drop, and counts dropped pings too.
    let most = dropped + to.library("kernel_drops") * LONGEST_TRAIN;
    effect.loses_messages || (least..=most).contains(&lost)
}

fn sent(report: &Report) -> u64 {
    report.get("messages_sent") + report.get("transient_messages_sent")
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

    /// Demands that two numbers are equal.
    fn same(&mut self, host: usize, what: &str, one: u64, other: u64) {
        self.demand(one == other, || {
            format!("{}: {what}: {one} and {other}", NAMES[host])
        });
    }

    fn messages(&mut self, from: usize, to: usize) {
        let (sender, receiver) = (&self.reports[from], &self.reports[to]);
        // A restarted process does not know what it sent before.
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
            let all = opened.get("streams_opened") + opened.get("transient_streams_opened");
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

    /// Compares the library's statistics with the host's own counts.
    fn statistics(&mut self, host: usize) {
        if self.effect.forgets[host] {
            return;
        }
        let report = &self.reports[host];
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
            self.same(host, library, report.library(library), counted);
        }
        if lost == 0 {
            let bytes = report.get("message_bytes_received");
            self.same(
                host,
                "bytes_received",
                report.library("bytes_received"),
                bytes,
            );
        }
        for (library, counted) in [
            ("stream_bytes_sent", "stream_bytes_written"),
            ("stream_bytes_received", "stream_bytes_read"),
        ] {
            self.same(host, library, report.library(library), report.get(counted));
        }
        if !self.effect.refuses {
            self.same(host, "rejected", report.library("rejected"), 0);
        }
    }

    /// Calls fail only with permitted statuses, and the library counts each failure.
    fn failures(&mut self, host: usize) {
        let report = &self.reports[host];
        // A full buffer drops pings as well as messages.
        let full = self
            .reports
            .iter()
            .any(|report| report.library("kernel_drops") > 0);
        for failure in report.failed_calls() {
            let lost_ping = full
                && failure.status == status::TIMEOUT
                && ["round_trip", "series", "transient"].contains(&failure.place.as_str());
            let allowed = lost_ping || self.effect.allowed[host].contains(&failure.status);
            self.demand(allowed, || {
                format!(
                    "{}: {} × {} from {}",
                    NAMES[host],
                    failure.count,
                    status::name(failure.status),
                    failure.place
                )
            });
        }
        if self.effect.forgets[host] {
            return;
        }
        let (counted, failed) = (report.library("errors"), report.get("failures"));
        if *self.effect == Effect::default() {
            self.same(host, "errors", counted, failed);
        } else {
            // The library also counts errors of its own threads.
            self.demand(counted >= failed, || {
                format!(
                    "{}: errors: {counted}, and {failed} calls failed",
                    NAMES[host]
                )
            });
        }
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
