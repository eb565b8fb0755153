//! The check for forked children. The child of a process with an open transport has its memory, but
//! none of its threads, and locks may stay locked for ever. So every call in such a child must fail
//! without taking a lock.
//!
//! Two variables decide. The *marker* lies on its own page, which the kernel fills with zeros in
//! every child (`MADV_WIPEONFORK`, which also works for a raw `clone`). *Busy* is ordinary memory,
//! so the child has the value from the moment of the fork. It counts open transports, and threads
//! that hold a global lock of this crate. A wiped marker means that this process is a child. If
//! busy is 0 then, the fork left no lock or transport behind, and the child sets the marker and
//! goes on like a new process.
//!
//! This is sound because of one rule: **code holds a [`Busy`] whenever it takes a global lock or
//! starts a thread.**

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use once_cell::race::OnceRef;

use crate::failure::Failure;
use crate::status::{DCF_TB_ERR_FORKED, DCF_TB_ERR_OUT_OF_MEMORY};

/// The value of a marker that was not wiped. A wiped page has 0.
const MARKED: u32 = 0x0DCF;

static MARKER: OnceRef<'static, AtomicU32> = OnceRef::new();
static BUSY: AtomicUsize = AtomicUsize::new(0);

/// While one of these exists, a forked child cannot use the library.
pub(crate) struct Busy(());

impl Busy {
    /// For a transport, from before its first thread starts until after its last one ends.
    pub(crate) fn transport() -> Result<Self, Failure> {
        if MARKER.get().is_none() {
            publish(map_marker()?);
        }
        Ok(Self::lock())
    }

    /// For a global lock, in a process that has or had a transport.
    pub(crate) fn lock() -> Self {
        BUSY.fetch_add(1, Ordering::SeqCst);
        Self(())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        BUSY.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Whether a fork has made the library unusable in this process. Takes no lock.
#[inline]
pub(crate) fn forked() -> bool {
    let Some(marker) = MARKER.get() else {
        return false; // no transport was ever started
    };
    marker.load(Ordering::Relaxed) != MARKED && in_child(marker, &BUSY)
}

/// Decides after the marker was found wiped.
#[cold]
fn in_child(marker: &AtomicU32, busy: &AtomicUsize) -> bool {
    if busy.load(Ordering::SeqCst) != 0 {
        // Another thread of this child may have set the marker and started a transport meanwhile.
        return marker.load(Ordering::SeqCst) != MARKED;
    }
    marker.store(MARKED, Ordering::SeqCst);
    false
}

pub(crate) fn failure() -> Failure {
    Failure::new(
        DCF_TB_ERR_FORKED,
        "this process was forked while a transport was open: call exec, or fork before the first \
         dcf_tb_init, or after the last dcf_tb_close",
    )
}

/// Maps a page with the marker, which is wiped in children.
fn map_marker() -> Result<*mut AtomicU32, Failure> {
    let size = page_size();
    // SAFETY: a new anonymous mapping at an address that the kernel chooses affects no other
    // memory.
    let page = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            size,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if page == libc::MAP_FAILED {
        return Err(Failure::os(
            DCF_TB_ERR_OUT_OF_MEMORY,
            "cannot map a page for the fork check",
        ));
    }
    // SAFETY: the page was mapped above, as a whole.
    let wiped = unsafe { libc::madvise(page, size, libc::MADV_WIPEONFORK) } == 0;
    if !wiped {
        // Kernels before 4.14. The handler runs in the child before fork returns there.
        // SAFETY: the handler only stores to an atomic, and stays loaded: the library is linked
        // with -z nodelete, and the C library removes the handlers of a library that it unloads.
        let error = unsafe { libc::pthread_atfork(None, None, Some(wipe)) };
        if error != 0 {
            return Err(Failure::new(
                DCF_TB_ERR_OUT_OF_MEMORY,
                "cannot register the fork handler",
            ));
        }
    }
    let marker = page.cast::<AtomicU32>();
    // SAFETY: the page is mapped, aligned and zeroed, which is a valid AtomicU32.
    unsafe { &*marker }.store(MARKED, Ordering::SeqCst);
    Ok(marker)
}

extern "C" fn wipe() {
    if let Some(marker) = MARKER.get() {
        marker.store(0, Ordering::SeqCst);
    }
}

/// Makes `marker` the marker of the process, unless another thread was faster.
fn publish(marker: *mut AtomicU32) {
    // SAFETY: the page is mapped, and stays mapped if it is published.
    if MARKER.set(unsafe { &*marker }).is_err() {
        // SAFETY: the page was not published, so nothing else refers to it.
        unsafe { libc::munmap(marker.cast(), page_size()) };
    }
}

fn page_size() -> usize {
    // SAFETY: sysconf only reads a constant of the system.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs `check` in a forked child and returns its result.
    fn in_forked_child(check: impl FnOnce() -> bool) -> bool {
        // SAFETY: the child only reads atomics and leaves by `_exit`.
        match unsafe { libc::fork() } {
            0 => {
                let code = i32::from(!check());
                // SAFETY: `_exit` runs no code of the parent's.
                unsafe { libc::_exit(code) }
            }
            child => {
                let mut status = 0;
                // SAFETY: waits for the child; `status` is a local variable.
                assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
                status == 0
            }
        }
    }

    #[test]
    fn a_child_of_a_busy_process_is_forked_and_so_is_its_child() {
        let marker = map_marker().unwrap_or_else(|_| panic!("no page"));
        // SAFETY: mapped above, never unmapped.
        let marker = unsafe { &*marker };
        let busy = AtomicUsize::new(1);
        let gone = || marker.load(Ordering::Relaxed) != MARKED && in_child(marker, &busy);
        assert!(!gone());
        assert!(in_forked_child(|| gone() && in_forked_child(gone)));
        assert!(!gone());
    }

    #[test]
    fn a_child_of_an_idle_process_goes_on_and_so_does_its_child() {
        let marker = map_marker().unwrap_or_else(|_| panic!("no page"));
        // SAFETY: mapped above, never unmapped.
        let marker = unsafe { &*marker };
        let busy = AtomicUsize::new(0);
        let free = || !(marker.load(Ordering::Relaxed) != MARKED && in_child(marker, &busy));
        assert!(in_forked_child(|| in_forked_child(free) && free()));
        // After the child went on, it becomes busy itself: then its own children are forked.
        assert!(in_forked_child(|| {
            let mine = free();
            busy.store(1, Ordering::SeqCst);
            mine && free() && in_forked_child(|| !free())
        }));
    }
}
