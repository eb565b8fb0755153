//! Handlers and their transport: access to it, references that keep it open, and replacing handlers.

mod common;

use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{mpsc, Arc, Mutex};
use std::time::Duration;

use common::loopback;
use testkit::{wait_until, Host, GENEROUS};
use thunderbolt_transport::{
    DataStream, LogLevel, MessageData, MessageType, ThunderboltTransport,
    ThunderboltTransportBuilder, TransportError, WeakTransport,
};

const PATIENCE: Option<Duration> = Some(GENEROUS);

fn received(transport: &ThunderboltTransport) -> (Vec<u8>, String) {
    let mut buf = [0; 64];
    let (size, sender) = transport.recv(&mut buf, PATIENCE).unwrap();
    (buf[..size].to_vec(), sender)
}

/// The control port of a transport, as a peer string.
fn at(transport: &ThunderboltTransport) -> String {
    format!("[::1%lo]:{}", transport.control_port())
}

/// Waits until a transport can be opened on these ports. A program that another test is starting has copies of all
/// sockets until its exec, so they may be taken for a moment after a close.
fn assert_free((control, data): (u16, u16)) {
    wait_until("the ports are free", GENEROUS, || {
        let again = loopback().control_port(control).data_port(data).build();
        again.map(|again| again.close()).is_ok()
    });
}

fn ports(transport: &ThunderboltTransport) -> (u16, u16) {
    (transport.control_port(), transport.data_port())
}

#[test]
fn a_sender_is_answered_by_the_transport_that_received_its_message() {
    let builder = loopback().on_message(|message, sender| {
        assert_eq!(sender.reply(message).unwrap(), message.len());
    });
    let echo = builder.build().unwrap();
    let near = loopback().build().unwrap();
    for message in [&b"once"[..], b"", b"again"] {
        near.send_message(message, &at(&echo)).unwrap();
        assert_eq!(received(&near), (message.to_vec(), at(&echo)));
    }
    let ports = ports(&echo);
    drop(echo);
    assert_free(ports);

    // The same for a message that waited in the queue.
    let queue = loopback().build().unwrap();
    near.send_message(b"question", &at(&queue)).unwrap();
    let answered = queue.recv_with(PATIENCE, |message, sender| {
        assert_eq!(sender.transport().control_port(), queue.control_port());
        assert_eq!(message, b"question");
        sender.reply(b"answer")
    });
    assert_eq!(answered.unwrap(), 6);
    assert_eq!(received(&near), (b"answer".to_vec(), at(&queue)));
}

#[test]
fn an_answer_that_cannot_be_sent_says_why() {
    let (tell, told) = mpsc::channel();
    let builder = loopback().on_message(move |_, sender| {
        tell.send(sender.reply(&[0; 70_000])).unwrap();
        sender.transport().close();
        tell.send(sender.reply(b"late")).unwrap();
    });
    let transport = builder.build().unwrap();
    transport.send_message(b"?", "::1").unwrap();
    let too_large = told.recv_timeout(GENEROUS).unwrap();
    assert!(
        matches!(
            too_large,
            Err(TransportError::MessageTooLarge { size: 70_000, .. })
        ),
        "{too_large:?}"
    );
    let late = told.recv_timeout(GENEROUS).unwrap();
    assert!(matches!(late, Err(TransportError::Shutdown)), "{late:?}");
}

/// A kind of handler, and a way to have it called.
struct Kind {
    name: &'static str,
    handle: fn(ThunderboltTransportBuilder, Work) -> ThunderboltTransportBuilder,
    cause: fn(&Host, &ThunderboltTransport),
}

/// Called by a handler, with the weak reference that it captured and the transport that it was lent.
type Work = Arc<dyn Fn(&WeakTransport, Option<&ThunderboltTransport>) + Send + Sync>;

