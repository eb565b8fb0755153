//! Answers each control message with its text in capitals, and prints the number of answers so far.
//!
//! `cargo run -p thunderbolt_transport --example reply -- [INTERFACE]`

use std::io;

use thunderbolt_transport::{Result, ThunderboltTransportBuilder, DEFAULT_INTERFACE};

fn main() -> Result<()> {
    let interface = std::env::args().nth(1);
    let builder = ThunderboltTransportBuilder::new()
        .interface(interface.as_deref().unwrap_or(DEFAULT_INTERFACE));
    // The logger's arguments do not lend the transport. A strong reference would keep it open.
    let weak = builder.weak();
    let transport = builder
        .logger(move |level, text| {
            let sent = weak
                .upgrade()
                .map(|transport| transport.get_stats().messages_sent);
            eprintln!("{level} {text} ({} messages answered)", sent.unwrap_or(0));
        })
        .on_message(|message, sender| {
            let answer = message.to_ascii_uppercase();
            match sender.reply(&answer) {
                Ok(_) => {
                    let answered = sender.transport().get_stats().messages_sent;
                    println!("{sender}: answer {answered}: {}", answer.escape_ascii());
                }
                Err(error) => println!("{sender}: {error}"),
            }
        })
        .build()?;
    println!("answering on {}; end with Enter", transport.interface());
    io::stdin()
        .read_line(&mut String::new())
        .unwrap_or_default();
    // Dropping the last reference closes the transport.
    drop(transport);
    Ok(())
}
