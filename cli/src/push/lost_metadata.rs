//! Metadata that is not copied. It is reported once, with counts.

use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use rustix::fs::{listxattr, llistxattr};
use rustix::io::Errno;

use super::walk::Found;
use crate::output;

/// The buffer for the names of attributes.
const NAMES: usize = 4096;
/// Set-user-ID, set-group-ID and sticky.
const SPECIAL: u32 = 0o7000;
/// Attributes that systems set on their own, and the mark of `dcf-tb receive`.
const TRIVIAL: [&[u8]; 7] = [
    b"security.selinux",
    b"security.SMACK64",
    b"security.apparmor",
    b"security.ima",
    b"security.evm",
    b"btrfs.compression",
    b"user.dcf-tb",
];
const LIST: &[u8] = b"system.posix_acl_";

/// Counts of files and folders.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct LostMetadata {
    attributes: u64,
    lists: u64,
    special: u64,
    owners: u64,
}

impl LostMetadata {
    pub fn count(&mut self, found: &Found<'_>) {
        let stat = found.stat;
        let user = rustix::process::geteuid().as_raw();
        let is_others = stat.st_uid != user || user == 0 && stat.st_gid != 0;
        let (attributes, lists) = attributes(found);
        self.attributes += u64::from(attributes);
        self.lists += u64::from(lists);
        self.special += u64::from(stat.st_mode & SPECIAL != 0);
        self.owners += u64::from(is_others);
    }

    /// Reports what is not copied, if there is anything.
    pub fn report(&self) {
        if let Some(text) = self.text() {
            output::note(&text);
        }
    }

    fn text(&self) -> Option<String> {
        let parts = [
            (self.attributes, "extended attributes"),
            (self.lists, "access control lists"),
            (self.special, "set-user-ID, set-group-ID or sticky bits"),
            (self.owners, "owners other than you"),
        ];
        let parts: Vec<String> = parts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{what} ({count})"))
            .collect();
        (!parts.is_empty()).then(|| {
            let parts = parts.join(", ");
            format!("not copied (number of files and folders): {parts}")
        })
    }
}

/// Whether an entry has significant extended attributes, and whether it has access control lists.
fn attributes(found: &Found<'_>) -> (bool, bool) {
    let (at, name) = found.at;
    let at = PathBuf::from(format!("/proc/self/fd/{}", at.as_raw_fd()));
    let mut names = [0; NAMES];
    let listed = match name.is_empty() {
        true => listxattr(&at, &mut names[..]),
        false if found.dereference => listxattr(at.join(Path::new(name)), &mut names[..]),
        false => llistxattr(at.join(Path::new(name)), &mut names[..]),
    };
    match listed {
        Ok(length) => sort(&names[..length]),
        // With so many names, some are significant.
        Err(Errno::RANGE) => (true, false),
        Err(_) => (false, false),
    }
}

fn sort(names: &[u8]) -> (bool, bool) {
    let (mut attributes, mut lists) = (false, false);
    for name in names
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        if name.starts_with(LIST) {
            lists = true;
        } else if !name.starts_with(b"system.") && !TRIVIAL.contains(&name) {
            attributes = true;
        }
    }
    (attributes, lists)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_system_sets_by_itself_does_not_count() {
        for (names, is) in [
            (&b""[..], (false, false)),
            (b"security.selinux\0user.dcf-tb\0", (false, false)),
            (b"system.nfs4_acl\0", (false, false)),
            (b"security.selinux\0user.comment\0", (true, false)),
            (b"security.capability\0", (true, false)),
            (b"system.posix_acl_access\0", (false, true)),
            (b"system.posix_acl_default\0trusted.x\0", (true, true)),
        ] {
            assert_eq!(sort(names), is, "{}", String::from_utf8_lossy(names));
        }
    }

    #[test]
    fn it_is_said_with_counts_or_not_at_all() {
        assert_eq!(LostMetadata::default().text(), None);
        let some = LostMetadata {
            attributes: 3,
            owners: 1,
            ..LostMetadata::default()
        };
        assert_eq!(
            some.text().unwrap(),
            "not copied (number of files and folders): extended attributes (3), owners other than you (1)"
        );
    }
}