const KINDS: [Kind; 6] = [
    Kind {
        name: "messages",
        handle: |builder, work| {
            let weak = builder.weak();
            builder.on_message(move |_, sender| work(&weak, Some(sender.transport())))
        },
        cause: |_, transport| {
            transport.send_message(b"go", "::1").unwrap();
        },
    },
    Kind {
        name: "both",
        handle: |builder, work| {
            let weak = builder.weak();
            builder.message_handler(move |_, _| work(&weak, None))
        },
        cause: |_, transport| {
            transport.send_message(b"go", "::1").unwrap();
        },
    },
    Kind {
        name: "streams",
        handle: |builder, work| {
            let weak = builder.weak();
            builder.on_stream(move |stream| work(&weak, Some(stream.transport())))
        },
        cause: |_, transport| drop(transport.open_data_stream("::1").unwrap()),
    },
    Kind {
        name: "links",
        handle: |builder, work| {
            let weak = builder.weak();
            builder.on_link(move |event| work(&weak, Some(event.transport())))
        },
        cause: |host, _| drop(host.ip(&["link", "set", "lo", "down"])),
    },
    Kind {
        name: "peers",
        handle: |builder, work| {
            let weak = builder.weak();
            builder.on_peer(move |event| work(&weak, Some(event.transport())))
        },
        cause: |_, transport| {
            transport.send_message(b"go", "::1").unwrap();
        },
    },
    Kind {
        name: "records",
        handle: |builder, work| {
            let weak = builder.weak();
            // The logger runs on the thread that logs, which is one of the transport's here.
            builder.log_level(LogLevel::Debug).logger(move |_, text| {
                if text.contains("accepted") {
                    work(&weak, None);
                }
            })
        },
        cause: |_, transport| drop(transport.open_data_stream("::1").unwrap()),
    },
];

/// Runs `play` for each kind of handler, on a host of its own whose loopback interface is up.
fn for_each_kind(play: impl Fn(&Kind, &Host)) {
    for kind in &KINDS {
        println!("- a handler of {}", kind.name);
        play(kind, &Host::alone());
    }
}

#[test]
fn a_handler_with_a_weak_reference_lets_its_transport_close() {
    for_each_kind(|kind, host| {
        let (tell, told) = mpsc::channel();
        let work: Work = Arc::new(move |weak, lent| {
            let upgraded = weak.upgrade().expect("the test has a reference");
            let same = lent.is_none_or(|lent| ports(lent) == ports(&upgraded));
            tell.send((same, ports(&upgraded))).unwrap();
        });
        let builder = loopback();
        let weak = builder.weak();
        let ports = host.run(move || {
            let transport = (kind.handle)(builder, work).build().unwrap();
            (kind.cause)(host, &transport);
            let (same, seen) = told.recv_timeout(GENEROUS).unwrap();
            assert!(same && seen == ports(&transport));
            let ports = ports(&transport);
            wait_until("the handler has dropped its reference", GENEROUS, || {
                Arc::strong_count(&transport) == 1
            });
            drop(transport);
            ports
        });
        assert!(weak.upgrade().is_none());
        host.ip(&["link", "set", "lo", "up"]);
        host.run(|| assert_free(ports));
    });
}

#[test]
fn the_last_reference_may_be_dropped_inside_a_handler() {
    for_each_kind(|kind, host| {
        let (closed, wait_closed) = mpsc::channel();
        let (entered, wait_entered) = mpsc::channel();
        let (dropped, wait_dropped) = mpsc::channel();
        let wait_dropped = Mutex::new(wait_dropped);
        let calls = AtomicUsize::new(0);
        let work: Work = Arc::new(move |weak, lent| {
            if calls.fetch_add(1, Ordering::SeqCst) > 0 {
                return;
            }
            let last = weak.upgrade().expect("the test has a reference");
            entered.send(()).unwrap();
            wait_dropped.lock().unwrap().recv().unwrap();
            assert!(last.is_running());
            drop(last);
            // Dropping it closes the transport, whose close waits for this handler.
            assert!(weak.upgrade().is_none());
            if let Some(lent) = lent {
                assert!(!lent.is_running());
                let sent = lent.send_message(b"late", "::1");
                assert!(matches!(sent, Err(TransportError::Shutdown)), "{sent:?}");
                lent.close();
            }
        });
        let ports = host.run(move || {
            let builder = loopback().on_closed(move || closed.send(()).unwrap());
            let transport = (kind.handle)(builder, work).build().unwrap();
            let ports = ports(&transport);
            (kind.cause)(host, &transport);
            wait_entered.recv_timeout(GENEROUS).unwrap();
            drop(transport);
            dropped.send(()).unwrap();
            ports
        });
        wait_closed.recv_timeout(GENEROUS).expect("it closes");
        host.ip(&["link", "set", "lo", "up"]);
        host.run(|| assert_free(ports));
    });
}

