//! One-time events that any number of threads can wait for in a `select!`.
//!
//! An event happens when the last clone of its [`Trigger`] is dropped: a channel without senders is ready for all
//! its receivers, and stays ready.

use std::convert::Infallible;

use crossbeam_channel::{bounded, Receiver, Sender, TryRecvError};

/// Fires its event when the last clone is dropped.
pub type Trigger = Sender<Infallible>;
/// Becomes ready, by being disconnected, when the event has happened.
pub type Event = Receiver<Infallible>;

pub fn event() -> (Trigger, Event) {
    bounded(0)
}

pub fn has_happened(event: &Event) -> bool {
    event.try_recv() == Err(TryRecvError::Disconnected)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn it_happens_for_all_who_wait_when_the_last_one_lets_go() {
        let (trigger, event) = event();
        let other = trigger.clone();
        drop(trigger);
        assert!(!has_happened(&event));
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| event.recv().unwrap_err());
            }
            drop(other);
        });
        assert!(has_happened(&event) && has_happened(&event.clone()));
    }
}
