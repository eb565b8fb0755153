//! The address of the receiver. If it changes, the receiver is searched for.
//!
//! A host may get another address when the cable is plugged in again. A receiver that was found by discovery is
//! then searched for again. It is the same receiver if it sends the same identity; another one gets no data.

use std::sync::{Mutex, MutexGuard};

use thunderbolt_transport::{DataStream, ThunderboltTransport};

use crate::common::Common;
use crate::connect;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::handshake::{self, Identity, Service};
use crate::output;
use crate::peer::Peer;
use crate::silence;
use crate::transfer::error::{Result, TransferError};
use crate::transfer::extensions::Extensions;

pub struct Route<'a> {
    transport: &'a ThunderboltTransport,
    common: &'a Common,
    /// The user gave the address, so no other is tried.
    is_named: bool,
    /// The address where it last accepted the push.
    home: Peer,
    /// A candidate for its new address.
    moved: Option<Peer>,
    receiver: Mutex<Receiver>,
    /// Peers that are not the receiver.
    others: Vec<String>,
    tries: usize,
    is_noted: bool,
}

#[derive(Default)]
struct Receiver {
    /// The identity that it first sent, if any.
    first: Option<Option<Identity>>,
    /// The last one that answered is another receiver.
    is_other: bool,
    /// It did not even accept a stream.
    is_silent: bool,
    /// A note about the new address was printed.
    is_noted: bool,
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
            is_noted: false,
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

    /// Opens a stream to the receiver; returns the granted extensions.
    pub fn open(&self) -> Result<(DataStream, Extensions)> {
        let opened = connect::open(self.transport, self.peer());
        let is_silent = opened.as_ref().is_err_and(connect::is_silent);
        self.receiver().is_silent = is_silent;
        let stream = opened?;
        let granted = match handshake::ask(&stream, Service::Push, Extensions::KNOWN.0) {
            Ok(granted) => granted,
            // Another peer may not offer the service.
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
            // A receiver without an identity is recognised by its address only.
            _ => self.moved.is_none(),
        };
        if is_same {
            if let (Some(moved), false) = (&self.moved, receiver.is_noted) {
                receiver.is_noted = true;
                output::note(&format!(
                    "{} no longer answers; the receiver is now at {}",
                    self.home.name, moved.name
                ));
            }
            return Ok(());
        }
        receiver.is_other = true;
        let failure = Failure::new(
            Exit::Peer,
            format!(
                "the receiver at {} is not the one that this push started with, or has no identity",
                self.peer().name
            ),
        );
        let failure = failure.advise("push again to send to this receiver anyway");
        Err(match self.moved {
            Some(_) => TransferError::Broken(failure),
            None => failure.into(),
        })
    }

    /// The receiver accepted the push at the current address.
    pub fn arrived(&mut self) {
        if let Some(moved) = self.moved.take() {
            self.home = moved;
            self.others.clear();
            self.receiver().is_noted = false;
        }
    }

    /// After a broken connection: searches for the receiver's address.
    pub fn search(&mut self) {
        if let Some(moved) = self.moved.take() {
            if std::mem::take(&mut self.receiver().is_other) {
                output::note(&format!("{} is not the receiver", moved.name));
                self.others.push(moved.name);
            }
        }
        // While the link is down, no peer can answer.
        let Some(mut present) = connect::present(self.transport, self.common) else {
            return;
        };
        if present.iter().any(|peer| peer.is_at(&self.home)) {
            return;
        }
        if self.is_named {
            if !present.is_empty() && !std::mem::replace(&mut self.is_noted, true) {
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

    /// Adds advice to the failure of the first attempt, if the receiver does not answer.
    pub fn explained(&self, failure: Failure) -> Failure {
        match self.receiver().is_silent {
            true => failure.advise(silence::advice(
                self.transport,
                self.common,
                Some(self.peer()),
            )),
            false => failure,
        }
    }

    /// Advice for when the receiver was not found again.
    pub fn advice(&self) -> String {
        let again = "push the same files again to resume";
        match &self.others[..] {
            _ if self.is_noted => format!("{again}, with the new address or without one"),
            [] => again.to_owned(),
            others => format!("{again}; {} is another receiver", others.join(", ")),
        }
    }
}
