//! What files and folders have that does not come along: it is said once, with counts.

use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use rustix::fs::{listxattr, llistxattr};
use rustix::io::Errno;

use super::walk::Found;
use crate::output;

/// Bytes of the names of attributes that are looked at.
const NAMES: usize = 4096;
/// Set-user-ID, set-group-ID, sticky.
const SPECIAL: u32 = 0o7000;
/// What a system gives to files by itself, and what `dcf-tb receive` marks them with.
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

/// How many files and folders have what.
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

    /// Says what does not come along, if there is anything.
    pub fn say(&self) {
        if let Some(text) = self.text() {
            output::note(&text);
        }
    }

    fn text(&self) -> Option<String> {
        let parts = [
            (self.attributes, "extended attributes"),
            (self.lists, "access control lists"),
            (self.special, "set-user-ID, set-group-ID or sticky bits"),
            (self.owners, "other owners than you"),
        ];
        let parts: Vec<String> = parts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{what} ({count})"))
            .collect();
        (!parts.is_empty()).then(|| {
            let parts = parts.join(", ");
            format!("not copied, of so many files and folders: {parts}")
        })
    }
}

/// Whether it has extended attributes that matter, and access control lists.
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
        // So many can hardly be trivial.
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
            "not copied, of so many files and folders: extended attributes (3), other owners than you (1)"
        );
    }
}
