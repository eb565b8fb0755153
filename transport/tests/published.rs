//! The published description of this protocol's Rust crate: programs that follow it compile, run, and get
//! the described results. Two hosts have the addresses of its examples.

use std::io::{self, Read, Write};
use std::sync::{mpsc, Arc, Mutex};
use std::time::Duration;

use testkit::{wait_until, Cable, Host, GENEROUS};
use thunderbolt_transport::{
    make_thunderbolt_transport, LogLevel, LoggerFn, MessageData, MessageHandlerFn, MessageType,
    Result, Stats, ThunderboltConfig, ThunderboltTransport, ThunderboltTransportBuilder,
    TransportError, DEFAULT_BUFFER_SIZE, DEFAULT_CONTROL_PORT, DEFAULT_DATA_PORT, MAX_UDP_PAYLOAD,
};

/// The peer of the description's examples.
const PEER: &str = "fe80::1%thunderbolt0";

/// Two hosts, of which b has the address of the examples.
fn cable() -> Cable {
    let cable = Cable::new();
    let add = ["addr", "add", "fe80::1/64", "dev", "thunderbolt0", "nodad"];
    cable.b().ip(&add);
    cable
}

/// The arguments of a handler and a logger of the description's form.
#[derive(Default)]
struct Seen {
    messages: Mutex<Vec<Vec<u8>>>,
    records: Mutex<Vec<(LogLevel, String)>>,
}

impl Seen {
    fn has_record(&self, level: LogLevel, start: &str) -> bool {
        let records = self.records.lock().unwrap();
        let mut records = records.iter();
        records.any(|(of, text)| *of == level && text.starts_with(start))
    }
}

/// The quick start: a builder with all settings that it shows, and an echo for streams.
fn quick_start(seen: &Arc<Seen>) -> Result<Arc<ThunderboltTransport>> {
    let (messages, records) = (Arc::clone(seen), Arc::clone(seen));
    ThunderboltTransportBuilder::new()
        .interface("thunderbolt0")
        .control_port(5000)
        .data_port(5001)
        .message_handler(move |msg_type, data| match msg_type {
            MessageType::ControlMessage => {
                if let MessageData::Bytes(bytes) = data {
                    println!("Control: {} bytes", bytes.len());
                    messages.messages.lock().unwrap().push(bytes);
                }
            }
            MessageType::DataStream => {
                if let MessageData::Stream(mut stream) = data {
                    let mut received = [0u8; 1024];
                    let size = stream.read(&mut received).unwrap();
                    stream.write_all(&received[..size]).unwrap();
                }
            }
        })
        .logger(move |level, msg| {
            println!("[{:?}] {}", level, msg);
            records
                .records
                .lock()
                .unwrap()
                .push((level, msg.to_string()));
        })
        .build()
}

/// The examples that follow it: message, stream, round trip, statistics.
fn examples(
    transport: &ThunderboltTransport,
) -> std::result::Result<(), Box<dyn std::error::Error>> {
    transport.send_message(&[1, 2, 3, 4, 5], "fe80::1%thunderbolt0")?;

    let mut stream = transport.open_data_stream("fe80::1%thunderbolt0")?;
    stream.write_all(b"Hello, Thunderbolt!")?;
    stream.flush()?;
    let mut response = [0u8; 1024];
    let n = stream.read(&mut response)?;
    assert_eq!(&response[..n], b"Hello, Thunderbolt!");

    let rtt = transport.measure_rtt("fe80::1%thunderbolt0", Duration::from_secs(5))?;
    let seconds: f64 = rtt.expect("the peer answers");
    println!("RTT: {:.3} ms", seconds * 1000.0);
    assert!(0.0 < seconds && seconds < 5.0, "{seconds}");

    let stats: Stats = transport.get_stats();
    let counts: [u64; 3] = [stats.messages_sent, stats.bytes_sent, stats.errors];
    assert_eq!(counts, [1, 5, 0]);
    Ok(())
}

#[test]
fn the_quick_start_and_the_examples_after_it() {
    let cable = cable();
    let (near, far) = (Arc::default(), Arc::default());
    let there = cable.b().run(|| quick_start(&far)).unwrap();
    let here = cable.a().run(|| quick_start(&near)).unwrap();
    cable
        .a()
        .run(|| examples(&here).map_err(|error| error.to_string()))
        .unwrap();
    wait_until("the message arrives", GENEROUS, || {
        !far.messages.lock().unwrap().is_empty()
    });
    assert_eq!(*far.messages.lock().unwrap(), [[1, 2, 3, 4, 5]]);
    assert_eq!(there.get_stats().messages_received, 1);
}

