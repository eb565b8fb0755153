//! The boundary between C and Rust. Every exported function runs its body through one of these
//! functions. They catch panics, refuse to run in a forked child before the body can take a lock,
//! and turn a failure into a status and this thread's last error.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::{Arc, Once};

use thunderbolt_transport::LogLevel;

use crate::failure::{Failure, Outcome};
use crate::fork;
use crate::last_error;
use crate::objects::{self, Owner, Stream};
use crate::status::{dcf_tb_status, DCF_TB_ERR_PANIC, DCF_TB_OK};

/// Runs the body of an exported function.
#[inline]
pub(crate) fn call(function: &'static str, body: impl FnOnce() -> Outcome) -> dcf_tb_status {
    call_with_logger::<NoLogger>(function, |_| body())
}

/// Like [`call`], for a function that takes a transport. An invalid handle fails before `body` runs.
#[inline]
pub(crate) fn on_transport(
    function: &'static str,
    handle: u64,
    body: impl FnOnce(&Owner) -> Outcome,
) -> dcf_tb_status {
    call_with_logger(function, |logger: &mut Option<Arc<Owner>>| {
        body(logger.insert(objects::transport(handle)?))
    })
}

/// Like [`call`], for a function that takes a stream. An invalid handle fails before `body` runs.
#[inline]
pub(crate) fn on_stream(
    function: &'static str,
    handle: u64,
    body: impl FnOnce(&Stream) -> Outcome,
) -> dcf_tb_status {
    call_with_logger(function, |logger: &mut Option<Arc<Stream>>| {
        body(logger.insert(objects::stream(handle)?))
    })
}

/// Like [`call`], for a function that also works in a forked child.
pub(crate) fn fork_safe(function: &'static str, body: impl FnOnce() -> Outcome) -> dcf_tb_status {
    catch_panics::<NoLogger>(function, |_| body())
}

/// For a function that works in a forked child, cannot fail, and returns a value instead of a
/// status. The value is the default if `body` panics.
pub(crate) fn or_default<T: Default>(body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_default()
}

/// Like [`call`], with a logger for panics. `body` stores the logger as soon as it has one.
#[inline]
pub(crate) fn call_with_logger<L: PanicLogger>(
    function: &'static str,
    body: impl FnOnce(&mut Option<L>) -> Outcome,
) -> dcf_tb_status {
    if fork::forked() {
        return last_error::record(function, fork::failure());
    }
    catch_panics(function, body)
}

#[inline]
fn catch_panics<L: PanicLogger>(
    function: &'static str,
    body: impl FnOnce(&mut Option<L>) -> Outcome,
) -> dcf_tb_status {
    let mut logger = None;
    match catch_unwind(AssertUnwindSafe(|| body(&mut logger))) {
        Ok(Ok(())) => DCF_TB_OK,
        Ok(Err(failure)) => last_error::record(function, failure),
        Err(payload) => panicked(function, logger, &*payload),
    }
}

/// Logs that a call panicked.
pub(crate) trait PanicLogger {
    fn log(&self, level: LogLevel, record: std::fmt::Arguments<'_>);
}

struct NoLogger;

impl PanicLogger for NoLogger {
    fn log(&self, _: LogLevel, _: std::fmt::Arguments<'_>) {}
}

impl PanicLogger for Arc<Owner> {
    fn log(&self, level: LogLevel, record: std::fmt::Arguments<'_>) {
        self.transport.log(level, record);
    }
}

impl PanicLogger for Arc<Stream> {
    fn log(&self, level: LogLevel, record: std::fmt::Arguments<'_>) {
        if let Some(transport) = self.transport() {
            transport.log(level, record);
        }
    }
}

thread_local! {
    /// Place and message of the last panic of this thread. The panic hook writes it.
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

#[cold]
fn panicked<L: PanicLogger>(
    function: &'static str,
    logger: Option<L>,
    payload: &(dyn Any + Send),
) -> dcf_tb_status {
    let mut text = PANIC
        .try_with(|panic| std::mem::take(&mut *panic.borrow_mut()))
        .unwrap_or_default();
    if text.is_empty() {
        let message = payload.downcast_ref::<&str>().copied();
        let message = message.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        text = format!("panicked: {}", message.unwrap_or("no message"));
    }
    // The log callback is the caller's code, and `logger` may hold the last reference to the
    // transport, so both can panic.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        if let Some(logger) = logger {
            logger.log(LogLevel::Error, format_args!("{function} {text}"));
        }
    }));
    last_error::record(function, Failure::new(DCF_TB_ERR_PANIC, text))
}

/// Keeps the text of panics for the last error, instead of printing it on stderr. This shared
/// object has a private copy of the standard library, so other Rust code in the process keeps its
/// own panic hook.
pub(crate) fn silence_panics() {
    static ONCE: Once = Once::new();
    if cfg!(any(test, fuzzing)) {
        return; // the test harness and the fuzzer share this copy of the standard library
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
        assert_eq!(fork_safe("f", failed), DCF_TB_ERR_TIMEOUT);
        assert_eq!(last_error::text(), "f: late");
    }

    #[test]
    fn a_panic_becomes_a_status_and_a_text() {
        let body = || -> Outcome { panic!("number {}", 7) };
        assert_eq!(call("dcf_tb_f", body), DCF_TB_ERR_PANIC);
        assert_eq!(last_error::text(), "dcf_tb_f: panicked: number 7");
        assert_eq!(or_default(|| -> i32 { panic!() }), 0);
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

    /// Appends each record to the `Mutex<Vec<String>>` that `records` points to.
    unsafe extern "C-unwind" fn keep(level: i32, message: *const c_char, records: *mut c_void) {
        // SAFETY: the test below passes a valid string, and the mutex outlives the transport.
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
        // SAFETY: both pointers are valid, and `records` outlives the transport.
        let status = unsafe { crate::lifecycle::dcf_tb_init(&config, &mut handle) };
        assert_eq!(status, DCF_TB_OK, "{}", last_error::text());
        let status = on_transport("dcf_tb_f", handle, |_| panic!("number {}", 8));
        assert_eq!(status, DCF_TB_ERR_PANIC);
        assert_eq!(on_transport("dcf_tb_f", handle, |_| Ok(())), DCF_TB_OK);
        assert_eq!(crate::lifecycle::dcf_tb_close(handle), DCF_TB_OK);
        let records = records.into_inner().unwrap();
        let expected = "4 dcf_tb_f panicked: number 8";
        assert!(
            records.iter().any(|record| record == expected),
            "{records:?}"
        );
    }
}
