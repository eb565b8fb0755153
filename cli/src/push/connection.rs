//! One stream to the receiver: messages, data and results.

use thunderbolt_transport::DataStream;

use super::tally::Tally;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::harmless;
use crate::transfer::checksums::Checksum;
use crate::transfer::error::{Result, TransferError};
use crate::transfer::frame::{self, Frame};
use crate::transfer::message::{out_of_turn, Pusher, Receiver, BUSY};

/// Messages are gathered up to this many bytes before they are written.
const GATHERED: usize = 256 << 10;

/// The receiver's report about the pieces that it has.
pub enum RemoteSums {
    Sums(Vec<Checksum>),
    /// This many pieces are holes.
    Zeros(u64),
}

pub struct Connection<'a> {
    pub stream: DataStream,
    tally: &'a Tally<'a>,
    gathered: Vec<u8>,
    /// The number of results that arrived on this stream.
    results: usize,
}

impl<'a> Connection<'a> {
    pub fn new(stream: DataStream, tally: &'a Tally<'a>) -> Self {
        Self {
            stream,
            tally,
            gathered: Vec::new(),
            results: 0,
        }
    }

    /// Queues a message.
    pub fn send(&mut self, message: &Pusher) -> Result<()> {
        message.frame().append_to(&mut self.gathered);
        self.flush_full()
    }

    /// Queues data after the messages.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.gathered.extend_from_slice(bytes);
        self.flush_full()
    }

    fn flush_full(&mut self) -> Result<()> {
        match self.gathered.len() < GATHERED {
            true => Ok(()),
            false => self.flush(),
        }
    }

    /// Writes what was queued, and handles the results that have arrived.
    pub fn flush(&mut self) -> Result<()> {
        self.write()?;
        self.receive_results()
    }

    /// Writes what was queued, before waiting for an answer.
    pub fn write(&mut self) -> Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let written = frame::write(&self.stream, &self.gathered);
        self.gathered.clear();
        written.map_err(|error| self.reason(error))
    }

    /// Handles the messages that have arrived, without waiting.
    pub fn receive_results(&mut self) -> Result<()> {
        while let Some(frame) = Frame::read_if_there(&self.stream)? {
            match self.handle(Receiver::from_frame(&frame)?)? {
                None => {}
                Some(other) => return Err(out_of_turn(&other)),
            }
        }
        Ok(())
    }

    /// Waits for the next message other than a result.
    fn next(&mut self) -> Result<Receiver> {
        self.write()?;
        loop {
            let message = Receiver::from_frame(&Frame::read(&self.stream)?)?;
            if let Some(message) = self.handle(message)? {
                return Ok(message);
            }
        }
    }

    pub fn results(&self) -> usize {
        self.results
    }

    /// Waits until this many results have arrived.
    pub fn wait_for_results(&mut self, count: usize) -> Result<()> {
        self.write()?;
        while self.results < count {
            let message = Receiver::from_frame(&Frame::read(&self.stream)?)?;
            if let Some(other) = self.handle(message)? {
                return Err(out_of_turn(&other));
            }
        }
        Ok(())
    }

    fn handle(&mut self, message: Receiver) -> Result<Option<Receiver>> {
        match message {
            Receiver::Result { index, code, why } => {
                self.tally.result(index, code, &why)?;
                self.results += 1;
                Ok(None)
            }
            Receiver::Refused { code: BUSY, .. } => Err(TransferError::Busy),
            Receiver::Refused { code, why } => {
                let why = harmless(why.as_bytes());
                let text = format!("refused by {}: {why}", self.stream.peer());
                Err(Failure::new(Exit::from_code(code), text).into())
            }
            other => Ok(Some(other)),
        }
    }

    /// After a failed write: the receiver may have sent the reason before.
    pub fn reason(&mut self, error: TransferError) -> TransferError {
        match error {
            TransferError::Broken(failure) => match self.receive_results() {
                Err(reason @ (TransferError::Fatal(_) | TransferError::Busy)) => reason,
                _ => TransferError::Broken(failure),
            },
            other => other,
        }
    }

    /// Receives the next part of the plan, or the identifier of the push.
    pub fn plan(&mut self) -> Result<Receiver> {
        match self.next()? {
            plan @ (Receiver::Plan { .. } | Receiver::Ready(_)) => Ok(plan),
            other => Err(out_of_turn(&other)),
        }
    }

    /// Receives checksums of the existing content.
    pub fn sums(&mut self) -> Result<RemoteSums> {
        match self.next()? {
            Receiver::Sums(sums) if !sums.is_empty() => Ok(RemoteSums::Sums(sums)),
            Receiver::Zeros(pieces) if pieces > 0 => Ok(RemoteSums::Zeros(pieces)),
            other => Err(out_of_turn(&other)),
        }
    }

    /// Sends that no more files follow, and waits until all are complete.
    pub fn finish(mut self) -> Result<()> {
        self.send(&Pusher::Finished)?;
        match self.next()? {
            Receiver::Done => Ok(()),
            other => Err(out_of_turn(&other)),
        }
    }

    /// Reports a file that could not be sent.
    pub fn skip(&mut self, index: u32, code: Exit, why: String) -> Result<()> {
        self.tally.skip(index, code, &why);
        self.send(&Pusher::Skipped { index, why })
    }
}
