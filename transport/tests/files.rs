//! Files of every kind over a stream, in both directions.

mod common;

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use testkit::Temporary;
use thunderbolt_transport::{DataStream, ThunderboltTransport, TransportError};

use common::loopback;

const PATIENCE: Option<Duration> = Some(Duration::from_secs(30));

/// Two ends of a stream, and their transports.
struct Pair {
    near: DataStream,
    far: DataStream,
    transports: [Arc<ThunderboltTransport>; 2],
}

fn pair() -> Pair {
    let transports = [(); 2].map(|()| loopback().build().unwrap());
    let peer = format!("[::1%lo]:{}", transports[1].data_port());
    Pair {
        near: transports[0].open_data_stream(&peer).unwrap(),
        far: transports[1].accept(PATIENCE).unwrap(),
        transports,
    }
}

/// Bytes that are not periodic, so that a wrong offset is noticed.
fn pattern(size: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    })
    .take(size)
    .collect()
}

#[test]
fn a_file_arrives_in_a_file() {
    let pair = pair();
    let content = pattern(20_000_123);
    let (source, target) = (Temporary::new(&content), Temporary::new(b""));
    let far = pair.far.clone();
    let receiving = std::thread::spawn(move || {
        let received = far.receive_file(target.1.as_fd(), 100, u64::MAX, PATIENCE);
        (received, target.content())
    });
    let position = (&source.1).stream_position().unwrap();
    let sent = pair
        .near
        .send_file(source.1.as_fd(), 23, 20_000_100, PATIENCE);
    assert!(sent.outcome.is_ok(), "{sent:?}");
    assert_eq!(sent.count, 20_000_100);
    assert_eq!((&source.1).stream_position().unwrap(), position);
    pair.near.finish().unwrap();
    let (received, arrived) = receiving.join().unwrap();
    // A count below the requested one means the end of the stream.
    assert!(received.outcome.is_ok(), "{received:?}");
    assert_eq!(received.count, 20_000_100);
    assert!(arrived[100..] == content[23..], "the content changed");
    assert!(arrived[..100].iter().all(|&byte| byte == 0));
}

#[test]
fn the_count_shows_the_end_of_a_file() {
    let pair = pair();
    let source = Temporary::new(b"0123456789");
    let sent = pair.near.send_file(source.1.as_fd(), 4, 100, PATIENCE);
    assert!(sent.outcome.is_ok());
    assert_eq!(sent.count, 6);
    let sent = pair.near.send_file(source.1.as_fd(), 400, 100, PATIENCE);
    assert!(sent.outcome.is_ok());
    assert_eq!(sent.count, 0);
    let mut buf = [0; 6];
    (&pair.far).read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"456789");
}

#[test]
fn procfs_files_are_sent_whole() {
    let pair = pair();
    for path in [
        "/proc/cpuinfo",
        "/proc/self/status",
        "/sys/kernel/mm/transparent_hugepage/enabled",
    ] {
        let Ok(file) = File::open(path) else { continue };
        let sent = pair.near.send_file(file.as_fd(), 0, 1 << 20, PATIENCE);
        assert!(sent.outcome.is_ok(), "{path}: {sent:?}");
        assert!(sent.count > 0, "{path} is not empty");
        let mut content = vec![0; sent.count as usize];
        (&pair.far).read_exact(&mut content).unwrap();
    }
}

