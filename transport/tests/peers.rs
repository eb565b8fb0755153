//! The peers that a transport remembers.

mod common;

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use testkit::{wait_until, GENEROUS};
use thunderbolt_transport::{ThunderboltTransport, TransportError};

use common::loopback;

const PATIENCE: Option<Duration> = Some(GENEROUS);

fn transport(remember: bool) -> Arc<ThunderboltTransport> {
    loopback()
        .remember_peers(remember)
        .build()
        .expect("a transport on lo")
}

fn control_of(peer: &ThunderboltTransport) -> String {
    format!("[::1%lo]:{}", peer.control_port())
}

/// Runs `act`, and waits until the peer was last heard from after that.
#[track_caller]
fn heard_after(transport: &ThunderboltTransport, what: &str, act: impl FnOnce()) {
    let before = Instant::now();
    act();
    wait_until(what, GENEROUS, || {
        let last = transport.last_heard("::1").expect("an address");
        last.is_some_and(|last| last >= before)
    });
}

#[test]
fn every_kind_of_data_from_a_peer_is_recorded() {
    let (a, b) = (transport(true), transport(true));
    assert_eq!(a.last_heard("::1").unwrap(), None);
    heard_after(&a, "a message", || {
        b.send_message(b"x", &control_of(&a)).unwrap();
    });
    heard_after(&a, "a ping, on its way to be answered", || {
        b.round_trip(&control_of(&a), PATIENCE).unwrap();
    });
    // Its ping arrives at the control socket, and its answer at the round trip's socket.
    let c = transport(true);
    heard_after(&c, "a pong", || {
        c.round_trip(&control_of(&b), PATIENCE).unwrap();
    });
    let mut near = a
        .open_data_stream(&format!("[::1]:{}", b.data_port()))
        .unwrap();
    near.write_all(b"x").unwrap();
    let mut far = b.accept(PATIENCE).unwrap();
    heard_after(&b, "bytes of a stream", || {
        far.read_exact(&mut [0]).unwrap();
    });
}

#[test]
fn a_peer_is_forgotten_until_it_is_heard_again() {
    let (a, b) = (transport(true), transport(false));
    let send = || assert_eq!(b.send_message(b"x", &control_of(&a)).unwrap(), 1);
    heard_after(&a, "a message", send);
    a.forget("[::1%lo]:7777").unwrap();
    assert_eq!(a.last_heard("::1%lo").unwrap(), None);
    heard_after(&a, "another message", send);
    a.recv(&mut [0; 8], PATIENCE).unwrap();
    // `b` does not remember peers.
    a.send_message(b"x", &control_of(&b)).unwrap();
    b.recv(&mut [0; 8], PATIENCE).unwrap();
    assert_eq!(b.last_heard("::1").unwrap(), None);
}

#[test]
fn strings_that_mean_the_same_peer_resolve_to_the_same_address() {
    let t = transport(false);
    let bare = t.resolve("::1").unwrap();
    assert_eq!(bare.port(), t.control_port());
    for same in ["::1%lo", "0::1", &control_of(&t), "::1%1"] {
        assert_eq!(t.resolve(same).unwrap(), bare, "{same}");
    }
    assert_eq!(t.resolve("[::1]:7000").unwrap().port(), 7000);
    assert!(matches!(
        t.resolve("localhost"),
        Err(TransportError::InvalidAddress(_))
    ));
    for wrong in ["nonsense", "fe80::1%none0"] {
        assert!(t.last_heard(wrong).is_err() && t.forget(wrong).is_err());
    }
}
