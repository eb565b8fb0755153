//! The session against itself, over simulated connections, and against an independent peer.

mod host;
mod network;
mod opener;
mod peer;
mod plan;
mod random;
mod schedules;
mod session;
mod simulation;
