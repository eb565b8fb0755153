//! The handshake by which a dcf-tb asks another for a service on a data stream: docs/DCF-TB.md, "Greeting".
//!
//! A data stream has no preamble of its own, and any program may listen at the data port. So a client starts with
//! a 16-byte greeting, and continues only after a 16-byte answer, which an echo cannot produce.

use std::time::{Duration, Instant};

use thunderbolt_transport::{DataStream, TransportError};

use crate::deadline::Deadline;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;
use crate::transfer::error::{self, TransferError};

/// The start of a greeting.
pub const ASK: [u8; 8] = *b"DCFTBASK";
/// The start of an answer.
pub const ANSWER: [u8; 8] = *b"DCFTBANS";
/// The version of the protocol.
const VERSION: u8 = 1;
/// The size of a greeting and of an answer in bytes.
pub const SIZE: usize = 16;
/// The offset of the extensions, one bit each: those that a greeting offers and those that the answer grants. A
/// peer that knows none sends 0 and ignores them.
const EXTENSIONS: usize = 10;
/// The time for one step of the handshake.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A service that a client can request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Service {
    /// Receives files.
    Push = 1,
    /// Checks the data that a benchmark sends.
    Sink = 3,
    /// Sends the pattern of a benchmark.
    Source = 4,
    /// Counts the control messages of a benchmark.
    Messages = 5,
}

/// The answer to a greeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Welcome {
    Granted = 1,
    /// This program does not offer the service.
    NotServed = 2,
    /// This program speaks another version.
    OtherVersion = 3,
    /// This program refuses connections from its own machine.
    Local = 4,
}

/// The beginning of a stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Opening {
    /// A greeting and the extensions that it offers.
    Asked(Service, u8),
    /// A greeting that this version cannot serve, and the answer to it.
    Unknown(Welcome),
    /// Other data, which belong to the user.
    Other(Vec<u8>),
}

fn greeting(magic: [u8; 8], what: u8, extensions: u8) -> [u8; SIZE] {
    let mut bytes = [0; SIZE];
    bytes[..8].copy_from_slice(&magic);
    bytes[8] = VERSION;
    bytes[9] = what;
    bytes[EXTENSIONS] = extensions;
    bytes
}

/// Identifies a receiver independently of its address, and stays the same across restarts.
pub type Identity = [u8; 5];
/// The offset of the identity in an answer. Zeros mean "unknown".
const IDENTITY: usize = 11;

/// The answer of a peer that grants a service.
pub struct Granted {
    /// The granted subset of the offered extensions.
    pub extensions: u8,
    /// The receiver's identity, if it sends one.
    pub identity: Option<Identity>,
}

/// The time for an answer. A server that is not dcf-tb often never sends one.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// After this time a note tells the user about the wait.
const SLOW: Duration = Duration::from_secs(1);

/// Requests a service and offers extensions.
pub fn ask(stream: &DataStream, service: Service, offered: u8) -> error::Result<Granted> {
    let written = stream.write_timeout(&greeting(ASK, service as u8, offered), Some(PATIENCE));
    written.outcome?;
    let mut answer = [0; SIZE];
    let received = receive(stream, &mut answer)?;
    let not_ours = |what: &str| {
        let failure = Failure::new(
            Exit::Peer,
            format!(
                "{} {what}: the program at its data port is not dcf-tb",
                stream.peer()
            ),
        );
        failure.advise("on the other machine, start `dcf-tb receive DIR` for push or `dcf-tb listen` for bench")
    };
    if answer[..ANSWER.len()] != ANSWER {
        return Err(match received {
            Received::Silence(0) => {
                let text = format!("sent no answer within {} s", ANSWER_WITHIN.as_secs());
                // The cable may have failed.
                TransferError::Broken(not_ours(&text))
            }
            Received::End(0) => not_ours("closed the stream without an answer").into(),
            _ if answer[..8] == ASK => not_ours("echoes the request").into(),
            _ => not_ours("sent an unknown answer").into(),
        });
    }
    match (received, answer[8], answer[9]) {
        (Received::All, VERSION, what) if what == Welcome::Granted as u8 => {
            let identity: Identity = answer[IDENTITY..].try_into().expect("five bytes");
            Ok(Granted {
                extensions: answer[EXTENSIONS] & offered,
                identity: (identity != Identity::default()).then_some(identity),
            })
        }
        (Received::All, VERSION, what) if what == Welcome::NotServed as u8 => Err(Failure::new(
            Exit::Peer,
            format!("the dcf-tb at {} does not offer this service", stream.peer()),
        )
        .advise("on the other machine, push needs `dcf-tb receive DIR` and bench needs `dcf-tb listen`")
        .into()),
        (Received::All, VERSION, what) if what == Welcome::Local as u8 => Err(Failure::new(
            Exit::Refused,
            format!(
                "the dcf-tb at {} runs on this machine and refuses local connections",
                stream.peer()
            ),
        )
        .advise("start it with --allow-local to accept them")
        .into()),
        (Received::All, version, _) => Err(Failure::new(
            Exit::Peer,
            format!(
                "the dcf-tb at {} speaks version {version} of the protocol, this program version {VERSION}",
                stream.peer()
            ),
        )
        .advise("install the same version on both machines")
        .into()),
        (Received::End(_) | Received::Silence(_), ..) => Err(TransferError::ended()),
    }
}

