//! The real binary in a pseudo-terminal.

use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use portable_pty::{native_pty_system, Child, CommandBuilder, MasterPty, PtySize};
use testkit::{wait_until, Host, GENEROUS};

use super::tool;

/// A program in a terminal, usually of 100 columns. Dropping this value kills it.
pub struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    shown: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
    master: Box<dyn MasterPty + Send>,
}

impl Terminal {
    /// `dcf-tb` on a host, with more in its environment.
    #[track_caller]
    pub fn start(host: &Host, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::of(&tool(host, arguments), 100, environment)
    }

    /// A command in a terminal of so many columns.
    #[track_caller]
    pub fn of(command: &Command, columns: u16, environment: &[(&str, &str)]) -> Self {
        let mut builder = CommandBuilder::new(command.get_program());
        builder.args(command.get_args());
        builder.cwd(Path::new("."));
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => builder.env(name, value),
                None => builder.env_remove(name),
            }
        }
        builder.env("TERM", "xterm-256color");
        // Where CI is set, colours are shown on dumb terminals too: logs of such services show them.
        builder.env_remove("CI");
        environment
            .iter()
            .for_each(|(name, value)| builder.env(name, value));
        let size = PtySize {
            rows: 30,
            cols: columns,
            pixel_width: 0,
            pixel_height: 0,
        };
        let pair = native_pty_system()
            .openpty(size)
            .expect("a pseudo-terminal");
        let child = pair.slave.spawn_command(builder).expect("it starts");
        drop(pair.slave);
        let shown: Arc<Mutex<Vec<u8>>> = Arc::default();
        let mut output = pair.master.try_clone_reader().expect("a reader");
        let collected = Arc::clone(&shown);
        let reader = thread::spawn(move || {
            let mut buf = [0; 4096];
            // The other end of a pseudo-terminal that is closed is an error.
            while let Ok(count @ 1..) = output.read(&mut buf) {
                collected.lock().expect("no panic").extend(&buf[..count]);
            }
        });
        Self {
            child,
            shown,
            reader: Some(reader),
            master: pair.master,
        }
    }

    /// All that was written to the terminal so far.
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().expect("no panic")).into_owned()
    }

    #[track_caller]
    pub fn wait_shown(&self, what: &str, is_it: impl Fn(&str) -> bool) {
        wait_until(&format!("it shows {what}"), GENEROUS, || {
            is_it(&self.shown())
        });
    }

    /// Ctrl-C on its keyboard.
    pub fn interrupt(&mut self) {
        self.types(b"\x03");
    }

    /// Keys on its keyboard, once.
    pub fn types(&mut self, keys: &[u8]) {
        let mut keyboard = self.master.take_writer().expect("the first time");
        keyboard.write_all(keys).expect("it is open");
    }

    /// Waits for its end: its exit code, and all that it showed.
    #[track_caller]
    pub fn end(mut self) -> (u32, String) {
        let mut code = None;
        wait_until("it ends", GENEROUS, || {
            code = self.child.try_wait().expect("our own child");
            code.is_some()
        });
        if let Some(reader) = self.reader.take() {
            reader.join().expect("no panic");
        }
        (
            code.map_or(u32::MAX, |status| status.exit_code()),
            self.shown(),
        )
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Fails if it has ended already, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
