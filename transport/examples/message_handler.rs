//! Prints every control message and every log record, and echoes data streams.
//!
//! `cargo run -p thunderbolt_transport --example message_handler -- [INTERFACE]`

use std::io;
use std::sync::mpsc;

use thunderbolt_transport::{
    LogLevel, MessageData, Result, ThunderboltTransportBuilder, DEFAULT_INTERFACE,
};

fn main() -> Result<()> {
    let interface = std::env::args().nth(1);
    let (closed, wait) = mpsc::channel();
    let transport = ThunderboltTransportBuilder::new()
        .interface(interface.as_deref().unwrap_or(DEFAULT_INTERFACE))
        // Also start while the cable is unplugged.
        .wait_for_interface(true)
        .log_level(LogLevel::Debug)
        .logger(|level, text| eprintln!("{level:5} {text}"))
        .message_handler(|kind, data| match data {
            // Called on the receiver thread, one call after another.
            MessageData::Bytes(bytes) => println!("{kind:?}: {}", bytes.escape_ascii()),
            // Called on a thread of its own for each stream.
            MessageData::Stream(stream) => match io::copy(&mut &stream, &mut &stream) {
                Ok(size) => println!("{kind:?} from {}: {size} bytes echoed", stream.peer()),
                Err(error) => println!("{kind:?} from {}: {error}", stream.peer()),
            },
        })
        .on_closed(move || closed.send(()).unwrap_or_default())
        .build()?;
    println!(
        "listening on {}, ports {} and {}; end with Enter",
        transport.interface(),
        transport.control_port(),
        transport.data_port()
    );
    io::stdin()
        .read_line(&mut String::new())
        .unwrap_or_default();
    transport.close();
    wait.recv().unwrap_or_default();
    Ok(())
}
