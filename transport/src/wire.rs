//! The format of round-trip messages.
//!
//! A ping has 16 bytes: a magic number and a timestamp, both big-endian. Only the sender interprets
//! the timestamp. The pong has the other magic number and the same timestamp. All other datagrams on
//! the control port are messages of the application.

/// The most bytes of payload in one control message. This is the limit of UDP over IPv4 (RFC 768),
/// which every implementation of this protocol can receive.
pub const MAX_MESSAGE_SIZE: usize = 65_507;

/// The size of a ping and of a pong in bytes.
pub(crate) const PING_SIZE: usize = 16;

const PING: [u8; 8] = 0x52_5454_5054_u64.to_be_bytes();
const PONG: [u8; 8] = 0x52_5454_5053_u64.to_be_bytes();

/// The kind of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A ping, to be answered with a pong that has this token.
    Ping(u64),
    /// The pong that answers the ping with this token.
    Pong(u64),
    /// A message of the application.
    Message,
}

/// Distinguishes pings and pongs from messages, by the exact length and the magic number.
pub(crate) fn classify(datagram: &[u8]) -> Kind {
    let Ok(bytes) = <&[u8; PING_SIZE]>::try_from(datagram) else {
        return Kind::Message;
    };
    let (magic, timestamp) = bytes.split_at(8);
    let token = timestamp
        .iter()
        .fold(0, |token, &byte| token << 8 | u64::from(byte));
    if magic == PING {
        Kind::Ping(token)
    } else if magic == PONG {
        Kind::Pong(token)
    } else {
        Kind::Message
    }
}

/// The ping with `token` as its timestamp.
pub(crate) fn ping(token: u64) -> [u8; PING_SIZE] {
    with_magic(PING, token)
}

/// The pong that answers the ping with `token`.
pub(crate) fn pong(token: u64) -> [u8; PING_SIZE] {
    with_magic(PONG, token)
}

fn with_magic(magic: [u8; 8], token: u64) -> [u8; PING_SIZE] {
    let mut bytes = [0; PING_SIZE];
    bytes[..8].copy_from_slice(&magic);
    bytes[8..].copy_from_slice(&token.to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_bytes_are_those_of_the_protocol() {
        let token = 0x0102_0304_0506_0708;
        assert_eq!(ping(token), *b"\0\0\0RTTPT\x01\x02\x03\x04\x05\x06\x07\x08");
        assert_eq!(pong(token), *b"\0\0\0RTTPS\x01\x02\x03\x04\x05\x06\x07\x08");
    }

    #[test]
    fn pings_and_pongs_are_known_by_length_and_magic() {
        assert_eq!(classify(&ping(7)), Kind::Ping(7));
        assert_eq!(classify(&pong(u64::MAX)), Kind::Pong(u64::MAX));
        assert_eq!(classify(&ping(7)[..15]), Kind::Message);
        assert_eq!(classify(&[&ping(7)[..], &[0]].concat()), Kind::Message);
        assert_eq!(classify(&[0; 16]), Kind::Message);
        assert_eq!(classify(&[]), Kind::Message);
    }

    proptest! {
        #[test]
        fn whatever_a_token_is_it_comes_back(token: u64) {
            prop_assert_eq!(classify(&ping(token)), Kind::Ping(token));
            prop_assert_eq!(classify(&pong(token)), Kind::Pong(token));
        }

        #[test]
        fn a_byte_more_or_less_or_another_makes_it_a_message(
            token: u64, is_ping: bool, more: u8, at in 0..8_usize, change in 1..=u8::MAX
        ) {
            let whole = if is_ping { ping(token) } else { pong(token) };
            prop_assert_eq!(classify(&whole[..15]), Kind::Message);
            prop_assert_eq!(classify(&[&whole[..], &[more]].concat()), Kind::Message);
            let mut other = whole;
            other[at] ^= change;
            // The two magics differ in one byte.
            let turned = at == 7 && change == PING[7] ^ PONG[7];
            prop_assert_eq!(classify(&other) == Kind::Message, !turned);
        }
    }
}
