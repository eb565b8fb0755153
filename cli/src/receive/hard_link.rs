//! Hard links within one push.
//!
//! A hard link names a file that was announced earlier in the same push, so a pusher cannot probe or link other
//! files. The file is opened by its first name, checked, and linked by its descriptor, so a file that another
//! program swaps in is not linked.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;

use rustix::fs::{fstat, linkat, openat, AtFlags, Mode, OFlags, CWD};
use rustix::io::Errno;

use super::fault::Fault;
use super::mark::Mark;
use super::outcome::Outcome;
use super::place::{Place, There};
use super::session::Session;
use crate::exit::Exit;
use crate::transfer::entry::Entry;

/// Larger files are not copied where hard links are unsupported, because the pusher waits meanwhile.
const COPIED: u64 = 1 << 30;

/// Creates the hard link of an entry.
pub fn make(
    session: &Session,
    place: &Place,
    entry: &Entry,
) -> std::result::Result<Outcome, Fault> {
    let cannot = |error: io::Error| Fault::of(&session.folder, entry, &error);
    let index = entry.first().unwrap_or_default();
    let first = &session.entries[index as usize];
    if !session.is_there(index) {
        let why = format!(
            "{}, of which it is another name, did not arrive",
            first.shown()
        );
        return Ok(Outcome::Failed(Exit::Damaged, why));
    }
    let from = session.folder.place(&first.path).map_err(cannot)?;
    let file = from.open_path().map_err(cannot)?;
    let stat = fstat(&file).map_err(|error| cannot(error.into()))?;
    let replaced = || {
        let why = format!("another program replaced {}", first.shown());
        Ok(Outcome::Failed(Exit::Damaged, why))
    };
    let There::File { size, modified, .. } = There::of(&stat) else {
        return replaced();
    };
    let (content, mark) = from.open_existing().map_err(cannot)?;
    let now = fstat(&content).map_err(|error| cannot(error.into()))?;
    if size != first.size || (now.st_dev, now.st_ino) != (stat.st_dev, stat.st_ino) {
        return replaced();
    }
    let is_brought = session.folder.brought(mark, &first.path, (size, modified)) == Mark::Ours;
    let replace = match taken(session, place, entry, first, &content).map_err(cannot)? {
        Taken::Stays => return Ok(Outcome::Same),
        Taken::Replaced => true,
        Taken::Kept => false,
    };
    let linked = match is_brought {
        true => place.name_file(&file, replace),
        // It is another program's file: a change of it must not change this one.
        false => Err(Errno::PERM.into()),
    };
    let linked = match linked {
        Err(error) if has_no_links(&error) => copy(session, place, first, content, replace),
        linked => linked,
    };
    match linked {
        Ok(()) => {
            if mark != Mark::Ours {
                session.folder.remember(&entry.path, place);
            }
            if session.rules.sync {
                place.sync().map_err(cannot)?;
            }
            Ok(Outcome::Done)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Ok(Outcome::taken_meanwhile())
        }
        Err(error) => Err(cannot(error)),
    }
}

/// What to do with an existing file of that name.
enum Taken {
    /// It has the same content, and no push brought it: leave it.
    Stays,
    /// Replace it: a push brought it and it has the same content, or the user wants it replaced.
    Replaced,
    /// Do not replace it: its content differs or may not be compared. Also if there is none.
    Kept,
}

fn taken(
    session: &Session,
    place: &Place,
    entry: &Entry,
    first: &Entry,
    content: &File,
) -> io::Result<Taken> {
    if session.rules.replaces_files() {
        return Ok(Taken::Replaced);
    }
    let (There::File { size, modified, .. }, mark) = place.there()? else {
        return Ok(Taken::Kept);
    };
    let state = (size, modified);
    let is_brought = session.folder.brought(mark, &entry.path, state) == Mark::Ours;
    let may_tell = is_brought || session.rules.compare;
    if !may_tell || size != first.size {
        return Ok(Taken::Kept);
    }
    // Size and time identify the content of a file that a push brought.
    let is_known = is_brought && modified == first.modified;
    let is_equal = is_known || (size <= COPIED && have_same_content(content, place)?);
    Ok(match (is_equal, is_brought) {
        (false, _) => Taken::Kept,
        (true, true) => Taken::Replaced,
        (true, false) => Taken::Stays,
    })
}

fn have_same_content(content: &File, place: &Place) -> io::Result<bool> {
    const AT_ONCE: usize = 1 << 18;
    let (other, _) = place.open_existing()?;
    let mut parts = [vec![0; AT_ONCE], vec![0; AT_ONCE]];
    let mut offset = 0;
    loop {
        let [one, two] = &mut parts;
        let count = content.read_at(one, offset)?;
        if count == 0 {
            return Ok(other.read_at(two, offset)? == 0);
        }
        match other.read_exact_at(&mut two[..count], offset) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            read => read?,
        }
        if one[..count] != two[..count] {
            return Ok(false);
        }
        offset += count as u64;
    }
}

/// The file system does not support hard links, or the two places are on different ones.
fn has_no_links(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(
            Errno::PERM
                | Errno::XDEV
                | Errno::MLINK
                | Errno::OPNOTSUPP
                | Errno::NOSYS
                | Errno::NOENT
        )
    )
}

/// Copies the content into a separate file.
fn copy(
    session: &Session,
    place: &Place,
    first: &Entry,
    mut content: File,
    replace: bool,
) -> io::Result<()> {
    if first.size > COPIED {
        let text = "the receiver's file system does not support hard links, and the file is too large to copy: push it alone";
        return Err(io::Error::other(text));
    }
    let part = place.open_part()?;
    let copied = (|| {
        part.file.set_len(0)?;
        io::copy(&mut content, &mut &*part.file)?;
        if session.rules.sync {
            part.file.sync_data()?;
        }
        place.finish(&part, first.mode, first.modified, replace)
    })();
    if copied.is_err() {
        place.remove_part(&part);
    }
    copied.map(drop)
}

impl Place {
    fn open_path(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(openat(&*self.folder, &self.name, flags, Mode::empty())?)
    }

    fn name_file(&self, file: &OwnedFd, replace: bool) -> io::Result<()> {
        let from = format!("/proc/self/fd/{}", file.as_raw_fd());
        self.put(replace, |name| {
            linkat(CWD, &from, &*self.folder, name, AtFlags::SYMLINK_FOLLOW)
        })
    }
}
