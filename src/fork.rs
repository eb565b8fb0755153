//! Fork: the child of a process with a live transport has our memory, but none of our threads, and
//! locks that nobody will ever release. Every call in it must say so without touching a lock.
//!
//! Two words decide. The *marker* lies on a page of its own that the kernel fills with zeros in
//! every child (`MADV_WIPEONFORK`, which covers a raw `clone` as well). *Busy* is ordinary memory: it
//! counts live transports, and threads that hold one of this crate's global locks, so the child
//! inherits what it was at the fork. A wiped marker means "we are in a child"; if busy is 0 then
//! nothing was left behind, and the child marks the page as its own and goes on like a new process.
//!
//! The rule that makes it sound: **no global lock is taken, and no thread started, without a
//! [`Busy`] in hand.**

use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};

use crate::failure::Failure;
use crate::status::{DCF_TB_ERR_FORKED, DCF_TB_ERR_OUT_OF_MEMORY};

/// What the marker says where it was set. A wiped page says 0.
const HERE: u32 = 0x0DCF;

static MARKER: AtomicPtr<AtomicU32> = AtomicPtr::new(std::ptr::null_mut());
static BUSY: AtomicUsize = AtomicUsize::new(0);

/// While one of these exists, a fork makes a child that can do nothing with the library.
pub(crate) struct Busy(());

impl Busy {
    /// For a transport, from before its first thread to after its last one.
    pub(crate) fn transport() -> Result<Self, Failure> {
        if MARKER.load(Ordering::Acquire).is_null() {
            publish(map_marker()?);
        }
        Ok(Self::lock())
    }

    /// Around a global lock, while a transport exists or did exist.
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

/// Whether this process can do nothing any more because of a fork. Takes no lock.
#[inline]
pub(crate) fn forked() -> bool {
    let marker = MARKER.load(Ordering::Acquire);
    if marker.is_null() {
        return false; // no transport was ever started
    }
    // SAFETY: the page was mapped before it was published and is never unmapped.
    let marker = unsafe { &*marker };
    marker.load(Ordering::Relaxed) != HERE && in_child(marker, &BUSY)
}

/// The marker was found wiped.
#[cold]
fn in_child(marker: &AtomicU32, busy: &AtomicUsize) -> bool {
    if busy.load(Ordering::SeqCst) != 0 {
        // Another thread of this child may have taken it over, and started a transport, since.
        return marker.load(Ordering::SeqCst) != HERE;
    }
    marker.store(HERE, Ordering::SeqCst);
    false
}

pub(crate) fn failure() -> Failure {
    Failure::new(
        DCF_TB_ERR_FORKED,
        "this process was forked while a transport was open: call exec, or fork before the first \
         dcf_tb_init, or after the last dcf_tb_close",
    )
}

/// A page with the marker set, which children find wiped.
fn map_marker() -> Result<*mut AtomicU32, Failure> {
    let size = page_size();
    // SAFETY: an anonymous mapping at an address of the kernel's choice touches nobody's memory.
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
            "map a page for the fork check",
        ));
    }
    // SAFETY: it is our own whole page.
    let wiped = unsafe { libc::madvise(page, size, libc::MADV_WIPEONFORK) } == 0;
    if !wiped {
        // Kernels before 4.14. The handler runs in the child before fork returns there.
        // SAFETY: the handler only stores to an atomic, and stays loaded (-z nodelete; the C library
        // removes handlers of what it unloads).
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
    unsafe { &*marker }.store(HERE, Ordering::SeqCst);
    Ok(marker)
}

extern "C" fn wipe() {
    let marker = MARKER.load(Ordering::Acquire);
    if !marker.is_null() {
        // SAFETY: as in `forked`.
        unsafe { &*marker }.store(0, Ordering::SeqCst);
    }
}

/// Makes it the process's marker, unless another thread was faster.
fn publish(marker: *mut AtomicU32) {
    let theirs = MARKER.compare_exchange(
        std::ptr::null_mut(),
        marker,
        Ordering::AcqRel,
        Ordering::Acquire,
    );
    if theirs.is_err() {
        // SAFETY: our page was not published, so nobody else knows it.
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

    /// Runs `check` in a forked child and says whether it was true there.
    fn in_forked_child(check: impl FnOnce() -> bool) -> bool {
        // SAFETY: the child only reads atomics and leaves by `_exit`.
        match unsafe { libc::fork() } {
            0 => {
                let code = i32::from(!check());
                // SAFETY: leaves without running anything of the parent's.
                unsafe { libc::_exit(code) }
            }
            child => {
                let mut status = 0;
                // SAFETY: waits for our own child; `status` is ours.
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
        let gone = || marker.load(Ordering::Relaxed) != HERE && in_child(marker, &busy);
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
        let free = || !(marker.load(Ordering::Relaxed) != HERE && in_child(marker, &busy));
        assert!(in_forked_child(|| in_forked_child(free) && free()));
        // Taken over, then busy: its own children are the forked ones.
        assert!(in_forked_child(|| {
            let mine = free();
            busy.store(1, Ordering::SeqCst);
            mine && free() && in_forked_child(|| !free())
        }));
    }
}
