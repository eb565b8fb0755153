//! Sends one control message.
//!
//! `cargo run -p thunderbolt_transport --example send -- PEER TEXT [INTERFACE]`

use thunderbolt_transport::{Result, ThunderboltTransportBuilder, DEFAULT_INTERFACE};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [peer, text, interface @ ..] = arguments.as_slice() else {
        eprintln!(
            "usage: send PEER TEXT [INTERFACE], for example: send fe80::1%thunderbolt0 hello"
        );
        std::process::exit(2);
    };
    let transport = ThunderboltTransportBuilder::new()
        .interface(interface.first().map_or(DEFAULT_INTERFACE, String::as_str))
        // Use other local ports, so that it runs beside another transport. The peer has the default ones.
        .control_port(0)
        .data_port(0)
        .build()?;
    let peer = match peer.starts_with('[') {
        true => peer.clone(),
        false => format!("[{peer}]:{}", thunderbolt_transport::DEFAULT_CONTROL_PORT),
    };
    let size = transport.send_message(text.as_bytes(), &peer)?;
    println!("sent {size} bytes to {peer}");
    Ok(())
}
