//! The C ABI of `libdcf_thunderbolt`: a thin layer over the crate `thunderbolt_transport`.
//!
//! The documentation is the header, `include/dcf_thunderbolt.h`, which is generated from the
//! comments here. Each file has one topic. The functions of the header are in `status`,
//! `last_error`, `config`, `lifecycle`, `options`, `callbacks`, `to_socket`, `control`, `stream`,
//! `stream_io`, `stream_file`, `rtt`, `peers`, `stats` and `stream_stats`. The code that makes them
//! safe is in `boundary` (panics, forks, failures), `fork`, `failure`, `handles`, `objects`,
//! `pointers` and `sized_struct`. `plugin` is a second interface to the same transport, for DCF's
//! plugin hosts.

#![allow(unsafe_code)] // C's pointers

mod boundary;
mod callbacks;
mod config;
mod control;
mod failure;
mod fork;
mod handles;
mod last_error;
mod lifecycle;
#[cfg(all(test, loom))]
mod models;
mod objects;
mod options;
mod peers;
#[cfg(feature = "plugin")]
mod plugin;
mod pointers;
mod rtt;
mod sized_struct;
mod stats;
mod status;
mod stream;
mod stream_file;
mod stream_io;
mod stream_stats;
mod symbol_versions;
mod sync;
mod to_socket;
mod types;

/// The C functions, for the fuzz targets in `fuzz/`, which are Rust. Only `cfg(fuzzing)` has it,
/// which the fuzzers are built with.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::callbacks::*;
    pub use crate::config::*;
    pub use crate::control::*;
    pub use crate::last_error::*;
    pub use crate::lifecycle::*;
    pub use crate::options::*;
    pub use crate::peers::*;
    pub use crate::rtt::*;
    pub use crate::stats::*;
    pub use crate::status::*;
    pub use crate::stream::*;
    pub use crate::stream_file::*;
    pub use crate::stream_io::*;
    pub use crate::stream_stats::*;
    pub use crate::types::*;
}

// Only the root package has this feature. Its build script generates the header, and it is tested.
#[cfg(all(test, feature = "plugin"))]
mod header_tests;
#[cfg(all(test, feature = "plugin"))]
mod layout_tests;
#[cfg(all(test, feature = "plugin"))]
mod property_tests;

/// When memory is short, calls fail instead of ending the process.
#[global_allocator]
static MEMORY: thunderbolt_transport::ReserveAllocator = thunderbolt_transport::ReserveAllocator;
