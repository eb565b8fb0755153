//! Paths and names as they may be announced, and the names of unfinished files.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Bytes of a path at most (PATH_MAX without its end).
pub const LONGEST_PATH: usize = 4095;
/// Bytes of a name at most (NAME_MAX).
pub const LONGEST_NAME: usize = 255;
/// Folders in folders at most.
const DEEPEST: usize = 128;
/// What the name of an unfinished file ends with.
pub const PART: &str = ".dcf-part";
/// The longest name that fits between a dot and that.
const LONGEST_IN_PART: usize = LONGEST_NAME - PART.len() - 1;

/// Why a path from elsewhere must not be used, if so. What passes names something below the folder
/// that it is opened in, one component after the other.
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
        return Err("it has a zero byte in it");
    }
    let mut depth = 0;
    for name in path.split(|byte| *byte == b'/') {
        match name {
            b"" => return Err("a part of it is empty"),
            b"." | b".." => return Err("a part of it is . or .."),
            _ if name.len() > LONGEST_NAME => return Err("a part of it is too long"),
            _ if is_part_name(name) => return Err("it is that of an unfinished file"),
            _ => depth += 1,
        }
    }
    match depth <= DEEPEST {
        true => Ok(()),
        false => Err("it is too deep"),
    }
}

/// Whether it is a name that [`part_name`] gives.
pub fn is_part_name(name: &[u8]) -> bool {
    name.starts_with(b".") && name.ends_with(PART.as_bytes())
}

/// The name under which a file grows, beside its place.
pub fn part_name(name: &OsStr) -> PathBuf {
    let bytes = name.as_bytes();
    let mut part = vec![b'.'];
    if bytes.len() <= LONGEST_IN_PART {
        part.extend(bytes);
    } else {
        // No room for all of it: its beginning, and what tells it from others that begin so.
        let hash = xxhash_rust::xxh3::xxh3_128(bytes);
        part.extend(&bytes[..LONGEST_IN_PART - 33]);
        part.extend(format!("-{hash:032x}").bytes());
    }
    part.extend(PART.bytes());
    PathBuf::from(OsStr::from_bytes(&part))
}

/// Another name for the same, where another user holds that one: nobody else chooses `number`.
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
