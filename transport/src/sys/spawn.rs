//! Threads that do not disturb the host process.
//!
//! They are started with pthread_create, so a failure is an error. `std::thread` aborts the process if
//! there is no memory for its own data about a thread.

use std::ffi::{c_void, CString};
use std::io;
use std::mem::MaybeUninit;
use std::panic::{catch_unwind, AssertUnwindSafe};

use super::floating_point;
use super::signals::{self, SignalMask};

/// The stack size in bytes. It is enough for ordinary handlers, of which a process may run many.
const STACK: usize = 2 << 20;

type Body = Box<dyn FnOnce() + Send>;

/// A running thread. Dropping this detaches the thread.
#[derive(Debug)]
pub(crate) struct Thread {
    id: libc::pthread_t,
}

/// Starts a thread. It blocks asynchronous signals, cannot be cancelled (pthread_cancel), and has the
/// default floating-point environment, independent of the caller's. `name` has at most 15 bytes.
pub(crate) fn spawn(
    name: &'static str,
    body: impl FnOnce() + Send + 'static,
) -> io::Result<Thread> {
    debug_assert!(name.len() <= 15, "Linux cuts thread names at 15 bytes");
    let name = CString::new(name)?;
    let body: Body = Box::new(move || {
        // SAFETY: it sets the name of this thread. The string ends with a NUL.
        unsafe { libc::pthread_setname_np(libc::pthread_self(), name.as_ptr()) };
        drop(name);
        // SAFETY: it sets a flag of this thread. NULL omits the previous value.
        unsafe { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, std::ptr::null_mut()) };
        floating_point::set_default();
        body();
    });
    // pthread_create passes a thin pointer, and a `Box<dyn …>` is a fat one.
    let body = Box::into_raw(Box::new(body));
    // A new thread inherits the mask of its creator. Set it here, so that the thread has it before its
    // first instruction.
    let mask = SignalMask::set(libc::SIG_SETMASK, &signals::asynchronous());
    let started = create(body);
    drop(mask);
    if started.is_err() {
        // SAFETY: no thread was started, so the box still belongs to this function.
        drop(unsafe { Box::from_raw(body) });
    }
    started
}

fn create(body: *mut Body) -> io::Result<Thread> {
    let mut attributes = MaybeUninit::uninit();
    let mut id = MaybeUninit::uninit();
    // SAFETY: the attributes are initialized, used and destroyed in this order. The new thread gets the
    // only pointer to the box.
    unsafe {
        check(libc::pthread_attr_init(attributes.as_mut_ptr()))?;
        // Each system accepts this size. On failure the thread has the default one.
        libc::pthread_attr_setstacksize(attributes.as_mut_ptr(), STACK);
        let error = libc::pthread_create(id.as_mut_ptr(), attributes.as_ptr(), run, body.cast());
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        check(error)?;
        Ok(Thread {
            id: id.assume_init(),
        })
    }
}

/// The result of a function that returns an errno.
fn check(error: libc::c_int) -> io::Result<()> {
    match error {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

extern "C" fn run(body: *mut c_void) -> *mut c_void {
    // SAFETY: `spawn` made the box, and this thread has the only pointer to it.
    let body = unsafe { Box::from_raw(body.cast::<Body>()) };
    // No caller could handle the panic, and it must not unwind into C.
    let _ = catch_unwind(AssertUnwindSafe(body));
    std::ptr::null_mut()
}

impl Thread {
    /// Waits until the thread has exited. It must not be the calling thread.
    pub fn join(self) {
        // SAFETY: the thread was neither joined nor detached yet, and `drop` will not detach it.
        unsafe { libc::pthread_join(self.id, std::ptr::null_mut()) };
        std::mem::forget(self);
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        // SAFETY: the thread was neither joined nor detached yet.
        unsafe { libc::pthread_detach(self.id) };
    }
}

extern "C" {
    // The libc crate does not declare this function.
    fn pthread_setcancelstate(state: libc::c_int, before: *mut libc::c_int) -> libc::c_int;
}

/// The value in glibc and musl.
const PTHREAD_CANCEL_DISABLE: libc::c_int = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    /// The value of a line in a thread's status file.
    fn status(path: &str, name: &str) -> String {
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim().to_owned()
    }

    #[test]
    fn threads_block_asynchronous_signals_only_and_the_caller_none() {
        let mask = |path| u64::from_str_radix(&status(path, "SigBlk:"), 16).unwrap();
        let before = mask("/proc/thread-self/status");
        let (sender, receiver) = channel();
        let thread = spawn("dcf-tb-test", move || {
            let path = "/proc/thread-self/status";
            sender.send((status(path, "Name:"), mask(path))).unwrap();
        });
        let (name, inside) = receiver.recv().unwrap();
        thread.unwrap().join();
        assert_eq!(name, "dcf-tb-test");
        let bit = |signal: libc::c_int| 1u64 << (signal - 1);
        for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGTRAP] {
            assert_eq!(inside & bit(signal), 0, "signal {signal} must stay open");
        }
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGALRM, libc::SIGPIPE] {
            assert_ne!(inside & bit(signal), 0, "signal {signal} must be blocked");
        }
        assert_eq!(mask("/proc/thread-self/status"), before);
    }

    #[test]
    fn a_panic_ends_its_thread_only_and_dropping_lets_it_go_on() {
        spawn("dcf-tb-test", || panic!("on purpose"))
            .unwrap()
            .join();
        let (sender, receiver) = channel();
        let (go, wait) = channel::<()>();
        drop(spawn("dcf-tb-test", move || {
            wait.recv().unwrap();
            sender.send(()).unwrap();
        }));
        go.send(()).unwrap();
        receiver.recv().unwrap();
    }
}
