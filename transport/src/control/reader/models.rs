use super::*;
use crate::models::{check, core};
use crate::receiver;
use crate::sys::event::EventFd;
use crate::sys::poll::{wait, Interest};
use crate::sys::yield_point;
use loom::thread::spawn;
use std::os::unix::net::UnixDatagram;

/// Announces how far a thread of the model has got, and waits for that.
struct Milestone(AtomicU64, EventFd);

impl Milestone {
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
        let (handled, progress) = (Arc::clone(&seen), Milestone::new());
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
            spawn(move || core.reader.drain_for_receiver())
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

/// A handler that runs until the event loop reads in the receiver's place, twice. The second time the event loop may be
/// about to end its watch.
#[test]
fn while_a_handler_takes_long_the_event_loop_always_reads() {
    check(Some(3), || {
        const TIMES: u64 = 2;
        let core = core(|settings| settings);
        let stood_in = Milestone::new();
        let accepting = {
            let (core, stood_in) = (Arc::clone(&core), Arc::clone(&stood_in));
            spawn(move || {
                let mut watchdog = ReceiverWatchdog::new();
                let mut now = watchdog.next_check;
                loop {
                    let (needed, until) = watchdog.look(&core.reader, now);
                    let call = core.reader.calls.load(Ordering::SeqCst);
                    if needed {
                        stood_in.reach(call);
                    }
                    match until {
                        Deadline::At(then) => now = then,
                        // No thread wakes this one any more.
                        _ if call == TIMES => return,
                        _ => {}
                    }
                    let mut interests = [Interest::readable(core.context.event_loop_wake.as_fd())];
                    wait(&mut interests, until).unwrap();
                    core.context.event_loop_wake.clear();
                }
            })
        };
        for time in 1..=TIMES {
            core.reader.suspend_receiver();
            core.reader.count_call();
            stood_in.wait_for(time);
            assert!(core.reader.next_or_resume().is_none());
        }
        accepting.join().unwrap();
    });
}
