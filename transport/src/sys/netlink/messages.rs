//! Cutting a datagram into netlink messages.

use netlink_packet_core::{DecodeError, NetlinkBuffer};

/// The messages of one datagram. The last one is an error if the datagram ends inside a message.
pub(super) fn messages(
    bytes: &[u8],
) -> impl Iterator<Item = Result<NetlinkBuffer<&[u8]>, DecodeError>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let message = NetlinkBuffer::new_checked(rest);
        // Messages are aligned to four bytes (netlink(7)).
        let length = message
            .as_ref()
            .map_or(rest.len(), |message| message.length() as usize);
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    })
}
