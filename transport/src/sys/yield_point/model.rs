//! System calls in a model. The descriptors are real. After each call, all blocked threads poll again.

use crate::sync::{lock, thread, Condvar, Mutex};

loom::lazy_static! {
    static ref STEP: Mutex<()> = Mutex::new(());
    static ref STEPPED: Condvar = Condvar::new();
}

pub(crate) fn syscall<T>(call: impl FnOnce() -> T) -> T {
    let _one_at_a_time = lock(&STEP);
    let result = call();
    STEPPED.notify_all();
    result
}

/// A limited timeout expires after other threads have run.
pub(crate) fn blocking_poll(
    timeout: Option<libc::timespec>,
    mut poll: impl FnMut(Option<libc::timespec>) -> libc::c_int,
) -> libc::c_int {
    const NO_TIME: libc::timespec = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let mut step = lock(&STEP);
    loop {
        let ready = poll(Some(NO_TIME));
        if ready != 0 {
            return ready;
        }
        match timeout {
            None => {
                step = STEPPED
                    .wait(step)
                    .expect("a model stops at the first panic")
            }
            Some(NO_TIME) => return ready,
            Some(_) => {
                drop(step);
                thread::yield_now();
                return poll(Some(NO_TIME));
            }
        }
    }
}
