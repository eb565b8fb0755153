//! Data streams on the loopback interface: what the C ABI does not have.

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
fn pieces_are_written_as_if_they_were_one() {
    let (a, b) = (start(loopback()), start(loopback()));
    let [near, mut far] = connect(&a, &b);
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        far.read_to_end(&mut all).map(|_| all)
    });
    let large = vec![7; 9 << 20];
    // More pieces than one system call takes, and larger ones than the buffers.
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
    assert!(reader.join().unwrap().is_err(), "who waits is woken");
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
