use super::*;
use crate::control::receiver;
use crate::models::{check, core};
use crate::sys::event::EventFd;
use crate::sys::poll::{wait, Interest};
use crate::sys::yield_point;
use loom::thread::spawn;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;

/// Says how far a thread of the model has got, and waits for that.
struct Progress(AtomicU64, EventFd);

impl Progress {
    fn new() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(0), EventFd::new().unwrap()))
    }

    fn reach(&self, step: u64) {
        if self.0.swap(step, Ordering::SeqCst) != step {
            self.1.signal();
        }
    }

    fn wait_for(&self, step: u64) {
        while self.0.load(Ordering::SeqCst) < step {
            wait(&mut [Interest::readable(self.1.as_fd())], Deadline::Never).unwrap();
            self.1.clear();
        }
    }
}

/// The receiver with its handler, and two threads that read in its place whenever they may.
#[test]
fn messages_stay_in_order_and_none_is_left_behind_whoever_reads_them() {
    check(Some(2), || {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (handled, progress) = (Arc::clone(&seen), Progress::new());
        let done = Arc::clone(&progress);
        let core = core(|settings| {
            settings.on_message(move |message, _| {
                lock(&handled).push(message[0]);
                done.reach(message[0].into());
            })
        });
        let (near, far) = UnixDatagram::pair().unwrap();
        for message in [1, 2, 3] {
            far.send(&[message]).unwrap();
        }
        core.control.open(crate::models::sockets(near), || {});
        let batch = receiver::buffers().unwrap();
        core.spawn("dcf-tb-recv", |core| receiver::run(core, batch))
            .unwrap();
        let pumping = [(); 2].map(|()| {
            let core = Arc::clone(&core);
            spawn(move || pump(&core))
        });
        // Another comes while all this goes on.
        yield_point::syscall(|| far.send(&[4])).unwrap();
        progress.wait_for(4);
        assert_eq!(*lock(&seen), [1, 2, 3, 4]);
        for pumping in pumping {
            pumping.join().unwrap();
        }
        core.close();
    });
}

/// A handler that runs until the accepting thread reads in the receiver's place, twice: the second
/// time that thread may just be about to look no more.
#[test]
fn a_handler_that_takes_long_always_gets_its_stand_in() {
    check(Some(3), || {
        const TIMES: u64 = 2;
        let core = core(|settings| settings);
        let stood_in = Progress::new();
        let accepting = {
            let (core, stood_in) = (Arc::clone(&core), Arc::clone(&stood_in));
            spawn(move || {
                let mut stand_in = StandIn::new();
                let mut now = stand_in.next_look;
                loop {
                    let (needed, until) = stand_in.look(&core.intake, now);
                    let call = core.intake.calls.load(Ordering::SeqCst);
                    if needed {
                        stood_in.reach(call);
                    }
                    match until {
                        Deadline::At(then) => now = then,
                        // Nobody will wake us any more.
                        _ if call == TIMES => return,
                        _ => {}
                    }
                    let mut interests = [Interest::readable(core.accept_wake.as_fd())];
                    wait(&mut interests, until).unwrap();
                    core.accept_wake.clear();
                }
            })
        };
        for time in 1..=TIMES {
            core.intake.begin(&core);
            core.intake.count_call();
            stood_in.wait_for(time);
            assert!(core.intake.next_or_end().is_none());
        }
        accepting.join().unwrap();
    });
}
