//! The environment: a network namespace, a block of bytes to send, and the threads and descriptors of
//! this process.

use std::fs;
use std::os::fd::{FromRawFd, OwnedFd};
use std::process::Command;
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

/// The time after which a condition counts as hanging.
pub const GENEROUS: Duration = Duration::from_secs(30);
pub const GENEROUS_MS: u32 = 30_000;

/// Bytes to send. No two parts of them are equal.
pub static BLOCK: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut state = 1_u64;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(BLOCK_SIZE).collect()
});
pub const BLOCK_SIZE: usize = 8 << 20;

/// The same bytes as a file.
pub static BLOCK_FILE: LazyLock<fs::File> = LazyLock::new(|| {
    let mut file = memory_file();
    std::io::Write::write_all(&mut file, &BLOCK).expect("memory");
    file
});

pub fn memory_file() -> fs::File {
    // SAFETY: the name is a string, and the descriptor is ours.
    let file = unsafe {
        let fd = libc::memfd_create(c"fuzz".as_ptr(), libc::MFD_CLOEXEC);
        assert!(fd >= 0);
        OwnedFd::from_raw_fd(fd)
    };
    file.into()
}

/// Moves this process into a network namespace of its own, where all ports are free.
pub fn isolate() {
    // SAFETY: changes nothing but the namespace of this thread, the only one yet.
    let moved = unsafe { libc::unshare(libc::CLONE_NEWNET) } == 0;
    assert!(
        moved,
        "this needs a network namespace of its own: run it as root, or by scripts/fuzz"
    );
    let up = Command::new("ip")
        .args(["link", "set", "lo", "up"])
        .status();
    assert!(up.expect("ip (iproute2)").success());
    LazyLock::force(&BLOCK_FILE);
}

/// Waits until `condition` holds.
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    let mut looks = 0_u32;
    while !condition() {
        assert!(
            start.elapsed() < GENEROUS,
            "not within {GENEROUS:?}: {what}"
        );
        looks += 1;
        match looks {
            0..100 => thread::yield_now(),
            _ => thread::sleep(Duration::from_micros(100)),
        }
    }
}

/// The number of descriptors of this process.
pub fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("procfs").count()
}

/// The library's threads.
pub fn threads() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").expect("procfs");
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("dcf-tb-")).collect()
}
