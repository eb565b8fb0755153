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
use crate::peer::{check_peer, looks_like_peer};
use crate::units::plural;

/// Send one message of at most 65507 bytes.
///
/// The message is one UDP datagram. Its delivery is not confirmed.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("content").args(["file", "hex"]),
    override_usage = "dcf-tb send [OPTIONS] <TEXT|--file <FILE>|--hex <DIGITS>> [PEER]"
)]
pub struct Options {
    /// The text of the message, unless --file or --hex has the content. The last word may be the peer; if omitted,
    /// the only one on the link is used.
    #[arg(value_name = "TEXT", num_args = 0..=2)]
    words: Vec<String>,

    /// Send the content of a file.
    #[arg(long, short, value_name = "FILE")]
    file: Option<PathBuf>,

    /// Send these bytes: two hexadecimal digits each, optionally separated by spaces or colons.
    #[arg(long, value_name = "DIGITS", value_parser = hex)]
    hex: Option<Bytes>,
}

/// Bytes from the command line.
type Bytes = std::sync::Arc<[u8]>;

pub fn run(common: &Common, options: &Options) -> Result<Exit, Failure> {
    let has_content = options.file.is_some() || options.hex.is_some();
    let (text, named) = split(&options.words, has_content)?;
    check_peer(named)?;
    // Reading from a pipe may block; until then the default action of signals ends the program.
    let content = content(options, text)?;
    interrupt::take_signals();
    let transport = connect::client(common, named)?;
    let peer = connect::peer(&transport, common, named)?;
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

/// Splits the words into the text, unless the content is elsewhere, and the peer, if one is given.
fn split(words: &[String], has_content: bool) -> Result<(Option<&str>, Option<&str>), Failure> {
    let usage = |text: &str| Failure::new(Exit::Usage, text);
    match (words, has_content) {
        ([], true) => Ok((None, None)),
        ([peer], true) => Ok((None, Some(peer))),
        (_, true) => {
            Err(usage("the content is given twice")
                .advise("give either a text, or --file, or --hex"))
        }
        ([], false) => Err(usage("nothing to send").advise("give a text, or --file, or --hex")),
        ([peer], false) if looks_like_peer(peer) => {
            Err(usage("nothing to send: the only argument is a peer")
                .advise("give a text before the peer, or --file, or --hex"))
        }
        ([text], false) => Ok((Some(text), None)),
        ([text, peer, ..], false) if looks_like_peer(text) && !looks_like_peer(peer) => {
            Err(usage("the peer comes after the text").advise("use `dcf-tb send TEXT PEER`"))
        }
        ([text, peer, ..], false) => Ok((Some(text), Some(peer))),
    }
}

fn content(options: &Options, text: Option<&str>) -> Result<Vec<u8>, Failure> {
    if let Some(bytes) = &options.hex {
        return Ok(bytes.to_vec());
    }
    let Some(path) = options.file.as_deref() else {
        return Ok(text.unwrap_or_default().as_bytes().to_vec());
    };
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
    use super::{hex, split};

    #[test]
    fn the_peer_comes_last() {
        let of = |words: &[&str], has_content| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            let split = split(&words, has_content);
            split
                .map(|(text, peer)| (text.map(str::to_owned), peer.map(str::to_owned)))
                .map_err(|failure| failure.text)
        };
        let some = |word: &str| Some(word.to_owned());
        assert_eq!(of(&["hi"], false), Ok((some("hi"), None)));
        assert_eq!(
            of(&["hi", "fe80::1"], false),
            Ok((some("hi"), some("fe80::1")))
        );
        assert_eq!(of(&["fe80::1"], true), Ok((None, some("fe80::1"))));
        assert_eq!(of(&[], true), Ok((None, None)));
        assert!(of(&["fe80::1", "hi"], false)
            .unwrap_err()
            .contains("after the text"));
        assert!(of(&["fe80::1"], false)
            .unwrap_err()
            .contains("nothing to send"));
        assert!(of(&["hi", "fe80::1"], true).unwrap_err().contains("twice"));
    }

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
