//! Durable streams: one byte stream between two hosts, carried by several TCP connections (*rails*).
//!
//! The stream outlives each rail, and all of them for a while. docs/WIRE.md has the protocol. This module is the
//! state machine of it, without sockets, threads or a clock: the time and random numbers are arguments, and what
//! has to be done is returned. So a thread, a task of tokio and a simulation can all drive it.
//!
//! - [`session`]: one durable stream. A driver asks it what to read from and write to each rail, reports what
//!   it did, and carries out its actions. The session knows positions only; it never sees the bytes.
//! - [`store`] and [`sources`] keep the bytes: blocks of memory by position, and the places in files from which
//!   they can be sent again.
//! - [`table`]: the sessions of an acceptor, and which hellos it grants. [`greeting`] collects hellos.
//!
//! A driver does this in a loop: read what has arrived on each rail, call [`session::Session::tick`] when
//! [`session::Session::deadline`] has passed, write to each rail that accepts bytes, and carry out the actions.
//! It reads before it calls `tick`: after a pause of the whole process, the acknowledgements that wait in the
//! sockets then count before the time does.

// Only some of it is called by the fuzz targets.
#![cfg_attr(fuzzing, allow(dead_code))]

pub(crate) mod greeting;
mod paths;
mod rail;
mod ranges;
mod receive;
mod send;
pub(crate) mod session;
pub(crate) mod sources;
pub(crate) mod store;
pub(crate) mod table;
#[cfg(test)]
mod tests;
pub(crate) mod wire;
