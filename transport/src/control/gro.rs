//! Whether the kernel coalesces datagrams (UDP_GRO).

use std::sync::{Arc, Weak};

use socket2::Socket;

use crate::sys::socket;

/// Whether UDP_GRO is on. The kernel then coalesces datagrams of one sender: what the sender passed to its kernel in
/// one piece arrives in one piece, many times as fast. But where both ends are on one machine, a socket with UDP_GRO
/// makes each single datagram cost its sender a tenth more. So it is switched on when messages come in crowds.
///
/// It is never switched off again. Datagrams that were coalesced before would be delivered without their size, as one
/// datagram.
#[derive(Default)]
pub(crate) struct GroState {
    /// The socket for which it is on. The next incarnation of the interface has another one.
    socket: Weak<Socket>,
}

impl GroState {
    /// Switches it on. Called after a receive call that found as many datagrams as it can take.
    pub fn enable(&mut self, socket: &Arc<Socket>) {
        if !std::ptr::eq(self.socket.as_ptr(), Arc::as_ptr(socket)) {
            self.socket = Arc::downgrade(socket);
            // With a kernel that has no UDP_GRO, datagrams come one by one; nothing else changes.
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

    /// Once datagrams come coalesced to a socket, nothing makes the kernel forget to say so.
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
