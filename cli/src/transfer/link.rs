//! Where a symbolic link leads, by its words alone: only links that stay within what is pushed are kept.
//!
//! A `..` counts only where it must lead up from a folder: from the one that the link is in, from those around it,
//! or from a folder of the same push. Behind any other name it could lead up from wherever
//! a link with that name points. So every link leads to a place below the folder that it is received into, also
//! through other links that were pushed, then or later.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::path::{LONGEST_NAME, LONGEST_PATH};

/// What is wrong with a target wherever the link is.
pub fn check_target(target: &[u8]) -> Result<(), &'static str> {
    match target {
        [] => Err("its target is empty"),
        [b'/', ..] => Err("its target is absolute"),
        _ if target.len() > LONGEST_PATH => Err("its target is too long"),
        _ if target.contains(&0) => Err("its target has a zero byte in it"),
        _ => Ok(()),
    }
}

/// Where a link leads, relative to the folder that the push is received into; empty for that folder itself.
/// `is_folder` tells the folders of the push.
pub fn resolve(
    link: &Path,
    target: &[u8],
    is_folder: impl Fn(&Path) -> bool,
) -> Result<PathBuf, &'static str> {
    check_target(target)?;
    let from = link.parent().unwrap_or(Path::new(""));
    let mut at = from.to_owned();
    for name in target.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => {
                let is_real = from.starts_with(&at) || is_folder(&at);
                if !is_real {
                    return Err("its target has .. behind a name that is no folder of the push");
                }
                if !at.pop() {
                    return Err("it leads out of what is pushed");
                }
            }
            _ if name.len() > LONGEST_NAME => return Err("a part of its target is too long"),
            _ => at.push(OsStr::from_bytes(name)),
        }
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leads(link: &str, target: &str) -> Result<PathBuf, &'static str> {
        let folders = ["d", "d/sub", "hub", "hub/blobs"].map(Path::new);
        resolve(Path::new(link), target.as_bytes(), |path| {
            folders.contains(&path)
        })
    }

    #[test]
    fn links_within_are_kept() {
        for (link, target, to) in [
            ("l", "file", "file"),
            ("d/l", "file", "d/file"),
            ("d/l", "./sub//x/", "d/sub/x"),
            ("hub/snapshots/1/model", "../../blobs/abc", "hub/blobs/abc"),
            ("d/l", ".", "d"),
            ("d/l", "..", ""),
            ("d/l", "../other/x", "other/x"),
            ("d/l", "sub/../x", "d/x"),
            ("d/l", "sub/../../d/sub/..", "d"),
            ("l", "..x/...", "..x/..."),
            ("any/where/l", "../where/../../x", "x"),
        ] {
            assert_eq!(
                leads(link, target).as_deref(),
                Ok(Path::new(to)),
                "{target}"
            );
        }
    }

    #[test]
    fn links_that_lead_out_or_may_are_not() {
        let long = "x".repeat(256);
        let longest = "x/".repeat(2048);
        for (link, target) in [
            ("l", ""),
            ("l", "/etc/passwd"),
            ("l", "/"),
            ("l", ".."),
            ("l", "../x"),
            ("d/l", "../../x"),
            ("d/l", "../../d/x"),
            ("d/l", "./.././.."),
            ("d/l", "sub/../../../x"),
            // `other` may be a link now or later.
            ("d/l", "other/.."),
            ("d/l", "other/../x"),
            ("d/l", "../other/../../x"),
            ("d/l", "sub/other/../x"),
            ("l", "a\0b"),
            ("l", &long),
            ("l", &longest),
        ] {
            assert!(leads(link, target).is_err(), "{link} -> {target}");
        }
    }
}