/// Programs may wait for these texts.
#[test]
fn the_records_begin_with_the_words_that_programs_look_for() {
    let cable = cable();
    let seen = Arc::default();
    let transport = cable.a().run(|| quick_start(&seen)).unwrap();
    for start in [
        "Initialized interface thunderbolt0 (index ",
        "UDP socket bound to port 5000",
        "TCP listener bound to port 5001",
    ] {
        assert!(seen.has_record(LogLevel::Info, start), "{start}");
    }
    assert!(!seen.has_record(LogLevel::Info, "Transport closed"));
    assert!(transport.is_running());
    transport.close();
    assert!(!transport.is_running());
    let records = seen.records.lock().unwrap();
    assert_eq!(
        *records.last().unwrap(),
        (LogLevel::Info, "Transport closed".to_owned())
    );
}

/// The sockets are bound when the interface comes, and again when it comes back.
#[test]
fn the_records_say_when_the_sockets_are_bound() {
    let cable = Cable::unplugged();
    let seen: Arc<Seen> = Arc::default();
    let records = Arc::clone(&seen);
    let builder = ThunderboltTransportBuilder::new()
        .wait_for_interface(true)
        .logger(move |level, text| {
            records
                .records
                .lock()
                .unwrap()
                .push((level, text.to_owned()))
        });
    let transport = cable.a().run(|| builder.build()).unwrap();
    let times = |start: &str| {
        let records = seen.records.lock().unwrap();
        records
            .iter()
            .filter(|(_, text)| text.starts_with(start))
            .count()
    };
    assert_eq!(times("waiting for interface"), 1);
    for round in 0..2 {
        for start in [
            "Initialized interface",
            "UDP socket bound",
            "TCP listener bound",
        ] {
            assert_eq!(times(start), round, "{start}");
        }
        cable.plug();
        wait_until("the sockets are bound", GENEROUS, || {
            times("TCP listener bound") == round + 1
        });
        cable.unplug();
        wait_until("the link is down", GENEROUS, || {
            !transport.get_stats().link_up
        });
    }
}

#[test]
fn the_table_of_the_configuration() {
    let ThunderboltConfig {
        interface,
        control_port,
        data_port,
        buffer_size,
        tcp_nodelay,
        tcp_keepalive,
    } = ThunderboltConfig::default();
    let texts: (String, u16, u16, usize, bool, bool) = (
        interface,
        control_port,
        data_port,
        buffer_size,
        tcp_nodelay,
        tcp_keepalive,
    );
    let promised = (
        "thunderbolt0".to_string(),
        5000,
        5001,
        64 * 1024 * 1024,
        true,
        true,
    );
    assert_eq!(texts, promised);
    assert_eq!(
        (DEFAULT_CONTROL_PORT, DEFAULT_DATA_PORT),
        (5000_u16, 5001_u16)
    );
    assert_eq!((DEFAULT_BUFFER_SIZE, MAX_UDP_PAYLOAD), (64 << 20, 65_507));
    // All six members, without `..`.
    let all = ThunderboltConfig {
        interface: "lo".to_string(),
        control_port: 0,
        data_port: 0,
        buffer_size: 1024 * 1024,
        tcp_nodelay: true,
        tcp_keepalive: false,
    };
    assert!(ThunderboltTransport::new(all, None, None).is_ok());
    let builder = ThunderboltTransportBuilder::default()
        .interface(String::from("lo"))
        .control_port(0)
        .data_port(0)
        .buffer_size(1024 * 1024)
        .tcp_nodelay(false)
        .tcp_keepalive(true);
    assert_eq!(builder.build().unwrap().interface(), "lo");
}

#[test]
fn the_levels_of_records() {
    let named = |level: LogLevel| match level {
        LogLevel::Debug => "Debug",
        LogLevel::Info => "Info",
        LogLevel::Warn => "Warn",
        LogLevel::Error => "Error",
    };
    for level in [
        LogLevel::Debug,
        LogLevel::Info,
        LogLevel::Warn,
        LogLevel::Error,
    ] {
        assert_eq!(format!("{level:?}"), named(level));
    }
}

