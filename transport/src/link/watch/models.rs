use super::*;
use crate::error::TransportError;
use crate::link::Silence;
use crate::models::{check, core, link as state};
use crate::stream::DataStream;
use loom::thread::spawn;
use std::net::{Ipv6Addr, TcpStream};

/// A listener whose queue is full: who connects waits, whatever the kernel's threads do meanwhile.
fn deaf() -> (Socket, u16, TcpStream) {
    let listener = socket::tcp("lo").unwrap();
    socket::bind_port(&listener, 0).unwrap();
    listener.listen(0).unwrap();
    let port = socket::local_port(&listener).unwrap();
    let queued = TcpStream::connect((Ipv6Addr::LOCALHOST, port)).unwrap();
    (listener, port, queued)
}

/// Opening a stream over a link whose carrier goes: whether it has looked at the link, connects or
/// waits, it learns of that.
#[test]
fn a_stream_that_is_being_opened_does_not_miss_that_the_link_goes_down() {
    let (_listener, port, _queued) = deaf();
    check(Some(3), move || {
        let core = core(|settings| settings);
        announce(&core, state(LinkState::Up, 1));
        let opening = {
            let core = Arc::clone(&core);
            spawn(move || DataStream::open(&core, &format!("[::1%lo]:{port}"), None).map(drop))
        };
        announce(&core, state(LinkState::NoCarrier(Silence::NoSignal), 1));
        let opened = opening.join().unwrap();
        assert!(
            matches!(opened, Err(TransportError::LinkDown { .. })),
            "{opened:?}"
        );
        assert_eq!(core.streams.open(), 0);
    });
}
