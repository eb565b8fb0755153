//! A peer that falls silent: nothing arrives any more, and nobody says so. The carrier stays.

use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use testkit::{wait_until, LossyCable, Temporary, GENEROUS};
use thunderbolt_transport::{DataStream, Progress, Result, TransportError};

use crate::{bytes, in_words, is_broken, Link, PATIENCE};

const DEAD_AFTER: Duration = Duration::from_secs(2);
/// More than fits into the buffers of a stream.
const MUCH: usize = 64 << 20;

fn link() -> Link {
    Link::with(|builder| builder.stream_dead_after(DEAD_AFTER))
}

/// A byte in each direction: both ends have heard of each other just now.
fn greet([here, there]: &[DataStream; 2]) {
    for (from, to) in [(here, there), (there, here)] {
        from.write_timeout(b"x", PATIENCE)
            .outcome
            .expect("connected");
        assert_eq!(to.read_timeout(&mut [0], PATIENCE).expect("connected"), 1);
    }
}

/// Everything works, with transports that have been through something.
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
            // Sent during the silence, and still in a queue of host a when it was over.
            other => assert_eq!(other, b"lost"),
        }
    }
    wait_until("each finds the other", GENEROUS, || {
        let found = link.on_a(|a, _| a.discover(Some(Duration::from_millis(200))));
        found.expect("the link is up").len() == 1
    });
}

/// How a call ended, and when.
type Ending = (&'static str, Result<()>, Instant);

fn reading(stream: &DataStream) -> Ending {
    let mut buf = vec![0; 1 << 20];
    loop {
        match stream.read_timeout(&mut buf, PATIENCE) {
            Ok(count) => assert_ne!(count, 0, "nobody ended it"),
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

/// Cuts the link beneath calls of every kind, on both ends, alone and two at once on a stream; each
/// has to end with an error of its own, in time. So have later calls, on those streams and on one
/// that nobody waited on.
fn assert_all_are_told(link: &Link, cut: impl FnOnce(&LossyCable)) {
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
        // The kernel counts in ticks.
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
fn whoever_waits_on_a_stream_is_told() {
    let link = link();
    assert_all_are_told(&link, LossyCable::cut);
    link.cable.mend();
    assert_works(&link);
}

#[test]
fn silence_in_one_direction_is_silence() {
    let link = link();
    assert_all_are_told(&link, |cable| cable.a_to_b().cut());
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
fn calls_to_a_silent_peer_take_their_time() {
    const TIMEOUT: Duration = Duration::from_millis(300);
    let link = link();
    link.cable.cut();
    let started = Instant::now();
    let opened = link
        .on_a(|a, peer| in_words(a.open_data_stream_timeout(peer, Some(TIMEOUT))))
        .expect_err("nobody answers");
    let pinged = link
        .on_a(|a, peer| in_words(a.round_trip(peer, Some(TIMEOUT))))
        .expect_err("nobody answers");
    for error in [opened, pinged] {
        let (error, text) = error;
        assert!(matches!(error, TransportError::Timeout), "{error}");
        assert!(text.ends_with(" within 300 ms"), "{text}");
    }
    assert!(started.elapsed() >= 2 * TIMEOUT);
    let found = link.on_a(|a, _| a.discover(Some(TIMEOUT)));
    assert_eq!(found.expect("the link is up"), []);
    // A datagram that nobody gets is no error, and the link is up as far as anyone can tell.
    link.on_a(|a, peer| a.send_message(b"lost", peer))
        .expect("the link is up");
    let stats = link.a.get_stats();
    assert!(stats.link_up);
    assert_eq!((stats.streams_open, stats.errors), (0, 0));
    link.cable.mend();
    assert_works(&link);
}

/// After a while the kernel asks again who has the peer's address, and gets no answer. Some kernels
/// tell streams; none that was seen does where addresses are link-local.
#[test]
fn a_neighbour_that_is_gone_is_a_silent_peer() {
    let cable = LossyCable::new();
    for (setting, value) in [("retrans_time_ms", "100"), ("mcast_solicit", "1")] {
        // Else it asks for three seconds.
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
    let error = opened.expect_err("nobody is there");
    assert!(
        matches!(error, TransportError::Timeout) || is_unreachable(&error),
        "{error}"
    );
    // The kernel takes three seconds to tell it of a ping, and of messages it tells nobody.
    let timeout = Some(Duration::from_millis(300));
    for _ in 0..3 {
        let pinged = link.on_a(|a, peer| a.round_trip(peer, timeout));
        let error = pinged.expect_err("nobody is there");
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
fn a_pause_that_is_shorter_is_survived() {
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
        // The kernel begins with few packets, and then sends the first of them again and again.
        wait_until("the kernel tries again", GENEROUS, || {
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
