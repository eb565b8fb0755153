//! A peer that goes silent: no packet arrives and there is no ICMP error, while the carrier stays.

use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use testkit::{wait_until, LossyCable, Temporary, GENEROUS};
use thunderbolt_transport::{DataStream, Progress, Result, TransportError};

use crate::{bytes, in_words, is_broken, Link, PATIENCE};

const DEAD_AFTER: Duration = Duration::from_secs(2);
/// More bytes than the buffers of a stream hold.
const MUCH: usize = 64 << 20;

fn link() -> Link {
    Link::with(|builder| builder.stream_dead_after(DEAD_AFTER))
}

/// Sends a byte in each direction, so that both ends have just received data.
fn greet([here, there]: &[DataStream; 2]) {
    for (from, to) in [(here, there), (there, here)] {
        from.write_timeout(b"x", PATIENCE)
            .outcome
            .expect("connected");
        assert_eq!(to.read_timeout(&mut [0], PATIENCE).expect("connected"), 1);
    }
}

/// Checks that everything works after the silence.
fn assert_works(link: &Link) {
    let [here, there] = link.stream();
    greet(&[here, there]);
    let time = link.on_a(|a, peer| a.round_trip(peer, PATIENCE));
    assert!(time.expect("an answer") > Duration::ZERO);
    link.on_a(|a, peer| a.send_message(b"hello", peer))
        .expect("the link is up");
    let mut buf = [0; 16];
    loop {
        let (size, from) = link.b.recv(&mut buf, PATIENCE).expect("a message");
        assert_eq!(from, link.cable.a().address());
        match &buf[..size] {
            b"hello" => break,
            // Sent during the silence, and still queued on host a when it ended.
            other => assert_eq!(other, b"lost"),
        }
    }
    wait_until("each host discovers the other", GENEROUS, || {
        let found = link.on_a(|a, _| a.discover(Some(Duration::from_millis(200))));
        found.expect("the link is up").len() == 1
    });
}

