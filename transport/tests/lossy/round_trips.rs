//! Round trips, series and discovery.

use std::time::{Duration, Instant};

use testkit::{wait_until, Faults, GENEROUS};
use thunderbolt_transport::{PingOptions, RttSummary, TransportError};

use crate::{at_every_loss, in_words, Link};

/// A series of `count` pings, a few milliseconds apart. The timeout matters for lost pings only: an
/// answer comes within a millisecond.
fn series(link: &Link, count: u32) -> RttSummary {
    let options = PingOptions {
        count,
        interval: Duration::from_millis(2),
        timeout: Some(Duration::from_secs(3)),
    };
    link.on_a(|a, peer| a.ping(peer, &options))
        .expect("lost pings are no error")
}

#[test]
fn a_series_counts_what_the_link_lets_through() {
    at_every_loss(|loss, link| {
        link.cable.set_faults(Faults::dropping(loss, 26));
        let summary = series(&link, 200);
        let there = link.cable.a_to_b().record().udp;
        let back = link.cable.b_to_a().record().udp;
        assert_eq!((summary.sent, there.sent), (200, 200));
        assert_eq!(link.b.get_stats().pings_answered, there.delivered);
        assert_eq!(back.sent, there.delivered);
        assert_eq!(u64::from(summary.received), back.delivered);
        assert_eq!(link.a.get_stats().pongs_received, back.delivered);
        assert_eq!(there.dropped > 0, loss > 0.0, "{there:?}");
        assert!(summary.received > 0);
        assert!(Duration::ZERO < summary.min && summary.min <= summary.p50);
        assert!(summary.p50 <= summary.p99 && summary.p99 <= summary.max);
    });
}

#[test]
fn a_pong_that_comes_twice_counts_once() {
    let link = Link::new();
    link.cable.set_faults(Faults {
        duplicate: 1.0,
        ..Faults::default()
    });
    let summary = series(&link, 100);
    assert_eq!((summary.sent, summary.received), (100, 100));
    wait_until("b answers all pings", GENEROUS, || {
        link.b.get_stats().pings_answered == 200
    });
    assert_eq!(link.a.get_stats().pongs_received, 100);
}

#[test]
fn late_corrupted_and_reordered_pongs_are_distinguished() {
    let link = Link::new();
    link.cable.set_faults(Faults {
        corrupt: 0.2,
        reorder: 0.2,
        delay: 0.2,
        seed: 22,
        ..Faults::default()
    });
    let summary = series(&link, 200);
    let there = link.cable.a_to_b().record().udp;
    let back = link.cable.b_to_a().record().udp;
    assert!(there.corrupted > 0 && there.reordered > 0 && there.delayed > 0);
    assert_eq!((summary.sent, there.sent), (200, 200));
    assert_eq!(back.sent, there.delivered);
    assert_eq!(u64::from(summary.received), back.delivered);
}

#[test]
fn a_single_round_trip_is_an_answer_or_a_timeout() {
    const TIMEOUT: Duration = Duration::from_millis(50);
    at_every_loss(|loss, link| {
        link.cable.set_faults(Faults {
            drop: loss,
            corrupt: loss / 2.0,
            duplicate: loss,
            reorder: loss,
            delay: loss,
            seed: 23,
        });
        let mut answers = 0;
        for _ in 0..30 {
            let start = Instant::now();
            match link.on_a(|a, peer| in_words(a.round_trip(peer, Some(TIMEOUT)))) {
                Ok(time) => {
                    assert!(Duration::ZERO < time && time <= start.elapsed());
                    answers += 1;
                }
                Err((TransportError::Timeout, text)) => {
                    assert!(text.ends_with(" within 50 ms"), "{text}");
                    assert!(start.elapsed() >= TIMEOUT);
                }
                Err((other, _)) => panic!("{other}"),
            }
        }
        let there = link.cable.a_to_b().record().udp;
        assert_eq!(there.sent, 30);
        assert!(answers <= link.cable.b_to_a().record().udp.delivered);
        assert_eq!(link.a.get_stats().errors, 0, "a timeout is no error");
        // At any loss, an answer arrives in the end.
        wait_until("a round trip succeeds", GENEROUS, || {
            let timeout = Some(Duration::from_secs(1));
            link.on_a(|a, peer| a.round_trip(peer, timeout)).is_ok()
        });
    });
}

/// Discovers peers while the link has these faults. Returns how many of b's answers came back, and
/// whether b was found.
fn discover(link: &Link, faults: Faults) -> (u64, bool) {
    link.cable.set_faults(faults);
    let before = link.cable.b_to_a().record().udp.delivered;
    let wait = Some(Duration::from_secs(1));
    let found = link.on_a(|a, _| a.discover(wait)).expect("no error");
    let addresses: Vec<&str> = found.iter().map(|peer| peer.address.as_str()).collect();
    let is_found = addresses == [link.cable.b().address()];
    assert!(is_found || addresses.is_empty(), "{addresses:?}");
    assert!(found.iter().all(|peer| peer.rtt > Duration::ZERO));
    (
        link.cable.b_to_a().record().udp.delivered - before,
        is_found,
    )
}

/// With this seed and a loss of one half, the first ping is lost and the second one is answered.
const FOUND: u64 = 8;
/// With this seed three of five pings get through, but none of the answers. That happens in every fourth
/// discovery at this loss.
const SILENT: u64 = 15;

#[test]
fn discovery_repeats_lost_pings() {
    at_every_loss(|loss, link| {
        let (answers, found) = discover(&link, Faults::dropping(loss, FOUND));
        assert!(found, "at {loss}");
        let pings = link.cable.a_to_b().record().udp;
        assert!((2..=5).contains(&pings.sent), "{pings:?}");
        assert!(answers > 0);
    });
}

#[test]
fn a_peer_whose_answers_are_all_lost_is_not_found() {
    let link = Link::new();
    let faults = Faults::dropping(0.5, SILENT);
    assert_eq!(discover(&link, faults), (0, false));
    let pings = link.cable.a_to_b().record().udp;
    let pongs = link.cable.b_to_a().record().udp;
    assert!(pings.delivered > 0 && pongs.dropped == pings.delivered);
    assert_eq!(link.a.get_stats().pongs_received, 0);
    // The next discovery finds it.
    assert!(discover(&link, Faults::default()).1);
}
