//! Programs of users under ThreadSanitizer: the installed suppressions silence reports about the library,
//! which is not instrumented, but no race of the program.

use testkit::{package_root, CProgram, Dialect};

/// Compiles a program of `tests/c`. A report makes it exit with 66.
fn watched(name: &str) -> CProgram<'_> {
    let file = package_root().join("packaging/thread-sanitizer.suppressions");
    let options = format!("TSAN_OPTIONS=exitcode=66:suppressions={}", file.display());
    CProgram::with_thread_sanitizer(name, Dialect::C11).behind(["env", options.as_str()])
}

#[test]
fn messages_streams_and_callbacks_cause_no_reports() {
    for name in ["batch", "pieces", "thread_callbacks"] {
        watched(name).run();
    }
}

#[test]
fn a_race_in_a_callback_is_still_reported() {
    let race = watched("thread_callbacks").arg("race").start();
    let (status, printed) = race.finish_in_any_way();
    assert_eq!(status.code(), Some(66), "{printed}");
    assert!(printed.contains("data race"), "{printed}");
    assert!(printed.contains("unprotected"), "{printed}");
}
