//! Connections that break while several calls use them.

mod common;

use std::io::Write;
use std::net::{Ipv6Addr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use testkit::GENEROUS;
use thunderbolt_transport::{ThunderboltTransport, TransportError};

use common::loopback;

const PATIENCE: Option<Duration> = Some(GENEROUS);

fn transport() -> Arc<ThunderboltTransport> {
    loopback().build().expect("a transport on lo")
}

/// A peer that is a plain socket.
fn connect(to: &ThunderboltTransport) -> TcpStream {
    TcpStream::connect((Ipv6Addr::LOCALHOST, to.data_port())).expect("it listens")
}

fn is_reset(error: &TransportError) -> bool {
    matches!(error, TransportError::ConnectionFailed(_)) && error.errno() == Some(libc::ECONNRESET)
}

/// The kernel reports the reason of a broken connection to one call. Other calls get 0, which would look
/// like the end of the stream, and half a file like a whole one.
#[test]
fn a_broken_stream_never_looks_like_one_that_ended() {
    let transport = transport();
    for round in 0..200 {
        let mut peer = connect(&transport);
        peer.write_all(b"half a file").unwrap();
        let stream = transport.accept(PATIENCE).unwrap();
        let (reader, writer) = (stream.clone(), stream.clone());
        let reading = thread::spawn(move || {
            let mut received = 0;
            loop {
                match reader.read_timeout(&mut [0; 64], PATIENCE) {
                    Ok(0) => panic!("round {round}: an end after {received} bytes"),
                    Ok(count) => received += count,
                    Err(error) => return (received, error),
                }
            }
        });
        // Writes until the connection breaks.
        let writing = thread::spawn(move || writer.write_timeout(&vec![0; 64 << 20], PATIENCE));
        // The peer does not read these bytes, so closing it resets the connection.
        while peer.peek(&mut [0]).unwrap() == 0 {}
        drop(peer);
        let (received, error) = reading.join().unwrap();
        assert_eq!(received, b"half a file".len());
        assert!(is_reset(&error), "round {round}: reading: {error}");
        let written = writing.join().unwrap().outcome.unwrap_err();
        assert!(
            matches!(written, TransportError::ConnectionFailed(_)),
            "round {round}: writing: {written}"
        );
        // Later calls get the same error.
        let again = stream.read_timeout(&mut [0; 64], PATIENCE).unwrap_err();
        assert!(is_reset(&again), "round {round}: reading again: {again}");
        let again = stream.write_timeout(b"x", PATIENCE).outcome.unwrap_err();
        assert!(is_reset(&again), "round {round}: writing again: {again}");
    }
}
