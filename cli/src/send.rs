//! `dcf-tb send`: sends one control message.

use std::fs;
use std::path::PathBuf;

use clap::{ArgGroup, Args};
use thunderbolt_transport::{TransportError, MAX_MESSAGE_SIZE};

use crate::common::Common;
use crate::connect;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt;
use crate::output;
use crate::peer::Peer;
use crate::units::plural;

/// Send one message of at most 65507 bytes.
///
/// The message is one UDP datagram. Its delivery is not confirmed.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("content").required(true))]
pub struct Options {
    /// The peer.
    peer: String,

    /// The text of the message.
    #[arg(group = "content")]
    text: Option<String>,

    /// Send the content of a file.
    #[arg(long, short, value_name = "FILE", group = "content")]
    file: Option<PathBuf>,

    /// Send these bytes: two hexadecimal digits each, optionally separated by spaces or colons.
    #[arg(long, value_name = "DIGITS", group = "content", value_parser = hex)]
    hex: Option<Bytes>,
}

/// Bytes from the command line.
type Bytes = std::sync::Arc<[u8]>;

pub fn run(common: &Common, options: &Options) -> Result<Exit, Failure> {
    // Reading from a pipe may block; until then the default action of signals ends the program.
    let content = content(options)?;
    interrupt::take_signals();
    let transport = connect::client(common, Some(&options.peer))?;
    let peer = Peer::new(&options.peer, common);
    let sent = transport
        .send_message(&content, &peer.control)
        .map_err(|error| {
            let is_large = matches!(error, TransportError::MessageTooLarge { .. });
            match Failure::from(error) {
                failure if is_large => failure.advise("`dcf-tb push` sends files of any size"),
                failure => failure,
            }
        })?;
    output::detail(&format!(
        "{} sent to {}",
        plural(sent as u64, "byte", "bytes"),
        peer.name
    ));
    Ok(Exit::Done)
}

fn content(options: &Options) -> Result<Vec<u8>, Failure> {
    if let Some(text) = &options.text {
        return Ok(text.clone().into_bytes());
    }
    if let Some(bytes) = &options.hex {
        return Ok(bytes.to_vec());
    }
    let path = options.file.as_deref().expect("clap asks for one of three");
    let failed = |error| {
        Failure::new(
            Exit::Failed,
            format!("cannot read {}: {error}", output::shown(path)),
        )
    };
    // Read one byte more than a message may have: enough to see that the content is too large.
    let mut content = Vec::new();
    let file = fs::File::open(path).map_err(failed)?;
    let most = MAX_MESSAGE_SIZE as u64 + 1;
    std::io::Read::read_to_end(&mut std::io::Read::take(file, most), &mut content)
        .map_err(failed)?;
    Ok(content)
}

fn hex(text: &str) -> Result<Bytes, String> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|character| !matches!(character, ' ' | ':'))
        .map(|character| {
            let digit = character.to_digit(16);
            digit
                .map(|digit| digit as u8)
                .ok_or_else(|| format!("{character:?} is not a hexadecimal digit"))
        })
        .collect::<Result<_, _>>()?;
    if !digits.len().is_multiple_of(2) {
        return Err("the number of digits is odd; a byte has two".to_owned());
    }
    Ok(digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect())
}

#[cfg(test)]
mod tests {
    use super::hex;

    #[test]
    fn hexadecimal_digits_are_bytes() {
        assert_eq!(hex("00ff").as_deref(), Ok(&[0, 255][..]));
        assert_eq!(
            hex("DE:ad be ef").as_deref(),
            Ok(&[0xde, 0xad, 0xbe, 0xef][..])
        );
        assert_eq!(hex("").as_deref(), Ok(&[][..]));
        for wrong in ["0", "0g", "0x00", "é0"] {
            assert!(hex(wrong).is_err(), "{wrong}");
        }
    }
}