/// Sends `size` bytes from `source` over a stream into `target`; `source_end` and `target_end` are the
/// other ends of these.
fn assert_transferred(
    size: usize,
    (source, mut source_end): (impl AsFd, impl Write + Send + 'static),
    (mut target_end, target): (impl Read + Send + 'static, impl AsFd + Send + 'static),
) {
    let pair = pair();
    let content = pattern(size);
    let expected = content.clone();
    let feeding = std::thread::spawn(move || source_end.write_all(&content).unwrap());
    let far = pair.far.clone();
    let receiving = std::thread::spawn(move || {
        let received = far.receive_file(target.as_fd(), 0, u64::MAX, PATIENCE);
        assert!(received.outcome.is_ok(), "{received:?}");
        received.count
    });
    let draining = std::thread::spawn(move || {
        let mut arrived = Vec::new();
        target_end.read_to_end(&mut arrived).unwrap();
        arrived
    });
    let sent = pair.near.send_file(source.as_fd(), 0, u64::MAX, PATIENCE);
    assert!(sent.outcome.is_ok(), "{sent:?}");
    assert_eq!(sent.count, size as u64);
    pair.near.finish().unwrap();
    feeding.join().unwrap();
    assert_eq!(receiving.join().unwrap(), size as u64);
    assert!(draining.join().unwrap() == expected, "the content changed");
}

#[test]
fn pipes_work_in_both_directions() {
    assert_transferred(
        5_000_000,
        std::io::pipe().unwrap(),
        std::io::pipe().unwrap(),
    );
}

#[test]
fn sockets_work_in_both_directions() {
    assert_transferred(
        3_000_000,
        UnixStream::pair().unwrap(),
        UnixStream::pair().unwrap(),
    );
}

#[test]
fn appending_files_and_character_devices_work() {
    let pair = pair();
    let target = Temporary::new(b"before ");
    let appending = File::options().append(true).open(&target.0).unwrap();
    (&pair.near).write_all(b"and after").unwrap();
    let received = pair.far.receive_file(appending.as_fd(), 0, 9, PATIENCE);
    assert!(received.outcome.is_ok(), "{received:?}");
    assert_eq!(target.content(), b"before and after");

    let zero = File::open("/dev/zero").unwrap();
    let sent = pair.near.send_file(zero.as_fd(), 0, 300_000, PATIENCE);
    assert!(sent.outcome.is_ok(), "{sent:?}");
    let null = File::options().write(true).open("/dev/null").unwrap();
    let received = pair.far.receive_file(null.as_fd(), 0, 300_000, PATIENCE);
    assert!(received.outcome.is_ok(), "{received:?}");
    assert_eq!((sent.count, received.count), (300_000, 300_000));
}

#[test]
fn bytes_that_a_file_refuses_are_read_next() {
    let pair = pair();
    (&pair.near).write_all(b"not lost").unwrap();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let received = pair.far.receive_file(full.as_fd(), 0, 8, PATIENCE);
    assert!(received.outcome.is_err());
    assert_eq!(received.count, 0);
    assert!(pair.far.detach().is_err(), "detaching would lose them");
    let mut buf = [0; 8];
    (&pair.far).read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"not lost");
    let stats = pair.transports[1].get_stats();
    assert_eq!(stats.stream_bytes_received, 8);
    pair.far.detach().unwrap();
}

#[test]
fn two_readers_of_refused_bytes_see_no_end_of_stream() {
    const SIZE: usize = 3000;
    let pair = pair();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let start = Barrier::new(2);
    // In one of the rounds both reach the last byte at the same time.
    for _ in 0..100 {
        (&pair.near).write_all(&[7; SIZE]).unwrap();
        let received = pair
            .far
            .receive_file(full.as_fd(), 0, SIZE as u64, PATIENCE);
        assert!(received.outcome.is_err());
        let read_all = || {
            start.wait();
            let read = || pair.far.read_timeout(&mut [0], Some(Duration::ZERO));
            std::iter::repeat_with(read)
                .map_while(Result::ok)
                .inspect(|&count| assert_eq!(count, 1, "0 would be the end"))
                .sum::<usize>()
        };
        let read = std::thread::scope(|scope| {
            let other = scope.spawn(read_all);
            read_all() + other.join().unwrap()
        });
        assert_eq!(read, SIZE);
    }
}

#[test]
fn timeouts_and_bad_arguments_are_reported() {
    let pair = pair();
    let target = Temporary::new(b"");
    let nothing = pair
        .far
        .receive_file(target.1.as_fd(), 0, 10, Some(Duration::ZERO));
    assert!(matches!(nothing.outcome, Err(TransportError::WouldBlock)));
    let late = pair
        .far
        .receive_file(target.1.as_fd(), 0, 10, Some(Duration::from_millis(20)));
    assert!(matches!(late.outcome, Err(TransportError::Timeout)));
    let (pipe, _end) = std::io::pipe().unwrap();
    let offset = pair.near.send_file(pipe.as_fd(), 7, 10, PATIENCE);
    assert!(matches!(
        offset.outcome,
        Err(TransportError::OutOfRange { .. })
    ));
    let waiting = {
        let near = pair.near.clone();
        std::thread::spawn(move || near.send_file(pipe.as_fd(), 0, 10, None))
    };
    pair.near.close();
    let cancelled = waiting.join().unwrap();
    assert!(
        matches!(cancelled.outcome, Err(TransportError::Cancelled)),
        "{cancelled:?}"
    );
}
