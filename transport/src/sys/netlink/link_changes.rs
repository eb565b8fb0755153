//! Notifications of changes.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use netlink_packet_core::NlasIterator;
use netlink_packet_route::link::LinkHeader;
use netlink_packet_route::AddressFamily;
use netlink_sys::{protocols::NETLINK_ROUTE, Socket, SocketAddr};

use super::messages::messages;

/// RTMGRP_LINK and RTMGRP_IPV6_IFADDR of linux/rtnetlink.h.
const LINK_AND_ADDRESS_GROUPS: u32 = 0x1 | 0x100;
/// `struct ifinfomsg` stands before the attributes.
const LINK_HEADER: usize = 16;
/// IFLA_NEW_NETNSID of linux/if_link.h: the network namespace that an interface went to.
const NEW_NAMESPACE: u16 = 45;

/// A socket that is readable after a link or an IPv6 address of this network namespace has changed.
///
/// Callers query the kernel for the new state and do not read it from the notifications. So dropped
/// notifications (ENOBUFS) do no harm, and one query handles a burst. Only deletions are read from the
/// notifications, because another interface may have the index already.
pub(crate) struct LinkWatch(Socket);

/// The changes since the last query.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct LinkChanges {
    /// Indices of interfaces that were deleted, or moved to another network namespace.
    pub deleted: Vec<u32>,
    /// The indices in `deleted` whose interface was moved.
    pub moved: Vec<u32>,
    /// Whether notifications were lost.
    pub incomplete: bool,
}

impl LinkWatch {
    pub fn new() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.set_non_blocking(true)?;
        socket.bind(&SocketAddr::new(0, LINK_AND_ADDRESS_GROUPS))?;
        Ok(Self(socket))
    }

    /// Drains the socket and adds the notifications to `changes`. The next change makes the socket
    /// readable again.
    pub fn take(&self, changes: &mut LinkChanges) {
        // Large enough for each notification: the kernel sends at most a page or two.
        let mut buf = vec![0u8; 32 << 10];
        loop {
            match self.0.recv_from(&mut buf.as_mut_slice(), 0) {
                // The kernel's port is 0. A privileged program can send to this socket too.
                Ok((size, from)) if from.port_number() == 0 => {
                    changes.add(&buf[..size.min(buf.len())]);
                }
                Ok(_) => {}
                // The kernel dropped notifications, and later ones may be in the queue.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    changes.incomplete = true;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }
}

impl LinkChanges {
    pub fn add(&mut self, bytes: &[u8]) {
        for message in messages(bytes) {
            let Ok(message) = message else {
                self.incomplete = true;
                return;
            };
            if message.message_type() != libc::RTM_DELLINK {
                continue;
            }
            let payload = message.payload();
            match LinkHeader::parse(payload) {
                // A bridge sends the same message type, with family AF_BRIDGE, when a port leaves it.
                Ok(link) if link.interface_family == AddressFamily::Unspec => {
                    self.deleted.push(link.index);
                    if is_move(payload.get(LINK_HEADER..).unwrap_or_default()) {
                        self.moved.push(link.index);
                    }
                }
                Ok(_) => {}
                Err(_) => self.incomplete = true,
            }
        }
    }
}

fn is_move(attributes: &[u8]) -> bool {
    NlasIterator::new(attributes)
        .map_while(Result::ok)
        .any(|attribute| attribute.kind() == NEW_NAMESPACE)
}

impl AsFd for LinkWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor is open as long as the socket, which stays borrowed.
        unsafe { BorrowedFd::borrow_raw(self.0.as_raw_fd()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A notification as the kernel sends it: struct nlmsghdr, then struct ifinfomsg.
    fn notification(kind: u16, family: u8, index: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(32_u32.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend([family, 0, 1, 0]);
        bytes.extend(index.to_ne_bytes());
        bytes.extend([0; 8]);
        bytes
    }

    #[test]
    fn changes_are_deleted_interfaces_only() {
        let mut changes = LinkChanges::default();
        let bridge = libc::AF_BRIDGE as u8;
        changes.add(&notification(libc::RTM_NEWLINK, 0, 5));
        changes.add(&notification(libc::RTM_DELLINK, bridge, 6));
        assert_eq!(changes, LinkChanges::default());
        let both = [7, 8].map(|index| notification(libc::RTM_DELLINK, 0, index));
        changes.add(&both.concat());
        assert_eq!(changes.deleted, [7, 8]);
        assert!(changes.moved.is_empty() && !changes.incomplete);
    }

    #[test]
    fn a_move_to_another_namespace_is_distinguished_from_a_deletion() {
        let mut moved = notification(libc::RTM_DELLINK, 0, 7);
        moved.extend(8_u16.to_ne_bytes());
        moved.extend(NEW_NAMESPACE.to_ne_bytes());
        moved.extend(0_u32.to_ne_bytes());
        moved[..4].copy_from_slice(&40_u32.to_ne_bytes());
        let mut changes = LinkChanges::default();
        changes.add(&[moved, notification(libc::RTM_DELLINK, 0, 8)].concat());
        assert_eq!((changes.deleted, changes.moved), (vec![7, 8], vec![7]));
    }

    #[test]
    fn a_truncated_notification_makes_the_changes_incomplete() {
        let whole = notification(libc::RTM_DELLINK, 0, 7);
        for length in 1..whole.len() {
            let mut changes = LinkChanges::default();
            changes.add(&whole[..length]);
            assert!(changes.incomplete && changes.deleted.is_empty(), "{length}");
        }
        let mut short = whole.clone();
        short[..4].copy_from_slice(&20_u32.to_ne_bytes());
        let mut changes = LinkChanges::default();
        changes.add(&short[..20]);
        assert!(changes.incomplete);
    }
}
