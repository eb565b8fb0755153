//! How one `dcf-tb` asks another for something over a data stream: docs/DCF-TB.md, "Greeting".
//!
//! A data stream has no preamble of its own, and any program may listen at the data port. So what
//! speaks a protocol of this tool begins with 16 bytes that say so, and goes on only when 16 bytes
//! come back that no echo could have made.

use std::time::{Duration, Instant};

use thunderbolt_transport::{DataStream, TransportError};

use crate::deadline::Deadline;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;
use crate::transfer::error::{self, TransferError};

/// Who asks.
pub const ASK: [u8; 8] = *b"DCFTBASK";
/// Who answers.
pub const ANSWER: [u8; 8] = *b"DCFTBANS";
/// What both speak.
const VERSION: u8 = 1;
/// A greeting or its answer, in bytes.
pub const SIZE: usize = 16;
/// Where a greeting has the extensions of the service that are offered, and the answer those that are granted,
/// one bit each. A peer that knows none sends 0, and takes no notice.
const EXTENSIONS: usize = 10;
/// How long the other side has for it.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Service {
    /// Taking files.
    Push = 1,
    /// Checking what comes.
    Sink = 3,
    /// Sending a pattern.
    Source = 4,
    /// Counting control messages.
    Messages = 5,
}

/// What the answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Welcome {
    Granted = 1,
    /// This program does not do that.
    NotServed = 2,
    /// It speaks another version.
    OtherVersion = 3,
    /// It takes nothing from its own machine.
    Local = 4,
}

/// What a stream began with.
#[derive(Debug, PartialEq, Eq)]
pub enum Opening {
    /// A greeting, and the extensions that it offers.
    Asked(Service, u8),
    /// A greeting that this version cannot serve, and how to answer it.
    Unknown(Welcome),
    /// Something else: these bytes are the user's.
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

/// Says which receiver it is, whatever its address: bytes that are the same when it is started again.
pub type Identity = [u8; 5];
/// Where an answer has it; zeros: it does not say.
const IDENTITY: usize = 11;

/// What a peer that grants a service says.
pub struct Granted {
    /// Those of the extensions that were offered.
    pub extensions: u8,
    /// Which receiver it is, if it says so.
    pub identity: Option<Identity>,
}

/// How long an answer may take. What is no dcf-tb often says nothing at all.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// After this the user is told what is waited for.
const SLOW: Duration = Duration::from_secs(1);

/// Asks for a service, and offers extensions.
pub fn ask(stream: &DataStream, service: Service, offered: u8) -> error::Result<Granted> {
    let written = stream.write_timeout(&greeting(ASK, service as u8, offered), Some(PATIENCE));
    written.outcome?;
    let mut answer = [0; SIZE];
    let heard = hear(stream, &mut answer)?;
    let stranger = |what: &str| {
        let failure = Failure::new(
            Exit::Peer,
            format!(
                "{} {what}: no dcf-tb listens at its data port",
                stream.peer()
            ),
        );
        failure.advise("start `dcf-tb receive DIR` over there for push, `dcf-tb listen` for bench")
    };
    if answer[..ANSWER.len()] != ANSWER {
        return Err(match heard {
            Heard::Silence(0) => {
                let text = format!("says nothing for {} s", ANSWER_WITHIN.as_secs());
                // It may have been the cable.
                TransferError::Broken(stranger(&text))
            }
            Heard::End(0) => stranger("ended the stream without a word").into(),
            _ if answer[..8] == ASK => stranger("sends back what it gets").into(),
            _ => stranger("says something else").into(),
        });
    }
    match (heard, answer[8], answer[9]) {
        (Heard::All, VERSION, what) if what == Welcome::Granted as u8 => {
            let identity: Identity = answer[IDENTITY..].try_into().expect("five bytes");
            Ok(Granted {
                extensions: answer[EXTENSIONS] & offered,
                identity: (identity != Identity::default()).then_some(identity),
            })
        }
        (Heard::All, VERSION, what) if what == Welcome::NotServed as u8 => Err(Failure::new(
            Exit::Peer,
            format!("the dcf-tb at {} does not serve this", stream.peer()),
        )
        .advise("push needs `dcf-tb receive DIR` over there, bench needs `dcf-tb listen`")
        .into()),
        (Heard::All, VERSION, what) if what == Welcome::Local as u8 => Err(Failure::new(
            Exit::Refused,
            format!(
                "the dcf-tb at {} is on this machine, and takes nothing from it",
                stream.peer()
            ),
        )
        .advise("start it with --allow-local")
        .into()),
        (Heard::All, version, _) => Err(Failure::new(
            Exit::Peer,
            format!(
                "the dcf-tb at {} speaks version {version} of the protocol, this one {VERSION}",
                stream.peer()
            ),
        )
        .advise("install the same version on both sides")
        .into()),
        (Heard::End(_) | Heard::Silence(_), ..) => Err(TransferError::ended()),
    }
}

/// How much of an answer came.
enum Heard {
    All,
    /// The stream ended after so much.
    End(usize),
    /// Nothing more came in time.
    Silence(usize),
}

/// Reads an answer, as far as it can be one: something else need not come to its end.
fn hear(stream: &DataStream, answer: &mut [u8; SIZE]) -> error::Result<Heard> {
    let begin = Instant::now();
    let mut have = 0;
    let mut is_told = false;
    while have < SIZE {
        let limit = if is_told { ANSWER_WITHIN } else { SLOW };
        let left = limit.saturating_sub(begin.elapsed());
        let read = stream.read_timeout(&mut answer[have..], Some(left));
        match read {
            Ok(0) => return Ok(Heard::End(have)),
            Ok(read) => have += read,
            Err(TransportError::Timeout | TransportError::WouldBlock) if is_told => {
                return Ok(Heard::Silence(have))
            }
            Err(TransportError::Timeout | TransportError::WouldBlock) => {
                is_told = true;
                output::note(&format!(
                    "{} does not answer yet; waiting for up to {} s",
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
    Ok(Heard::All)
}

/// Says whether it is granted, and which extensions of it are.
pub fn answer(stream: &DataStream, welcome: Welcome, extensions: u8) -> Result<(), TransportError> {
    answer_as(stream, welcome, extensions, Identity::default())
}

/// The same, and who says it.
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

/// Reads how a stream begins. No byte is read beyond a greeting, and none of somebody else's is lost.
/// Without `limit` the first byte may take as long as it likes.
pub fn opening(stream: &DataStream, limit: Option<Duration>) -> Result<Opening, TransportError> {
    let mut bytes = [0; SIZE];
    let mut have = 0;
    let mut deadline = limit.map(Deadline::after);
    while have < SIZE {
        let left = deadline.as_ref().map(Deadline::left);
        have += match stream.read_timeout(&mut bytes[have..], left) {
            // Whoever stops in the middle of a greeting is somebody else.
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
        // The rest of a greeting follows at once.
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

/// Fills `buf` within the limit, or reads to the end of the stream; gives how much there was.
pub fn read_exactly(
    stream: &DataStream,
    buf: &mut [u8],
    limit: Duration,
) -> Result<usize, TransportError> {
    Deadline::after(limit).read(stream, buf)
}
