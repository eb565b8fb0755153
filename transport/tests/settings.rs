//! Settings and times at the ends of their ranges.

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use testkit::GENEROUS;
use thunderbolt_transport::{PingOptions, ThunderboltTransport};

use common::loopback;

fn works(transport: &Arc<ThunderboltTransport>) {
    works_within(transport, GENEROUS);
}

/// A message, a round trip and a stream to itself.
fn works_within(transport: &Arc<ThunderboltTransport>, limit: Duration) {
    transport.send_message(b"hello", "::1").unwrap();
    let mut buf = [0; 5];
    transport.recv(&mut buf, Some(limit)).unwrap();
    assert_eq!(&buf, b"hello");
    transport.round_trip("::1", Some(limit)).unwrap();
    let mut near = transport.open_data_stream("::1").unwrap();
    let mut far = transport.accept(Some(limit)).unwrap();
    near.write_all(b"hello").unwrap();
    far.read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"hello");
}

#[test]
fn the_longest_times() {
    let transport = loopback()
        .connect_timeout(Duration::MAX)
        .stream_dead_after(Duration::MAX)
        .busy_poll(Duration::from_micros(u32::MAX.into()))
        .build()
        .unwrap();
    works_within(&transport, Duration::MAX);
    // The thread that looked after the first stream's data still accepts.
    works(&transport);
}

#[test]
fn the_largest_sizes() {
    let transport = loopback()
        .buffer_size(usize::MAX)
        .receive_queue(usize::MAX)
        .max_streams(u32::MAX)
        .build();
    works(&transport.unwrap());
}

#[test]
fn a_series_of_one_ping_does_not_look_at_the_interval() {
    let transport = loopback().build().unwrap();
    let options = PingOptions {
        count: 1,
        interval: Duration::MAX,
        timeout: None,
    };
    assert_eq!(transport.ping("::1", &options).unwrap().received, 1);
}

/// Ports that are chosen while there is no interface are told, so nobody else may get them meanwhile.
#[test]
fn ports_are_reserved_while_the_interface_is_absent() {
    let transport = loopback()
        .interface("absent0")
        .wait_for_interface(true)
        .build()
        .unwrap();
    let (control, data) = (transport.control_port(), transport.data_port());
    let in_use = |error: std::io::Error| assert_eq!(error.kind(), ErrorKind::AddrInUse);
    in_use(UdpSocket::bind(("::", control)).unwrap_err());
    in_use(TcpListener::bind(("::", data)).unwrap_err());
    transport.close();
    UdpSocket::bind(("::", control)).unwrap();
    TcpListener::bind(("::", data)).unwrap();
}
