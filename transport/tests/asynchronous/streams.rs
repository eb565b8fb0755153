//! Data streams.

use std::io::{self, Read, Write};
use std::net::{Ipv6Addr, TcpStream};
use std::pin::pin;
use std::sync::mpsc;

use testkit::GENEROUS;
use thunderbolt_transport::{AsyncDataStream, AsyncTransport, DataStream, TransportError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{assert_waits, data_of, give_up_at_once, loopback, soon, transport};

/// Both ends of a stream from a to b.
async fn pair(a: &AsyncTransport, b: &AsyncTransport) -> [AsyncDataStream; 2] {
    let near = soon(a.open_data_stream(&data_of(b))).await.unwrap();
    [near, soon(b.accept()).await.unwrap()]
}

fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|i| (i % 251) as u8).collect()
}

fn transport_error(error: io::Error) -> TransportError {
    let error = TransportError::from(error);
    assert!(!matches!(error, TransportError::Io(_)), "{error}");
    error
}

#[tokio::test]
async fn bytes_go_both_ways_at_once() {
    const SIZE: usize = 3_000_000;
    let (a, b) = (transport(), transport());
    let [near, mut far] = pair(&a, &b).await;
    assert_eq!(far.peer(), "::1%lo");
    let echo = tokio::spawn(async move {
        let (mut reader, mut writer) = tokio::io::split(&mut far);
        let copied = tokio::io::copy(&mut reader, &mut writer).await;
        writer.shutdown().await.unwrap();
        writer.shutdown().await.expect("twice is no error");
        copied.unwrap()
    });
    let sent = pattern(SIZE);
    let (mut reader, mut writer) = (&near, &near);
    let writing = async {
        writer.write_all(&sent).await.unwrap();
        writer.shutdown().await.unwrap();
    };
    let mut back = Vec::new();
    let (read, ()) = soon(async { tokio::join!(reader.read_to_end(&mut back), writing) }).await;
    assert_eq!(read.unwrap(), SIZE);
    assert!(back == sent, "the bytes came back changed");
    assert_eq!(soon(echo).await.unwrap(), SIZE as u64);
    for stats in [&a, &b].map(|t| t.transport().get_stats()) {
        assert_eq!(stats.stream_bytes_sent, SIZE as u64);
        assert_eq!(stats.stream_bytes_received, SIZE as u64);
        assert_eq!(stats.errors, 0);
    }
    let opened = a.transport().get_stats().connections_initiated;
    let accepted = b.transport().get_stats().connections_accepted;
    assert_eq!((opened, accepted), (1, 1));
}

/// Every byte is read once and in order, although most reads are cancelled.
#[tokio::test]
async fn a_cancelled_read_loses_no_byte() {
    const SIZE: usize = 200_000;
    let (a, b) = (transport(), transport());
    let [near, mut far] = pair(&a, &b).await;
    let sent = pattern(SIZE);
    let mut near = near.into_inner();
    let pieces = sent.clone();
    let (more, wanted) = mpsc::channel();
    let writing = std::thread::spawn(move || {
        for piece in pieces.chunks(1009) {
            wanted.recv_timeout(GENEROUS).unwrap();
            near.write_all(piece).unwrap();
        }
    });
    let (mut received, mut cancelled) = (Vec::new(), 0);
    let read_all = async {
        loop {
            let mut buf = [0; 997];
            match give_up_at_once(far.read(&mut buf)).await {
                Some(Ok(0)) => break,
                Some(read) => received.extend_from_slice(&buf[..read.unwrap()]),
                None => {
                    cancelled += 1;
                    // Bytes written now arrive during the next read. The writer may have ended.
                    let _ = more.send(());
                }
            }
        }
    };
    soon(read_all).await;
    writing.join().unwrap();
    assert!(received == sent, "{} of {SIZE} bytes", received.len());
    assert!(cancelled > 0);
}

