//! The one border between C and Rust. Every exported function runs inside one of these: no panic
//! ever leaves, a forked child is turned away before it can touch a lock, and a failure becomes a
//! status and this thread's last error.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::{Arc, Once};

use thunderbolt_transport::LogLevel;

use crate::failure::{Failure, Outcome};
use crate::fork;
use crate::last_error;
use crate::live::{self, Owner, Stream};
use crate::status::{dcf_tb_status, DCF_TB_ERR_PANIC, DCF_TB_OK};

/// Runs the body of an exported function.
#[inline]
pub(crate) fn call(function: &'static str, body: impl FnOnce() -> Outcome) -> dcf_tb_status {
    in_this_process::<Nobody>(function, |_| body())
}

/// The same for a function of a transport. `body` does not run if the handle is not one.
#[inline]
pub(crate) fn on_transport(
    function: &'static str,
    handle: u64,
    body: impl FnOnce(&Owner) -> Outcome,
) -> dcf_tb_status {
    in_this_process(function, |known: &mut Option<Arc<Owner>>| {
        body(known.insert(live::transport(handle)?))
    })
}

/// The same for a function of a stream.
#[inline]
pub(crate) fn on_stream(
    function: &'static str,
    handle: u64,
    body: impl FnOnce(&Stream) -> Outcome,
) -> dcf_tb_status {
    in_this_process(function, |known: &mut Option<Arc<Stream>>| {
        body(known.insert(live::stream(handle)?))
    })
}

/// For functions that work in a forked child as well.
pub(crate) fn anywhere(function: &'static str, body: impl FnOnce() -> Outcome) -> dcf_tb_status {
    guarded::<Nobody>(function, |_| body())
}

/// For functions that work in a forked child, return something else than a status, and cannot fail.
pub(crate) fn value<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(otherwise)
}

/// The same for whoever is a `W`. `body` leaves with whom a panic is to be logged, as soon as it knows.
#[inline]
pub(crate) fn in_this_process<W: Witness>(
    function: &'static str,
    body: impl FnOnce(&mut Option<W>) -> Outcome,
) -> dcf_tb_status {
    if fork::forked() {
        return last_error::record(function, fork::failure());
    }
    guarded(function, body)
}

#[inline]
fn guarded<W: Witness>(
    function: &'static str,
    body: impl FnOnce(&mut Option<W>) -> Outcome,
) -> dcf_tb_status {
    let mut known = None;
    match catch_unwind(AssertUnwindSafe(|| body(&mut known))) {
        Ok(Ok(())) => DCF_TB_OK,
        Ok(Err(failure)) => last_error::record(function, failure),
        Err(payload) => panicked(function, known, &*payload),
    }
}

/// Who can log that a call panicked.
pub(crate) trait Witness {
    fn log(&self, level: LogLevel, record: std::fmt::Arguments<'_>);
}

struct Nobody;

impl Witness for Nobody {
    fn log(&self, _: LogLevel, _: std::fmt::Arguments<'_>) {}
}

impl Witness for Arc<Owner> {
    fn log(&self, level: LogLevel, record: std::fmt::Arguments<'_>) {
        self.transport.log(level, record);
    }
}

impl Witness for Arc<Stream> {
    fn log(&self, level: LogLevel, record: std::fmt::Arguments<'_>) {
        if let Some(transport) = self.transport() {
            transport.log(level, record);
        }
    }
}

thread_local! {
    /// Where and why this thread panicked last, left here by the hook.
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

#[cold]
fn panicked<W: Witness>(
    function: &'static str,
    known: Option<W>,
    payload: &(dyn Any + Send),
) -> dcf_tb_status {
    let mut text = PANIC
        .try_with(|panic| std::mem::take(&mut *panic.borrow_mut()))
        .unwrap_or_default();
    if text.is_empty() {
        let message = payload.downcast_ref::<&str>().copied();
        let message = message.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        text = format!("panicked: {}", message.unwrap_or("for no stated reason"));
    }
    // Logging, and letting go of what may be the last reference, run foreign code once more.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        if let Some(witness) = known {
            witness.log(LogLevel::Error, format_args!("{function} {text}"));
        }
    }));
    last_error::record(function, Failure::new(DCF_TB_ERR_PANIC, text))
}

