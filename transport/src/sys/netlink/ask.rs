//! Queries to the kernel.

use std::io;
use std::mem::size_of;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;

use netlink_packet_core::{
    NetlinkHeader, NetlinkMessage, NetlinkPayload, NlasIterator, NLM_F_DUMP, NLM_F_REQUEST,
};
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::{LinkAttribute, LinkHeader, LinkMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{protocols::NETLINK_ROUTE, Socket, SocketAddr};

use super::interface::{add_addresses, link, Interface};
use super::messages::messages;
use crate::sys::check;

/// The size of `struct ifinfomsg`, which precedes the attributes.
const LINK_HEADER: usize = 16;
/// IFLA_ADDRESS and IFLA_IFNAME of linux/if_link.h.
const HARDWARE: u16 = 1;
const NAME: u16 = 3;

/// Access to the interfaces of one network namespace: that of the thread which created this value.
/// (sysfs and the C library's `if_…` functions can report those of another namespace.)
#[derive(Debug)]
pub(crate) struct Kernel {
    home: Option<Namespace>,
}

/// Device and inode of the file that represents a network namespace.
type Namespace = (u64, u64);

/// A netlink socket for queries.
#[derive(Debug)]
pub(crate) struct Conversation {
    socket: Socket,
    /// The sequence number of the last query. The socket may still have an answer to an earlier query
    /// that failed half-way.
    number: u32,
}

/// The interface to query.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Which<'a> {
    Name(&'a str),
    Index(u32),
}

/// One entry of the list of all interfaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub index: u32,
    pub name: String,
    pub hardware: Vec<u8>,
}

/// The network namespace of this thread; `None` without procfs.
fn namespace() -> Option<Namespace> {
    let file = std::fs::metadata("/proc/thread-self/ns/net").ok()?;
    Some((file.dev(), file.ino()))
}

impl Kernel {
    /// Access to the network namespace of this thread.
    pub fn new() -> Self {
        Self { home: namespace() }
    }

    /// Opens a socket for queries. Fails on a thread that is in another network namespace.
    pub fn ask(&self) -> io::Result<Conversation> {
        if namespace() != self.home {
            return Err(io::Error::other(
                "this thread is in another network namespace than the one that started the transport",
            ));
        }
        let socket = Socket::new(NETLINK_ROUTE)?;
        // With this option the kernel returns the addresses of the requested interface only (since Linux
        // 4.20). An older kernel returns all addresses, which only takes longer.
        let _ = socket.set_netlink_get_strict_chk(true);
        Ok(Conversation { socket, number: 0 })
    }

    /// Queries one interface. `None` if it does not exist.
    pub fn interface(&self, which: Which<'_>) -> io::Result<Option<Interface>> {
        self.ask()?.interface(which)
    }
}

