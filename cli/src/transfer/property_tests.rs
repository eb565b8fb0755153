//! Messages of arbitrary bytes are decoded or rejected, and decoded values respect the limits.

use proptest::collection::vec;
use proptest::prelude::*;

use super::entry::Kind;
use super::extensions::Extensions;
use super::frame::Frame;
use super::holes::{total, MOST_EXTENTS};
use super::link::{check_target, resolve};
use super::message::{Pusher, Receiver};
use super::path::check_path;
use super::PIECE;

/// A payload, often one that is nearly valid.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![Just(0), 0..8_u8, Just(b'.'), Just(b'/'), any::<u8>()];
    vec(byte, 0..120)
}

fn component() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just("a"),
        Just("b"),
        Just("c"),
        Just("."),
        Just(".."),
        Just("")
    ]
}

proptest! {
    #[test]
    fn what_is_read_of_a_pusher_keeps_to_the_limits(
        kind in 0..14_u8,
        payload in payload(),
        extensions in any::<u8>(),
    ) {
        let frame = Frame::new(kind, payload);
        let Ok(message) = Pusher::from_frame(&frame, Extensions(extensions)) else {
            return Ok(());
        };
        match &message {
            Pusher::Entries(entries) | Pusher::Extended(_, entries) => for entry in entries {
                prop_assert!(check_path(entry.path.as_os_str().as_encoded_bytes()).is_ok());
                prop_assert!(entry.mode <= 0o777 && entry.data() <= entry.size);
                prop_assert_eq!(entry.kind == Kind::Link, entry.target().is_some());
                prop_assert_eq!(entry.kind == Kind::HardLink, entry.first().is_some());
                prop_assert!(entry.target().is_none_or(|target| check_target(target).is_ok()));
            },
            Pusher::Sparse { length, extents, .. } => {
                prop_assert!(extents.len() <= MOST_EXTENTS && total(extents) <= *length);
                prop_assert!(*length <= PIECE);
            }
            _ => {}
        }
        // Encoding a decoded message gives the same bytes.
        if !matches!(message, Pusher::Skipped { .. }) {
            prop_assert_eq!(message.frame(), frame);
        }
    }

    #[test]
    fn what_is_read_of_a_receiver_does_no_harm(kind in 0x7e..0x90_u8, payload in payload()) {
        let _ = Receiver::from_frame(&Frame::new(kind, payload));
    }

    /// Resolves like the kernel, in a tree where every name that is not a folder of the push is a link to the
    /// top.
    #[test]
    fn no_link_leads_out_whatever_other_names_are(
        depth in 0..4_usize,
        target in vec(component(), 1..8),
        folders in vec(vec(component(), 1..4), 0..4),
    ) {
        let link = "f/".repeat(depth) + "link";
        let from = std::path::Path::new(&link).parent().unwrap();
        // A folder can only be created in a folder.
        let is_folder = |path: &std::path::Path| {
            let is_one = |path: &std::path::Path| {
                let is_pushed = |folder: &Vec<&str>| path == std::path::Path::new(&folder.join("/"));
                from.starts_with(path) || folders.iter().any(is_pushed)
            };
            path.ancestors().all(is_one)
        };
        let text = target.join("/");
        let Ok(to) = resolve(std::path::Path::new(&link), text.as_bytes(), is_folder) else {
            return Ok(());
        };
        prop_assert!(to.components().all(|part| part.as_os_str() != ".."));
        let mut at = from.to_owned();
        for name in target {
            match name {
                "" | "." => {}
                ".." => prop_assert!(at.pop(), "{link} -> {text}"),
                _ => {
                    at.push(name);
                    if !from.starts_with(&at) && !is_folder(&at) {
                        at.clear();
                    }
                }
            }
        }
    }
}
