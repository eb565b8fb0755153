//! Standard input as a file: the protocol announces the size of each file first, so the stream is stored before it
//! is pushed. The file has no name, so nothing stays behind, however the program ends.

use std::env;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use rustix::fs::{open, Mode, OFlags};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::shown;

/// Stored input, as long as this lives.
pub struct Spool(File);

impl Spool {
    /// Reads standard input to its end, into a file in TMPDIR.
    pub fn of_standard_input() -> Result<Self, Failure> {
        let folder = env::temp_dir();
        let failed = |error: io::Error| {
            let text = format!("cannot store standard input in {}: {error}", shown(&folder));
            Failure::new(Exit::Failed, text).advise("set TMPDIR to a folder on a larger disk")
        };
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o644);
        let file = open(&folder, flags, mode).map_err(|error| failed(error.into()))?;
        let mut file = File::from(file);
        io::copy(&mut io::stdin(), &mut file).map_err(failed)?;
        Ok(Self(file))
    }

    /// A path that leads to the file while it is open.
    pub fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.0.as_raw_fd()).into()
    }
}
