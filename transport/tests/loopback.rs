//! One transport, or two, on the loopback interface.

mod common;

use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{mpsc, Arc, Mutex};
use std::time::Duration;

use testkit::{wait_until, GENEROUS};
use thunderbolt_transport::{
    Datagram, MessageData, MessageHandler, MessageType, PingOptions, ThunderboltTransport,
    TransportError, MAX_MESSAGE_SIZE,
};

use common::loopback;

/// A time that only a hang exceeds.
const PATIENCE: Option<Duration> = Some(Duration::from_secs(20));

fn transport() -> Arc<ThunderboltTransport> {
    loopback().build().expect("a transport on lo")
}

/// The peer strings of another transport on this host.
fn control_of(peer: &ThunderboltTransport) -> String {
    format!("[::1%lo]:{}", peer.control_port())
}

fn data_of(peer: &ThunderboltTransport) -> String {
    format!("[::1%lo]:{}", peer.data_port())
}

#[test]
fn test_udp_loopback_echo() {
    let echo = transport();
    let weak = Arc::downgrade(&echo);
    echo.set_message_handler(Some(Box::new(move |data, sender| {
        if let Some(echo) = weak.upgrade() {
            echo.send_message(data, sender.as_str()).unwrap();
        }
    })))
    .unwrap();
    let client = transport();
    for size in [0, 1, 17, 1400, 8192, MAX_MESSAGE_SIZE] {
        let message = vec![size as u8; size];
        assert_eq!(
            client.send_message(&message, &control_of(&echo)).unwrap(),
            size
        );
        let mut buf = vec![0; MAX_MESSAGE_SIZE];
        let (length, sender) = client.recv(&mut buf, PATIENCE).unwrap();
        assert_eq!(&buf[..length], &message[..]);
        assert_eq!(sender, control_of(&echo));
    }
    let stats = client.get_stats();
    assert_eq!((stats.messages_sent, stats.messages_received), (6, 6));
    assert_eq!(stats.errors, 0);
}

#[test]
fn test_tcp_loopback_stream() {
    let server = loopback()
        .message_handler(|kind, data| {
            if let (MessageType::DataStream, MessageData::Stream(mut stream)) = (kind, data) {
                let mut received = Vec::new();
                stream.read_to_end(&mut received).unwrap();
                stream.write_all(&received).unwrap();
            }
        })
        .build()
        .unwrap();
    let client = transport();
    let mut stream = client.open_data_stream(&data_of(&server)).unwrap();
    let sent: Vec<u8> = (0..3_000_000u32).map(|i| (i % 251) as u8).collect();
    let mut writer = stream.clone();
    let copy = sent.clone();
    let writing = std::thread::spawn(move || {
        writer.write_all(&copy).unwrap();
        writer.finish().unwrap();
    });
    let mut back = Vec::new();
    stream.read_to_end(&mut back).unwrap();
    writing.join().unwrap();
    assert!(back == sent, "the bytes came back changed");
    assert_eq!(client.get_stats().stream_bytes_received, sent.len() as u64);
    assert_eq!(server.get_stats().connections_accepted, 1);
}

#[test]
fn test_rtt_measurement_loopback() {
    let transport = transport();
    let rtt = transport
        .measure_rtt("::1", Duration::from_secs(20))
        .unwrap();
    let rtt = rtt.expect("a transport answers its own pings");
    assert!(rtt > 0.0 && rtt < 20.0);
    let options = PingOptions {
        count: 50,
        interval: Duration::from_micros(100),
        timeout: PATIENCE,
    };
    let summary = transport.ping("::1", &options).unwrap();
    assert_eq!((summary.sent, summary.received), (50, 50));
    assert!(summary.min <= summary.p50 && summary.p50 <= summary.p999);
    assert!(summary.p999 <= summary.max && summary.min <= summary.mean);
    let stats = transport.get_stats();
    assert_eq!(
        (stats.pings_sent, stats.pongs_received, stats.pings_answered),
        (51, 51, 51)
    );
    assert_eq!((stats.messages_sent, stats.messages_received), (0, 0));
}

