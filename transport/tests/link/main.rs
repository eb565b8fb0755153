//! Errors about the link: correct in every state of it, with advice that helps.

mod hints;
mod namespaces;
mod order;
mod refused;
mod states;
mod unroutable;

use std::process::Command;
use std::sync::{mpsc, Arc, Mutex};
use std::time::{Duration, Instant};

use testkit::{wait_until, Cable, Host, GENEROUS};
use thunderbolt_transport::{ThunderboltTransport, ThunderboltTransportBuilder, TransportError};

/// A transport on a host, and its link events.
pub(crate) struct Watched<'a> {
    host: &'a Host,
    pub(crate) transport: Arc<ThunderboltTransport>,
    events: Mutex<mpsc::Receiver<bool>>,
}

impl<'a> Watched<'a> {
    pub(crate) fn start(host: &'a Host, builder: ThunderboltTransportBuilder) -> Self {
        let (sender, events) = mpsc::channel();
        let builder = builder.on_link(move |event| {
            // The receiver is gone when the test has ended.
            let _ = sender.send(event.up);
        });
        let transport = host.run(|| builder.build()).expect("a transport");
        Self {
            host,
            transport,
            events: Mutex::new(events),
        }
    }

    /// Waits until calls give LINK_DOWN, and returns the reason.
    pub(crate) fn reason_for_being_down(&self) -> String {
        let mut reason = None;
        wait_until("calls give LINK_DOWN", GENEROUS, || {
            reason = self.refused();
            reason.is_some()
        });
        reason.expect("it was waited for")
    }

    /// Waits until the reason contains these words.
    pub(crate) fn is_down_because(&self, words: &[&str]) -> String {
        let mut last = String::new();
        let end = Instant::now() + GENEROUS;
        while !words.iter().all(|words| last.contains(words)) {
            assert!(Instant::now() < end, "{words:?} are not in {last:?}");
            last = self.refused().unwrap_or_default();
        }
        last
    }

    fn refused(&self) -> Option<String> {
        let sent = self
            .host
            .run(|| self.transport.send_message(b"x", "fe80::1"));
        match sent {
            Err(error @ TransportError::LinkDown { back: false, .. }) => Some(error.to_string()),
            _ => None,
        }
    }

    /// The next link event, if there is one.
    pub(crate) fn event(&self) -> Option<bool> {
        self.events.lock().expect("no panic").try_recv().ok()
    }

    pub(crate) fn is_up_again(&self) {
        wait_until("the link is up", GENEROUS, || {
            self.transport.get_stats().link_up
        });
    }
}

/// The command that an error advises, from `start` on. Placeholders for a number become 77.
pub(crate) fn advised<'a>(text: &'a str, start: &str) -> Vec<String> {
    let from = text.find(start).unwrap_or_else(|| panic!("{text}"));
    let command: &'a str = text[from..].split([',', '(', ')', ';']).next().unwrap();
    command
        .split_whitespace()
        .map(|word| word.replace("NUMBER", "77"))
        .collect()
}

/// Runs a command on a host.
pub(crate) fn follow(host: &Host, command: &[String]) {
    let (program, arguments) = command.split_first().expect("a command");
    let output = host.run(|| Command::new(program).args(arguments).output());
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

pub(crate) fn ip(host: &Host, arguments: &str) {
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    host.ip(&arguments);
}

/// Waits until a round trip to the other host succeeds.
pub(crate) fn reaches(cable: &Cable, a: &ThunderboltTransport) {
    wait_until("a round trip succeeds", GENEROUS, || {
        let timeout = Some(Duration::from_millis(200));
        cable
            .a()
            .run(|| a.round_trip(cable.b().address(), timeout))
            .is_ok()
    });
}