/// The name of a call, its result, and the time of its end.
type Ending = (&'static str, Result<()>, Instant);

fn reading(stream: &DataStream) -> Ending {
    let mut buf = vec![0; 1 << 20];
    loop {
        match stream.read_timeout(&mut buf, PATIENCE) {
            Ok(count) => assert_ne!(count, 0, "an unexpected end of stream"),
            Err(error) => return ("reading", Err(error), Instant::now()),
        }
    }
}

fn writing(stream: &DataStream) -> Ending {
    let Progress { count, outcome } = stream.write_timeout(&vec![0; MUCH], PATIENCE);
    assert!(count < MUCH as u64);
    ("writing", outcome, Instant::now())
}

fn sending(stream: &DataStream) -> Ending {
    let file = Temporary::new(&vec![0; MUCH]);
    let Progress { count, outcome } = stream.send_file(file.1.as_fd(), 0, MUCH as u64, PATIENCE);
    assert!(count < MUCH as u64);
    ("sending a file", outcome, Instant::now())
}

fn receiving(stream: &DataStream) -> Ending {
    let file = Temporary::new(b"");
    let received = stream.receive_file(file.1.as_fd(), 0, MUCH as u64, PATIENCE);
    ("receiving a file", received.outcome, Instant::now())
}

/// Cuts the link under calls of every kind, on both ends, alone and two at once on a stream. Each must
/// fail in time. So must later calls, on those streams and on one without waiting calls.
fn assert_all_fail(link: &Link, cut: impl FnOnce(&LossyCable)) {
    type Call = fn(&DataStream) -> Ending;
    let calls: [&[Call]; 6] = [
        &[reading],
        &[writing],
        &[sending],
        &[receiving],
        &[reading, writing],
        &[receiving, sending],
    ];
    let idle = link.stream();
    let streams = calls.map(|_| link.stream());
    let heard = Instant::now();
    greet(&idle);
    streams.iter().for_each(greet);
    cut(&link.cable);
    let endings: Vec<Ending> = thread::scope(|scope| {
        let mut running = Vec::new();
        for (stream, calls) in streams.iter().zip(calls) {
            for (end, call) in stream
                .iter()
                .flat_map(|end| calls.iter().map(move |call| (end, call)))
            {
                running.push(scope.spawn(move || call(end)));
            }
        }
        running
            .into_iter()
            .map(|one| one.join().expect("no panic"))
            .collect()
    });
    for (call, outcome, at) in endings {
        let error = outcome.expect_err(call);
        assert!(is_broken(&error), "{call}: {error}");
        // The kernel's timers have a resolution of a tick.
        assert!(
            at - heard >= DEAD_AFTER.mul_f64(0.9),
            "{call}: {:?}",
            at - heard
        );
    }
    for end in idle.iter().chain(streams.iter().flatten()) {
        let read = reading(end).1.expect_err("reading later");
        assert!(is_broken(&read), "{read}");
        let written = end
            .write_timeout(b"x", PATIENCE)
            .outcome
            .expect_err("writing later");
        assert!(is_broken(&written), "{written}");
    }
}

#[test]
fn every_call_on_a_stream_of_a_silent_peer_fails() {
    let link = link();
    assert_all_fail(&link, LossyCable::cut);
    link.cable.mend();
    assert_works(&link);
}

#[test]
fn silence_in_one_direction_counts_as_silence() {
    let link = link();
    assert_all_fail(&link, |cable| cable.a_to_b().cut());
    let timeout = Some(Duration::from_millis(100));
    let back = link
        .cable
        .b()
        .run(|| link.b.round_trip(link.cable.a().address(), timeout));
    assert!(matches!(back, Err(TransportError::Timeout)), "{back:?}");
    link.cable.mend();
    assert_works(&link);
}

#[test]
fn calls_to_a_silent_peer_use_their_timeouts() {
    const TIMEOUT: Duration = Duration::from_millis(300);
    let link = link();
    link.cable.cut();
    let started = Instant::now();
    let opened = link
        .on_a(|a, peer| in_words(a.open_data_stream_timeout(peer, Some(TIMEOUT))))
        .expect_err("the peer is silent");
    let pinged = link
        .on_a(|a, peer| in_words(a.round_trip(peer, Some(TIMEOUT))))
        .expect_err("the peer is silent");
    for error in [opened, pinged] {
        let (error, text) = error;
        assert!(matches!(error, TransportError::Timeout), "{error}");
        assert!(text.ends_with(" within 300 ms"), "{text}");
    }
    assert!(started.elapsed() >= 2 * TIMEOUT);
    let found = link.on_a(|a, _| a.discover(Some(TIMEOUT)));
    assert_eq!(found.expect("the link is up"), []);
    // A lost datagram is no error, and the link counts as up.
    link.on_a(|a, peer| a.send_message(b"lost", peer))
        .expect("the link is up");
    let stats = link.a.get_stats();
    assert!(stats.link_up);
    assert_eq!((stats.streams_open, stats.errors), (0, 0));
    link.cable.mend();
    assert_works(&link);
}

/// After a while the kernel repeats neighbour discovery for the peer's address, without an answer. Some
/// kernels then report an error to streams, but none that we saw does so for link-local addresses.
#[test]
fn a_neighbour_that_is_gone_is_a_silent_peer() {
    let cable = LossyCable::new();
    for (setting, value) in [("retrans_time_ms", "100"), ("mcast_solicit", "1")] {
        // Otherwise it asks for three seconds.
        let setting = format!("/proc/sys/net/ipv6/neigh/thunderbolt0/{setting}");
        let written = cable.a().run(|| std::fs::write(setting, value));
        written.expect("a setting");
    }
    let link = Link::over(cable, |builder| builder.stream_dead_after(DEAD_AFTER));
    let stream = link.stream();
    greet(&stream);
    link.cable.cut();
    let host = link.cable.a();
    host.ip(&["neigh", "flush", "dev", "thunderbolt0"]);
    for (call, outcome, _) in [writing(&stream[0]), reading(&stream[0])] {
        let error = outcome.expect_err(call);
        assert!(is_broken(&error), "{call}: {error}");
    }
    let shown = host.ip(&["neigh", "show", "dev", "thunderbolt0"]);
    assert!(shown.contains("FAILED"), "{shown}");
    let opened = link.open(Some(Duration::from_secs(1)));
    let error = opened.expect_err("the peer is silent");
    assert!(
        matches!(error, TransportError::Timeout) || is_unreachable(&error),
        "{error}"
    );
    // The kernel takes three seconds to report it for a ping, and does not report it for messages.
    let timeout = Some(Duration::from_millis(300));
    for _ in 0..3 {
        let pinged = link.on_a(|a, peer| a.round_trip(peer, timeout));
        let error = pinged.expect_err("the peer is silent");
        assert!(
            matches!(error, TransportError::Timeout) || is_unreachable(&error),
            "{error}"
        );
        link.on_a(|a, peer| a.send_message(b"lost", peer))
            .expect("the link is up");
    }
    link.cable.mend();
    assert_works(&link);
}

fn is_unreachable(error: &TransportError) -> bool {
    matches!(error, TransportError::ConnectionFailed(_))
        && error.kind() == ErrorKind::HostUnreachable
}

#[test]
fn streams_survive_a_shorter_pause() {
    let link = Link::with(|builder| builder.stream_dead_after(2 * GENEROUS));
    let [here, there] = link.stream();
    let content = bytes(5, 1_000_000);
    let before = link.cable.a_to_b().record().tcp;
    link.cable.cut();
    thread::scope(|scope| {
        scope.spawn(|| {
            here.write_timeout(&content, PATIENCE)
                .outcome
                .expect("in the end");
            here.finish().expect("it is open");
        });
        // The kernel begins with few packets, and then retransmits the first of them.
        wait_until("the kernel retransmits", GENEROUS, || {
            link.cable.a_to_b().record().tcp.cut - before.cut > 5
        });
        let waited = there.read_timeout(&mut [0], Some(Duration::from_millis(10)));
        assert!(matches!(waited, Err(TransportError::Timeout)), "{waited:?}");
        link.cable.mend();
        let mut received: Vec<u8> = Vec::new();
        let mut buf = vec![0; 100_000];
        while received.len() < content.len() {
            let count = there.read_timeout(&mut buf, PATIENCE).expect("it lives");
            received.extend(&buf[..count]);
        }
        assert!(received == content);
    });
}
