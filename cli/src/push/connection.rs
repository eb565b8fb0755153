//! One stream to the receiver: what is said on it, and what comes back.

use thunderbolt_transport::DataStream;

use super::tally::Tally;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::harmless;
use crate::transfer::checksums::Checksum;
use crate::transfer::error::{Result, TransferError};
use crate::transfer::frame::{self, Frame};
use crate::transfer::message::{out_of_turn, Pusher, Receiver, BUSY};

/// Bytes that are gathered before they are written.
const GATHERED: usize = 256 << 10;

/// What is told of the pieces that the receiver has.
pub enum RemoteSums {
    Sums(Vec<Checksum>),
    /// So many are nothing but a hole.
    Zeros(u64),
}

pub struct Connection<'a> {
    pub stream: DataStream,
    tally: &'a Tally<'a>,
    gathered: Vec<u8>,
    /// Results that came over it.
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

    /// Says something, soon.
    pub fn say(&mut self, message: &Pusher) -> Result<()> {
        message.frame().append_to(&mut self.gathered);
        self.flush_full()
    }

    /// Sends bytes behind what was said.
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

    /// Writes what was gathered, and takes the results that have come back.
    pub fn flush(&mut self) -> Result<()> {
        self.write()?;
        self.listen()
    }

    /// Writes what was gathered, where an answer is waited for next.
    pub fn write(&mut self) -> Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let written = frame::write(&self.stream, &self.gathered);
        self.gathered.clear();
        written.map_err(|error| self.reason(error))
    }

    /// What has come back, without waiting.
    pub fn listen(&mut self) -> Result<()> {
        while let Some(frame) = Frame::read_if_there(&self.stream)? {
            match self.heard(Receiver::from_frame(&frame)?)? {
                None => {}
                Some(other) => return Err(out_of_turn(&other)),
            }
        }
        Ok(())
    }

    /// The next message that is no result of a file.
    fn next(&mut self) -> Result<Receiver> {
        self.write()?;
        loop {
            let message = Receiver::from_frame(&Frame::read(&self.stream)?)?;
            if let Some(message) = self.heard(message)? {
                return Ok(message);
            }
        }
    }

    pub fn results(&self) -> usize {
        self.results
    }

    /// Waits until so many results have come.
    pub fn wait_for_results(&mut self, count: usize) -> Result<()> {
        self.write()?;
        while self.results < count {
            let message = Receiver::from_frame(&Frame::read(&self.stream)?)?;
            if let Some(other) = self.heard(message)? {
                return Err(out_of_turn(&other));
            }
        }
        Ok(())
    }

    fn heard(&mut self, message: Receiver) -> Result<Option<Receiver>> {
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

    /// A stream that cannot be written to any more may have said why before.
    pub fn reason(&mut self, error: TransferError) -> TransferError {
        match error {
            TransferError::Broken(failure) => match self.listen() {
                Err(said @ (TransferError::Fatal(_) | TransferError::Busy)) => said,
                _ => TransferError::Broken(failure),
            },
            other => other,
        }
    }

    /// What the receiver wants of each entry, and the name of the push.
    pub fn plan(&mut self) -> Result<Receiver> {
        match self.next()? {
            plan @ (Receiver::Plan { .. } | Receiver::Ready(_)) => Ok(plan),
            other => Err(out_of_turn(&other)),
        }
    }

    /// Checksums of what the receiver has.
    pub fn sums(&mut self) -> Result<RemoteSums> {
        match self.next()? {
            Receiver::Sums(sums) if !sums.is_empty() => Ok(RemoteSums::Sums(sums)),
            Receiver::Zeros(pieces) if pieces > 0 => Ok(RemoteSums::Zeros(pieces)),
            other => Err(out_of_turn(&other)),
        }
    }

    /// Says that nothing more comes, and waits until all is in its place.
    pub fn finish(mut self) -> Result<()> {
        self.say(&Pusher::Finished)?;
        match self.next()? {
            Receiver::Done => Ok(()),
            other => Err(out_of_turn(&other)),
        }
    }

    /// What became of a file that never got as far as the receiver.
    pub fn skip(&mut self, index: u32, code: Exit, why: String) -> Result<()> {
        self.tally.skip(index, code, &why);
        self.say(&Pusher::Skipped { index, why })
    }
}
