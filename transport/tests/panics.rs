//! Handlers that panic: each panic ends only that call, is counted and logged.

mod common;

use std::sync::{mpsc, Arc, Mutex};

use common::loopback;
use testkit::{wait_until, Host, GENEROUS};
use thunderbolt_transport::{LogLevel, ThunderboltTransport, ThunderboltTransportBuilder};

/// The log records of a transport.
type Records = Arc<Mutex<Vec<(LogLevel, String)>>>;

/// A builder on the loopback interface, with a logger that keeps the records.
fn builder() -> (ThunderboltTransportBuilder, Records) {
    let records = Records::default();
    let kept = Arc::clone(&records);
    let builder = loopback().logger(move |level, text| {
        kept.lock().unwrap().push((level, text.to_owned()));
    });
    (builder, records)
}

/// Checks that the failures are counted and logged as errors with the panic's message, and that everything
/// works.
fn only_counted_and_logged(transport: &ThunderboltTransport, records: &Records, failures: u64) {
    wait_until("the failures are counted", GENEROUS, || {
        transport.get_stats().callback_failures == failures
    });
    let told = || {
        let records = records.lock().unwrap();
        let told = |(level, text): &&(LogLevel, String)| {
            *level == LogLevel::Error && text.contains("panicked: on purpose")
        };
        records.iter().filter(told).count() as u64
    };
    wait_until("the failures are logged", GENEROUS, || told() == failures);
    assert!(transport.round_trip("::1", Some(GENEROUS)).is_ok());
    assert_eq!(transport.get_stats().errors, 0);
    transport.reset_stats();
    assert_eq!(transport.get_stats().callback_failures, 0);
}

#[test]
fn in_the_message_handler() {
    let (builder, records) = builder();
    let transport = builder.on_message(|_, _| panic!("on purpose")).build();
    let transport = transport.unwrap();
    for _ in 0..3 {
        transport.send_message(b"", "::1").unwrap();
    }
    only_counted_and_logged(&transport, &records, 3);
    transport.close();
}

#[test]
fn in_the_stream_handler_whose_stream_is_closed() {
    let (builder, records) = builder();
    let transport = builder.on_stream(|_| panic!("on purpose")).build().unwrap();
    for _ in 0..3 {
        let stream = transport.open_data_stream("::1").unwrap();
        let read = stream.read_timeout(&mut [0; 1], Some(GENEROUS));
        assert_eq!(read.unwrap(), 0, "its end was dropped");
    }
    only_counted_and_logged(&transport, &records, 3);
    transport.close();
}

#[test]
fn in_the_link_handler() {
    let host = Host::alone();
    let (builder, records) = builder();
    let builder = builder.on_link(|_| panic!("on purpose"));
    let transport = host.run(|| builder.build()).unwrap();
    for (state, up) in [("down", false), ("up", true)] {
        host.ip(&["link", "set", "lo", state]);
        wait_until("the link state follows", GENEROUS, || {
            transport.get_stats().link_up == up
        });
    }
    host.run(|| only_counted_and_logged(&transport, &records, 2));
    transport.close();
}

/// A panic of the logger cannot be logged, because only that logger could take the record.
#[test]
fn in_the_logger() {
    let builder = loopback().log_level(LogLevel::Debug);
    let transport = builder.logger(|_, _| panic!("on purpose")).build().unwrap();
    let started = transport.get_stats().callback_failures;
    assert!(started > 0, "the start is logged");
    transport.log(LogLevel::Info, format_args!("a record of our own"));
    assert_eq!(transport.get_stats().callback_failures, started + 1);
    assert!(transport.round_trip("::1", Some(GENEROUS)).is_ok());

    let (sender, records) = mpsc::channel();
    let logger = move |_: LogLevel, text: &str| sender.send(text.to_owned()).unwrap();
    transport.set_logger(Some(Box::new(logger))).unwrap();
    transport.log(LogLevel::Info, format_args!("the next logger gets its own"));
    let record = records.recv_timeout(GENEROUS).unwrap();
    assert_eq!(record, "the next logger gets its own");
}

#[test]
fn in_the_closed_handler_when_everything_is_over() {
    let (builder, records) = builder();
    let transport = builder.on_closed(|| panic!("on purpose")).build().unwrap();
    let (control, data) = (transport.control_port(), transport.data_port());
    transport.close();
    assert!(!transport.is_running());
    let again = loopback().control_port(control).data_port(data).build();
    again.expect("the ports are free").close();
    let last = records.lock().unwrap().last().cloned();
    assert_eq!(last, Some((LogLevel::Info, "Transport closed".to_owned())));
}

/// A call that waits for a handler to return does not hang when the handler panics.
#[test]
fn while_it_is_replaced_and_while_the_transport_closes() {
    for closes in [false, true] {
        let (entered, inside) = mpsc::channel();
        let (leave, wait) = mpsc::channel::<()>();
        let (entered, wait) = (Mutex::new(entered), Mutex::new(wait));
        let (builder, _) = builder();
        let handler = move |_: &[u8], _: &thunderbolt_transport::Sender<'_>| {
            entered.lock().unwrap().send(()).unwrap();
            let _ = wait.lock().unwrap().recv_timeout(GENEROUS);
            panic!("on purpose");
        };
        let transport = builder.on_message(handler).build().unwrap();
        transport.send_message(b"", "::1").unwrap();
        inside.recv_timeout(GENEROUS).unwrap();
        let waiting = {
            let transport = Arc::clone(&transport);
            std::thread::spawn(move || match closes {
                true => transport.close(),
                false => transport.set_message_handler(None).unwrap(),
            })
        };
        leave.send(()).unwrap();
        waiting.join().unwrap();
        assert_eq!(transport.get_stats().callback_failures, 1);
    }
}