#[test]
fn the_closed_handler_finds_the_transport_closed_or_gone() {
    for drops in [false, true] {
        let (tell, told) = mpsc::channel();
        let builder = loopback();
        let weak = builder.weak();
        let builder = builder.on_closed(move || {
            let found = weak.upgrade();
            // The transport may be closed, or dropped by its last owner.
            tell.send(found.map(|found| (found.is_running(), found.send_message(b"", "::1"))))
                .unwrap();
        });
        let transport = builder.build().unwrap();
        let ports = ports(&transport);
        if drops {
            drop(transport);
            assert!(told.recv_timeout(GENEROUS).unwrap().is_none());
        } else {
            transport.close();
            let found = told.recv_timeout(GENEROUS).unwrap().unwrap();
            assert!(
                matches!(found, (false, Err(TransportError::Shutdown))),
                "{found:?}"
            );
        }
        assert_free(ports);
    }
}

/// The reference cycle that the documentation warns of, and how to break it.
#[test]
fn a_captured_reference_keeps_the_transport_open_until_it_is_closed() {
    let transport = loopback().build().unwrap();
    let (ports, weak) = (ports(&transport), transport.downgrade());
    let captured = Arc::clone(&transport);
    transport.on_message(move |_, _| drop(captured.interface()));
    drop(transport);
    let captured = weak.upgrade().expect("the handler has it");
    assert!(captured.is_running());
    captured.close();
    drop(captured);
    assert!(weak.upgrade().is_none(), "the close dropped the handler");
    assert_free(ports);
}

/// Replacing a handler drops its captures, among them the last reference.
#[test]
fn the_last_reference_may_be_dropped_with_the_handler_that_captured_it() {
    for from_inside in [false, true] {
        let (closed, wait_closed) = mpsc::channel();
        let builder = loopback().on_closed(move || closed.send(()).unwrap());
        let transport = builder.build().unwrap();
        let (ports, weak) = (ports(&transport), transport.downgrade());
        let captured = Mutex::new(Some(Arc::clone(&transport)));
        transport.on_message(move |_, sender| {
            assert!(captured.lock().unwrap().is_some());
            if from_inside {
                sender.transport().set_message_handler(None).unwrap();
            }
        });
        if from_inside {
            transport.send_message(b"go", "::1").unwrap();
            drop(transport);
        } else {
            let owner = weak.upgrade().unwrap();
            drop(transport);
            owner.set_message_handler(None).unwrap();
            drop(owner);
        }
        wait_closed.recv_timeout(GENEROUS).expect("it closes");
        assert!(weak.upgrade().is_none());
        assert_free(ports);
    }
}

#[test]
fn a_weak_reference_leads_nowhere_without_a_transport() {
    assert!(WeakTransport::default().upgrade().is_none());
    let taken = loopback().build().unwrap();
    let (tell, told) = mpsc::channel();
    let builder = loopback()
        .data_port(taken.data_port())
        .logger(move |_, text| tell.send(text.to_owned()).unwrap());
    let weak = builder.weak();
    assert!(weak.upgrade().is_none(), "not yet");
    builder.build().unwrap_err();
    assert!(weak.upgrade().is_none(), "the transport did not start");
    let records: Vec<String> = told.iter().collect();
    assert!(
        !records.iter().any(|record| record.contains("closed")),
        "{records:?}"
    );
}

#[test]
fn a_stream_lends_its_transport_and_does_not_keep_it_open() {
    let transport = loopback().build().unwrap();
    let ports = ports(&transport);
    let stream = transport.open_data_stream("::1").unwrap();
    assert_eq!(stream.transport().control_port(), transport.control_port());
    assert!(stream.transport().downgrade().upgrade().is_some());
    drop(transport);
    assert!(!stream.transport().is_running());
    assert!(stream.transport().downgrade().upgrade().is_none());
    assert_free(ports);
}

/// Sends messages and streams of a handler for both kinds to the test, as text.
fn tell(told: &mpsc::Sender<String>, name: &str, kind: MessageType, data: MessageData) {
    let text = match (kind, data) {
        (MessageType::ControlMessage, MessageData::Bytes(bytes)) => {
            String::from_utf8_lossy(&bytes).into_owned()
        }
        (MessageType::DataStream, MessageData::Stream(mut stream)) => {
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            text
        }
        other => panic!("{other:?}"),
    };
    told.send(format!("{name}: {text}")).unwrap();
}

fn send_both(transport: &ThunderboltTransport) {
    transport.send_message(b"message", "::1").unwrap();
    let mut stream = transport.open_data_stream("::1").unwrap();
    stream.write_all(b"stream").unwrap();
}