#[test]
fn an_absent_peer_is_none_and_not_an_error() {
    let transport = transport();
    let port = std::net::UdpSocket::bind("[::1]:0").unwrap();
    let silent = format!("[::1%lo]:{}", port.local_addr().unwrap().port());
    let rtt = transport.measure_rtt(&silent, Duration::from_millis(50));
    assert!(matches!(rtt, Ok(None)), "{rtt:?}");
    assert_eq!(transport.get_stats().errors, 0);
    drop(port);
    // The port is free, and the kernel sends an ICMP error, unless it is too busy.
    wait_until("the ping is refused", GENEROUS, || {
        let rtt = transport.measure_rtt(&silent, Duration::from_millis(300));
        assert!(!matches!(rtt, Ok(Some(_))), "{rtt:?}");
        rtt.is_err_and(|error| error.raw_os_error() == Some(libc::ECONNREFUSED))
    });
    let stats = transport.get_stats();
    assert_eq!((stats.errors, stats.pings_undelivered), (1, 1));
}

#[test]
fn a_round_trip_works_from_inside_a_handler_to_oneself_too() {
    let transport = transport();
    let (sender, results) = mpsc::channel();
    let weak = Arc::downgrade(&transport);
    let handler = move |data: &[u8], _: &thunderbolt_transport::Sender<'_>| {
        let transport = weak.upgrade().unwrap();
        let rtt = transport.round_trip("::1", PATIENCE);
        sender.send((data.to_vec(), rtt.is_ok())).unwrap();
    };
    transport
        .set_message_handler(Some(Box::new(handler)))
        .unwrap();
    for number in 0..50u8 {
        transport.send_message(&[number], "::1").unwrap();
    }
    for number in 0..50u8 {
        let (data, answered) = results.recv_timeout(PATIENCE.unwrap()).unwrap();
        assert_eq!(
            (data[0], answered),
            (number, true),
            "order, and every round trip"
        );
    }
}

#[test]
fn a_round_trip_works_beside_a_handler_that_takes_long() {
    let transport = transport();
    let (release, wait) = mpsc::channel::<()>();
    let (entered, inside) = mpsc::channel();
    let wait = std::sync::Mutex::new(wait);
    transport
        .set_message_handler(Some(Box::new(move |data, _| {
            entered.send(data.to_vec()).unwrap();
            wait.lock().unwrap().recv().unwrap();
        })))
        .unwrap();
    transport.send_message(b"blocks", "::1").unwrap();
    inside.recv().unwrap();
    assert!(transport.round_trip("::1", PATIENCE).is_ok());
    // Pings of peers are answered too, without a waiting call here.
    let other = self::transport();
    assert!(other.round_trip(&control_of(&transport), PATIENCE).is_ok());
    for number in 0..100u8 {
        transport.send_message(&[number], "::1").unwrap();
    }
    assert!(other.round_trip(&control_of(&transport), PATIENCE).is_ok());
    for number in 0..=100 {
        release.send(()).unwrap();
        if number < 100 {
            assert_eq!(inside.recv_timeout(PATIENCE.unwrap()).unwrap(), [number]);
        }
    }
}

#[test]
fn queued_messages_go_to_a_new_handler_first_and_in_order() {
    let transport = transport();
    for number in 0..100u8 {
        transport.send_message(&[number], "::1").unwrap();
    }
    testkit::wait_until("all messages are queued", Duration::from_secs(20), || {
        transport.get_stats().messages_received == 100
    });
    let (sender, received) = mpsc::channel();
    transport
        .set_message_handler(Some(Box::new(move |data, _| sender.send(data[0]).unwrap())))
        .unwrap();
    for number in 100..200u8 {
        transport.send_message(&[number], "::1").unwrap();
    }
    let order: Vec<u8> = (0..200)
        .map(|_| received.recv_timeout(PATIENCE.unwrap()).unwrap())
        .collect();
    assert!(order.iter().copied().eq(0..200u8), "{order:?}");
}

/// Replacing the handler wakes the receiver while datagrams wait that the kernel has joined.
#[test]
fn a_batch_is_received_in_order_and_keeps_what_is_refused() {
    let b = transport();
    for n in 0..6_u8 {
        b.send_message(&[n], &control_of(&b)).unwrap();
    }
    wait_until("all came", GENEROUS, || {
        b.get_stats().messages_received == 6
    });
    let mut got = Vec::new();
    let refuse = || TransportError::BufferTooSmall {
        buffer: "buf",
        size: 0,
        needed: 1,
    };
    let mut take = |limit: u8, most: usize| {
        b.recv_batch_with(most, Some(Duration::ZERO), |data, from| {
            assert!(from.as_str().contains("::1%lo"), "{from:?}");
            if data[0] >= limit {
                return Err(refuse());
            }
            got.push(data[0]);
            Ok(())
        })
    };
    assert_eq!(take(9, 2).unwrap(), 2);
    assert_eq!(take(4, 9).unwrap(), 2);
    let error = take(4, 9).unwrap_err();
    assert!(matches!(error, TransportError::BufferTooSmall { .. }));
    assert_eq!(take(9, usize::MAX).unwrap(), 2);
    assert!(matches!(take(9, 1), Err(TransportError::WouldBlock)));
    assert!(matches!(take(9, 0), Err(TransportError::OutOfRange { .. })));
    assert_eq!(got, [0, 1, 2, 3, 4, 5]);
}

