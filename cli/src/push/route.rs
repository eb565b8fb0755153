//! Where the receiver is, and how it is found again when its address changed.
//!
//! A host may have another address after the cable was plugged in again. A receiver that was found by discovery
//! is then looked for anew. It is the same if it says the same identity as at first; another one gets nothing.

use std::sync::{Mutex, MutexGuard};

use thunderbolt_transport::{DataStream, ThunderboltTransport};

use crate::common::Common;
use crate::connect::{self, Peer};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::handshake::{self, Identity, Service};
use crate::output;
use crate::transfer::error::{Result, TransferError};
use crate::transfer::extensions::Extensions;

pub struct Route<'a> {
    transport: &'a ThunderboltTransport,
    common: &'a Common,
    /// The user gave the address: no other is looked for.
    is_named: bool,
    /// Where it answered last.
    home: Peer,
    /// Where it may be now.
    moved: Option<Peer>,
    receiver: Mutex<Receiver>,
    /// Who answers and is not the receiver.
    others: Vec<String>,
    tries: usize,
    is_told: bool,
}

#[derive(Default)]
struct Receiver {
    /// What it said at first.
    first: Option<Option<Identity>>,
    /// The one that answered last is another one.
    is_other: bool,
    /// The user was told where it is now.
    is_told: bool,
}

impl<'a> Route<'a> {
    pub fn new(
        transport: &'a ThunderboltTransport,
        common: &'a Common,
        home: Peer,
        is_named: bool,
    ) -> Self {
        Self {
            transport,
            common,
            is_named,
            home,
            moved: None,
            receiver: Mutex::default(),
            others: Vec::new(),
            tries: 0,
            is_told: false,
        }
    }

    pub fn peer(&self) -> &Peer {
        self.moved.as_ref().unwrap_or(&self.home)
    }

    fn receiver(&self) -> MutexGuard<'_, Receiver> {
        self.receiver
            .lock()
            .unwrap_or_else(|error| error.into_inner())
    }

    /// Opens a stream to the receiver; gives what it can do beyond the first version of the protocol.
    pub fn open(&self) -> Result<(DataStream, Extensions)> {
        let stream = self.transport.open_data_stream(&self.peer().data)?;
        let granted = match handshake::ask(&stream, Service::Push, Extensions::KNOWN.0) {
            Ok(granted) => granted,
            // Somebody else may well serve nothing.
            Err(TransferError::Fatal(failure)) if self.moved.is_some() => {
                self.receiver().is_other = true;
                return Err(TransferError::Broken(failure));
            }
            Err(error) => return Err(error),
        };
        self.check(granted.identity)?;
        Ok((stream, Extensions(granted.extensions)))
    }

    fn check(&self, now: Option<Identity>) -> Result<()> {
        let mut receiver = self.receiver();
        let first = *receiver.first.get_or_insert(now);
        let is_same = match (first, now) {
            (Some(first), Some(now)) => first == now,
            // One that does not say who it is, is the same at the same address only.
            _ => self.moved.is_none(),
        };
        if is_same {
            if let (Some(moved), false) = (&self.moved, receiver.is_told) {
                receiver.is_told = true;
                output::note(&format!(
                    "{} is gone; the receiver is at {} now",
                    self.home.name, moved.name
                ));
            }
            return Ok(());
        }
        receiver.is_other = true;
        let failure = Failure::new(
            Exit::Peer,
            format!(
                "the receiver at {} is not the one that this push began with, or does not say so",
                self.peer().name
            ),
        );
        let failure = failure.advise("to go on there all the same, push again");
        Err(match self.moved {
            Some(_) => TransferError::Broken(failure),
            None => failure.into(),
        })
    }

    /// The receiver accepted the push.
    pub fn arrived(&mut self) {
        if let Some(moved) = self.moved.take() {
            self.home = moved;
            self.others.clear();
            self.receiver().is_told = false;
        }
    }

    /// After the connection broke: looks where the receiver is now.
    pub fn look(&mut self) {
        if let Some(moved) = self.moved.take() {
            if std::mem::take(&mut self.receiver().is_other) {
                output::note(&format!("{} is not the receiver", moved.name));
                self.others.push(moved.name);
            }
        }
        // While the link is down there is nobody to ask.
        let Some(mut present) = connect::present(self.transport, self.common) else {
            return;
        };
        if present.iter().any(|peer| peer.is_at(&self.home)) {
            return;
        }
        if self.is_named {
            if !present.is_empty() && !std::mem::replace(&mut self.is_told, true) {
                output::note(&connect::gone(&self.home, &present));
            }
            return;
        }
        present.retain(|peer| !self.others.contains(&peer.name));
        if !present.is_empty() {
            self.tries += 1;
            self.moved = Some(present.swap_remove(self.tries % present.len()));
        }
    }

    /// What to do when it was not found again.
    pub fn advice(&self) -> String {
        let again = "push the same again to go on from here";
        match &self.others[..] {
            _ if self.is_told => format!("{again}, with the new address or with none"),
            [] => again.to_owned(),
            others => format!("{again}; {} is another receiver", others.join(", ")),
        }
    }
}
