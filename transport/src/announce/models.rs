use super::*;
use crate::data_stream::DataStream;
use crate::error::TransportError;
use crate::interface_binding::unbound;
use crate::link::detect::Resolved;
use crate::link::Absence;
use crate::link::CarrierLoss;
use crate::link::LinkWait;
use crate::models::{check, core, link as state};
use crate::stream::Stream;
use crate::sys::socket;
use loom::thread::spawn;
use socket2::Socket;
use std::net::{Ipv6Addr, TcpStream};
use std::time::Duration;

/// A listener whose queue is full, so that a connection attempt waits.
fn deaf() -> (Socket, u16, TcpStream) {
    let listener = socket::tcp("lo").unwrap();
    socket::bind_port(&listener, 0).unwrap();
    listener.listen(0).unwrap();
    let port = socket::local_port(&listener).unwrap();
    let queued = TcpStream::connect((Ipv6Addr::LOCALHOST, port)).unwrap();
    (listener, port, queued)
}

/// The carrier goes while a stream is opened. The call learns of that, whether it checks the link, connects or waits.
#[test]
fn a_stream_that_is_being_opened_does_not_miss_that_the_link_goes_down() {
    let (_listener, port, _queued) = deaf();
    check(Some(3), move || {
        let core = core(|settings| settings);
        link(&core, state(LinkState::Up, 1));
        let opening = {
            let core = Arc::clone(&core);
            spawn(move || DataStream::open(&core, &format!("[::1%lo]:{port}"), None).map(drop))
        };
        link(&core, state(LinkState::NoCarrier(CarrierLoss::NoSignal), 1));
        let opened = opening.join().unwrap();
        assert!(
            matches!(opened, Err(TransportError::LinkDown { .. })),
            "{opened:?}"
        );
        assert_eq!(core.streams.open(), 0);
    });
}

/// A stream to a silent peer, and the peer's end of it.
fn silent_stream(core: &Arc<Core>) -> (Arc<Stream>, TcpStream) {
    let listener = std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
    let far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (near, _) = listener.accept().unwrap();
    near.set_nonblocking(true).unwrap();
    let id = core.streams.reserve().unwrap();
    let peer = std::net::SocketAddrV6::new(Ipv6Addr::LOCALHOST, 1, 0, 1);
    let stream = Stream::accepted(&core.context, &core.streams, id, near.into(), &peer).unwrap();
    (stream, far)
}

/// After a stream reports that the link is down, the state, the statistics and a wait for the link agree.
#[test]
fn the_state_is_down_before_a_stream_says_so() {
    check(Some(2), || {
        let core = core(|settings| settings);
        link(&core, state(LinkState::Up, 1));
        let (stream, _far) = silent_stream(&core);
        let reading = {
            let core = Arc::clone(&core);
            spawn(move || {
                let read = stream.read(&mut (&mut [0][..]).into(), None);
                assert!(
                    matches!(read, Err(TransportError::LinkDown { back: false, .. })),
                    "{read:?}"
                );
                let totals = core.totals();
                assert!(!totals.link_up && totals.link_changes == 2);
                LinkWait::new(&core.context.link, false)
                    .run(Some(Duration::ZERO))
                    .unwrap();
            })
        };
        interface_gone(
            &core,
            &unbound(&core.context, &Resolved::Nothing, Absence::Gone),
        );
        reading.join().unwrap();
    });
}

/// A waiting thread misses no change, however short, and not the end of the transport.
#[test]
fn a_change_wakes_whoever_waits_for_it() {
    check(Some(3), || {
        let core = core(|settings| settings);
        link(&core, state(LinkState::Up, 1));
        let waiting = {
            let core = Arc::clone(&core);
            spawn(move || {
                LinkWait::new(&core.context.link, false).run(None).unwrap();
            })
        };
        core.context.link.set(state(LinkState::Down, 1));
        core.context.link.set(state(LinkState::Up, 1));
        // Whoever began to wait after both changes waits for the next one.
        core.context.link.set(state(LinkState::Down, 1));
        waiting.join().unwrap();
        let closing = {
            let core = Arc::clone(&core);
            spawn(move || LinkWait::new(&core.context.link, true).run(None))
        };
        core.close();
        assert!(matches!(
            closing.join().unwrap(),
            Err(TransportError::Shutdown)
        ));
    });
}