#[test]
fn messages_of_batches_stay_apart_while_the_handler_is_replaced() {
    const SIZE: usize = 100;
    let (to_test, sizes) = mpsc::channel();
    let handler = || -> MessageHandler {
        let to_test = to_test.clone();
        Box::new(move |data, _| to_test.send(data.len()).unwrap())
    };
    let (receiver, sender) = (transport(), transport());
    let peer = control_of(&receiver);
    let one = Datagram {
        peer: &peer,
        data: &[7; SIZE],
    };
    for _ in 0..50 {
        sender.send_batch(&[one; 1024]).outcome.unwrap();
        receiver.set_message_handler(Some(handler())).unwrap();
    }
    // The last message has another size; it arrives after all that the kernel's buffer held.
    let mut size = SIZE;
    while size != 1 {
        sender.send_message(b"!", &peer).unwrap();
        while let Ok(next) = sizes.recv_timeout(Duration::from_millis(100)) {
            assert!(next == SIZE || next == 1, "{next} bytes");
            size = next;
        }
    }
}

#[test]
fn a_batch_leaves_in_order_and_stops_at_a_bad_one() {
    let (sender, receiver) = (transport(), transport());
    let peer = control_of(&receiver);
    let payloads: Vec<Vec<u8>> = (0..150usize).map(|i| vec![i as u8; i]).collect();
    let batch: Vec<_> = payloads
        .iter()
        .map(|data| Datagram { peer: &peer, data })
        .collect();
    let sent = sender.send_batch(&batch);
    assert!(sent.outcome.is_ok());
    assert_eq!(sent.count, 150);
    let mut buf = [0; 256];
    for payload in &payloads {
        let (size, _) = receiver.recv(&mut buf, PATIENCE).unwrap();
        assert_eq!(&buf[..size], &payload[..]);
    }
    let bad = [
        Datagram {
            peer: &peer,
            data: b"good",
        },
        Datagram {
            peer: "nonsense",
            data: b"bad",
        },
        Datagram {
            peer: &peer,
            data: b"never",
        },
    ];
    let sent = sender.send_batch(&bad);
    assert_eq!(sent.count, 1);
    assert!(matches!(
        sent.outcome,
        Err(TransportError::InvalidAddress(_))
    ));
}

#[test]
fn a_closed_stream_wakes_its_reader_and_its_writer() {
    let (server, client) = (transport(), transport());
    let stream = client.open_data_stream(&data_of(&server)).unwrap();
    let _accepted = server.accept(PATIENCE).unwrap();
    let reader = stream.clone();
    let reading = std::thread::spawn(move || reader.read_timeout(&mut [0; 16], None));
    let writer = stream.clone();
    let writing = std::thread::spawn(move || writer.write_timeout(&vec![0; 64 << 20], None));
    testkit::wait_until(
        "bytes flow until the buffers are full",
        Duration::from_secs(20),
        || client.get_stats().stream_bytes_sent > 0,
    );
    stream.close();
    assert!(matches!(
        reading.join().unwrap(),
        Err(TransportError::Cancelled)
    ));
    let written = writing.join().unwrap();
    assert!(matches!(written.outcome, Err(TransportError::Cancelled)));
    assert_eq!(client.get_stats().streams_open, 0);
}

#[test]
fn a_detached_stream_belongs_to_the_caller_and_the_library_does_not_read_it() {
    let (server, client) = (transport(), transport());
    let stream = client.open_data_stream(&data_of(&server)).unwrap();
    let accepted = server.accept(PATIENCE).unwrap();
    let reader = stream.clone();
    let reading = std::thread::spawn(move || reader.read_timeout(&mut [0; 16], None));
    let detached = stream.detach().unwrap();
    assert!(matches!(
        reading.join().unwrap(),
        Err(TransportError::Cancelled)
    ));
    assert!(matches!(stream.detach(), Err(TransportError::Cancelled)));
    drop(stream);
    client.close();
    let mut file = std::fs::File::from(detached);
    file.write_all(b"mine").unwrap();
    drop(file);
    let mut back = String::new();
    (&accepted).read_to_string(&mut back).unwrap();
    assert_eq!(back, "mine");
}

