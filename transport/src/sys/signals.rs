//! Signal masks of threads, and the signals that a failed write raises.

use std::mem::MaybeUninit;

/// Another signal mask on this thread; the previous one returns when this is dropped.
pub(super) struct SignalMask(libc::sigset_t);

impl SignalMask {
    pub fn set(how: libc::c_int, set: &libc::sigset_t) -> Self {
        let mut before = MaybeUninit::uninit();
        // SAFETY: both pointers are valid. With a valid `how` the call cannot fail, and it fills
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

/// Signals that a fault of the thread itself raises. Threads of the library leave them unblocked: a
/// blocked one kills the process, and some runtimes (SBCL) use them on every thread that calls into
/// them.
const SYNCHRONOUS: [libc::c_int; 6] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGTRAP,
    libc::SIGSYS,
];

/// All signals that threads of the library block.
pub(super) fn asynchronous() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigfillset initializes the set; sigdelset gets an initialized set and valid numbers.
    unsafe {
        libc::sigfillset(set.as_mut_ptr());
        for signal in SYNCHRONOUS {
            libc::sigdelset(set.as_mut_ptr(), signal);
        }
        set.assume_init()
    }
}

/// Signals that the kernel raises on a thread whose write failed.
const WRITE_SIGNALS: [libc::c_int; 2] = [libc::SIGPIPE, libc::SIGXFSZ];

/// Runs `body` and discards a SIGPIPE or SIGXFSZ that it raises on this thread. sendfile(2) and
/// splice(2) have no MSG_NOSIGNAL, and a write past RLIMIT_FSIZE must be an error to report, not the
/// end of the host process. A signal that was pending before stays pending.
pub(crate) fn without_write_signals<T>(body: impl FnOnce() -> T) -> T {
    let pending_before = WRITE_SIGNALS.map(is_pending);
    let mask = SignalMask::set(libc::SIG_BLOCK, &set_of(&WRITE_SIGNALS));
    let result = body();
    for (signal, before) in WRITE_SIGNALS.into_iter().zip(pending_before) {
        if !before && is_pending(signal) {
            let now = libc::timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            // SAFETY: the pointers are valid. NULL omits the details of the signal.
            unsafe { libc::sigtimedwait(&set_of(&[signal]), std::ptr::null_mut(), &now) };
        }
    }
    drop(mask);
    result
}

fn set_of(signals: &[libc::c_int]) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initializes the set, and sigaddset adds valid numbers to it.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_of_failed_writes_are_swallowed() {
        without_write_signals(|| {
            for signal in WRITE_SIGNALS {
                // SAFETY: raising a blocked signal only makes it pending.
                unsafe { libc::pthread_kill(libc::pthread_self(), signal) };
                assert!(is_pending(signal));
            }
        });
        assert!(!WRITE_SIGNALS.into_iter().any(is_pending));
    }
}
