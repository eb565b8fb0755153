//! What the models share. They stand beside what they check, each in a module `models`, and run
//! the real code in every order that its threads can take: `make models`.
//!
//! A model fails by an assertion, by a data race on one of loom's cells, or because all threads
//! sleep, which loom calls a deadlock. `Arc` is not a place where threads are interleaved, so what
//! a model asserts about counts of references it tells by a [`Presence`].

use std::os::unix::net::UnixDatagram;
use std::sync::atomic::AtomicUsize as Total;
use std::sync::Arc;
use std::time::Duration;

use crate::control::Sockets;
use crate::core::Core;
use crate::link::{Current, LinkState};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::ThunderboltTransportBuilder;

/// Runs `model` in every order of its threads' steps, or in all that interrupt a thread at most
/// `preemptions` times where it could go on: nearly every fault shows with two or three.
pub(crate) fn check(preemptions: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.max_branches = 100_000;
    let orders = Arc::new(Total::new(0));
    let counted = Arc::clone(&orders);
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        model();
    });
    println!("{} orders", orders.load(Ordering::Relaxed));
}

/// A transport without sockets and threads.
pub(crate) fn core(
    settings: impl FnOnce(ThunderboltTransportBuilder) -> ThunderboltTransportBuilder,
) -> Arc<Core> {
    let builder = ThunderboltTransportBuilder::new()
        .interface("lo")
        .allow_any_source(true)
        .busy_poll(Duration::ZERO);
    Core::new(settings(builder)).expect("a few descriptors")
}

/// A state of the link that is told from others by the interface's index.
pub(crate) fn link(state: LinkState, index: u32) -> Current {
    Current {
        name: "lo".to_owned(),
        index: Some(index),
        state,
        multicast: false,
        addresses: Vec::new(),
    }
}

/// Sockets of a transport, of which one end of a pair is what receives.
pub(crate) fn sockets(near: UnixDatagram) -> Sockets {
    let outbound = near.try_clone().expect("a descriptor");
    Sockets {
        main: Arc::new(near.into()),
        outbound: Arc::new(outbound.into()),
    }
}

/// How many threads are inside something just now.
#[derive(Default)]
pub(crate) struct Presence(AtomicUsize);

impl Presence {
    pub fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        self.0.fetch_add(1, Ordering::SeqCst);
        let result = work();
        self.0.fetch_sub(1, Ordering::SeqCst);
        result
    }

    pub fn is_anybody(&self) -> bool {
        self.0.load(Ordering::SeqCst) > 0
    }
}