#[test]
fn the_limit_of_streams_holds_in_both_directions() {
    let server = loopback().max_streams(2).build().unwrap();
    let client = transport();
    let peer = data_of(&server);
    let streams = [(); 2].map(|()| client.open_data_stream(&peer).unwrap());
    // The reset comes during the connect or right after it.
    let third = client.open_data_stream(&peer);
    let error = third
        .and_then(|stream| stream.read_timeout(&mut [0; 1], PATIENCE))
        .unwrap_err();
    assert!(
        matches!(error, TransportError::ConnectionFailed(_)),
        "{error}"
    );
    assert_eq!(server.get_stats().rejected, 1);
    let error = server.open_data_stream(&data_of(&client)).unwrap_err();
    assert!(matches!(error, TransportError::TooManyStreams { max: 2 }));
    drop(streams);
    while let Ok(stream) = server.accept(Some(Duration::ZERO)) {
        drop(stream);
    }
    server.open_data_stream(&data_of(&client)).unwrap();
}

#[test]
fn closing_wakes_all_waiting_calls_and_frees_the_ports() {
    for round in 0..20 {
        let transport = transport();
        let (control, data) = (transport.control_port(), transport.data_port());
        let silent = std::net::UdpSocket::bind("[::1]:0").unwrap();
        let mute = format!("[::1]:{}", silent.local_addr().unwrap().port());
        type Wait = Box<dyn FnOnce(&ThunderboltTransport) -> Result<(), TransportError> + Send>;
        let waits: [Wait; 4] = [
            Box::new(|t| t.recv(&mut [0; 16], None).map(drop)),
            Box::new(|t| t.accept(None).map(drop)),
            Box::new(move |t| t.round_trip(&mute, None).map(drop)),
            Box::new(|t| t.discover(None).map(drop)),
        ];
        let waiters = waits.map(|wait| {
            let transport = Arc::clone(&transport);
            std::thread::spawn(move || wait(&transport))
        });
        if round % 2 == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        transport.close();
        for waiter in waiters {
            let woken = waiter.join().unwrap();
            assert!(matches!(woken, Err(TransportError::Shutdown)), "{woken:?}");
        }
        assert!(matches!(
            transport.send_message(b"", "::1"),
            Err(TransportError::Shutdown)
        ));
        let again = loopback().control_port(control).data_port(data).build();
        again.expect("the ports are free").close();
    }
}

#[test]
fn a_transport_can_close_itself_from_inside_its_handler() {
    let (closed, wait) = mpsc::channel();
    let transport = loopback()
        .on_closed(move || closed.send(()).unwrap())
        .build()
        .unwrap();
    let weak = Arc::downgrade(&transport);
    transport
        .set_message_handler(Some(Box::new(move |_, _| weak.upgrade().unwrap().close())))
        .unwrap();
    transport.send_message(b"close", "::1").unwrap();
    wait.recv_timeout(PATIENCE.unwrap()).expect("on_closed");
    assert!(!transport.is_running());
}

#[test]
fn a_handler_that_closes_the_transport_is_not_called_again() {
    let (closed, wait_closed) = mpsc::channel();
    let transport = loopback()
        .on_closed(move || closed.send(()).unwrap())
        .build()
        .unwrap();
    let (go, wait) = mpsc::channel();
    let wait = Mutex::new(wait);
    let calls = Arc::new(AtomicUsize::new(0));
    let (weak, count) = (Arc::downgrade(&transport), Arc::clone(&calls));
    transport
        .set_message_handler(Some(Box::new(move |_, _| {
            match count.fetch_add(1, Ordering::SeqCst) {
                // Meanwhile the other messages arrive, and are received together.
                0 => wait.lock().unwrap().recv().unwrap(),
                _ => weak.upgrade().unwrap().close(),
            }
        })))
        .unwrap();
    for _ in 0..8 {
        transport.send_message(b"one of many", "::1").unwrap();
    }
    go.send(()).unwrap();
    wait_closed
        .recv_timeout(PATIENCE.unwrap())
        .expect("on_closed");
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[test]
fn a_taken_port_is_named() {
    let first = transport();
    let taken = loopback()
        .control_port(first.control_port())
        .build()
        .unwrap_err();
    let words = taken.to_string();
    assert!(matches!(taken, TransportError::AddressInUse { .. }));
    assert!(words.contains(&first.control_port().to_string()), "{words}");
    let taken = loopback().data_port(first.data_port()).build().unwrap_err();
    assert!(
        taken.to_string().contains(&first.data_port().to_string()),
        "{taken}"
    );
}
