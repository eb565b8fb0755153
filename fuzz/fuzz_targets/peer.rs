//! Peer strings: an accepted string can be formatted and parsed again; an error quotes a refused one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use thunderbolt_transport::fuzzing::peer;
use thunderbolt_transport::{TransportError, MAX_PEER_TEXT};

/// Interfaces that a transport may be bound to: present, absent, and with names that look like a part of
/// an address.
const INTERFACES: [(&str, Option<u32>); 5] = [
    ("lo", Some(1)),
    ("thunderbolt0", Some(70_000)),
    ("thunderbolt0", None),
    ("7", Some(9)),
    ("]", Some(u32::MAX)),
];
const PORT: u16 = 5000;

fuzz_target!(|text: &str| {
    for (interface, index) in INTERFACES {
        match peer::parse(text, interface, index, PORT) {
            Ok(address) => {
                assert_ne!(address.port(), 0);
                assert_eq!(address.scope_id(), index.unwrap_or(0));
                let written = peer::format(&address, interface, PORT);
                assert!(written.len() <= MAX_PEER_TEXT, "{written}");
                let again = peer::parse(&written, interface, index, PORT);
                assert_eq!(again.ok(), Some(address), "{text:?} is {written:?}");
            }
            Err(error) => {
                let said = error.to_string();
                let quoted = match &error {
                    TransportError::InvalidAddress(_) => {
                        said.starts_with(&format!("invalid peer address \"{text}\": "))
                    }
                    TransportError::InterfaceNotFound(_) => {
                        let named = said.strip_prefix("network interface \"");
                        let zone = named.and_then(|rest| rest.split_once("\" not found: "));
                        zone.is_some_and(|(zone, _)| text.contains(&format!("%{zone}")))
                    }
                    _ => false,
                };
                assert!(quoted, "{text:?}: {error:?}");
            }
        }
    }
});
