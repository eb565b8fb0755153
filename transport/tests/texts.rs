//! Error texts: the bytes done and requested, the time, and the port.

use std::fs::File;
use std::io::IoSlice;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use testkit::GENEROUS;
use thunderbolt_transport::{
    DataStream, ThunderboltTransport, ThunderboltTransportBuilder, TransportError,
};

const SHORT: Option<Duration> = Some(Duration::from_millis(20));

fn transport() -> Arc<ThunderboltTransport> {
    let builder = ThunderboltTransportBuilder::new().interface("lo");
    let builder = builder.control_port(0).data_port(0);
    builder.build().expect("a transport on lo")
}

/// A stream, its other end, and the name of that end in texts.
fn streams(a: &ThunderboltTransport) -> (DataStream, DataStream, String) {
    let to = format!("[::1%lo]:{}", a.data_port());
    let near = a.open_data_stream(&to).expect("a stream");
    (near, a.accept(Some(GENEROUS)).expect("its other end"), to)
}

fn says(error: TransportError, expected: &str) {
    assert!(matches!(error, TransportError::Timeout), "{error:?}");
    assert_eq!(error.last_error_text(), expected);
}

#[test]
fn a_partial_read_reports_its_count() {
    let a = transport();
    let (near, far, to) = streams(&a);
    let late = near.read_timeout(&mut [0; 9], SHORT).unwrap_err();
    says(late, &format!("no data came from {to} within 20 ms"));
    far.write_timeout(b"abc", Some(GENEROUS)).outcome.unwrap();
    let part = near.read_exact_timeout(&mut [0; 9], Some(Duration::from_millis(500)));
    assert_eq!(part.count, 3);
    let expected = format!("read 3 of 9 bytes from {to} within 500 ms");
    says(part.outcome.unwrap_err(), &expected);
    far.write_timeout(b"abcd", Some(GENEROUS)).outcome.unwrap();
    let file = File::options().write(true).open("/dev/null").unwrap();
    let part = near.receive_file(file.as_fd(), 0, 9, Some(Duration::from_millis(500)));
    assert_eq!(part.count, 4);
    let expected = format!("received 4 of 9 bytes into the file from {to} within 500 ms");
    says(part.outcome.unwrap_err(), &expected);
}

#[test]
fn a_partial_write_reports_its_count() {
    let a = transport();
    let (near, _far, to) = streams(&a);
    let data = vec![0; 64 << 20];
    let all = data.len();
    let part = near.write_timeout(&data, SHORT);
    let count = part.count;
    assert!(count > 0);
    let expected = format!("wrote {count} of {all} bytes to {to} within 20 ms");
    says(part.outcome.unwrap_err(), &expected);
    let mut pieces = [IoSlice::new(&data), IoSlice::new(&data)];
    let part = near.write_vectored_timeout(&mut pieces, SHORT);
    let (count, all) = (part.count, 2 * all);
    let expected = format!("wrote {count} of {all} bytes to {to} within 20 ms");
    says(part.outcome.unwrap_err(), &expected);
    let file = File::open("/proc/self/exe").unwrap();
    let all = file.metadata().unwrap().len();
    let part = near.send_file(file.as_fd(), 0, all, SHORT);
    let count = part.count;
    let expected = format!("sent {count} of {all} bytes of the file to {to} within 20 ms");
    says(part.outcome.unwrap_err(), &expected);
}

#[test]
fn a_wait_for_the_file_is_not_blamed_on_the_peer() {
    let a = transport();
    let (near, _far, to) = streams(&a);
    let (pipe, _end) = std::io::pipe().unwrap();
    let part = near.send_file(pipe.as_fd(), 0, 5, SHORT);
    let expected = format!(
        "sent 0 of 5 bytes of the file to {to} within 20 ms: the file was waited for, not the peer"
    );
    says(part.outcome.unwrap_err(), &expected);
}

#[test]
fn waits_for_messages_streams_and_answers_name_the_port() {
    let a = transport();
    let late = a.recv(&mut [0; 9], SHORT).unwrap_err();
    let port = a.control_port();
    let expected = format!("no message came to control port {port} within 20 ms");
    says(late, &expected);
    let late = a.accept(SHORT).unwrap_err();
    let port = a.data_port();
    let expected = format!("no stream was opened to data port {port} within 20 ms");
    says(late, &expected);
    let mute = std::net::UdpSocket::bind("[::1]:0").unwrap();
    let peer = format!("[::1%lo]:{}", mute.local_addr().unwrap().port());
    let late = a.round_trip(&peer, SHORT).unwrap_err();
    let expected = format!("no answer from {peer} to a ping within 20 ms");
    says(late, &expected);
}

#[test]
fn the_error_names_a_buffer_that_is_too_small() {
    let a = transport();
    let to = format!("[::1%lo]:{}", a.control_port());
    a.send_message(b"hello", &to).unwrap();
    let small = a.recv(&mut [0; 3], Some(GENEROUS)).unwrap_err();
    let expected = "buf is too small: it has 3 bytes, and 5 are needed";
    assert_eq!(small.to_string(), expected);
}

#[test]
fn a_port_without_brackets_gets_a_suggestion() {
    let a = transport();
    let error = a.send_message(b"", "::1%lo:5000").unwrap_err().to_string();
    assert!(error.contains("did you mean \"[::1%lo]:5000\"?"), "{error}");
    assert!(error.contains("\"::1%lo:5000\""), "{error}");
    let named = ThunderboltTransportBuilder::new().interface("::1%lo:5000");
    let error = named.build().unwrap_err().to_string();
    assert!(error.contains("did you mean \"lo\"?"), "{error}");
}
