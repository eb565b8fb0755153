//! The resources of a process, from procfs.

use std::fs;
use std::path::Path;

use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;

use crate::wait::{wait_until, GENEROUS};

/// A process at one moment.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Open file descriptors.
    pub descriptors: usize,
    /// Its threads, in the order of their numbers.
    pub threads: Vec<Thread>,
    /// Resident memory in bytes.
    pub resident: u64,
    /// The part of it that is not backed by a file: heap, stacks, changed data.
    pub anonymous: u64,
}

/// A thread at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    /// Its number.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// How often it gave up its processor to sleep.
    pub voluntary_switches: u64,
    /// How often it was preempted.
    pub involuntary_switches: u64,
    /// Processor time in nanoseconds.
    pub processor_time: u64,
}

impl Facts {
    /// Reads them for the process with this number.
    ///
    /// # Panics
    ///
    /// When there is none, or it is not ours.
    #[track_caller]
    pub fn of(process: u32) -> Self {
        let process = Path::new("/proc").join(process.to_string());
        let mut threads: Vec<Thread> = numbers(&process.join("task"))
            .filter_map(|id| Thread::read(&process, id))
            .collect();
        threads.sort_by_key(|thread| thread.id);
        let status = fs::read_to_string(process.join("status")).expect("a process of ours");
        Self {
            descriptors: numbers(&process.join("fd")).count(),
            threads,
            resident: field(&status, "VmRSS") * 1024,
            anonymous: field(&status, "RssAnon") * 1024,
        }
    }

    /// The threads whose names begin with `prefix`.
    pub fn threads_named(&self, prefix: &str) -> Vec<&Thread> {
        self.threads
            .iter()
            .filter(|thread| thread.name.starts_with(prefix))
            .collect()
    }
}

impl Thread {
    /// None if the thread ended meanwhile.
    fn read(process: &Path, id: u32) -> Option<Self> {
        let thread = process.join("task").join(id.to_string());
        let status = fs::read_to_string(thread.join("status")).ok()?;
        let name = fs::read_to_string(thread.join("comm")).ok()?;
        // Time on a processor, time waiting for one, time slices.
        let schedule = fs::read_to_string(thread.join("schedstat")).ok()?;
        Some(Self {
            id,
            name: name.trim_end().to_owned(),
            voluntary_switches: field(&status, "voluntary_ctxt_switches"),
            involuntary_switches: field(&status, "nonvoluntary_ctxt_switches"),
            processor_time: schedule.split_whitespace().next()?.parse().ok()?,
        })
    }
}

/// Does `work` while the process is stopped, like a host that sleeps.
///
/// # Panics
///
/// When there is no such process, or it is not ours.
#[track_caller]
pub fn while_suspended(process: u32, work: impl FnOnce()) {
    let pid = Pid::from_raw(process.try_into().expect("a process number"));
    kill(pid, Signal::SIGSTOP).expect("a process of ours");
    let status = Path::new("/proc").join(process.to_string()).join("status");
    wait_until("the process stops", GENEROUS, || {
        let status = fs::read_to_string(&status).expect("a process of ours");
        status.lines().any(|line| line.starts_with("State:\tT"))
    });
    work();
    kill(pid, Signal::SIGCONT).expect("a process of ours");
}

/// The number behind `name:` in a status file; 0 if there is none.
fn field(status: &str, name: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .and_then(|value| value.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

fn numbers(directory: &Path) -> impl Iterator<Item = u32> {
    let entries = fs::read_dir(directory).expect("a process of ours");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::Facts;
    use crate::wait::{wait_until, GENEROUS};
    use std::fs::File;
    use std::process;
    use std::sync::mpsc::channel;
    use std::thread;

    #[test]
    fn knows_its_own_process() {
        let (sender, receiver) = channel::<()>();
        let named = thread::Builder::new()
            .name("a-name".to_owned())
            .spawn(move || receiver.recv())
            .expect("a thread");
        let file = File::open("/proc/self/status").expect("procfs");
        // A thread sets its name when it begins to run.
        wait_until("the thread has its name", GENEROUS, || {
            Facts::of(process::id()).threads_named("a-name").len() == 1
        });
        let facts = Facts::of(process::id());
        assert!(facts.descriptors > 3);
        assert!(facts.resident > 100_000);
        // Threads of other tests may not have run yet.
        let own = facts.threads_named("a-name");
        assert!(own.iter().all(|thread| thread.processor_time > 0));
        drop((sender, file));
        assert!(named.join().expect("it ends").is_err());
    }
}
