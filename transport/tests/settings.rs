//! Settings and timeouts at the ends of their ranges.

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use testkit::GENEROUS;
use thunderbolt_transport::{LogLevel, PingOptions, ThunderboltTransport, TransportError};

use common::loopback;

fn works(transport: &Arc<ThunderboltTransport>) {
    works_within(transport, GENEROUS);
}

/// Checks a message, a round trip and a stream to itself.
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
    // The accepting thread, which watched the first stream, still accepts.
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

/// Without an interface the transport already reports ports that the kernel chose, so it must hold them.
#[test]
fn ports_are_reserved_while_the_interface_is_absent() {
    // The kernel chooses them.
    let transport = loopback()
        .control_port(0)
        .data_port(0)
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

/// Each setting begins with the builder's value, and takes new values up to the ends of its range.
macro_rules! changes {
    ($transport:ident, $($set:ident $get:ident: $first:expr, $($then:expr),+;)*) => {$(
        assert_eq!($transport.$get(), $first, stringify!($get));
        for value in [$($then),+] {
            $transport.$set(value);
            assert_eq!($transport.$get(), value, stringify!($get));
        }
    )*};
}

#[test]
fn settings_that_change_have_the_ranges_of_the_builder() {
    let micros = Duration::from_micros;
    let transport = loopback()
        .log_level(LogLevel::Error)
        .receive_queue(12)
        .connect_timeout(Duration::MAX)
        .build()
        .unwrap();
    let longest = Duration::from_nanos(u64::MAX);
    changes! { transport,
        set_log_level log_level: LogLevel::Error, LogLevel::Debug, LogLevel::Info, LogLevel::Warn, LogLevel::Error;
        set_busy_poll busy_poll: micros(50), Duration::ZERO, longest, micros(7);
        set_receive_queue receive_queue: 12, 0, usize::MAX, 100;
        set_receive_queue_bytes receive_queue_bytes: 64 << 20, 0, usize::MAX;
        set_max_streams max_streams: 1024, 0, u32::MAX;
        set_max_silent_streams max_silent_streams: 1000, 0, u32::MAX, 0;
        set_silent_after silent_after: Duration::from_secs(10), Duration::ZERO, Duration::MAX;
        set_connect_timeout connect_timeout: longest, Duration::ZERO, GENEROUS;
        set_stream_dead_after stream_dead_after: Duration::from_secs(10), Duration::ZERO, GENEROUS;
        set_allow_any_source allow_any_source: false, true, false;
    }
    works(&transport);
}

#[test]
fn a_limit_below_what_is_in_use_refuses_newcomers_and_ends_nothing() {
    let transport = loopback().build().unwrap();
    let mut near = transport.open_data_stream("::1").unwrap();
    let mut far = transport.accept(Some(GENEROUS)).unwrap();
    transport.set_max_streams(1);
    let refused = transport.open_data_stream("::1");
    assert!(matches!(
        refused,
        Err(TransportError::TooManyStreams { max: 1 })
    ));
    near.write_all(b"x").unwrap();
    far.read_exact(&mut [0]).unwrap();
    drop((near, far));
    transport.set_max_streams(2);
    works(&transport);
}
