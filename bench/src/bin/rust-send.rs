//! Does the work of `instructions_dcf what=send` through the Rust API. The difference is the number of
//! instructions that the C ABI adds. `--toggle-collect='*send_one*'` counts one call.

use std::net::UdpSocket;

use thunderbolt_transport::{ThunderboltTransport, ThunderboltTransportBuilder};

/// As many messages as the C program sends.
const COUNT: u32 = 2048;

#[inline(never)]
fn send_one(transport: &ThunderboltTransport, message: &[u8], peer: &str) -> bool {
    transport.send_message(message, peer).is_ok()
}

fn main() {
    let transport = ThunderboltTransportBuilder::new()
        .interface("lo")
        .control_port(0)
        .data_port(0)
        .build()
        .expect("a transport on lo");
    let receiver = UdpSocket::bind("[::1]:0").expect("a socket");
    let port = receiver.local_addr().expect("an address").port();
    let peer = format!("[::1%lo]:{port}");
    for _ in 0..COUNT {
        assert!(send_one(&transport, &[0; 64], &peer));
    }
    println!("count {COUNT}");
}
