//! The signal and floating-point state of threads.

use std::mem::MaybeUninit;
use std::time::Duration;

use crate::sync::thread;

/// Another signal mask on this thread, until it is dropped.
pub(super) struct SignalMask(libc::sigset_t);

impl SignalMask {
    pub fn set(how: libc::c_int, set: &libc::sigset_t) -> Self {
        let mut before = MaybeUninit::uninit();
        // SAFETY: both pointers are valid; with a valid `how` the call cannot fail and fills
        // `before`.
        unsafe {
            libc::pthread_sigmask(how, set, before.as_mut_ptr());
            Self(before.assume_init())
        }
    }
}

impl Drop for SignalMask {
    fn drop(&mut self) {
        // SAFETY: the set came from pthread_sigmask.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, std::ptr::null_mut()) };
    }
}

/// Runs `body` so that a SIGPIPE or SIGXFSZ which it raises on this thread is swallowed: sendfile(2)
/// and splice(2) have no MSG_NOSIGNAL, and a write past RLIMIT_FSIZE is an error to report, not a
/// reason to end the host. A signal that was pending before stays pending.
pub(crate) fn without_write_signals<T>(body: impl FnOnce() -> T) -> T {
    let pending_before = WRITE_SIGNALS.map(is_pending);
    let mask = SignalMask::set(libc::SIG_BLOCK, &signal_set(&WRITE_SIGNALS));
    let result = body();
    for (signal, before) in WRITE_SIGNALS.into_iter().zip(pending_before) {
        if !before && is_pending(signal) {
            let now = libc::timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            // SAFETY: the pointers are valid; the information about the signal is not wanted.
            unsafe { libc::sigtimedwait(&signal_set(&[signal]), std::ptr::null_mut(), &now) };
        }
    }
    drop(mask);
    result
}

/// Signals by which the kernel comments on a failed write.
const WRITE_SIGNALS: [libc::c_int; 2] = [libc::SIGPIPE, libc::SIGXFSZ];

fn signal_set(signals: &[libc::c_int]) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initializes the set that sigaddset extends with valid numbers.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for &signal in signals {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        set.assume_init()
    }
}

fn is_pending(signal: libc::c_int) -> bool {
    let mut pending = MaybeUninit::uninit();
    // SAFETY: sigpending fills the set; sigismember reads it.
    unsafe {
        libc::sigpending(pending.as_mut_ptr()) == 0
            && libc::sigismember(pending.as_ptr(), signal) == 1
    }
}

extern "C" {
    // In libm, which std links. The libc crate does not declare them.
    fn feholdexcept(environment: *mut FloatingPointEnvironment) -> libc::c_int;
    pub(super) fn fesetenv(environment: *const FloatingPointEnvironment) -> libc::c_int;
}

/// `fenv_t`: 28 bytes and the MXCSR on x86-64, 8 bytes on AArch64, 4 to 16 elsewhere.
#[repr(C, align(16))]
pub(super) struct FloatingPointEnvironment([u8; 64]);

/// Runs floating-point arithmetic on a caller's thread without raising what the caller traps
/// (SBCL traps overflow, invalid and division by zero), and without leaving a flag behind.
pub(crate) fn quiet_floating_point<T>(body: impl FnOnce() -> T) -> T {
    let mut saved = MaybeUninit::<FloatingPointEnvironment>::uninit();
    // SAFETY: the buffer is larger and better aligned than any `fenv_t`; feholdexcept fills what
    // fesetenv reads.
    unsafe { feholdexcept(saved.as_mut_ptr()) };
    let result = body();
    // SAFETY: as above.
    unsafe { fesetenv(saved.as_ptr()) };
    result
}

/// How often another thread has run on this one's processor although this one wanted to, by
/// preemption or for a sched_yield (`ru_nivcsw`, getrusage(2)).
pub(crate) fn context_switches() -> u64 {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the call fills the struct, which is valid when it is all zeros as well.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr());
        usage.assume_init()
    };
    usage.ru_nivcsw as u64
}

/// Waits for other threads to do what takes them microseconds, once they run: yielding lets them,
/// and sleeping lets those of lower real-time priority as well.
pub(crate) fn wait_until(done: impl Fn() -> bool) {
    let mut rounds = 0;
    while !done() {
        rounds += 1;
        if rounds < 100 {
            thread::yield_now();
        } else {
            thread::sleep(Duration::from_micros(100));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_of_failed_writes_are_swallowed() {
        without_write_signals(|| {
            for signal in WRITE_SIGNALS {
                // SAFETY: raising a signal that is blocked only makes it pending.
                unsafe { libc::pthread_kill(libc::pthread_self(), signal) };
                assert!(is_pending(signal));
            }
        });
        assert!(!WRITE_SIGNALS.into_iter().any(is_pending));
    }
}
