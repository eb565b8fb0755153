//! Figures for a first impression: `cargo test --release benchmark -- --nocapture`. Both ends share this
//! machine, so they are not reliable. `bench/` compares the library with plain sockets.

mod common;

use std::io::{Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use testkit::{wait_until, GENEROUS};
use thunderbolt_transport::{
    DataStream, Datagram, PingOptions, ThunderboltTransport, ThunderboltTransportBuilder,
};

use common::loopback;

fn start(builder: ThunderboltTransportBuilder) -> Arc<ThunderboltTransport> {
    builder.build().expect("a transport on lo")
}

#[test]
fn benchmark_round_trip() {
    let (near, far) = (start(loopback()), start(loopback()));
    let peer = format!("[::1%lo]:{}", far.control_port());
    let options = PingOptions {
        count: 20_000,
        interval: Duration::ZERO,
        timeout: Some(GENEROUS),
    };
    let rtt = near.ping(&peer, &options).unwrap();
    assert_eq!(rtt.received, options.count);
    println!(
        "round trip of 16 bytes: p50 {:?}, p99 {:?}, max {:?}",
        rtt.p50, rtt.p99, rtt.max
    );
}

#[test]
fn benchmark_messages() {
    let count = Arc::new(AtomicU64::new(0));
    let counting = Arc::clone(&count);
    let far = start(loopback().on_message(move |_, _| {
        counting.fetch_add(1, Ordering::Relaxed);
    }));
    let near = start(loopback());
    let peer = format!("[::1%lo]:{}", far.control_port());
    for (name, size) in [("64 B", 64), ("1 KiB", 1024), ("8 KiB", 8192)] {
        let data = vec![1; size];
        let datagram = Datagram {
            peer: &peer,
            data: &data,
        };
        for batch in [1, 64] {
            const MESSAGES: u64 = 200_000;
            let batch = vec![datagram; batch];
            let before = far.get_stats();
            let start = Instant::now();
            for _ in 0..MESSAGES / batch.len() as u64 {
                match batch.as_slice() {
                    [one] => {
                        near.send_message(one.data, one.peer).unwrap();
                    }
                    many => assert!(near.send_batch(many).outcome.is_ok()),
                }
            }
            let sent = start.elapsed();
            // A ping is answered after all earlier messages were read. Dropped messages cannot be
            // counted exactly: many joined ones count as one drop.
            wait_until("all messages are delivered or dropped", GENEROUS, || {
                near.round_trip(&peer, Some(Duration::from_secs(1))).is_ok()
            });
            let delivered = far.get_stats().messages_received - before.messages_received;
            println!(
                "messages of {name}, {} at a time: {:.2} M/s sent, {delivered} of {MESSAGES} delivered",
                batch.len(),
                MESSAGES as f64 / sent.as_secs_f64() / 1e6,
            );
        }
    }
    assert!(count.load(Ordering::Relaxed) > 0);
}

#[test]
fn benchmark_stream() {
    const BYTES: u64 = 2 << 30;
    const PIECE: usize = 256 << 10;
    let far = start(loopback().on_stream(|mut stream: DataStream| {
        let mut buf = vec![0; PIECE];
        let mut total = 0u64;
        while let Ok(size @ 1..) = stream.read(&mut buf) {
            total += size as u64;
        }
        stream.write_all(&total.to_be_bytes()).unwrap();
    }));
    let near = start(loopback());
    let peer = format!("[::1%lo]:{}", far.data_port());
    let mut stream = near.open_data_stream(&peer).unwrap();
    let piece = vec![7; PIECE];
    let start = Instant::now();
    for _ in 0..BYTES / PIECE as u64 {
        stream.write_all(&piece).unwrap();
    }
    stream.finish().unwrap();
    let mut total = [0; 8];
    stream.read_exact(&mut total).unwrap();
    let time = start.elapsed();
    assert_eq!(u64::from_be_bytes(total), BYTES);
    println!(
        "one stream, pieces of 256 KiB: {:.2} GB/s",
        BYTES as f64 / time.as_secs_f64() / 1e9
    );
}
