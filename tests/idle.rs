//! An idle transport costs nothing: no wake-ups, no processor time, little memory.

use std::time::Duration;

use testkit::{CProgram, Dialect, Facts, Thread};

/// How long the test observes the idle program.
const LOOK: Duration = Duration::from_secs(1);
/// Resident memory that one idle transport may add.
const MEMORY: u64 = 2 << 20;

#[test]
fn an_idle_transport_does_nothing_and_is_small() {
    let mut program = CProgram::new("idle", Dialect::C11).start();
    assert_eq!(program.question(), "before");
    let before = Facts::of(program.id());
    program.answer("go on");
    assert_eq!(program.question(), "idle");

    // Effects of the last calls, such as the end of a closed stream's thread, take a moment.
    let mut earlier = library_threads(program.id());
    testkit::wait_until("the transport comes to rest", testkit::GENEROUS, || {
        std::thread::sleep(Duration::from_millis(100));
        let now = library_threads(program.id());
        let at_rest = now == earlier;
        earlier = now;
        at_rest
    });
    std::thread::sleep(LOOK);
    let facts = Facts::of(program.id());
    let later = library_threads(program.id());
    assert!(
        !earlier.is_empty(),
        "no thread is named dcf-tb-…: {:?}",
        facts.threads
    );
    assert_eq!(
        earlier, later,
        "a thread of an idle transport ran within {LOOK:?}"
    );

    // The code pages of a build without optimization are no measure of the shipped library.
    let added = if cfg!(debug_assertions) {
        facts.anonymous.saturating_sub(before.anonymous)
    } else {
        facts.resident.saturating_sub(before.resident)
    };
    assert!(
        added < MEMORY,
        "an idle transport added {} KiB",
        added / 1024
    );
    program.answer("end");
    program.finish();
}

fn library_threads(process: u32) -> Vec<Thread> {
    Facts::of(process)
        .threads_named("dcf-tb-")
        .into_iter()
        .cloned()
        .collect()
}
