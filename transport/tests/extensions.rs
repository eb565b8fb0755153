//! Functions for programs that build a queue or a protocol on top of a transport.

mod common;

use std::sync::{mpsc, Arc};

use testkit::GENEROUS;
use thunderbolt_transport::{DropReason, ThunderboltTransport, TransportError};

use common::loopback;

fn transport() -> Arc<ThunderboltTransport> {
    loopback().build().expect("a transport on lo")
}

#[test]
fn what_a_handler_drops_is_counted() {
    let t = transport();
    t.count_dropped(DropReason::Full, 2);
    t.count_dropped(DropReason::Memory, 3);
    t.count_dropped(DropReason::Cut(format_args!("half of it")), 4);
    t.count_dropped(DropReason::Slow(format_args!("a byte a second")), 5);
    let stats = t.get_stats();
    assert_eq!((stats.messages_dropped, stats.dropped_memory), (14, 3));
    assert_eq!(stats.dropped_slow, 5);
}

#[test]
fn close_waits_for_threads_that_were_started_beside_its_own() {
    let t = transport();
    let mut stream = t
        .open_data_stream(&format!("[::1]:{}", t.data_port()))
        .unwrap();
    // Otherwise its end in the queue is dropped first, which ends the stream.
    let _far_end = t.accept(Some(GENEROUS)).unwrap();
    let (name, named) = mpsc::channel();
    let (end, ended) = mpsc::channel();
    t.spawn("dcf-tb-example", move || {
        name.send(std::fs::read_to_string("/proc/thread-self/comm"))
            .unwrap();
        // Waits until the transport closes.
        assert!(std::io::Read::read(&mut stream, &mut [0]).is_err());
        end.send(()).unwrap();
    })
    .unwrap();
    let own = named.recv_timeout(GENEROUS).unwrap().unwrap();
    assert_eq!(own.trim_end(), "dcf-tb-example");
    t.close();
    assert!(ended.try_recv().is_ok(), "it had ended when close returned");
    let late = t.spawn("late", || unreachable!());
    assert!(matches!(late, Err(TransportError::Shutdown)));
}

#[test]
fn thread_names_must_be_valid_for_the_kernel() {
    let t = transport();
    for name in ["", "a name of 16 byt", "a\0b"] {
        let refused = t.spawn(name, || unreachable!());
        assert!(matches!(refused, Err(TransportError::OutOfRange { .. })));
    }
}
