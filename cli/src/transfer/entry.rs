//! An entry of an announcement.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::error::{Result, TransferError};
use super::extensions::Extensions;
use super::fields::Fields;
use super::link::check_target;
use super::path::check_path;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::harmless;

/// The most entries of one push.
pub const MOST_ENTRIES: usize = 1_000_000;
/// The most bytes of all paths of one push.
pub const MOST_PATH_BYTES: usize = 128 << 20;
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    Folder = 1,
    File = 2,
    /// A symbolic link.
    Link = 3,
    /// Another name of a file that was announced earlier.
    HardLink = 4,
}

/// Fields that extensions add to an entry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum More {
    #[default]
    Nothing,
    /// The target of a symbolic link.
    Target(Box<[u8]>),
    /// The bytes of a file that are not in holes.
    Data(u64),
    /// The index of the file of which a hard link is another name.
    First(u32),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub kind: Kind,
    /// The nine permission bits, without set-user-ID, set-group-ID and sticky.
    pub mode: u16,
    pub modified: (i64, u32),
    pub size: u64,
    /// Relative to the receiver's folder.
    pub path: PathBuf,
    pub more: More,
}

impl Entry {
    /// Appends the entry in the format of protocol version 1.
    pub fn append_to(&self, bytes: &mut Vec<u8>) {
        let path = self.path.as_os_str().as_bytes();
        bytes.push(self.kind as u8);
        bytes.extend(self.mode.to_be_bytes());
        bytes.extend(self.modified.0.to_be_bytes());
        bytes.extend(self.modified.1.to_be_bytes());
        bytes.extend(self.size.to_be_bytes());
        bytes.extend((path.len() as u16).to_be_bytes());
        bytes.extend(path);
    }

    /// Appends the entry with the fields of the extensions.
    pub fn append_extended_to(&self, bytes: &mut Vec<u8>, extensions: Extensions) {
        self.append_to(bytes);
        if let Some(target) = self.target() {
            bytes.extend((target.len() as u16).to_be_bytes());
            bytes.extend(target);
        }
        if let Some(first) = self.first() {
            bytes.extend(first.to_be_bytes());
        }
        if self.kind == Kind::File && extensions.has(Extensions::HOLES) {
            bytes.extend(self.data().to_be_bytes());
        }
    }

    /// Reads an entry and rejects what must never reach a file system.
    pub fn read(fields: &mut Fields<'_>) -> Result<Self> {
        let kind = match fields.u8()? {
            1 => Kind::Folder,
            2 => Kind::File,
            other => return Err(unknown(other)),
        };
        Self::read_rest(kind, fields)
    }

    /// Reads an entry that [`Entry::append_extended_to`] wrote.
    pub fn read_extended(fields: &mut Fields<'_>, extensions: Extensions) -> Result<Self> {
        let kind = match fields.u8()? {
            1 => Kind::Folder,
            2 => Kind::File,
            3 if extensions.has(Extensions::LINKS) => Kind::Link,
            4 if extensions.has(Extensions::HARD_LINKS) => Kind::HardLink,
            other => return Err(unknown(other)),
        };
        let mut entry = Self::read_rest(kind, fields)?;
        if kind == Kind::Link {
            let length = fields.u16()?;
            let target = fields.bytes(length.into())?;
            check_target(target).map_err(|why| {
                refused(format!("the link \"{}\" is refused: {why}", entry.shown()))
            })?;
            entry.more = More::Target(target.into());
        }
        if kind == Kind::HardLink {
            entry.more = More::First(fields.u32()?);
        }
        if kind == Kind::File && extensions.has(Extensions::HOLES) {
            let data = fields.u64()?;
            if data > entry.size {
                return Err(TransferError::protocol(
                    "a file with more data than its size",
                ));
            }
            if data < entry.size {
                entry.more = More::Data(data);
            }
        }
        if kind != Kind::File && entry.size != 0 {
            return Err(TransferError::protocol(
                "a size of an entry that is not a file",
            ));
        }
        Ok(entry)
    }