#[test]
fn the_statistics() {
    let stats = Stats::default();
    let counts: [u64; 8] = [
        stats.messages_sent,
        stats.messages_received,
        stats.bytes_sent,
        stats.bytes_received,
        stats.connections_accepted,
        stats.connections_initiated,
        stats.errors,
        stats.uptime_secs,
    ];
    assert_eq!(counts, [0; 8]);
}

#[test]
fn a_transport_in_one_call() {
    let host = Host::alone();
    host.run(|| {
        let (told, messages) = mpsc::channel();
        let told = Mutex::new(told);
        let handler: MessageHandlerFn = Box::new(move |msg_type, data| {
            assert_eq!(msg_type, MessageType::ControlMessage);
            if let MessageData::Bytes(bytes) = data {
                told.lock().unwrap().send(bytes).unwrap();
            }
        });
        let logger: LoggerFn = Box::new(|level, msg| println!("[{level:?}] {msg}"));
        let transport =
            make_thunderbolt_transport("lo", 5000, 5001, Some(handler), Some(logger)).unwrap();
        assert_eq!(
            (transport.control_port(), transport.data_port()),
            (5000, 5001)
        );
        let sent: usize = transport.send_message(b"hello", "::1%lo").unwrap();
        assert_eq!(sent, 5);
        assert_eq!(messages.recv_timeout(GENEROUS).unwrap(), b"hello");
        transport.reset_stats();
        assert_eq!(transport.get_stats().messages_sent, 0);
        let second = make_thunderbolt_transport("lo", 0, 0, None, None).unwrap();
        assert!(second.is_running());
    });
}

/// The example across languages: a handler for a transport that runs.
#[test]
fn a_handler_of_a_running_transport() {
    let cable = cable();
    let transport = cable.b().run(|| ThunderboltTransportBuilder::new().build());
    let transport = transport.unwrap();
    let (told, messages) = mpsc::channel();
    let told = Mutex::new(told);
    transport.message_handler(move |_msg_type, data| {
        if let MessageData::Bytes(bytes) = data {
            assert_eq!(bytes, vec![1, 2, 3, 4, 5]);
            told.lock().unwrap().send(()).unwrap();
        }
    });
    let from = cable.a().run(|| ThunderboltTransportBuilder::new().build());
    from.unwrap().send_message(&[1, 2, 3, 4, 5], PEER).unwrap();
    messages.recv_timeout(GENEROUS).expect("it comes");
}

/// A program's own table of errors, as it is written after the description's enum.
fn explained(error: TransportError) -> String {
    match error {
        TransportError::Io(source) => {
            let source: io::Error = source;
            format!("Io {:?}", source.kind())
        }
        TransportError::InvalidAddress(text) => format!("InvalidAddress {text}"),
        TransportError::InterfaceNotFound(text) => format!("InterfaceNotFound {text}"),
        TransportError::MessageTooLarge { size, max } => {
            let sizes: (usize, usize) = (size, max);
            format!("MessageTooLarge {sizes:?}")
        }
        TransportError::ConnectionFailed(text) => format!("ConnectionFailed {text}"),
        TransportError::NotInitialized => "NotInitialized".to_string(),
        TransportError::Shutdown => "Shutdown".to_string(),
        TransportError::InvalidMessage(text) => format!("InvalidMessage {text}"),
        TransportError::Timeout => "Timeout".to_string(),
        TransportError::SocketOption(text) => format!("SocketOption {text}"),
        _ => "another".to_string(),
    }
}

#[test]
fn the_ten_errors_in_their_shapes() {
    let text = || "why".to_string();
    for (error, shown) in [
        (
            TransportError::Io(io::ErrorKind::NotFound.into()),
            "Io NotFound",
        ),
        (TransportError::InvalidAddress(text()), "InvalidAddress why"),
        (
            TransportError::InterfaceNotFound(text()),
            "InterfaceNotFound why",
        ),
        (
            TransportError::MessageTooLarge { size: 2, max: 1 },
            "MessageTooLarge (2, 1)",
        ),
        (
            TransportError::ConnectionFailed(text()),
            "ConnectionFailed why",
        ),
        (TransportError::NotInitialized, "NotInitialized"),
        (TransportError::Shutdown, "Shutdown"),
        (TransportError::InvalidMessage(text()), "InvalidMessage why"),
        (TransportError::Timeout, "Timeout"),
        (TransportError::SocketOption(text()), "SocketOption why"),
    ] {
        assert!(!error.to_string().is_empty());
        assert_eq!(explained(error), shown);
    }
}

