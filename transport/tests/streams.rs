//! Data streams on the loopback interface: functions that the C ABI does not have.

mod common;

use std::io::{IoSlice, Read};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use testkit::GENEROUS;
use thunderbolt_transport::{
    DataStream, ThunderboltTransport, ThunderboltTransportBuilder, TransportError,
};

use common::loopback;

const PATIENCE: Option<Duration> = Some(GENEROUS);

fn start(builder: ThunderboltTransportBuilder) -> Arc<ThunderboltTransport> {
    builder.build().expect("a transport on lo")
}

/// Both ends of a stream from `a` to `b`.
fn connect(a: &ThunderboltTransport, b: &ThunderboltTransport) -> [DataStream; 2] {
    let near = a.open_data_stream(&format!("[::1%lo]:{}", b.data_port()));
    [near.unwrap(), b.accept(PATIENCE).unwrap()]
}

#[test]
fn pieces_are_written_in_order() {
    let (a, b) = (start(loopback()), start(loopback()));
    let [near, mut far] = connect(&a, &b);
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        far.read_to_end(&mut all).map(|_| all)
    });
    let large = vec![7; 9 << 20];
    // More pieces than one system call takes, and pieces larger than the buffers.
    let small: Vec<[u8; 3]> = (0..2000u16).map(|n| [n as u8, (n >> 8) as u8, 0]).collect();
    let mut pieces: Vec<_> = small.iter().map(|piece| IoSlice::new(piece)).collect();
    pieces.extend([&[][..], &large, &[], b"end", &[]].map(IoSlice::new));
    let expected: Vec<u8> = pieces.iter().flat_map(|piece| piece.to_vec()).collect();
    let written = near.write_vectored_timeout(&mut pieces, PATIENCE);
    written.outcome.unwrap();
    assert_eq!(written.count, expected.len() as u64);
    assert_eq!(near.write_vectored_timeout(&mut [], PATIENCE).count, 0);
    near.finish().unwrap();
    assert!(reader.join().unwrap().unwrap() == expected);
}

#[test]
fn an_exact_read_counts_what_came_before_the_end_or_the_timeout() {
    let (a, b) = (start(loopback()), start(loopback()));
    let [near, far] = connect(&a, &b);
    let mut buf = [0; 10];
    let writer = {
        let near = near.clone();
        std::thread::spawn(move || {
            for byte in 0..10 {
                near.write_timeout(&[byte], PATIENCE).outcome.unwrap();
            }
        })
    };
    let all = far.read_exact_timeout(&mut buf, PATIENCE);
    all.outcome.unwrap();
    assert_eq!((all.count, buf), (10, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]));
    writer.join().unwrap();

    near.write_timeout(b"ten", None).outcome.unwrap();
    let part = far.read_exact_timeout(&mut buf, Some(Duration::from_millis(100)));
    assert!(matches!(part.outcome, Err(TransportError::Timeout)));
    assert_eq!((part.count, &buf[..3]), (3, &b"ten"[..]));
    let none = far.read_exact_timeout(&mut buf, Some(Duration::ZERO));
    assert!(matches!(none.outcome, Err(TransportError::WouldBlock)));
    assert_eq!(none.count, 0);

    near.write_timeout(b"end", None).outcome.unwrap();
    near.finish().unwrap();
    let ended = far.read_exact_timeout(&mut buf, PATIENCE);
    ended.outcome.unwrap();
    assert_eq!((ended.count, &buf[..3]), (3, &b"end"[..]));
    assert_eq!(far.read_exact_timeout(&mut buf, None).count, 0);
    near.close();
    far.close();
    let closed = far.read_exact_timeout(&mut buf, None);
    assert!(matches!(closed.outcome, Err(TransportError::Cancelled)));
}

#[test]
fn pieces_that_do_not_fit_are_counted() {
    let (a, b) = (start(loopback()), start(loopback()));
    let [near, _far] = connect(&a, &b);
    let large = vec![7; 64 << 20];
    let mut pieces = [IoSlice::new(b"head"), IoSlice::new(&large)];
    let written = near.write_vectored_timeout(&mut pieces, Some(Duration::ZERO));
    assert!(matches!(written.outcome, Err(TransportError::WouldBlock)));
    assert!(written.count > 4 && written.count < large.len() as u64);
}

