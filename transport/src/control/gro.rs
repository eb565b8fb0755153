//! Whether the kernel coalesces datagrams (UDP_GRO).

use std::sync::{Arc, Weak};

use socket2::Socket;

use crate::sys::socket;

/// Whether UDP_GRO is on. The kernel then coalesces datagrams of one sender, and a packet that the sender's kernel
/// split arrives as one, many times as fast. But if both ends are on one machine, a receiving socket with UDP_GRO makes
/// each single datagram cost its sender a tenth more. So it is enabled when many messages arrive at once.
///
/// It is never disabled again. Datagrams that were coalesced before would be delivered without their size, as one
/// datagram.
#[derive(Default)]
pub(crate) struct GroState {
    /// The socket for which it is on. The next incarnation of the interface has another one.
    socket: Weak<Socket>,
}

impl GroState {
    /// Enables it. Call this after a receive call that read as many datagrams as it can.
    pub fn enable(&mut self, socket: &Arc<Socket>) {
        if !std::ptr::eq(self.socket.as_ptr(), Arc::as_ptr(socket)) {
            self.socket = Arc::downgrade(socket);
            // Without UDP_GRO in the kernel, datagrams arrive one by one, and all else works.
            socket::join_datagrams(socket);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::receive::ReceiveBatch;
    use crate::sys::send::{self, Outgoing};
    use std::net::{Ipv6Addr, UdpSocket};
    use std::os::fd::AsFd;

    /// Later sockets must not make the kernel omit the size of datagrams that were coalesced before.
    #[test]
    fn what_is_joined_comes_apart_again() {
        let socket = socket::udp("lo").unwrap();
        socket::bind_port(&socket, 0).unwrap();
        let port = socket::local_port(&socket).unwrap();
        let sender = UdpSocket::bind("[::1]:0").unwrap();
        sender.connect((Ipv6Addr::LOCALHOST, port)).unwrap();
        let socket = Arc::new(socket);
        let mut gro = GroState::default();
        gro.enable(&socket);
        let train = [Outgoing {
            peer: 0,
            data: b"ten bytes.",
        }; 3];
        assert_eq!(send::send(sender.as_fd(), &[], &train, 1000).unwrap(), 3);

        gro.enable(&Arc::new(socket::udp("lo").unwrap()));
        gro.enable(&socket);
        let mut batch = ReceiveBatch::new(32).unwrap();
        assert_eq!(batch.receive(socket.as_fd(), 32).unwrap(), 1);
        let all: Vec<_> = batch.get(0).datagrams().collect();
        assert_eq!(all, [b"ten bytes."; 3]);
    }
}
