//! DCF's plugin contracts, on top of the Rust API: see `include/dcf_plugin.h` and docs/DCF.md.
//!
//! `exports` has the names that loaders look up, and `object` is what hosts hold. `v1`, `v1_1` and
//! `v2` translate the contracts into calls of one `adapter`. The adapter starts a `session` from
//! `params` and `host` (settings). The session has a receive `queue` and connections for `large`
//! messages; `memory` is what hosts free.

mod adapter;
mod exports;
mod host;
mod large;
mod memory;
mod object;
mod params;
mod peer_text;
mod queue;
mod session;
mod v1;
mod v1_1;
mod v2;