#[test]
fn a_rejected_stream_is_reset_counted_and_logged_once() {
    let records = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&records);
    let b = start(loopback().logger(move |level, text| {
        log.lock().unwrap().push(format!("{level} {text}"));
    }));
    let a = start(loopback());
    let [mut near, far] = connect(&a, &b);
    let waiting = far.clone();
    let reader = std::thread::spawn(move || waiting.read_timeout(&mut [0], PATIENCE));
    far.reject(format_args!("it says {:?}", "nonsense"));
    far.reject(format_args!("it had ended"));
    assert!(reader.join().unwrap().is_err(), "the waiting read fails");
    let reset = near.read(&mut [0]).unwrap_err();
    assert_eq!(reset.kind(), std::io::ErrorKind::ConnectionReset);
    let stats = b.get_stats();
    assert_eq!((stats.rejected_malformed, stats.rejected), (1, 1));
    assert_eq!(stats.streams_open, 0);
    let records = records.lock().unwrap();
    let expected = "warn reset the stream from ::1%lo: it says \"nonsense\"";
    assert!(
        records.iter().any(|record| record == expected),
        "{records:?}"
    );
}

#[test]
fn a_stream_has_counters_and_figures_of_its_connection() {
    let (a, b) = (start(loopback()), start(loopback()));
    let [near, far] = connect(&a, &b);
    let fresh = near.stats();
    assert!(fresh.connected && !fresh.rtt.is_zero() && fresh.mss > 0);
    assert_eq!((fresh.bytes_sent, fresh.writes), (0, 0));
    let mut pieces = [&b"one"[..], b"two"].map(IoSlice::new);
    near.write_vectored_timeout(&mut pieces, PATIENCE)
        .outcome
        .unwrap();
    let mut buf = [0; 6];
    far.read_exact_timeout(&mut buf, PATIENCE).outcome.unwrap();
    far.write_timeout(b"back", PATIENCE).outcome.unwrap();
    near.read_exact_timeout(&mut buf[..4], PATIENCE)
        .outcome
        .unwrap();

    // A clone is the same stream.
    let stats = near.clone().stats();
    assert_eq!((stats.bytes_sent, stats.writes), (6, 1));
    assert_eq!((stats.bytes_received, stats.reads), (4, 1));
    assert!(stats.age > fresh.age && stats.idle == stats.since_sent.min(stats.since_received));
    a.reset_stats();
    assert_eq!((far.stats().bytes_received, far.stats().bytes_sent), (6, 4));

    // A closed stream keeps its counters, and so does one that this side has reset.
    near.close();
    assert_eq!(
        (near.stats().bytes_sent, near.stats().bytes_received),
        (6, 4)
    );
    far.reset();
    assert_eq!(
        (far.stats().connected, far.stats().bytes_received),
        (false, 6)
    );
}

#[test]
fn a_stream_has_a_number_of_its_own() {
    let a = start(loopback());
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let [near, far] = connect(&a, &a);
        assert_eq!(near.id(), near.clone().id());
        assert!(ids.insert(near.id()) && ids.insert(far.id()), "{ids:?}");
        let id = near.id();
        near.close();
        assert_eq!(near.id(), id);
    }
}

/// The transport visits its streams a few at a time.
#[test]
fn closing_ends_all_streams_however_many_there_are() {
    for count in [1, 63, 64, 65, 129, 1000] {
        let (a, b) = (start(loopback()), start(loopback()));
        let streams: Vec<_> = (0..count).map(|_| connect(&a, &b)).collect();
        b.close();
        for (number, [near, far]) in streams.iter().enumerate() {
            let read = |stream: &DataStream| stream.read_timeout(&mut [0], PATIENCE);
            let ended = read(far);
            let what = format!("stream {number} of {count}: {ended:?}");
            assert!(matches!(ended, Err(TransportError::Shutdown)), "{what}");
            match read(near) {
                Ok(0) | Err(TransportError::ConnectionFailed(_)) => {}
                other => panic!("the other end of stream {number} of {count}: {other:?}"),
            }
        }
        assert_eq!(b.get_stats().streams_open, 0);
    }
}
