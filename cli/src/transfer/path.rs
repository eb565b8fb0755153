//! The rules for paths in an announcement, and the names of unfinished files.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The longest path (PATH_MAX without the terminating NUL).
pub const LONGEST_PATH: usize = 4095;
/// The longest name (NAME_MAX).
pub const LONGEST_NAME: usize = 255;
/// The deepest nesting of folders.
pub const DEEPEST: usize = 128;
/// The suffix of the name of an unfinished file.
pub const PART: &str = ".dcf-part";
/// The longest name that fits between a dot and the suffix.
const LONGEST_IN_PART: usize = LONGEST_NAME - PART.len() - 1;

/// Checks a path from a peer. A path that passes names something below the folder in which it is opened component
/// by component.
pub fn check_path(path: &[u8]) -> std::result::Result<(), &'static str> {
    if path.is_empty() {
        return Err("it is empty");
    }
    if path.len() > LONGEST_PATH {
        return Err("it is too long");
    }
    if path[0] == b'/' {
        return Err("it is absolute");
    }
    if path.contains(&0) {
        return Err("it contains a NUL byte");
    }
    let mut depth = 0;
    for name in path.split(|byte| *byte == b'/') {
        match name {
            b"" => return Err("it has an empty component"),
            b"." | b".." => return Err("it has a component . or .."),
            _ if name.len() > LONGEST_NAME => return Err("it has a component that is too long"),
            _ if is_part_name(name) => return Err("it is reserved for unfinished files"),
            _ => depth += 1,
        }
    }
    match depth <= DEEPEST {
        true => Ok(()),
        false => Err("it is nested too deeply"),
    }
}

/// Whether [`part_name`] produces such names.
pub fn is_part_name(name: &[u8]) -> bool {
    name.starts_with(b".") && name.ends_with(PART.as_bytes())
}

/// The name of the unfinished file, beside its place.
pub fn part_name(name: &OsStr) -> PathBuf {
    let bytes = name.as_bytes();
    let mut part = vec![b'.'];
    if bytes.len() <= LONGEST_IN_PART {
        part.extend(bytes);
    } else {
        // A long name is cut and gets a hash, so that it differs from others with the same beginning.
        let hash = xxhash_rust::xxh3::xxh3_128(bytes);
        part.extend(&bytes[..LONGEST_IN_PART - 33]);
        part.extend(format!("-{hash:032x}").bytes());
    }
    part.extend(PART.bytes());
    PathBuf::from(OsStr::from_bytes(&part))
}

/// An alternative name, for when another user's file has the usual one. `number` is random, so that nobody can
/// predict the name.
pub fn other_part_name(name: &OsStr, number: u64) -> PathBuf {
    let mut other = name.as_bytes().to_vec();
    other.extend(format!("~{number:016x}").bytes());
    part_name(OsStr::from_bytes(&other))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn part_names_are_names_and_differ() {
        let long = |last: &str| "x".repeat(254) + last;
        let names = ["a".to_owned(), long("1"), long("2")];
        let parts: Vec<_> = names
            .iter()
            .map(|name| part_name(OsStr::new(name)))
            .collect();
        assert_eq!(parts[0], Path::new(".a.dcf-part"));
        assert_ne!(parts[1], parts[2]);
        let others = names
            .iter()
            .map(|name| other_part_name(OsStr::new(name), 7));
        let parts = [parts.clone(), others.collect()].concat();
        assert_eq!(parts[3], Path::new(".a~0000000000000007.dcf-part"));
        for part in &parts {
            let bytes = part.as_os_str().as_bytes();
            assert!(bytes.len() <= LONGEST_NAME && is_part_name(bytes));
        }
    }
}
