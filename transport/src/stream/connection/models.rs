use super::*;
use crate::models::{check, context};
use crate::settings::Settings;
use crate::sync::thread::JoinHandle;
use crate::sys::yield_point;
use loom::thread::spawn;
use std::io::{Read, Write};
use std::net::Ipv6Addr;
use std::os::unix::net::UnixStream;

/// What streams need of a transport.
type Transport = (Arc<Context>, Arc<Streams>);

fn transport(settings: Settings) -> Transport {
    let streams = Streams::new(&settings).unwrap();
    (context(settings), Arc::new(streams))
}

/// A stream that a peer opened, and the peer's end. It is not TCP, so that what is sent has arrived.
fn accept(transport: &Transport) -> Result<(Arc<Stream>, UnixStream)> {
    let (context, streams) = transport;
    let (near, far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    let peer = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 5001, 0, 1);
    let stream = Stream::accepted(context, streams, streams.reserve()?, near.into(), &peer)?;
    Ok((stream, far))
}

fn reader(stream: &Arc<Stream>) -> JoinHandle<Result<usize>> {
    let stream = Arc::clone(stream);
    spawn(move || stream.read(&mut (&mut [0; 8][..]).into(), None))
}

#[test]
fn ending_a_stream_wakes_its_readers_whenever_they_fall_asleep() {
    check(Some(3), || {
        let transport = transport(Settings::default());
        let (stream, _far) = accept(&transport).unwrap();
        let readers = [reader(&stream), reader(&stream)];
        stream.end(CloseReason::Closed);
        for reader in readers {
            let read = reader.join().unwrap();
            assert!(matches!(read, Err(TransportError::Cancelled)), "{read:?}");
        }
        assert!(!stream.is_used());
        assert_eq!(transport.1.open(), 0);
    });
}

/// All waiting threads of a transport share one descriptor to be woken by. A stream that is
/// detached wakes no thread by its socket. With two interruptions in each order, four threads that wait by yielding
/// take more than ten minutes.
#[test]
fn streams_that_end_at_once_do_not_take_one_anothers_wake_up() {
    check(Some(1), || {
        let transport = transport(Settings::default());
        let (one, _far_one) = accept(&transport).unwrap();
        let (two, _far_two) = accept(&transport).unwrap();
        let readers = [reader(&one), reader(&two)];
        let ending = spawn(move || one.detach().map(drop));
        two.detach().unwrap();
        for reader in readers {
            let read = reader.join().unwrap();
            assert!(matches!(read, Err(TransportError::Cancelled)), "{read:?}");
        }
        ending.join().unwrap().unwrap();
        assert_eq!(transport.1.open(), 0);
    });
}

/// The same with more interruptions: of one of the streams only its broadcast is left, and who that
/// was for is awake at once.
#[test]
fn a_wake_up_that_is_over_at_once_takes_nobody_elses_with_it() {
    check(Some(4), || {
        let transport = transport(Settings::default());
        let (stream, _far) = accept(&transport).unwrap();
        let reader = reader(&stream);
        let broadcasting = spawn(move || transport.1.wake_all_until(|| true));
        stream.detach().unwrap();
        let read = reader.join().unwrap();
        assert!(matches!(read, Err(TransportError::Cancelled)), "{read:?}");
        broadcasting.join().unwrap();
    });
}

#[test]
fn what_comes_after_a_detach_is_the_callers() {
    check(Some(3), || {
        let transport = transport(Settings::default());
        let (stream, far) = accept(&transport).unwrap();
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
        let transport = transport(Settings::default());
        let (stream, _far) = accept(&transport).unwrap();
        let detaching = {
            let stream = Arc::clone(&stream);
            spawn(move || stream.detach().is_ok())
        };
        transport.1.end_all(CloseReason::LinkGone);
        let detached = detaching.join().unwrap();
        let expected = match detached {
            true => CloseReason::Detached,
            false => CloseReason::LinkGone,
        };
        assert_eq!(stream.close_reason(), Some(expected));
        assert_eq!(transport.1.open(), 0);
    });
}

#[test]
fn no_stream_is_open_after_the_transport_closed_them_all() {
    check(None, || {
        let transport = transport(Settings {
            max_streams: 1,
            ..Settings::default()
        });
        let accepting = {
            let transport = transport.clone();
            spawn(move || accept(&transport))
        };
        transport.1.end_all(CloseReason::TransportClosed);
        match accepting.join().unwrap() {
            Ok((stream, _far)) => {
                assert_eq!(stream.close_reason(), Some(CloseReason::TransportClosed));
            }
            Err(error) => assert!(matches!(error, TransportError::Shutdown), "{error}"),
        }
        assert_eq!(transport.1.open(), 0);
    });
}