    fn read_rest(kind: Kind, fields: &mut Fields<'_>) -> Result<Self> {
        let mode = fields.u16()?;
        let modified = (fields.i64()?, fields.u32()?);
        let size = fields.u64()?;
        let length = fields.u16()?;
        let path = fields.bytes(length.into())?;
        check_path(path)
            .map_err(|why| refused(format!("the name \"{}\" is refused: {why}", harmless(path))))?;
        if mode > 0o777 || modified.1 >= 1_000_000_000 || i64::try_from(size).is_err() {
            return Err(TransferError::protocol(
                "an entry with a value out of range",
            ));
        }
        Ok(Self {
            kind,
            mode,
            modified,
            size,
            path: Path::new(OsStr::from_bytes(path)).to_owned(),
            more: More::Nothing,
        })
    }

    /// The target, if it is a symbolic link.
    pub fn target(&self) -> Option<&[u8]> {
        match &self.more {
            More::Target(target) => Some(target),
            _ => None,
        }
    }

    /// The index of the file of which it is another name, if it is a hard link.
    pub fn first(&self) -> Option<u32> {
        match self.more {
            More::First(first) => Some(first),
            _ => None,
        }
    }

    /// Whether it is a file or another name of one.
    pub fn is_file(&self) -> bool {
        matches!(self.kind, Kind::File | Kind::HardLink)
    }

    /// The bytes that are not in holes.
    pub fn data(&self) -> u64 {
        match self.more {
            More::Data(data) => data,
            _ => self.size,
        }
    }

    /// The bytes of its path and target, which the receiver must keep in memory.
    pub fn name_bytes(&self) -> usize {
        self.path.as_os_str().len() + self.target().map_or(0, <[u8]>::len)
    }

    /// Its path, escaped for output.
    pub fn shown(&self) -> String {
        harmless(self.path.as_os_str().as_bytes())
    }
}

fn unknown(kind: u8) -> TransferError {
    refused(format!(
        "an entry of kind {kind}: only files, folders and links within them are accepted"
    ))
}

fn refused(text: String) -> TransferError {
    TransferError::Fatal(Failure::new(Exit::Refused, text))
}

#[cfg(test)]
impl Entry {
    /// A file, for tests.
    pub fn of_size(size: u64) -> Self {
        Self {
            kind: Kind::File,
            mode: 0o644,
            modified: (100, 0),
            size,
            path: "x".into(),
            more: More::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str) -> Entry {
        Entry {
            kind: Kind::File,
            mode: 0o644,
            modified: (1_700_000_000, 5),
            size: 1 << 40,
            path: path.into(),
            more: More::Nothing,
        }
    }

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        for entry in [entry("a"), entry("a b/ü/c.bin"), entry("..a/b..")] {
            let mut bytes = Vec::new();
            entry.append_to(&mut bytes);
            let mut fields = Fields(&bytes);
            assert_eq!(Entry::read(&mut fields).unwrap(), entry);
            assert!(fields.is_empty());
            for length in 0..bytes.len() {
                assert!(
                    Entry::read(&mut Fields(&bytes[..length])).is_err(),
                    "{length}"
                );
            }
        }
    }

    #[test]
    fn hostile_names_are_refused() {
        let long = "n".repeat(256);
        let deep = "d/".repeat(200) + "x";
        let path = "abcdefgh/".repeat(500) + "x";
        for wrong in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "../x",
            "a/../b",
            "a/..",
            ".",
            "./a",
            "a/.",
            "a//b",
            "a/",
            "a\0b",
            &long,
            &deep,
            &path,
            ".a.dcf-part",
            ".a.dcf-part/b",
        ] {
            let mut bytes = Vec::new();
            entry(wrong).append_to(&mut bytes);
            let read = Entry::read(&mut Fields(&bytes));
            assert!(
                matches!(&read, Err(TransferError::Fatal(failure)) if failure.exit == Exit::Refused),
                "{wrong}: {read:?}"
            );
        }
    }

    #[test]
    fn only_files_and_folders_are_entries() {
        for kind in [0, 3, 255] {
            let mut bytes = Vec::new();
            entry("a").append_to(&mut bytes);
            bytes[0] = kind;
            assert!(Entry::read(&mut Fields(&bytes)).is_err());
        }
        let mut bytes = Vec::new();
        let suid = Entry {
            mode: 0o4755,
            ..entry("a")
        };
        suid.append_to(&mut bytes);
        assert!(Entry::read(&mut Fields(&bytes)).is_err());
    }
}
