//! Errors of the file system, by what they affect: one entry, or the whole push.

use std::io;

use rustix::io::Errno;
use thunderbolt_transport::TransportError;

use super::folder::Folder;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::transfer::entry::Entry;
use crate::transfer::error::TransferError;

/// Why an entry could not be stored.
#[derive(Debug)]
pub enum Fault {
    /// Only this entry failed; the push continues.
    Entry(Failure),
    /// The push ends: an error of the stream, the protocol or the whole disk.
    Push(TransferError),
}

impl From<TransferError> for Fault {
    fn from(error: TransferError) -> Self {
        Self::Push(error)
    }
}

impl Fault {
    /// Classifies an error of the file system.
    pub fn of(folder: &Folder, entry: &Entry, error: &io::Error) -> Self {
        let failure = failure(error);
        if let Some(text) = folder.lost() {
            return Self::Push(Failure::new(Exit::Failed, text).into());
        }
        let errno = Errno::from_io_error(error);
        match errno.is_some_and(|errno| folder.concerns_all(&entry.path, errno)) {
            true => Self::Push(failure.during(entry.shown()).into()),
            false => Self::Entry(failure),
        }
    }

    /// Classifies an error of a transfer between the stream and a file: either may have caused it.
    pub fn of_transfer(folder: &Folder, entry: &Entry, error: TransportError) -> Self {
        let errno = match &error {
            TransportError::Io(_)
            | TransportError::PermissionDenied { .. }
            | TransportError::TooManyFiles { .. } => error.raw_os_error(),
            _ => None,
        };
        match errno {
            Some(errno) => Self::of(folder, entry, &io::Error::from_raw_os_error(errno)),
            None => Self::Push(error.into()),
        }
    }
}

/// Describes an error of the file system, with its exit code.
pub fn failure(error: &io::Error) -> Failure {
    let (exit, why) = match Errno::from_io_error(error) {
        Some(Errno::NOSPC | Errno::DQUOT) => (Exit::DiskFull, "the disk is full"),
        Some(Errno::FBIG) => (
            Exit::DiskFull,
            "the receiver's file system cannot store a file of that size",
        ),
        Some(Errno::EXIST | Errno::ISDIR) => (Exit::Exists, "something else has that name"),
        Some(Errno::NOTDIR | Errno::LOOP) => (
            Exit::Refused,
            "a component of its path is a link or a file, not a folder",
        ),
        Some(Errno::NAMETOOLONG) => (
            Exit::Refused,
            "the name is too long for the receiver's file system",
        ),
        Some(Errno::INVAL | Errno::ILSEQ) => (
            Exit::Refused,
            "the receiver's file system does not support this name or kind of file",
        ),
        // This error is ours, not the kernel's.
        None if error.kind() == io::ErrorKind::PermissionDenied => {
            return Failure::new(Exit::Refused, error.to_string())
        }
        None => return Failure::new(Exit::Failed, error.to_string()),
        _ => {
            let text = format!("the receiver cannot write it: {error}");
            return Failure::new(Exit::Failed, text);
        }
    };
    Failure::new(exit, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder on a writable disk with space.
    fn folder() -> (tempfile::TempDir, Folder) {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::open(directory.path()).unwrap();
        (directory, folder)
    }

    #[test]
    fn only_faults_of_the_whole_disk_end_a_push() {
        let (_directory, folder) = folder();
        let sort = |errno: Errno| Fault::of(&folder, &Entry::of_size(0), &errno.into());
        for (errno, exit) in [
            (Errno::ACCESS, Exit::Failed),
            (Errno::PERM, Exit::Failed),
            (Errno::IO, Exit::Failed),
            (Errno::NOENT, Exit::Failed),
            (Errno::MFILE, Exit::Failed),
            (Errno::TXTBSY, Exit::Failed),
            (Errno::NAMETOOLONG, Exit::Refused),
            (Errno::INVAL, Exit::Refused),
            (Errno::ILSEQ, Exit::Refused),
            (Errno::NOTDIR, Exit::Refused),
            (Errno::LOOP, Exit::Refused),
            (Errno::ISDIR, Exit::Exists),
            (Errno::EXIST, Exit::Exists),
            (Errno::FBIG, Exit::DiskFull),
            // A read-only disk is mounted below the folder.
            (Errno::ROFS, Exit::Failed),
        ] {
            match sort(errno) {
                Fault::Entry(failure) => assert_eq!(failure.exit, exit, "{errno}"),
                Fault::Push(error) => panic!("{errno}: {error:?}"),
            }
        }
        for errno in [Errno::NOSPC, Errno::DQUOT] {
            let fault = sort(errno);
            let is_full = matches!(
                &fault,
                Fault::Push(TransferError::Fatal(failure)) if failure.exit == Exit::DiskFull
            );
            assert!(is_full, "{fault:?}");
        }
    }
}
