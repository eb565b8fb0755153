//! What rtnetlink(7) says about one interface, and a socket that wakes when any changes.

use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use netlink_packet_core::{
    DecodeError, NetlinkBuffer, NetlinkHeader, NetlinkMessage, NetlinkPayload, NLM_F_DUMP,
    NLM_F_REQUEST,
};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkHeader, LinkMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{protocols::NETLINK_ROUTE, Socket, SocketAddr};

/// RTMGRP_LINK and RTMGRP_IPV6_IFADDR of linux/rtnetlink.h.
const LINK_AND_ADDRESS_GROUPS: u32 = 0x1 | 0x100;

/// Readable when a link or an IPv6 address of this network namespace has changed.
///
/// What changed is not read from the message but asked for anew: so it does not matter when the
/// kernel had to drop some (ENOBUFS), and a burst of them is one look. Only what can't be seen
/// afterwards is taken from it: that an interface was deleted, when another has its index by now.
pub(crate) struct LinkWatch(Socket);

/// What happened since the last look.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// Indices of interfaces that were deleted, or moved to another network namespace.
    pub deleted: Vec<u32>,
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
    pub fn take(&self, news: &mut News) {
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

impl News {
    pub fn add(&mut self, bytes: &[u8]) {
        for message in messages(bytes) {
            let Ok(message) = message else {
                self.incomplete = true;
                return;
            };
            if message.message_type() != libc::RTM_DELLINK {
                continue;
            }
            match LinkHeader::parse(message.payload()) {
                // A bridge says in the same words, but of its own family, that a port left it.
                Ok(link) if link.interface_family == AddressFamily::Unspec => {
                    self.deleted.push(link.index)
                }
                Ok(_) => {}
                Err(_) => self.incomplete = true,
            }
        }
    }
}

impl AsFd for LinkWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor is open as long as the socket, which is borrowed for as long.
        unsafe { BorrowedFd::borrow_raw(self.0.as_raw_fd()) }
    }
}

/// Which interface to ask about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Which<'a> {
    Name(&'a str),
    Index(u32),
}

/// An interface at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interface {
    pub index: u32,
    pub name: String,
    /// Administratively up.
    pub up: bool,
    /// Up, and the other end is there: IFF_RUNNING of netdevice(7).
    pub carrier: bool,
    pub multicast: bool,
    pub mtu: u32,
    pub hardware: Vec<u8>,
    /// IPv6 addresses that can be a source.
    pub addresses: Vec<Ipv6Addr>,
    /// Duplicate address detection (RFC 4862) is still running on one.
    pub tentative: bool,
}

/// Asks the kernel; `None` when there is no such interface.
pub(crate) fn interface(which: Which<'_>) -> io::Result<Option<Interface>> {
    let socket = Socket::new(NETLINK_ROUTE)?;
    let mut request = LinkMessage::default();
    match which {
        Which::Name(name) => request
            .attributes
            .push(LinkAttribute::IfName(name.to_owned())),
        Which::Index(index) => request.header.index = index,
    }
    ask(&socket, RouteNetlinkMessage::GetLink(request), 0)?;
    let Some(mut interface) = link(&answer(&socket)?)? else {
        return Ok(None);
    };
    let mut request = AddressMessage::default();
    request.header.family = AddressFamily::Inet6;
    let request = RouteNetlinkMessage::GetAddress(request);
    ask(&socket, request, NLM_F_DUMP)?;
    while !add_addresses(&mut interface, &answer(&socket)?)? {}
    Ok(Some(interface))
}

/// What the answer to a question for one interface says.
pub(crate) fn link(answer: &[u8]) -> io::Result<Option<Interface>> {
    for message in decode(answer)? {
        match message.payload {
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) => {
                return Ok(Some(Interface::without_addresses(link)))
            }
            NetlinkPayload::Error(error) => {
                let error = error.to_io();
                return match error.raw_os_error() {
                    // ERANGE and EINVAL: no interface can have such a name.
                    Some(libc::ENODEV | libc::ERANGE | libc::EINVAL) => Ok(None),
                    _ => Err(error),
                };
            }
            _ => {}
        }
    }
    Ok(None)
}

impl Interface {
    fn without_addresses(link: LinkMessage) -> Self {
        let flags = link.header.flags;
        let mut interface = Self {
            index: link.header.index,
            name: String::new(),
            up: flags.contains(LinkFlags::Up),
            carrier: flags.contains(LinkFlags::Up | LinkFlags::Running),
            multicast: flags.contains(LinkFlags::Multicast),
            mtu: 0,
            hardware: Vec::new(),
            addresses: Vec::new(),
            tentative: false,
        };
        for attribute in link.attributes {
            match attribute {
                LinkAttribute::IfName(name) => interface.name = name,
                LinkAttribute::Mtu(mtu) => interface.mtu = mtu,
                LinkAttribute::Address(address) => interface.hardware = address,
                _ => {}
            }
        }
        interface
    }
}

