//! A running program: its output, its questions, its end.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;

/// Begins a line that is a question to the test. The test answers with a line.
const QUESTION: &str = "? ";

/// Which output a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Output {
    Standard,
    Error,
}

/// A running program. Dropping this value kills it.
#[derive(Debug)]
pub struct Running {
    name: String,
    child: Child,
    questions: Option<ChildStdin>,
    lines: Receiver<(Output, String)>,
    printed: String,
    complained: bool,
    deadline: Instant,
}

impl Running {
    /// Starts `command`, which must end within `limit`.
    ///
    /// # Panics
    ///
    /// When there is no such program.
    #[track_caller]
    pub fn start(name: &str, mut command: Command, limit: Duration) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {:?}: {error}", command.get_program()));
        let (sender, lines) = channel();
        let outputs: [(Output, Box<dyn Read + Send>); 2] = [
            (
                Output::Standard,
                Box::new(child.stdout.take().expect("piped")),
            ),
            (Output::Error, Box::new(child.stderr.take().expect("piped"))),
        ];
        for (output, pipe) in outputs {
            let sender = sender.clone();
            // The thread ends with the program's output, or with the receiver.
            thread::spawn(move || {
                for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                    let line = String::from_utf8_lossy(&line).into_owned();
                    if sender.send((output, line)).is_err() {
                        break;
                    }
                }
            });
        }
        Self {
            name: name.to_owned(),
            questions: child.stdin.take(),
            child,
            lines,
            printed: String::new(),
            complained: false,
            deadline: Instant::now() + limit,
        }
    }

    /// Its process number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sets a new time limit, and discards the output so far: for programs that run for hours.
    pub fn go_on(&mut self, limit: Duration) {
        self.deadline = Instant::now() + limit;
        self.printed.clear();
    }

    /// Waits for a question, and returns it. Answer with [`Running::answer`].
    #[track_caller]
    pub fn question(&mut self) -> String {
        while let Some(line) = self.line() {
            if let Some(question) = line.strip_prefix(QUESTION) {
                return question.to_owned();
            }
        }
        let status = self.end();
        panic!(
            "{} ended ({status}) instead of asking. It printed:\n{}",
            self.name, self.printed
        )
    }

    /// Waits for a line that contains `words`.
    #[track_caller]
    pub fn until(&mut self, words: &str) {
        while let Some(line) = self.line() {
            if line.contains(words) {
                return;
            }
        }
        let status = self.end();
        panic!(
            "{} ended ({status}) without saying \"{words}\". It printed:\n{}",
            self.name, self.printed
        )
    }

    /// Asks it to end (SIGTERM).
    pub fn terminate(&self) {
        let id = self.id().try_into().expect("a process number");
        kill(Pid::from_raw(id), Signal::SIGTERM).expect("our own child");
    }

    /// Answers the last question.
    pub fn answer(&mut self, answer: &str) {
        let questions = self.questions.as_mut().expect("open until the end");
        // If the program has ended, its status shows that.
        let _ = writeln!(questions, "{answer}").and_then(|()| questions.flush());
    }

    /// Answers every question until the program ends with success, and returns its output.
    #[track_caller]
    pub fn serve(mut self, mut answer: impl FnMut(&str) -> String) -> String {
        while let Some(line) = self.line() {
            if let Some(question) = line.strip_prefix(QUESTION) {
                let reply = answer(question);
                self.answer(&reply);
            }
        }
        self.finish()
    }

    /// Closes its input, waits until it ends with success, and returns its output. A line on standard
    /// error is a failure: test programs do not write there, and the library prints nothing.
    #[track_caller]
    pub fn finish(mut self) -> String {
        self.questions = None;
        while self.line().is_some() {}
        let status = self.end();
        assert!(
            status.success(),
            "{} failed ({status}). It printed:\n{}",
            self.name,
            self.printed
        );
        assert!(
            !self.complained,
            "{} wrote to its standard error:\n{}",
            self.name, self.printed
        );
        std::mem::take(&mut self.printed)
    }

    /// Closes its input, waits for its end, and returns its status and the text of both outputs.
    #[track_caller]
    pub fn finish_in_any_way(mut self) -> (ExitStatus, String) {
        self.questions = None;
        while self.line().is_some() {}
        let status = self.end();
        (status, std::mem::take(&mut self.printed))
    }

    /// The next line of its output; none after the last.
    #[track_caller]
    fn line(&mut self) -> Option<String> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        match self.lines.recv_timeout(left) {
            Ok((output, line)) => {
                self.complained |= output == Output::Error;
                self.printed.push_str(&line);
                self.printed.push('\n');
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                panic!("{} hangs. It printed so far:\n{}", self.name, self.printed)
            }
        }
    }

    fn end(&mut self) -> ExitStatus {
        while Instant::now() < self.deadline {
            if let Some(status) = self.child.try_wait().expect("our own child") {
                return status;
            }
            thread::sleep(Duration::from_millis(1));
        }
        panic!(
            "{} closed its output and hangs. It printed:\n{}",
            self.name, self.printed
        )
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail if it has ended already, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
