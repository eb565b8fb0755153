//! Programs of users under ThreadSanitizer: the suppressions that are installed silence what it says of
//! the library, which is not instrumented, and nothing of what the program does wrong.

use testkit::{package_root, CProgram, Dialect};

/// Runs a program of `tests/c`, with the exit status 66 for a report.
fn watched(name: &str) -> CProgram<'_> {
    let file = package_root().join("packaging/thread-sanitizer.suppressions");
    let options = format!("TSAN_OPTIONS=exitcode=66:suppressions={}", file.display());
    CProgram::with_thread_sanitizer(name, Dialect::C11).behind(["env", options.as_str()])
}

#[test]
fn messages_streams_and_callbacks_are_no_races() {
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