/// Keeps panics off stderr and their text for the last error. Our copy of the standard library is
/// private to this shared object, so no other Rust code in the process loses its hook.
pub(crate) fn silence_panics() {
    static ONCE: Once = Once::new();
    if cfg!(any(test, fuzzing)) {
        return; // the test harness, or the fuzzer, lives in the same copy
    }
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|info| {
            let text = info.to_string().replace('\n', " ");
            let _ = PANIC.try_with(|panic| panic.replace(text));
        }));
    });
}

#[cfg(test)]
mod tests {
    use std::ffi::{c_char, c_void, CStr};
    use std::sync::Mutex;

    use super::*;
    use crate::config::dcf_tb_config;
    use crate::status::{DCF_TB_ERR_INVALID_HANDLE, DCF_TB_ERR_TIMEOUT};

    #[test]
    fn the_outcome_becomes_the_status() {
        assert_eq!(call("f", || Ok(())), DCF_TB_OK);
        let failed = || Err(Failure::new(DCF_TB_ERR_TIMEOUT, "late"));
        assert_eq!(call("f", failed), DCF_TB_ERR_TIMEOUT);
        assert_eq!(anywhere("f", failed), DCF_TB_ERR_TIMEOUT);
        assert_eq!(last_error::text(), "f: late");
    }

    #[test]
    fn a_panic_becomes_a_status_and_a_text() {
        let body = || -> Outcome { panic!("number {}", 7) };
        assert_eq!(call("dcf_tb_f", body), DCF_TB_ERR_PANIC);
        assert_eq!(last_error::text(), "dcf_tb_f: panicked: number 7");
        assert_eq!(value(5, || panic!()), 5);
    }

    #[test]
    fn a_bad_handle_never_reaches_the_body() {
        let status = on_transport("f", 0, |_| unreachable!());
        assert_eq!(status, DCF_TB_ERR_INVALID_HANDLE);
        let status = on_stream("f", 77, |_| unreachable!());
        assert_eq!(status, DCF_TB_ERR_INVALID_HANDLE);
        assert!(
            last_error::text().contains("0x4d"),
            "{}",
            last_error::text()
        );
    }

    /// Keeps each record in the `Mutex<Vec<String>>` that it is given.
    unsafe extern "C-unwind" fn keep(level: i32, message: *const c_char, records: *mut c_void) {
        // SAFETY: what the test below passes.
        let (message, records) = unsafe {
            let records = &*records.cast::<Mutex<Vec<String>>>();
            (CStr::from_ptr(message), records)
        };
        let record = format!("{level} {}", message.to_string_lossy());
        records.lock().unwrap().push(record);
    }

    #[test]
    fn a_panic_on_a_transport_is_logged_there() {
        let records = Mutex::new(Vec::<String>::new());
        let config = dcf_tb_config {
            interface_name: c"lo".as_ptr(),
            control_port: 0,
            data_port: 0,
            on_log: Some(keep),
            user_data: std::ptr::from_ref(&records).cast_mut().cast(),
            ..Default::default()
        };
        let mut handle = 0;
        // SAFETY: both pointers are good, and `records` outlives the transport.
        let status = unsafe { crate::life::dcf_tb_init(&config, &mut handle) };
        assert_eq!(status, DCF_TB_OK, "{}", last_error::text());
        let status = on_transport("dcf_tb_f", handle, |_| panic!("number {}", 8));
        assert_eq!(status, DCF_TB_ERR_PANIC);
        assert_eq!(on_transport("dcf_tb_f", handle, |_| Ok(())), DCF_TB_OK);
        assert_eq!(crate::life::dcf_tb_close(handle), DCF_TB_OK);
        let records = records.into_inner().unwrap();
        let expected = "4 dcf_tb_f panicked: number 8";
        assert!(
            records.iter().any(|record| record == expected),
            "{records:?}"
        );
    }
}
