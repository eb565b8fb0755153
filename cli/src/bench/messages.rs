//! Measures the message rate and loss.

use std::time::{Duration, Instant};

use serde::Serialize;
use thunderbolt_transport::{Datagram, ThunderboltTransport, TransportError};

use super::serve::{Token, MARK};
use crate::common::Common;
use crate::connect;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::handshake::{self, Service};
use crate::peer::Peer;
use crate::transfer::error::TransferError;
use crate::units::rounded;

/// The size of a message in bytes.
const SIZE: usize = 64;
/// Messages per call.
const BATCH: usize = 64;

#[derive(Serialize)]
pub struct Messages {
    pub size: usize,
    pub sent: u64,
    pub received: u64,
    pub seconds: f64,
    /// `None` if no message was sent.
    pub sent_per_second: Option<f64>,
    pub received_per_second: Option<f64>,
}

pub fn run(
    transport: &ThunderboltTransport,
    common: &Common,
    peer: &Peer,
    time: Duration,
) -> Result<Messages, Failure> {
    let stream = connect::stream(transport, common, peer)?;
    handshake::ask(&stream, Service::Messages, 0)?;
    let mut token = Token::default();
    rustix::rand::getrandom(&mut token, rustix::rand::GetRandomFlags::empty()).map_err(
        |error| Failure::new(Exit::Failed, format!("cannot get random numbers: {error}")),
    )?;
    stream
        .write_timeout(&token, Some(handshake::PATIENCE))
        .outcome?;
    let mut ready = Token::default();
    handshake::read_exactly(&stream, &mut ready, handshake::PATIENCE)?;
    if ready != token {
        return Err(Failure::new(Exit::Peer, "the peer does not count messages"));
    }

    let mut message = [0; SIZE];
    message[..MARK.len()].copy_from_slice(&MARK);
    message[MARK.len()..][..token.len()].copy_from_slice(&token);
    let datagram = Datagram {
        peer: &peer.control,
        data: &message,
    };
    let mut sent = 0;
    let begin = Instant::now();
    while begin.elapsed() < time {
        let batch = transport.send_batch(&[datagram; BATCH]);
        sent += batch.count;
        match batch.outcome {
            Ok(()) | Err(TransportError::QueueFull { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let seconds = begin.elapsed().as_secs_f64();
    // The answer arrives after all messages: they are counted by now, or lost.
    transport.round_trip(&peer.control, Some(handshake::PATIENCE))?;
    stream.finish()?;
    let mut count = [0; 8];
    if handshake::read_exactly(&stream, &mut count, handshake::PATIENCE)? < count.len() {
        return Err(TransferError::ended().into());
    }
    let received = u64::from_be_bytes(count).min(sent);
    let per_second = |number: u64| (sent > 0).then(|| (number as f64 / seconds.max(1e-9)).round());
    Ok(Messages {
        size: SIZE,
        sent,
        received,
        seconds: rounded(seconds),
        sent_per_second: per_second(sent),
        received_per_second: per_second(received),
    })
}