/// Adds what one datagram of the answer to a question for all addresses says about `interface`;
/// true when it was the last.
pub(crate) fn add_addresses(interface: &mut Interface, answer: &[u8]) -> io::Result<bool> {
    for message in decode(answer)? {
        match message.payload {
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewAddress(address))
                if address.header.index == interface.index =>
            {
                add_address(interface, &address);
            }
            NetlinkPayload::Done(_) => return Ok(true),
            NetlinkPayload::Error(error) => return Err(error.to_io()),
            _ => {}
        }
    }
    Ok(false)
}

fn add_address(interface: &mut Interface, message: &AddressMessage) {
    let mut flags = AddressFlags::from_bits_retain(message.header.flags.bits().into());
    let mut address = None;
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Address(IpAddr::V6(ip)) => address = Some(*ip),
            AddressAttribute::Flags(all) => flags = *all,
            _ => {}
        }
    }
    let tentative =
        flags.contains(AddressFlags::Tentative) && !flags.contains(AddressFlags::Optimistic);
    interface.tentative |= tentative && !flags.contains(AddressFlags::Dadfailed);
    if !tentative && !flags.contains(AddressFlags::Dadfailed) {
        interface.addresses.extend(address);
    }
}

fn ask(socket: &Socket, request: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
    let mut message = NetlinkMessage::new(NetlinkHeader::default(), NetlinkPayload::from(request));
    message.header.flags = NLM_F_REQUEST | flags;
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    loop {
        match socket.send_to(&bytes, &SocketAddr::new(0, 0), 0) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other.map(drop),
        }
    }
}

/// One datagram of answers. The kernel answers a request before `send` returns, so this never
/// really waits.
fn answer(socket: &Socket) -> io::Result<Vec<u8>> {
    loop {
        match socket.recv_from_full() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
            Ok((bytes, from)) if from.port_number() == 0 => return Ok(bytes),
            Ok(_) => {}
        }
    }
}

fn decode(answer: &[u8]) -> io::Result<Vec<NetlinkMessage<RouteNetlinkMessage>>> {
    let decoded =
        messages(answer).map(|message| NetlinkMessage::deserialize(message?.into_inner()));
    decoded
        .collect::<Result<_, DecodeError>>()
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))
}

/// The messages of one datagram; the last is an error if they do not end with it.
fn messages(bytes: &[u8]) -> impl Iterator<Item = Result<NetlinkBuffer<&[u8]>, DecodeError>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_is_found_by_name_and_by_index() {
        let lo = interface(Which::Name("lo"))
            .unwrap()
            .expect("there is always lo");
        assert_eq!(lo.name, "lo");
        assert!(!lo.multicast);
        assert_eq!(interface(Which::Index(lo.index)).unwrap(), Some(lo));
    }

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
        let mut news = News::default();
        let bridge = libc::AF_BRIDGE as u8;
        news.add(&notification(libc::RTM_NEWLINK, 0, 5));
        news.add(&notification(libc::RTM_DELLINK, bridge, 6));
        assert_eq!(news, News::default());
        let both = [7, 8].map(|index| notification(libc::RTM_DELLINK, 0, index));
        news.add(&both.concat());
        assert_eq!(news.deleted, [7, 8]);
        assert!(!news.incomplete);
    }

    #[test]
    fn broken_news_are_incomplete_news() {
        let whole = notification(libc::RTM_DELLINK, 0, 7);
        for length in 1..whole.len() {
            let mut news = News::default();
            news.add(&whole[..length]);
            assert!(news.incomplete && news.deleted.is_empty(), "{length}");
        }
        let mut short = whole.clone();
        short[..4].copy_from_slice(&20_u32.to_ne_bytes());
        let mut news = News::default();
        news.add(&short[..20]);
        assert!(news.incomplete);
    }

    #[test]
    fn what_does_not_exist_is_none_and_not_an_error() {
        assert_eq!(interface(Which::Name("dcf-no-such")).unwrap(), None);
        assert_eq!(
            interface(Which::Name("a-name-far-too-long-for-linux")).unwrap(),
            None
        );
        assert_eq!(interface(Which::Index(1 << 30)).unwrap(), None);
    }
}
