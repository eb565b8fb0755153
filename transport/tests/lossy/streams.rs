//! Data streams deliver every byte in order, or fail with a typed error.

use std::io::Read;
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use testkit::{Faults, LossyCable, Tally, Temporary, GENEROUS};
use thunderbolt_transport::{DataStream, TransportError};

use crate::{bytes, in_words, is_broken, Link, PATIENCE};

/// A timeout that streams do not reach.
const NEVER: Duration = Duration::from_secs(4 * GENEROUS.as_secs());

fn everything(loss: f64, seed: u64) -> Faults {
    Faults {
        drop: loss,
        corrupt: 0.02,
        duplicate: 0.05,
        reorder: 0.05,
        delay: 0.02,
        seed,
    }
}

/// Two hosts with the driver's default MTU, so that little data is many packets, and streams that are
/// aborted after `dead_after`.
fn link(dead_after: Duration) -> Link {
    let cable = LossyCable::new();
    cable.set_neighbours();
    for host in [cable.a(), cable.b()] {
        host.ip(&["link", "set", "thunderbolt0", "mtu", "1500"]);
    }
    Link::over(cable, |builder| builder.stream_dead_after(dead_after))
}

/// Limits the retransmission timeout to a second. The kernel doubles it after each lost retransmission,
/// up to two minutes, and at a loss of one half three of four rounds fail. Works on Linux 6.15 and newer;
/// older kernels are slower.
fn make_impatient(link: &Link) {
    for host in [link.cable.a(), link.cable.b()] {
        let _ = host.run(|| std::fs::write("/proc/sys/net/ipv4/tcp_rto_max_ms", "1000"));
    }
}

/// Sends `size` bytes in both directions at once. Returns the counts of one direction of the link.
fn exchange(link: &Link, faults: Faults, size: usize) -> Tally {
    let [here, there] = link.stream();
    link.cable.set_faults(faults);
    thread::scope(|scope| {
        for (seed, from, to) in [(1, &here, &there), (2, &there, &here)] {
            scope.spawn(move || {
                let written = from.write_timeout(&bytes(seed, size), None);
                written.outcome.expect("nothing is given up");
                assert_eq!(written.count, size as u64);
                from.finish().expect("it is open");
            });
            scope.spawn(move || {
                let (mut stream, mut received) = (to, Vec::new());
                let read = stream.read_to_end(&mut received);
                read.expect("nothing is given up");
                assert!(received == bytes(seed, size));
            });
        }
    });
    let tcp = link.cable.a_to_b().record().tcp;
    assert_eq!(tcp.dropped > 0, faults.drop > 0.0, "{tcp:?}");
    assert!(tcp.corrupted > 0 && tcp.duplicated > 0, "{tcp:?}");
    assert!(tcp.reordered > 0 && tcp.delayed > 0, "{tcp:?}");
    // Dropped and corrupted packets must have been retransmitted.
    assert!(here.stats().retransmits > 0, "{:?}", here.stats());
    tcp
}

#[test]
fn every_byte_arrives_despite_all_faults() {
    thread::scope(|scope| {
        for (loss, size) in [(0.0, 1_000_000), (0.01, 1_000_000), (0.1, 400_000)] {
            scope.spawn(move || exchange(&link(NEVER), everything(loss, 41), size));
        }
    });
}

#[test]
fn every_byte_arrives_when_every_second_packet_is_lost() {
    let link = link(NEVER);
    make_impatient(&link);
    // With this seed, at most three packets in a row are lost at first.
    let tcp = exchange(&link, everything(0.5, 14474), 15_000);
    assert!(tcp.dropped > 5, "{tcp:?}");
}

