//! Runs system programs that answer a question or fix a problem, with a limit of time and output.

use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{bounded, Receiver, RecvTimeoutError};

/// The longest output: a list of rules with large sets.
const LONGEST: u64 = 64 << 20;
/// How long to wait for a killed program: one that waits for a device may not end.
const KILLED: Duration = Duration::from_secs(1);

/// The result of a program.
pub struct Ended {
    pub success: bool,
    pub output: Vec<u8>,
    pub complaint: Vec<u8>,
}

/// Runs a program, for at most `limit`.
pub fn run(words: &[&str], limit: Duration) -> io::Result<Ended> {
    let end = Instant::now() + limit;
    let mut child = Command::new(words[0])
        .args(&words[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // The output is parsed.
        .env("LC_ALL", "C")
        .env("PATH", path())
        .spawn()?;
    // Its children may keep its pipes open, so these threads are not joined.
    let output = child.stdout.take().map(read);
    let complaint = child.stderr.take().map(read);
    let collected = |what: Option<Receiver<Vec<u8>>>| {
        let Some(what) = what else {
            return Ok(Vec::new());
        };
        match what.recv_deadline(end) {
            Ok(bytes) => Ok(bytes),
            Err(RecvTimeoutError::Disconnected) => Ok(Vec::new()),
            Err(RecvTimeoutError::Timeout) => Err(late(limit)),
        }
    };
    let collected = collected(output).and_then(|output| Ok((output, collected(complaint)?)));
    let status = wait(&mut child, end)?;
    let (output, complaint) = match collected {
        Ok(both) => both,
        Err(error) => {
            stop(&mut child);
            return Err(error);
        }
    };
    match status {
        Some(status) => Ok(Ended {
            success: status.success(),
            output,
            complaint,
        }),
        None => {
            stop(&mut child);
            Err(late(limit))
        }
    }
}

fn late(limit: Duration) -> io::Error {
    let text = format!("no end within {} s", limit.as_secs());
    io::Error::new(io::ErrorKind::TimedOut, text)
}

/// A user's PATH lacks the sbin directories, whose programs answer users, too.
fn path() -> std::ffi::OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/local/sbin:/usr/sbin:/sbin");
    path
}

fn read(pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = bounded(1);
    let body = move || {
        let mut bytes = Vec::new();
        // Keep what was read before an error. The receiver may be gone.
        let _ = pipe.take(LONGEST).read_to_end(&mut bytes);
        let _ = sender.send(bytes);
    };
    // Without the thread the receiver is disconnected.
    drop(thread::Builder::new().name("answer".into()).spawn(body));
    receiver
}

/// The exit status, if it ends in time.
fn wait(child: &mut Child, end: Instant) -> io::Result<Option<ExitStatus>> {
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= end {
            return Ok(None);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

fn stop(child: &mut Child) {
    // Fails if it has ended.
    let _ = child.kill();
    let _ = wait(child, Instant::now() + KILLED);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_does_not_end_is_not_waited_for() {
        let limit = Duration::from_millis(300);
        for script in ["exec sleep 60", "sleep 60 & echo x", "exec sleep 60 >&-"] {
            let begin = Instant::now();
            let error = run(&["sh", "-c", script], limit).err().unwrap();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{script}");
            assert!(begin.elapsed() < testkit::GENEROUS, "{script}");
        }
    }

    #[test]
    fn an_answer_is_what_was_printed() {
        let ended = run(&["sh", "-c", "echo a; echo b >&2"], testkit::GENEROUS).unwrap();
        assert!(ended.success);
        assert_eq!(
            (&ended.output[..], &ended.complaint[..]),
            (&b"a\n"[..], &b"b\n"[..])
        );
        let ended = run(&["false"], testkit::GENEROUS).unwrap();
        assert!(!ended.success);
        assert!(run(&["/nowhere"], testkit::GENEROUS).is_err());
    }
}