/// How much of an answer arrived.
enum Received {
    All,
    /// The stream ended after this number of bytes.
    End(usize),
    /// The time ran out after this number of bytes.
    Silence(usize),
}

/// Reads an answer, but stops at the first byte that cannot be part of one: other data need not end.
fn receive(stream: &DataStream, answer: &mut [u8; SIZE]) -> error::Result<Received> {
    let begin = Instant::now();
    let mut have = 0;
    let mut is_noted = false;
    while have < SIZE {
        let limit = if is_noted { ANSWER_WITHIN } else { SLOW };
        let left = limit.saturating_sub(begin.elapsed());
        let read = stream.read_timeout(&mut answer[have..], Some(left));
        match read {
            Ok(0) => return Ok(Received::End(have)),
            Ok(read) => have += read,
            Err(TransportError::Timeout | TransportError::WouldBlock) if is_noted => {
                return Ok(Received::Silence(have))
            }
            Err(TransportError::Timeout | TransportError::WouldBlock) => {
                is_noted = true;
                output::note(&format!(
                    "{} has not answered yet; waiting for up to {} s",
                    stream.peer(),
                    ANSWER_WITHIN.as_secs()
                ));
            }
            Err(error) => return Err(error.into()),
        }
        let compared = have.min(ANSWER.len());
        let is_echo = answer[..compared] == ASK[..compared];
        if answer[..compared] != ANSWER[..compared] && !is_echo {
            break;
        }
    }
    Ok(Received::All)
}

/// Answers a greeting, with the granted extensions.
pub fn answer(stream: &DataStream, welcome: Welcome, extensions: u8) -> Result<(), TransportError> {
    answer_as(stream, welcome, extensions, Identity::default())
}

/// As [`answer`], with the receiver's identity.
pub fn answer_as(
    stream: &DataStream,
    welcome: Welcome,
    extensions: u8,
    identity: Identity,
) -> Result<(), TransportError> {
    let mut bytes = greeting(ANSWER, welcome as u8, extensions);
    bytes[IDENTITY..].copy_from_slice(&identity);
    stream.write_timeout(&bytes, Some(PATIENCE)).outcome
}

/// Reads the beginning of a stream. Reads no byte beyond a greeting and loses none of other data. Without `limit`
/// the first byte may take any time.
pub fn opening(stream: &DataStream, limit: Option<Duration>) -> Result<Opening, TransportError> {
    let mut bytes = [0; SIZE];
    let mut have = 0;
    let mut deadline = limit.map(Deadline::after);
    while have < SIZE {
        let left = deadline.as_ref().map(Deadline::left);
        have += match stream.read_timeout(&mut bytes[have..], left) {
            // A client that stops in the middle of a greeting is not dcf-tb.
            Err(TransportError::Timeout) if have > 0 => {
                return Ok(Opening::Other(bytes[..have].to_vec()))
            }
            Ok(0) => return Ok(Opening::Other(bytes[..have].to_vec())),
            read => read?,
        };
        let compared = have.min(ASK.len());
        let has_time = deadline.is_none_or(|deadline| !deadline.is_over());
        if bytes[..compared] != ASK[..compared] || (have < SIZE && !has_time) {
            return Ok(Opening::Other(bytes[..have].to_vec()));
        }
        // The rest of a greeting follows its first byte at once.
        deadline.get_or_insert_with(|| Deadline::after(PATIENCE));
    }
    let services = [
        Service::Push,
        Service::Sink,
        Service::Source,
        Service::Messages,
    ];
    let asked = services
        .into_iter()
        .find(|service| *service as u8 == bytes[9]);
    Ok(match asked {
        _ if bytes[8] != VERSION => Opening::Unknown(Welcome::OtherVersion),
        Some(service) => Opening::Asked(service, bytes[EXTENSIONS]),
        None => Opening::Unknown(Welcome::NotServed),
    })
}

/// Reads until `buf` is full or the stream ends, within the limit; returns how many bytes were read.
pub fn read_exactly(
    stream: &DataStream,
    buf: &mut [u8],
    limit: Duration,
) -> Result<usize, TransportError> {
    Deadline::after(limit).read(stream, buf)
}
