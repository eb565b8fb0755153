//! Threads of the model checker.

use std::io;

use crate::sync::thread::{Builder, JoinHandle};

pub(crate) struct Thread(JoinHandle<()>);

pub(crate) fn spawn(
    name: &'static str,
    body: impl FnOnce() + Send + 'static,
) -> io::Result<Thread> {
    let thread = Builder::new().name(name.to_owned()).spawn(body);
    thread.map(Thread)
}

impl Thread {
    pub fn join(self) {
        // A panic in the thread has ended the model already.
        let _ = self.0.join();
    }
}
