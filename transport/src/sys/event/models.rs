use super::*;
use crate::models::check;
use crate::sync::atomic::AtomicUsize;
use crate::sys::poll::{wait, Deadline, Interest};
use loom::thread::spawn;
use std::sync::Arc;

/// The protocol of [`Wake`], with two threads that signal at any moment.
#[test]
fn no_signal_is_lost() {
    check(Some(3), || {
        let wake = Arc::new(Wake::new().unwrap());
        let news = Arc::new(AtomicUsize::new(0));
        let tellers = [0, 1].map(|_| {
            let (wake, news) = (Arc::clone(&wake), Arc::clone(&news));
            spawn(move || {
                news.fetch_add(1, Ordering::Relaxed);
                wake.signal();
            })
        });
        loop {
            wake.clear();
            if news.load(Ordering::Relaxed) == tellers.len() {
                break;
            }
            if !wake.is_pending() {
                wait(&mut [Interest::readable(wake.as_fd())], Deadline::Never).unwrap();
            }
        }
        for teller in tellers {
            teller.join().unwrap();
        }
    });
}
