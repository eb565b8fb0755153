//! Notifications of changes.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use netlink_packet_core::NlasIterator;
use netlink_packet_route::link::LinkHeader;
use netlink_packet_route::AddressFamily;
use netlink_sys::{protocols::NETLINK_ROUTE, Socket, SocketAddr};

use super::messages;

/// RTMGRP_LINK and RTMGRP_IPV6_IFADDR of linux/rtnetlink.h.
const LINK_AND_ADDRESS_GROUPS: u32 = 0x1 | 0x100;
/// `struct ifinfomsg` stands before the attributes.
const LINK_HEADER: usize = 16;
/// IFLA_NEW_NETNSID of linux/if_link.h: the network namespace that an interface went to.
const NEW_NAMESPACE: u16 = 45;

/// Readable when a link or an IPv6 address of this network namespace has changed.
///
/// What changed is not read from the message but asked for anew: so it does not matter when the
/// kernel had to drop some (ENOBUFS), and a burst of them is one look. Only what can't be seen
/// afterwards is taken from it: that an interface was deleted, when another has its index by now.
pub(crate) struct LinkWatch(Socket);

/// What happened since the last look.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct LinkChanges {
    /// Indices of interfaces that were deleted, or moved to another network namespace.
    pub deleted: Vec<u32>,
    /// Those of them that were moved.
    pub moved: Vec<u32>,
    /// Some was lost.
    pub incomplete: bool,
}

impl LinkWatch {
    pub fn new() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.set_non_blocking(true)?;
        socket.bind(&SocketAddr::new(0, LINK_AND_ADDRESS_GROUPS))?;
        Ok(Self(socket))
    }

    /// Adds the news to what is known, so that the next change wakes again.
    pub fn take(&self, news: &mut LinkChanges) {
        // Enough for every notification: the kernel sends none larger than a page or two.
        let mut buf = vec![0u8; 32 << 10];
        loop {
            match self.0.recv_from(&mut buf.as_mut_slice(), 0) {
                // The kernel's port is 0. An administrator's program may write here, too.
                Ok((size, from)) if from.port_number() == 0 => {
                    news.add(&buf[..size.min(buf.len())]);
                }
                Ok(_) => {}
                // The kernel dropped some: there may be more behind.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => news.incomplete = true,
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
                // A bridge says in the same words, but of its own family, that a port left it.
                Ok(link) if link.interface_family == AddressFamily::Unspec => {
                    self.deleted.push(link.index);
                    if tells_of_a_move(payload.get(LINK_HEADER..).unwrap_or_default()) {
                        self.moved.push(link.index);
                    }
                }
                Ok(_) => {}
                Err(_) => self.incomplete = true,
            }
        }
    }
}

fn tells_of_a_move(attributes: &[u8]) -> bool {
    NlasIterator::new(attributes)
        .map_while(Result::ok)
        .any(|attribute| attribute.kind() == NEW_NAMESPACE)
}

impl AsFd for LinkWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor is open as long as the socket, which is borrowed for as long.
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
    fn the_news_tell_of_deleted_interfaces_and_of_nothing_else() {
        let mut news = LinkChanges::default();
        let bridge = libc::AF_BRIDGE as u8;
        news.add(&notification(libc::RTM_NEWLINK, 0, 5));
        news.add(&notification(libc::RTM_DELLINK, bridge, 6));
        assert_eq!(news, LinkChanges::default());
        let both = [7, 8].map(|index| notification(libc::RTM_DELLINK, 0, index));
        news.add(&both.concat());
        assert_eq!(news.deleted, [7, 8]);
        assert!(news.moved.is_empty() && !news.incomplete);
    }

    #[test]
    fn a_move_to_another_namespace_is_told_from_a_deletion() {
        let mut moved = notification(libc::RTM_DELLINK, 0, 7);
        moved.extend(8_u16.to_ne_bytes());
        moved.extend(NEW_NAMESPACE.to_ne_bytes());
        moved.extend(0_u32.to_ne_bytes());
        moved[..4].copy_from_slice(&40_u32.to_ne_bytes());
        let mut news = LinkChanges::default();
        news.add(&[moved, notification(libc::RTM_DELLINK, 0, 8)].concat());
        assert_eq!((news.deleted, news.moved), (vec![7, 8], vec![7]));
    }

    #[test]
    fn broken_news_are_incomplete_news() {
        let whole = notification(libc::RTM_DELLINK, 0, 7);
        for length in 1..whole.len() {
            let mut news = LinkChanges::default();
            news.add(&whole[..length]);
            assert!(news.incomplete && news.deleted.is_empty(), "{length}");
        }
        let mut short = whole.clone();
        short[..4].copy_from_slice(&20_u32.to_ne_bytes());
        let mut news = LinkChanges::default();
        news.add(&short[..20]);
        assert!(news.incomplete);
    }
}
