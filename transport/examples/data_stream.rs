//! Two transports on this machine; one sends the other a file over a data stream.
//!
//! `cargo run -p thunderbolt_transport --example data_stream -- [FILE]`

use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use thunderbolt_transport::ThunderboltTransportBuilder;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1);
    let file = File::open(path.as_deref().unwrap_or("/proc/self/exe"))?;
    let on_loopback = || {
        let builder = ThunderboltTransportBuilder::new().interface("lo");
        builder.control_port(0).data_port(0).build()
    };
    let (sender, receiver) = (on_loopback()?, on_loopback()?);

    let start = Instant::now();
    let outgoing = sender.open_data_stream(&format!("[::1]:{}", receiver.data_port()))?;
    let sending = std::thread::spawn(move || {
        let sent = outgoing.send_file(file.as_fd(), 0, u64::MAX, None);
        // Half-close: the receiver reads the end of the stream.
        sent.outcome.and(outgoing.finish()).map(|()| sent.count)
    });

    let incoming = receiver.accept(Some(Duration::from_secs(10)))?;
    let mut copy = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(std::env::temp_dir().join(format!("dcf-tb-copy-{}", std::process::id())))?;
    let received = incoming.receive_file(copy.as_fd(), 0, u64::MAX, None);
    received.outcome?;
    let sent = sending
        .join()
        .map_err(|_| "the sending thread panicked")??;
    let rate = sent as f64 / start.elapsed().as_secs_f64() / 1e9;
    println!(
        "sent {sent} bytes, received {}: {rate:.2} GB/s",
        received.count
    );

    let mut first = [0; 4];
    copy.rewind()?;
    copy.read_exact(&mut first)?;
    println!(
        "the copy begins with {:?}",
        first.escape_ascii().to_string()
    );
    std::fs::remove_file(std::env::temp_dir().join(format!("dcf-tb-copy-{}", std::process::id())))?;
    Ok(())
}
