use super::*;
use crate::models::{check, core};
use crate::stream::DataStream;
use crate::sync::thread::JoinHandle;
use crate::sys::yield_point;
use loom::thread::spawn;
use std::io::{Read, Write};
use std::net::Ipv6Addr;
use std::os::unix::net::UnixStream;

/// A stream that a peer opened, and the peer's end. It is not TCP, so that what is sent has arrived.
fn accept(core: &Arc<Core>) -> Result<(DataStream, UnixStream)> {
    let (near, far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    let peer = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 5001, 0, 1);
    let stream = DataStream::accepted(core, core.streams.reserve()?, near.into(), &peer)?;
    Ok((stream, far))
}

fn reader(stream: &DataStream) -> JoinHandle<Result<usize>> {
    let stream = stream.clone();
    spawn(move || stream.read_timeout(&mut [0; 8], None))
}

#[test]
fn ending_a_stream_wakes_its_readers_whenever_they_fall_asleep() {
    check(Some(3), || {
        let core = core(|settings| settings);
        let (stream, _far) = accept(&core).unwrap();
        let readers = [reader(&stream), reader(&stream)];
        stream.close();
        for reader in readers {
            let read = reader.join().unwrap();
            assert!(matches!(read, Err(TransportError::Cancelled)), "{read:?}");
        }
        assert!(!stream.shared.is_used());
        assert_eq!(core.streams.open(), 0);
    });
}

/// All waiting threads of a transport share one descriptor to be woken by. Detached, a stream wakes
/// nobody by its socket. With two interruptions in each order, four threads that wait by yielding
/// take more than ten minutes.
#[test]
fn streams_that_end_at_once_do_not_take_one_anothers_wake_up() {
    check(Some(1), || {
        let core = core(|settings| settings);
        let (one, _far_one) = accept(&core).unwrap();
        let (two, _far_two) = accept(&core).unwrap();
        let readers = [reader(&one), reader(&two)];
        let ending = spawn(move || one.detach().map(drop));
        two.detach().unwrap();
        for reader in readers {
            let read = reader.join().unwrap();
            assert!(matches!(read, Err(TransportError::Cancelled)), "{read:?}");
        }
        ending.join().unwrap().unwrap();
        assert_eq!(core.streams.open(), 0);
    });
}

/// The same with more interruptions: of one of the streams only its nudge is left, and who that
/// was for is awake at once.
#[test]
fn a_wake_up_that_is_over_at_once_takes_nobody_elses_with_it() {
    check(Some(4), || {
        let core = core(|settings| settings);
        let (stream, _far) = accept(&core).unwrap();
        let reader = reader(&stream);
        let nudging = spawn(move || core.streams.nudge_until(|| true));
        stream.detach().unwrap();
        let read = reader.join().unwrap();
        assert!(matches!(read, Err(TransportError::Cancelled)), "{read:?}");
        nudging.join().unwrap();
    });
}

#[test]
fn what_comes_after_a_detach_is_the_callers() {
    check(Some(3), || {
        let core = core(|settings| settings);
        let (stream, far) = accept(&core).unwrap();
        let reader = reader(&stream);
        let detached = stream.detach().unwrap();
        yield_point::syscall(|| (&far).write_all(b"x")).unwrap();
        let mut byte = [0];
        let detached = UnixStream::from(detached);
        detached.set_nonblocking(true).unwrap();
        (&detached).read_exact(&mut byte).expect("nobody took it");
        let read = reader.join().unwrap();
        assert!(matches!(read, Err(TransportError::Cancelled)), "{read:?}");
    });
}

#[test]
fn a_stream_that_ends_for_two_reasons_ends_once() {
    check(None, || {
        let core = core(|settings| settings);
        let (stream, _far) = accept(&core).unwrap();
        let detaching = {
            let stream = stream.clone();
            spawn(move || stream.detach().is_ok())
        };
        core.streams.end_all(End::LinkGone);
        let detached = detaching.join().unwrap();
        let expected = match detached {
            true => End::Detached,
            false => End::LinkGone,
        };
        assert_eq!(stream.shared.ended(), Some(expected));
        assert_eq!(core.streams.open(), 0);
    });
}

#[test]
fn no_stream_is_open_after_the_transport_closed_them_all() {
    check(None, || {
        let core = core(|settings| settings.max_streams(1));
        let accepting = {
            let core = Arc::clone(&core);
            spawn(move || accept(&core))
        };
        core.streams.end_all(End::TransportClosed);
        match accepting.join().unwrap() {
            Ok((stream, _far)) => {
                assert_eq!(stream.shared.ended(), Some(End::TransportClosed));
            }
            Err(error) => assert!(matches!(error, TransportError::Shutdown), "{error}"),
        }
        assert_eq!(core.streams.open(), 0);
    });
}