#[tokio::test]
async fn a_cancelled_write_tells_exactly_what_was_sent() {
    let (a, b) = (transport(), transport());
    let [mut near, mut far] = pair(&a, &b).await;
    let data = pattern(100_000);
    let (mut sent, mut received) = (0, 0);
    for _ in 0..20 {
        // Write until the buffers are full.
        while let Some(written) = give_up_at_once(near.write(&data)).await {
            sent += written.unwrap();
        }
        let mut buf = vec![0; 500_000];
        received += soon(far.read(&mut buf)).await.unwrap();
    }
    near.shutdown().await.unwrap();
    let mut rest = Vec::new();
    received += soon(far.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(received, sent);
}

#[tokio::test]
async fn pieces_are_written_as_one() {
    let (a, b) = (transport(), transport());
    let [mut near, mut far] = pair(&a, &b).await;
    assert!(tokio::io::AsyncWrite::is_write_vectored(&near));
    let pieces = [b"gra".as_slice(), b"", b"dient"].map(io::IoSlice::new);
    assert_eq!(soon(near.write_vectored(&pieces)).await.unwrap(), 8);
    assert_eq!(soon(near.write_vectored(&[])).await.unwrap(), 0);
    drop(near);
    let mut received = String::new();
    soon(far.read_to_string(&mut received)).await.unwrap();
    assert_eq!(received, "gradient");
}

/// Both tasks are woken, whichever side ends the stream, and in every way.
#[tokio::test]
async fn ending_a_stream_wakes_its_reader_and_its_writer() {
    type Ending = fn(&DataStream, &AsyncTransport);
    let endings: [(Ending, bool); 4] = [
        (|stream, _| stream.close(), false),
        (|stream, _| drop(stream.detach().unwrap()), false),
        (
            |stream, _| stream.reject(format_args!("for the test")),
            false,
        ),
        (|_, transport| transport.transport().close(), true),
    ];
    for (number, (end, shutdown)) in endings.into_iter().enumerate() {
        for _ in 0..10 {
            let (a, b) = (transport(), transport());
            let [near, _far] = pair(&a, &b).await;
            let stream = near.get_ref().clone();
            let reading = async {
                let read = (&near).read(&mut [0; 8]).await.unwrap_err();
                transport_error(read)
            };
            let writing = async {
                let written = (&near).write_all(&vec![0; 64 << 20]).await.unwrap_err();
                transport_error(written)
            };
            let ending = async {
                // Fill the buffers, so that the writer waits.
                while give_up_at_once((&near).write(&[0; 100_000]))
                    .await
                    .is_some()
                {}
                end(&stream, &a);
            };
            let (read, written, ()) = soon(async { tokio::join!(reading, writing, ending) }).await;
            for error in [read, written] {
                let right = match shutdown {
                    true => matches!(error, TransportError::Shutdown),
                    false => matches!(error, TransportError::Cancelled),
                };
                assert!(right, "{number}: {error}");
            }
            assert_eq!(a.transport().get_stats().streams_open, 0);
        }
    }
}

/// Ended from another thread, at any moment of the poll.
#[tokio::test]
async fn a_detach_by_another_thread_is_never_missed() {
    let (a, b) = (transport(), transport());
    for round in 0..200 {
        let [mut near, mut far] = pair(&a, &b).await;
        let stream = near.get_ref().clone();
        let detaching = std::thread::spawn(move || {
            for _ in 0..round % 20 {
                std::thread::yield_now();
            }
            stream.detach().unwrap()
        });
        let read = soon(near.read(&mut [0; 8])).await.unwrap_err();
        let error = transport_error(read);
        assert!(matches!(error, TransportError::Cancelled), "{error}");
        let mut file = std::fs::File::from(detaching.join().unwrap());
        drop(near);
        file.write_all(b"mine").unwrap();
        drop(file);
        let mut received = String::new();
        soon(far.read_to_string(&mut received)).await.unwrap();
        assert_eq!(received, "mine");
    }
}

/// The kernel reports the reason of a broken connection once. No task sees an end of stream.
#[tokio::test]
async fn a_broken_stream_never_looks_like_one_that_ended() {
    let a = transport();
    for round in 0..50 {
        let port = a.transport().data_port();
        let mut peer = TcpStream::connect((Ipv6Addr::LOCALHOST, port)).unwrap();
        peer.write_all(b"half a file").unwrap();
        let stream = soon(a.accept()).await.unwrap();
        let reading = async {
            let mut received = Vec::new();
            let read = (&stream).read_to_end(&mut received).await;
            (received, transport_error(read.unwrap_err()))
        };
        let writing = async {
            let written = (&stream).write_all(&vec![0; 64 << 20]).await;
            transport_error(written.unwrap_err())
        };
        let breaking = std::thread::spawn(move || {
            // Unread bytes make the close a reset.
            peer.peek(&mut [0]).unwrap();
        });
        let ((received, read), written) = soon(async { tokio::join!(reading, writing) }).await;
        breaking.join().unwrap();
        assert_eq!(received, b"half a file");
        for error in [read, written] {
            assert!(
                matches!(error, TransportError::ConnectionFailed(_)),
                "round {round}: {error}"
            );
        }
    }
}

#[tokio::test]
async fn a_cancelled_accept_loses_no_stream() {
    let (a, b) = (transport(), transport());
    for round in 0..50u8 {
        let mut second = pin!(b.accept());
        let opening = {
            let mut first = pin!(b.accept());
            assert_waits(&mut first).await;
            assert_waits(&mut second).await;
            // The first task is woken, and dropped before it runs.
            let (transport, peer) = (a.transport().clone(), data_of(&b));
            let opening = std::thread::spawn(move || transport.open_data_stream(&peer));
            let opened = opening.join().unwrap().unwrap();
            testkit::wait_until("the stream is accepted", GENEROUS, || {
                b.transport().get_stats().connections_accepted > u64::from(round)
            });
            opened
        };
        let mut accepted = soon(second).await.unwrap();
        (&opening).write_all(&[round]).unwrap();
        let mut byte = [0];
        soon(accepted.read_exact(&mut byte)).await.unwrap();
        assert_eq!(byte, [round]);
    }
}

#[tokio::test]
async fn a_stream_is_in_one_event_loop_and_can_leave_it() {
    let (a, b) = (transport(), transport());
    let [near, mut far] = pair(&a, &b).await;
    let again = AsyncDataStream::new(near.get_ref().clone()).unwrap_err();
    assert!(
        matches!(&again, TransportError::Io(error)
            if error.kind() == io::ErrorKind::AlreadyExists),
        "{again}"
    );
    // Converted back, it is an ordinary stream.
    let mut near: DataStream = near.into();
    near.write_all(b"ping").unwrap();
    let mut word = [0; 4];
    soon(far.read_exact(&mut word)).await.unwrap();
    soon(far.write_all(&word)).await.unwrap();
    near.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"ping");
    let mut near = AsyncDataStream::try_from(near).unwrap();
    soon(near.write_all(b"pong")).await.unwrap();
    soon(far.read_exact(&mut word)).await.unwrap();
    assert_eq!(&word, b"pong");
    drop(near);
    assert_eq!(soon(far.read(&mut word)).await.unwrap(), 0);
}

#[tokio::test]
async fn refusals_and_limits_are_those_of_the_synchronous_calls() {
    let (a, b) = (
        transport(),
        loopback().max_streams(1).build_async().unwrap(),
    );
    let closed = std::net::TcpListener::bind("[::1]:0").unwrap();
    let nobody = format!("[::1]:{}", closed.local_addr().unwrap().port());
    drop(closed);
    let refused = soon(a.open_data_stream(&nobody)).await.unwrap_err();
    assert!(
        matches!(&refused, TransportError::ConnectionFailed(_)
            if refused.kind() == io::ErrorKind::ConnectionRefused),
        "{refused}"
    );
    let stats = a.transport().get_stats();
    assert_eq!((stats.errors, stats.streams_open), (1, 0));
    let _one = soon(b.open_data_stream(&data_of(&a))).await.unwrap();
    let more = soon(b.open_data_stream(&data_of(&a))).await.unwrap_err();
    assert!(
        matches!(more, TransportError::TooManyStreams { max: 1 }),
        "{more}"
    );
    let stats = b.transport().get_stats();
    assert_eq!((stats.errors, stats.streams_open), (1, 1));
}