impl Conversation {
    pub fn interface(&mut self, which: Which<'_>) -> io::Result<Option<Interface>> {
        let Some(mut interface) = self.link(which)? else {
            return Ok(None);
        };
        if let Some(port_of) = &mut interface.port_of {
            // If the name is unknown, show the index.
            let master = self.link(Which::Index(port_of.index))?;
            port_of.name = master.map_or_else(|| port_of.index.to_string(), |master| master.name);
        }
        let mut request = AddressMessage::default();
        request.header.family = AddressFamily::Inet6;
        request.header.index = interface.index;
        self.send(RouteNetlinkMessage::GetAddress(request), NLM_F_DUMP)?;
        loop {
            match add_addresses(&mut interface, &self.answer()?) {
                Ok(true) => return Ok(Some(interface)),
                Ok(false) => {}
                // The interface was deleted between the two queries.
                Err(error) if error.raw_os_error() == Some(libc::ENODEV) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// All interfaces, sorted by name.
    pub fn all(&mut self) -> io::Result<Vec<Named>> {
        self.send(
            RouteNetlinkMessage::GetLink(LinkMessage::default()),
            NLM_F_DUMP,
        )?;
        let mut all = Vec::new();
        while !add_named(&mut all, &self.answer()?)? {}
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(all)
    }

    /// The driver of the interface's device, as ethtool(8) -i shows it. `None` if there is none.
    pub fn driver(&self, name: &str) -> Option<String> {
        driver(&self.socket, name)
    }

    fn link(&mut self, which: Which<'_>) -> io::Result<Option<Interface>> {
        let mut request = LinkMessage::default();
        match which {
            Which::Name(name) => request
                .attributes
                .push(LinkAttribute::IfName(name.to_owned())),
            Which::Index(index) => request.header.index = index,
        }
        self.send(RouteNetlinkMessage::GetLink(request), 0)?;
        link(&self.answer()?)
    }

    fn send(&mut self, request: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.number = self.number.wrapping_add(1);
        let mut message =
            NetlinkMessage::new(NetlinkHeader::default(), NetlinkPayload::from(request));
        message.header.flags = NLM_F_REQUEST | flags;
        message.header.sequence_number = self.number;
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        loop {
            match self.socket.send_to(&bytes, &SocketAddr::new(0, 0), 0) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other.map(drop),
            }
        }
    }

    /// Reads one datagram of the answer. The kernel answers a request before `send` returns, so this
    /// does not block.
    fn answer(&self) -> io::Result<Vec<u8>> {
        loop {
            match self.socket.recv_from_full() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok((bytes, from)) if from.port_number() == 0 && self.is_answer(&bytes) => {
                    return Ok(bytes)
                }
                Ok(_) => {}
            }
        }
    }

    fn is_answer(&self, bytes: &[u8]) -> bool {
        let first = messages(bytes).next().and_then(Result::ok);
        first.is_some_and(|message| message.sequence_number() == self.number)
    }
}

/// Adds the interfaces of one datagram. Returns true after the last one. It parses only the required
/// attributes, so that a changed format of another attribute in a later kernel hides no interface.
fn add_named(all: &mut Vec<Named>, answer: &[u8]) -> io::Result<bool> {
    let broken = |error| io::Error::new(io::ErrorKind::InvalidData, format!("{error}"));
    for message in messages(answer) {
        let message = message.map_err(broken)?;
        match i32::from(message.message_type()) {
            libc::NLMSG_DONE => return Ok(true),
            libc::NLMSG_ERROR => return Err(io::Error::other("the kernel refused the request")),
            kind if kind != i32::from(libc::RTM_NEWLINK) => continue,
            _ => {}
        }
        let payload = message.payload();
        let mut named = Named {
            index: LinkHeader::parse(payload).map_err(broken)?.index,
            name: String::new(),
            hardware: Vec::new(),
        };
        let attributes = payload.get(LINK_HEADER..).unwrap_or_default();
        for attribute in NlasIterator::new(attributes).map_while(Result::ok) {
            match attribute.kind() {
                NAME => {
                    let name = attribute.value().split(|byte| *byte == 0).next();
                    named.name = String::from_utf8_lossy(name.unwrap_or_default()).into_owned();
                }
                HARDWARE => named.hardware = attribute.value().to_vec(),
                _ => {}
            }
        }
        all.push(named);
    }
    Ok(false)
}

/// `struct ethtool_drvinfo` of linux/ethtool.h.
#[repr(C)]
struct DriverInfo {
    command: u32,
    driver: [u8; 32],
    others: [u8; 4 * 32 + 12 + 20],
}

/// ETHTOOL_GDRVINFO of linux/ethtool.h.
const GET_DRIVER: u32 = 3;

fn driver(socket: &Socket, name: &str) -> Option<String> {
    let mut info = DriverInfo {
        command: GET_DRIVER,
        driver: [0; 32],
        others: [0; 160],
    };
    // SAFETY: a C struct for which all bytes zero are valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        return None;
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_data = (&raw mut info).cast();
    // SAFETY: the kernel reads the name and the command, and writes at most one ethtool_drvinfo.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL, &raw mut request) }).ok()?;
    let end = info.driver.iter().position(|byte| *byte == 0)?;
    String::from_utf8(info.driver[..end].to_vec()).ok()
}

const _: () = assert!(size_of::<DriverInfo>() == 196);

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel() -> Conversation {
        Kernel::new().ask().expect("a descriptor")
    }

    #[test]
    fn the_loopback_interface_is_found_by_name_and_by_index() {
        let mut kernel = kernel();
        let lo = kernel
            .interface(Which::Name("lo"))
            .unwrap()
            .expect("there is always lo");
        assert_eq!((lo.index, &*lo.name), (1, "lo"));
        assert!(!lo.multicast);
        assert_eq!(kernel.interface(Which::Index(lo.index)).unwrap(), Some(lo));
    }

    #[test]
    fn what_does_not_exist_is_none_and_not_an_error() {
        let mut kernel = kernel();
        for which in [
            Which::Name("dcf-no-such"),
            Which::Name("a-name-far-too-long-for-linux"),
            Which::Name(""),
            Which::Index(1 << 30),
        ] {
            assert_eq!(kernel.interface(which).unwrap(), None, "{which:?}");
        }
        assert_eq!(kernel.driver("dcf-no-such"), None);
        assert_eq!(kernel.driver("a-name-far-too-long-for-linux"), None);
    }

    #[test]
    fn an_answer_that_was_not_read_is_not_taken_for_the_next_one() {
        let mut kernel = kernel();
        let all = RouteNetlinkMessage::GetLink(LinkMessage::default());
        kernel.send(all, NLM_F_DUMP).unwrap();
        let none = kernel.interface(Which::Name("dcf-no-such")).unwrap();
        assert_eq!(none, None);
    }

    #[test]
    fn a_thread_of_another_namespace_cannot_query() {
        let kernel = Kernel::new();
        let elsewhere = testkit::Host::alone();
        elsewhere.run(|| {
            assert!(kernel.ask().is_err());
            let ours = Kernel::new().ask().unwrap().all().unwrap();
            let names: Vec<&str> = ours.iter().map(|one| one.name.as_str()).collect();
            assert_eq!(names, ["lo"]);
        });
        assert!(kernel.ask().is_ok());
    }
}
