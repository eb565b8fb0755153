//! The identity of this receiver. Unlike its address, it does not change during a push or when the receiver
//! restarts. It is not a proof: peers are not authenticated.

use std::fs;
use std::os::fd::AsFd;

use rustix::fs::fstat;

use crate::handshake::Identity;

/// Five bytes of a hash of the machine and the folder, which reveal neither.
pub fn of(folder: impl AsFd) -> Identity {
    let files = ["/etc/machine-id", "/proc/sys/kernel/random/boot_id"];
    let machine = files.iter().find_map(|file| match fs::read(file) {
        Ok(id) if !id.trim_ascii().is_empty() => Some(id),
        _ => None,
    });
    let (Some(machine), Ok(stat)) = (machine, fstat(folder)) else {
        // Unknown.
        return Identity::default();
    };
    let parts = [
        b"dcf-tb receive",
        machine.trim_ascii(),
        &stat.st_dev.to_be_bytes(),
        &stat.st_ino.to_be_bytes(),
    ];
    let sum = xxhash_rust::xxh3::xxh3_128(&parts.concat()).to_be_bytes();
    let mut identity: Identity = *sum.first_chunk().expect("it is longer");
    // Zeros mean "unknown".
    identity[0] |= 1;
    identity
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn each_folder_has_its_own_and_keeps_it() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let of = |folder: &tempfile::TempDir| of(File::open(folder.path()).unwrap());
        assert_eq!(of(&one), of(&one));
        assert_ne!(of(&one), of(&other));
        assert_ne!(of(&one), Identity::default());
    }
}
