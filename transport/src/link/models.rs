use super::*;
use crate::models::{check, link as state};
use loom::thread::spawn;
use std::sync::Arc;

/// A conclusion from the state, as a cache of peer strings keeps it, with the epoch that was read before it.
fn conclude(link: &Link) -> (u64, Option<u32>) {
    (link.epoch(), link.with(|now| now.index))
}

#[test]
fn what_was_concluded_in_the_present_epoch_holds() {
    check(None, || {
        let link = Arc::new(Link::absent("lo"));
        let concluding = {
            let link = Arc::clone(&link);
            spawn(move || [conclude(&link), conclude(&link)])
        };
        for index in [1, 2] {
            link.set(state(LinkState::Up, index));
            let (epoch, concluded) = conclude(&link);
            assert_eq!(concluded, Some(index));
            assert_eq!(link.epoch(), epoch);
        }
        let (epoch, present) = conclude(&link);
        for (then, concluded) in concluding.join().unwrap() {
            assert!(then != epoch || concluded == present);
        }
    });
}

/// A thread that finds the link up also finds the state that is up.
#[test]
fn up_tells_of_the_state_that_was_set() {
    check(None, || {
        let link = Arc::new(Link::absent("lo"));
        let looking = {
            let link = Arc::clone(&link);
            spawn(move || {
                if link.check().is_ok() {
                    let (_, index) = conclude(&link);
                    assert!(index.is_some(), "the state before was looked at");
                }
            })
        };
        link.set(state(LinkState::Up, 1));
        link.set(state(LinkState::NoCarrier(CarrierLoss::NoSignal), 1));
        looking.join().unwrap();
        assert!(link.check().is_err());
    });
}
