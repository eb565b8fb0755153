//! Finds the other machine and measures the round trip to it.
//!
//! `cargo run --release -p thunderbolt_transport --example rtt -- [PEER] [INTERFACE]`

use std::time::Duration;

use thunderbolt_transport::{PingOptions, ThunderboltTransportBuilder, DEFAULT_INTERFACE};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let peer = arguments.next();
    let interface = arguments.next();
    let transport = ThunderboltTransportBuilder::new()
        .interface(interface.as_deref().unwrap_or(DEFAULT_INTERFACE))
        .build()?;
    let peer = match peer {
        Some(peer) => peer,
        None => {
            let found = transport.discover(Some(Duration::from_millis(500)))?;
            let first = found.first().ok_or("nobody answers on the link")?;
            println!("found {}", first.address);
            first.address.clone()
        }
    };
    match transport.measure_rtt(&peer, Duration::from_secs(1))? {
        Some(seconds) => println!("one round trip: {:.1} us", seconds * 1e6),
        None => println!("no answer within a second"),
    }
    let series = PingOptions {
        count: 1000,
        interval: Duration::from_millis(1),
        ..PingOptions::default()
    };
    let rtt = transport.ping(&peer, &series)?;
    println!(
        "{} of {} answered: min {:?}, p50 {:?}, p99 {:?}, max {:?}",
        rtt.received, rtt.sent, rtt.min, rtt.p50, rtt.p99, rtt.max
    );
    Ok(())
}
