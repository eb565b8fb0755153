use super::*;
use crate::link::LinkState;
use crate::models::{check, core, link};
use loom::thread::spawn;
use std::os::unix::net::UnixDatagram;

/// The pong of a peer whose application answers by hand lies in the control socket, which the
/// receiver does not read, because it is about to call the message handler, which goes on until the
/// round trip is done.
#[test]
fn a_round_trip_does_not_sleep_through_the_receivers_absence() {
    check(Some(3), || {
        let core = core(|settings| settings);
        core.context.link.set(link(LinkState::Up, 1));
        let (near, far) = UnixDatagram::pair().unwrap();
        let mut session = Session::begin(
            &core.round_trips,
            SocketAddrV6::new([0; 16].into(), 0, 0, 0),
            None,
        )
        .unwrap();
        session.socket.expect(7).unwrap();
        far.send(&wire::pong(7)).unwrap();
        core.control.open(crate::models::sockets(near), || {});
        let handling = {
            let core = Arc::clone(&core);
            spawn(move || core.reader.suspend_receiver())
        };
        let Some(Answer::Pong(pong)) = session.answer(Deadline::Never).unwrap() else {
            panic!("the pong lies there");
        };
        assert_eq!(pong.token, 7);
        handling.join().unwrap();
    });
}
