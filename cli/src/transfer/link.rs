//! Resolves symbolic links by their text alone. Only links that stay within the pushed folders are kept.
//!
//! A `..` is allowed only where it certainly leaves a real folder: the folder of the link, one of its parents, or
//! a folder of the same push. After any other name it could leave the target of a link with that name. So every
//! link leads to a place below the receiver's folder, even through other links that were pushed before or are
//! pushed later.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::path::{LONGEST_NAME, LONGEST_PATH};

/// Checks what can be checked without the place of the link.
pub fn check_target(target: &[u8]) -> Result<(), &'static str> {
    match target {
        [] => Err("its target is empty"),
        [b'/', ..] => Err("its target is absolute"),
        _ if target.len() > LONGEST_PATH => Err("its target is too long"),
        _ if target.contains(&0) => Err("its target contains a NUL byte"),
        _ => Ok(()),
    }
}

/// The place to which a link leads, relative to the receiver's folder; empty for that folder itself. `is_folder`
/// knows the folders of the push.
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
                    return Err("its target has .. after a name that is not a folder of the push");
                }
                if !at.pop() {
                    return Err("it leads outside of the pushed folders");
                }
            }
            _ if name.len() > LONGEST_NAME => {
                return Err("its target has a component that is too long")
            }
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
