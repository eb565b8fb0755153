use super::super::connected::Purpose;
use super::*;
use crate::models::{check, core, Presence};
use loom::thread::spawn;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::unix::net::UnixDatagram;

/// A send over the control socket, and one over a socket that is connected for it, while the sockets are
/// taken out of use: when that has returned no send uses any of them, and the port is free.
#[test]
fn when_closing_returns_no_socket_is_in_use_and_none_is_made() {
    check(Some(3), || {
        let core = core(|settings| settings.control_port(0));
        let sockets = core.control.bind("lo").unwrap();
        core.control.open(sockets, || {});
        let sending = Arc::new(Presence::default());
        let threads = [false, true].map(|connected| {
            let (core, sending) = (Arc::clone(&core), Arc::clone(&sending));
            spawn(move || {
                let to = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 9, 0, 1);
                let socket = match connected {
                    true => core
                        .control
                        .connect(&to, Purpose::Messages, core.context.link.epoch())
                        .and_then(|socket| socket.upgrade()),
                    false => core.control.outbound(),
                };
                if let Some(socket) = socket {
                    sending.during(|| ());
                    drop(socket);
                }
            })
        });
        core.control.close_and_wait();
        assert!(!sending.is_anybody());
        assert!(core.control.socket().is_none());
        assert!(core.control.connected.close().is_empty());
        for thread in threads {
            thread.join().unwrap();
        }
        let port = core.context.control_port();
        socket::bind_port(&socket::udp("lo").unwrap(), port).expect("the port is free");
    });
}

/// A thread that finds the socket finds the link up, so a handler can answer the first message. A thread that finds the
/// link up finds a socket to send from.
#[test]
fn the_link_is_up_when_the_control_socket_is_used() {
    check(None, || {
        let core = core(|settings| settings);
        let receiving = {
            let core = Arc::clone(&core);
            spawn(move || {
                if core.control.socket().is_some() {
                    core.context.link.check().unwrap();
                }
            })
        };
        let sending = {
            let core = Arc::clone(&core);
            spawn(move || {
                if core.context.link.check().is_ok() {
                    assert!(core.control.outbound().is_some());
                }
            })
        };
        let (near, _far) = UnixDatagram::pair().unwrap();
        let up = crate::models::link(crate::link::LinkState::Up, 1);
        let sockets = crate::models::sockets(near);
        core.control.open(sockets, || core.context.link.set(up));
        receiving.join().unwrap();
        sending.join().unwrap();
    });
}