#[test]
fn a_file_arrives_as_it_was_sent() {
    let link = link(NEVER);
    link.cable.set_faults(everything(0.01, 42));
    let [here, there] = link.stream();
    let content = bytes(3, 2_000_000);
    let (source, target) = (Temporary::new(&content), Temporary::new(b""));
    let size = content.len() as u64;
    thread::scope(|scope| {
        scope.spawn(|| {
            let sent = here.send_file(source.1.as_fd(), 0, size, None);
            sent.outcome.expect("nothing is given up");
            assert_eq!(sent.count, size);
            here.finish().expect("it is open");
        });
        // More than was sent, so it ends with the stream.
        let received = there.receive_file(target.1.as_fd(), 0, 2 * size, None);
        received.outcome.expect("nothing is given up");
        assert_eq!(received.count, size);
    });
    assert!(target.content() == content);
    let tcp = link.cable.a_to_b().record().tcp;
    assert!(tcp.dropped > 0 && tcp.corrupted > 0, "{tcp:?}");
}

/// Reads up to the end or an error.
fn drain(stream: &DataStream, received: &mut Vec<u8>) -> Result<(), TransportError> {
    let mut buf = vec![0; 10_000];
    loop {
        match stream.read_timeout(&mut buf, PATIENCE)? {
            0 => return Ok(()),
            count => received.extend(&buf[..count]),
        }
    }
}

#[test]
fn an_aborted_stream_has_delivered_unaltered_bytes() {
    let link = link(Duration::from_millis(300));
    let content = bytes(4, 200_000);
    let streams: Vec<[DataStream; 2]> = (0..6).map(|_| link.stream()).collect();
    // Most streams do not survive this loss.
    link.cable.set_faults(everything(0.5, 43));
    let exchange = |[here, there]: &[DataStream; 2]| {
        let (sent, answered) = thread::scope(|scope| {
            // The other end finishes when it has read everything.
            let sending = scope.spawn(|| {
                here.write_timeout(&content, PATIENCE).outcome?;
                here.finish()?;
                drain(here, &mut Vec::new())
            });
            let mut received = Vec::new();
            let answered = drain(there, &mut received).and_then(|()| {
                assert_eq!(
                    received.len(),
                    content.len(),
                    "an end of stream before the last byte"
                );
                there.finish()
            });
            assert!(content.starts_with(&received));
            (sending.join().expect("no panic"), answered)
        });
        assert!(answered.is_ok() || sent.is_err(), "both ends must fail");
        let outcomes = [sent, answered];
        let failures = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
        failures
            .clone()
            .for_each(|error| assert!(is_broken(error), "{error}"));
        failures.count()
    };
    let failures: Vec<usize> = thread::scope(|scope| {
        let running: Vec<_> = streams
            .iter()
            .map(|pair| scope.spawn(|| exchange(pair)))
            .collect();
        running
            .into_iter()
            .map(|one| one.join().expect("no panic"))
            .collect()
    });
    assert!(failures.contains(&2), "{failures:?}");
    // The transports still work.
    link.cable.set_faults(Faults::default());
    link.stream();
}

#[test]
fn a_stream_is_opened_in_time_or_not_at_all() {
    const TIMEOUT: Duration = Duration::from_millis(200);
    let link = link(NEVER);
    // The kernel retransmits its first packet after a second.
    link.cable.set_faults(Faults::dropping(0.5, 44));
    let open = |_| link.on_a(|a, peer| in_words(a.open_data_stream_timeout(peer, Some(TIMEOUT))));
    let outcomes: Vec<_> = (0..20).map(open).collect();
    for failed in outcomes.iter().filter_map(|opened| opened.as_ref().err()) {
        let (error, text) = failed;
        assert!(matches!(error, TransportError::Timeout), "{error}");
        assert!(text.ends_with(" within 200 ms"), "{text}");
    }
    let opened = outcomes.iter().flatten().count() as u64;
    let stats = link.a.get_stats();
    assert_eq!(
        (stats.connections_initiated, stats.streams_open),
        (opened, opened)
    );
    assert!(0 < opened && opened < 20);
    // With enough time, it works.
    link.cable.set_faults(Faults::dropping(0.1, 45));
    for _ in 0..5 {
        link.open(PATIENCE).expect("the kernel retransmits");
    }
}
