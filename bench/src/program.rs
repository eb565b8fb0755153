//! A running program of a contestant: its output, its end, and its termination with the benchmark.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{killpg, Signal};
use nix::unistd::Pid;
use testkit::Host;

use crate::processors::Processors;
use crate::signals;

/// The process groups of all running programs.
static GROUPS: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// Kills every running program with its children.
pub fn kill_all() {
    for group in locked(&GROUPS).drain(..) {
        let _ = killpg(group, Signal::SIGKILL);
    }
}

/// A running program with its own process group. Dropping this value kills it.
pub struct Program {
    name: String,
    child: Child,
    group: Pid,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    complaints: Arc<Mutex<String>>,
    deadline: Instant,
}

impl Program {
    /// Starts `words` on a host, bound to some of its processors.
    pub fn start(
        host: &Host,
        processors: Option<&Processors>,
        words: &[String],
        limit: Duration,
    ) -> Result<Self, String> {
        let name = words[0].rsplit('/').next().unwrap_or(&words[0]).to_owned();
        // If the benchmark is killed, the kernel kills the program.
        let on_our_death = ["setpriv", "--pdeathsig", "KILL", "--"];
        let mut command = match processors {
            Some(processors) => {
                let mut command = host.command("taskset");
                command.args(["-c", &processors.to_string()]);
                command.args(on_our_death);
                command
            }
            None => {
                let mut command = host.command(on_our_death[0]);
                command.args(&on_our_death[1..]);
                command
            }
        };
        command.args(words);
        Self::spawn(name, command, limit)
    }

    fn spawn(name: String, mut command: Command, limit: Duration) -> Result<Self, String> {
        let deadline = Instant::now() + limit;
        let mut groups = locked(&GROUPS);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut child = signals::unblocked(|| command.spawn())
            .map_err(|error| format!("cannot run {:?}: {error}", command.get_program()))?;
        let group = Pid::from_raw(child.id().cast_signed());
        groups.push(group);
        drop(groups);
        let complaints = Arc::new(Mutex::new(String::new()));
        let (sender, lines) = channel();
        if let Some(output) = child.stdout.take() {
            thread::spawn(move || {
                let lines = BufReader::new(output).split(b'\n').map_while(Result::ok);
                for line in lines {
                    let line = String::from_utf8_lossy(&line).into_owned();
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        if let Some(mut output) = child.stderr.take() {
            let complaints = Arc::clone(&complaints);
            thread::spawn(move || {
                let mut piece = [0; 4096];
                while let Ok(size @ 1..) = output.read(&mut piece) {
                    locked(&complaints).push_str(&String::from_utf8_lossy(&piece[..size]));
                }
            });
        }
        Ok(Self {
            name,
            input: child.stdin.take(),
            child,
            group,
            lines,
            complaints,
            deadline,
        })
    }

    /// Waits for a line of its output that equals `line`.
    pub fn wait_for(&mut self, line: &str) -> Result<(), String> {
        while let Some(printed) = self.line()? {
            if printed.trim() == line {
                return Ok(());
            }
        }
        let status = self.end()?;
        Err(self.failure(&format!("ended ({status}) before it was {line}")))
    }

    /// Closes its input, waits until it ends with success, and returns the rest of its output.
    pub fn finish(mut self) -> Result<String, String> {
        self.input = None;
        let mut printed = String::new();
        while let Some(line) = self.line()? {
            printed.push_str(&line);
            printed.push('\n');
        }
        let status = self.end()?;
        if status.success() {
            Ok(printed)
        } else {
            Err(self.failure(&format!("failed ({status})")))
        }
    }

    fn line(&self) -> Result<Option<String>, String> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        match self.lines.recv_timeout(left) {
            Ok(line) => Ok(Some(line)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => Err(self.failure("took too long and was killed")),
        }
    }

    fn end(&mut self) -> Result<ExitStatus, String> {
        while Instant::now() < self.deadline {
            match self.child.try_wait() {
                Ok(None) => thread::sleep(Duration::from_micros(200)),
                Ok(Some(status)) => return Ok(status),
                Err(error) => return Err(self.failure(&format!("cannot be waited for: {error}"))),
            }
        }
        Err(self.failure("closed its output, took too long and was killed"))
    }

    /// An error with the end of the program's error output.
    fn failure(&self, what: &str) -> String {
        /// The last output may still be in the pipe.
        const PATIENCE: Duration = Duration::from_millis(20);
        thread::sleep(PATIENCE);
        let complaints = locked(&self.complaints);
        match complaints.trim().lines().last() {
            Some(last) => format!("{} {what}: {:.200}", self.name, last.trim()),
            None => format!("{} {what}", self.name),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have started other processes, and may have ended itself.
        let _ = killpg(self.group, Signal::SIGKILL);
        let _ = self.child.wait();
        locked(&GROUPS).retain(|group| *group != self.group);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::Program;
    use std::process::Command;
    use std::time::Duration;

    fn shell(script: &str, limit: Duration) -> Program {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Program::spawn("shell".to_owned(), command, limit).expect("a shell")
    }

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn works_until_its_input_ends() {
        let mut program = shell("echo ready; cat; echo messages 5", LONG);
        program.wait_for("ready").expect("it says so");
        assert_eq!(program.finish().as_deref(), Ok("messages 5\n"));
    }

    #[test]
    fn a_failure_is_quoted() {
        let failure = shell("echo early; echo no such thing >&2; exit 1", LONG).finish();
        let failure = failure.expect_err("it fails");
        assert!(failure.contains("no such thing"), "{failure}");
        let failure = shell("exit 3", LONG).wait_for("ready");
        assert!(failure.is_err_and(|text| text.contains("before it was ready")));
    }

    #[test]
    fn what_hangs_is_killed() {
        let failure = shell("sleep 1000 & wait", Duration::from_millis(50)).finish();
        assert!(failure.is_err_and(|text| text.contains("too long")));
    }
}
