//! The floating-point environment of threads (fenv(3)).

use std::mem::MaybeUninit;

extern "C" {
    // In libm, which std links. The libc crate does not declare them.
    fn feholdexcept(environment: *mut Environment) -> libc::c_int;
    fn fesetenv(environment: *const Environment) -> libc::c_int;
}

/// `fenv_t`: 28 bytes and the MXCSR on x86-64, 8 bytes on AArch64, 4 to 16 elsewhere.
#[repr(C, align(16))]
struct Environment([u8; 64]);

/// Runs arithmetic on a caller's thread. Exceptions that the caller traps (SBCL traps overflow,
/// invalid and division by zero) are held back, and no flag stays set.
pub(crate) fn without_exceptions<T>(body: impl FnOnce() -> T) -> T {
    let mut saved = MaybeUninit::<Environment>::uninit();
    // SAFETY: the buffer is larger and better aligned than any `fenv_t`. feholdexcept fills the part
    // that fesetenv reads.
    unsafe { feholdexcept(saved.as_mut_ptr()) };
    let result = body();
    // SAFETY: as above.
    unsafe { fesetenv(saved.as_ptr()) };
    result
}

/// FE_DFL_ENV of glibc and musl on every architecture that has Thunderbolt.
const DEFAULT: *const Environment = usize::MAX as *const _;

/// Gives this thread the default environment. A new thread inherits its creator's.
pub(super) fn set_default() {
    // SAFETY: fesetenv recognizes FE_DFL_ENV and does not dereference it.
    unsafe { fesetenv(DEFAULT) };
}
