//! The announcement of a push.

use super::connection::Connection;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::transfer::entry::Entry;
use crate::transfer::error::{Result, TransferError};
use crate::transfer::extensions::Extensions;
use crate::transfer::message::{Pusher, Receiver, Want, ENTRIES_AT_ONCE, EXTENDED_AT_ONCE};
use crate::transfer::modes::Modes;
use crate::transfer::SessionId;

/// Announces the entries and receives the plan.
pub fn announce(
    connection: &mut Connection<'_>,
    entries: &[Entry],
    extensions: Extensions,
    modes: Modes,
) -> Result<(Vec<Want>, SessionId)> {
    if modes != Modes::default() {
        if !extensions.has(Extensions::MODES) {
            let text = "the receiver's dcf-tb is older: it knows neither --dry-run nor --update nor --delete";
            let failure = Failure::new(Exit::Refused, text);
            return Err(failure.advise("install this version there").into());
        }
        connection.send(&Pusher::Modes(modes))?;
    }
    if extensions.any() {
        for some in entries.chunks(EXTENDED_AT_ONCE) {
            connection.send(&Pusher::Extended(extensions, some.to_vec()))?;
        }
    } else {
        for some in entries.chunks(ENTRIES_AT_ONCE) {
            connection.send(&Pusher::Entries(some.to_vec()))?;
        }
    }
    connection.send(&Pusher::Announced {
        entries: entries.len() as u32,
        bytes: entries.iter().map(|entry| entry.size).sum(),
    })?;
    let mut wants = Vec::with_capacity(entries.len());
    loop {
        match connection.plan()? {
            Receiver::Plan { first, wants: more } if first as usize == wants.len() => {
                wants.extend(more);
            }
            Receiver::Ready(id) => {
                let fits = |(want, entry): (&Want, &Entry)| match want {
                    Want::Content { have } => *have <= entry.size,
                    _ => true,
                };
                let all = wants.len() == entries.len();
                if !all || !wants.iter().zip(entries).all(fits) {
                    return Err(TransferError::protocol(
                        "a plan that does not match the announcement",
                    ));
                }
                return Ok((wants, id));
            }
            _ => return Err(TransferError::protocol("a plan message out of order")),
        }
    }
}