#[test]
fn one_handler_for_both_is_replaced_on_a_running_transport() {
    let (told, seen) = mpsc::channel();
    let told = [told.clone(), told];
    let transport = loopback().build().unwrap();
    // Queued messages and streams go to the first handler.
    send_both(&transport);
    for (name, told) in ["first", "second"].into_iter().zip(told) {
        transport.message_handler(move |msg_type, data| tell(&told, name, msg_type, data));
        if name == "second" {
            send_both(&transport);
        }
        let mut both = [(); 2].map(|()| seen.recv_timeout(GENEROUS).unwrap());
        both.sort();
        assert_eq!(
            both,
            [format!("{name}: message"), format!("{name}: stream")]
        );
    }
    transport.close();
    transport.message_handler(|_, _| unreachable!("no message and no stream follows"));
}

/// A handler that blocks until it is released.
struct Held {
    entered: mpsc::Receiver<()>,
    go: mpsc::Sender<()>,
    left: Arc<AtomicUsize>,
}

impl Held {
    fn new() -> (Self, impl Fn() + Send + Sync + 'static) {
        let (enter, entered) = mpsc::channel();
        let (go, wait) = mpsc::channel();
        let wait = Mutex::new(wait);
        let left = Arc::new(AtomicUsize::new(0));
        let leaving = Arc::clone(&left);
        let held = Self { entered, go, left };
        (held, move || {
            enter.send(()).unwrap();
            wait.lock().unwrap().recv().unwrap();
            leaving.fetch_add(1, Ordering::SeqCst);
        })
    }

    /// Releases the call while `replace` waits for its end.
    fn end_during(self, replace: impl FnOnce() + Send) {
        self.entered.recv_timeout(GENEROUS).unwrap();
        std::thread::scope(|scope| {
            let replacing = scope.spawn(|| {
                replace();
                assert_eq!(
                    self.left.load(Ordering::SeqCst),
                    1,
                    "the old handler was still running"
                );
            });
            self.go.send(()).unwrap();
            replacing.join().unwrap();
        });
    }
}

#[test]
fn the_old_handler_does_not_run_after_its_replacement() {
    let transport = loopback().build().unwrap();
    let (held, stay) = Held::new();
    transport.on_message(move |_, _| stay());
    transport.send_message(b"go", "::1").unwrap();
    held.end_during(|| transport.message_handler(|_, _| ()));

    let (held, stay) = Held::new();
    transport.on_stream(move |_: DataStream| stay());
    let _stream = transport.open_data_stream("::1").unwrap();
    held.end_during(|| transport.message_handler(|_, _| ()));

    let (held, stay) = Held::new();
    transport.logger(move |_, text| {
        if text == "go" {
            stay();
        }
    });
    let logging = Arc::clone(&transport);
    let logging = std::thread::spawn(move || logging.log(LogLevel::Error, format_args!("go")));
    held.end_during(|| transport.logger(|_, _| ()));
    logging.join().unwrap();
}

#[test]
fn the_old_link_handler_does_not_run_after_its_replacement() {
    let host = Host::alone();
    let transport = host.run(|| loopback().build()).unwrap();
    let (held, stay) = Held::new();
    transport.on_link(move |_| stay());
    host.ip(&["link", "set", "lo", "down"]);
    let (tell, told) = mpsc::channel();
    held.end_during(|| transport.on_link(move |event| tell.send(event.up).unwrap()));
    host.ip(&["link", "set", "lo", "up"]);
    assert!(told.recv_timeout(GENEROUS).unwrap());
}

/// The message call must not wait for the stream call of the same handler, which waits for the message call.
#[test]
fn a_handler_for_both_replaces_itself_from_inside_without_waiting() {
    for inside in [MessageType::ControlMessage, MessageType::DataStream] {
        let builder = loopback();
        let weak = builder.weak();
        let (both, replaced) = (Arc::new(std::sync::Barrier::new(2)), Arc::default());
        let seen: Arc<AtomicUsize> = Arc::clone(&replaced);
        let transport = builder
            .message_handler(move |kind, _| {
                both.wait();
                if kind == inside {
                    let transport = weak.upgrade().unwrap();
                    transport.message_handler(|_, _| ());
                    replaced.fetch_add(1, Ordering::SeqCst);
                } else {
                    wait_until("the other call replaced the handler", GENEROUS, || {
                        replaced.load(Ordering::SeqCst) == 1
                    });
                }
            })
            .build()
            .unwrap();
        send_both(&transport);
        wait_until("the handler is replaced", GENEROUS, || {
            seen.load(Ordering::SeqCst) == 1
        });
        transport.close();
        assert_eq!(transport.get_stats().callback_failures, 0);
    }
}
