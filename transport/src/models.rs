//! Helpers of the loom models. A model is in a module `models` beside the code that it checks. It
//! runs that code in every interleaving of its threads: `make models`.
//!
//! A model fails by an assertion, by a data race on a cell of loom, or when all threads sleep, which
//! loom reports as a deadlock. Loom does not interleave threads at operations on `Arc`, so a model
//! uses a [`Presence`] instead of a reference count to count the threads inside a section.

use std::os::unix::net::UnixDatagram;
use std::sync::atomic::AtomicUsize as Total;
use std::sync::Arc;
use std::time::Duration;

use crate::context::Context;
use crate::control::Sockets;
use crate::core::Core;
use crate::link::{Current, LinkState};
use crate::settings::Settings;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::ThunderboltTransportBuilder;

/// Runs `model` in every interleaving of its threads. With `preemptions`, only in those that preempt
/// running threads at most so many times: two or three find nearly every fault.
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
    crate::start::build(settings(builder)).expect("a few descriptors")
}

/// What the parts of a transport share.
pub(crate) fn context(settings: Settings) -> Arc<Context> {
    let settings = Settings {
        busy_poll: Duration::ZERO,
        ..settings
    };
    Arc::new(Context::new(settings, None, false).expect("a few descriptors"))
}

/// A state of the link, which a model recognizes by the interface's index.
pub(crate) fn link(state: LinkState, index: u32) -> Current {
    Current {
        name: "lo".to_owned(),
        index: Some(index),
        state,
        multicast: false,
        addresses: Vec::new(),
    }
}

/// Sockets of a transport whose receiving socket is one end of a socket pair.
pub(crate) fn sockets(near: UnixDatagram) -> Sockets {
    let outbound = near.try_clone().expect("a descriptor");
    Sockets {
        control: Arc::new(near.into()),
        outbound: Arc::new(outbound.into()),
    }
}

/// Counts the threads that are inside a section.
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