/// Each failure is the variant that the description gives, with the detailed text.
#[test]
fn each_failure_is_the_variant_that_describes_it() {
    let cable = cable();
    let silent = cable.b().run(|| std::net::UdpSocket::bind("[::]:6000"));
    let _silent = silent.unwrap();
    cable.a().run(|| {
        let none = ThunderboltTransportBuilder::new()
            .interface("none0")
            .build();
        let error = none.unwrap_err();
        assert!(matches!(&error, TransportError::InterfaceNotFound(text)
            if text.contains("\"none0\"") && text.contains("thunderbolt0")));

        let transport = ThunderboltTransportBuilder::new().build().unwrap();
        let error = transport
            .send_message(&[1, 2, 3], "invalid-address")
            .unwrap_err();
        assert!(matches!(&error, TransportError::InvalidAddress(text)
            if text.contains("\"invalid-address\"")));

        let error = transport.send_message(&vec![0; 100_000], PEER).unwrap_err();
        assert_eq!(explained(error), "MessageTooLarge (100000, 65507)");

        // The host exists, but no program listens.
        let error = transport.open_data_stream(PEER).unwrap_err();
        assert_eq!(error.errno(), Some(libc::ECONNREFUSED), "{error}");
        assert!(matches!(&error, TransportError::ConnectionFailed(text)
            if text.contains("fe80::1%thunderbolt0")));

        let short = Some(Duration::from_millis(20));
        let error = transport.recv(&mut [0; 8], short).unwrap_err();
        let said = error.last_error_text();
        assert_eq!(explained(error), "Timeout");
        assert!(
            said.ends_with("no message came to control port 5000 within 20 ms"),
            "{said}"
        );
        let silent = format!("[{PEER}]:6000");
        let rtt = transport
            .measure_rtt(&silent, Duration::from_millis(20))
            .unwrap();
        assert!(rtt.is_none(), "nobody answers");
        wait_until("the peer's kernel refuses", GENEROUS, || {
            let error = transport.round_trip(PEER, short).unwrap_err();
            error.errno() == Some(libc::ECONNREFUSED)
        });

        transport.close();
        let error = transport.send_message(b"late", PEER).unwrap_err();
        assert_eq!(explained(error), "Shutdown");
    });
}

/// One `?` works for the transport's calls, a stream's `Read` and `Write`, and other calls of a program.
fn copied(transport: &ThunderboltTransport, path: &str) -> Result<usize> {
    let mut stream = transport.open_data_stream("::1")?;
    let mut far = transport.accept(Some(GENEROUS))?;
    stream.write_all(b"half")?;
    stream.finish()?;
    let mut read = Vec::new();
    far.read_to_end(&mut read)?;
    let file = std::fs::read(path)?;
    Ok(read.len() + file.len())
}

/// The same in a function with `std::io` errors.
fn copied_by_io(transport: &ThunderboltTransport) -> io::Result<Vec<u8>> {
    let mut stream = transport.open_data_stream("::1")?;
    let far = transport.accept(Some(GENEROUS))?;
    far.close();
    let mut read = Vec::new();
    stream.read_to_end(&mut read)?;
    transport.send_message(&vec![0; 100_000], "::1")?;
    Ok(read)
}

#[test]
fn a_question_mark_mixes_streams_and_calls() {
    let builder = ThunderboltTransportBuilder::new().interface("lo");
    let transport = builder.control_port(0).data_port(0).build().unwrap();
    assert_eq!(copied(&transport, "/dev/null").unwrap(), 4);
    let error = copied(&transport, "/nowhere").unwrap_err();
    assert!(matches!(&error, TransportError::Io(error)
        if error.raw_os_error() == Some(libc::ENOENT)));
    let error = copied_by_io(&transport).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert_eq!(explained(error.into()), "MessageTooLarge (100000, 65507)");
    // `Read` and `Write` return the stream's error unchanged.
    let mut stream = transport.open_data_stream("::1").unwrap();
    transport.close();
    let ended = stream.read(&mut [0]).unwrap_err();
    assert!(matches!(
        TransportError::in_io(&ended),
        Some(TransportError::Shutdown)
    ));
    assert_eq!(explained(ended.into()), "Shutdown");
}
