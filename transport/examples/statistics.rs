//! Prints the statistics of a transport after some traffic with itself.
//!
//! `cargo run -p thunderbolt_transport --example statistics`

use std::time::Duration;

use thunderbolt_transport::{Result, ThunderboltTransportBuilder};

fn main() -> Result<()> {
    let transport = ThunderboltTransportBuilder::new()
        .interface("lo")
        .control_port(0)
        .data_port(0)
        .build()?;
    for _ in 0..100 {
        transport.send_message(b"to myself", "::1")?;
        transport.recv(&mut [0; 64], Some(Duration::from_secs(1)))?;
    }
    transport.round_trip("::1", Some(Duration::from_secs(1)))?;
    println!("{:#?}", transport.get_stats());
    transport.reset_stats();
    println!(
        "after a reset: {} messages sent",
        transport.get_stats().messages_sent
    );
    Ok(())
}
