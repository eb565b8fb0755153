//! The order in which a change of the link is visible: first in the state, then to calls and streams, then
//! to the link handler, which delays neither.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{mpsc, Arc};
use std::thread;
use std::time::Duration;

use testkit::{Cable, GENEROUS};
use thunderbolt_transport::{ThunderboltTransport, ThunderboltTransportBuilder, TransportError};

use crate::reaches;

/// Streams that break together. More streams take longer.
const STREAMS: usize = 32;
const ROUNDS: usize = 10;

fn both(cable: &Cable, a: ThunderboltTransportBuilder) -> [Arc<ThunderboltTransport>; 2] {
    let b = ThunderboltTransportBuilder::new();
    [
        cable.a().run(|| a.build()).expect("a transport"),
        cable.b().run(|| b.build()).expect("a transport"),
    ]
}

/// Checks that the link state is down after a call has failed.
fn finds_it_down(a: &ThunderboltTransport, error: TransportError) {
    let stats = a.get_stats();
    assert!(
        matches!(error, TransportError::LinkDown { back: false, .. }),
        "{error:?}"
    );
    assert!(!stats.link_up, "LINK_DOWN, but the state is up: {error}");
    assert_eq!(
        stats.link_changes % 2,
        1,
        "the change is not counted: {error}"
    );
    a.wait_link(false, Some(Duration::ZERO))
        .expect("it is down");
}

#[test]
fn the_state_is_down_before_any_stream_or_call_fails() {
    let cable = Cable::new();
    let [a, b] = both(&cable, ThunderboltTransportBuilder::new());
    for _ in 0..ROUNDS {
        reaches(&cable, &a);
        let readers: Vec<_> = (0..STREAMS)
            .map(|_| {
                let opened = cable.a().run(|| a.open_data_stream(cable.b().address()));
                let (a, stream) = (Arc::clone(&a), opened.expect("a stream"));
                thread::spawn(move || {
                    let error = stream.read_timeout(&mut [0], None).expect_err("no data");
                    finds_it_down(&a, error);
                })
            })
            .collect();
        // Calls that get the error from the kernel first.
        let sender = {
            let (a, peer) = (Arc::clone(&a), cable.b().address().to_owned());
            cable.a().spawn(move || loop {
                match a.send_message(b"x", &peer) {
                    Err(error @ TransportError::LinkDown { .. }) => break finds_it_down(&a, error),
                    Ok(_) | Err(TransportError::QueueFull { .. }) => {}
                    Err(other) => panic!("{other}"),
                }
            })
        };
        cable.unplug();
        for reader in readers {
            reader.join().expect("no panic");
        }
        sender.join().expect("no panic");
        while let Ok(old) = b.accept(Some(Duration::ZERO)) {
            drop(old);
        }
        cable.plug();
        a.wait_link(true, Some(GENEROUS)).expect("it is up");
        assert!(a.get_stats().link_up);
    }
}

/// A link handler that blocks delays nothing else.
#[test]
fn a_link_handler_that_does_not_return_holds_up_no_stream() {
    let cable = Cable::new();
    let (told, events) = mpsc::channel();
    let (let_go, hold) = mpsc::channel::<()>();
    let hold = std::sync::Mutex::new(hold);
    let held = Arc::new(AtomicBool::new(false));
    let inside = Arc::clone(&held);
    let builder = ThunderboltTransportBuilder::new().on_link(move |event| {
        told.send(event.up).expect("the test listens");
        if event.up && !inside.swap(true, Ordering::SeqCst) {
            // It ends when the test releases it, or fails.
            let _ = hold.lock().expect("no panic").recv();
        }
    });
    let [a, b] = both(&cable, builder);
    cable.unplug();
    assert!(!events.recv_timeout(GENEROUS).expect("down"));
    cable.plug();
    assert!(events
        .recv_timeout(GENEROUS)
        .expect("the handler is called with up, and blocks"));
    reaches(&cable, &a);
    // Streams can be accepted and opened, and break.
    let theirs = cable.b().run(|| b.open_data_stream(cable.a().address()));
    let accepted = a.accept(Some(GENEROUS)).expect("a stream of host b");
    let opened = cable.a().run(|| a.open_data_stream(cable.b().address()));
    let opened = opened.expect("a stream to host b");
    cable.unplug();
    for stream in [&opened, &accepted] {
        let read = stream.read_timeout(&mut [0], Some(GENEROUS));
        finds_it_down(&a, read.expect_err("no data"));
    }
    drop(theirs);
    cable.plug();
    a.wait_link(true, Some(GENEROUS)).expect("it is up");
    assert!(
        events.try_recv().is_err(),
        "two calls of one handler at once"
    );
    let_go.send(()).expect("it waits");
    for up in [false, true] {
        assert_eq!(events.recv_timeout(GENEROUS).expect("told later"), up);
    }
    assert_eq!(a.get_stats().link_changes, 4);
}

#[test]
fn a_wait_for_the_link_ends_with_the_change_the_time_or_the_transport() {
    let cable = Cable::new();
    let [a, _b] = both(&cable, ThunderboltTransportBuilder::new());
    a.wait_link(true, Some(Duration::ZERO)).expect("it is up");
    let late = a.wait_link(false, Some(Duration::ZERO));
    assert!(matches!(late, Err(TransportError::WouldBlock)), "{late:?}");
    let late = a.wait_link(false, Some(Duration::from_millis(20)));
    let late = late.expect_err("it is up");
    let late = late.last_error_text();
    for words in ["\"thunderbolt0\" did not go down", "20 ms"] {
        assert!(late.contains(words), "{late}");
    }
    for up in [false, true] {
        let waiting = {
            let a = Arc::clone(&a);
            thread::spawn(move || a.wait_link(up, Some(GENEROUS)))
        };
        match up {
            true => cable.plug(),
            false => cable.unplug(),
        }
        waiting.join().expect("no panic").expect("it changed");
        assert_eq!(a.get_stats().link_up, up);
        if !up {
            let late = a.wait_link(true, Some(Duration::from_millis(20)));
            let late = late.expect_err("it is down");
            let late = late.last_error_text();
            assert!(late.contains("the interface is gone"), "{late}");
        }
    }
    let waiting = {
        let a = Arc::clone(&a);
        thread::spawn(move || a.wait_link(false, None))
    };
    a.close();
    let woken = waiting.join().expect("no panic");
    assert!(matches!(woken, Err(TransportError::Shutdown)), "{woken:?}");
}
