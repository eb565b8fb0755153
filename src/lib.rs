//! The C ABI of `libdcf_thunderbolt`: a thin layer over the crate `thunderbolt_transport`.
//!
//! Its documentation is the header, `include/dcf_thunderbolt.h`, which is made from the comments
//! here. One file per concept: what C sees stands in `types`, `status`, `last_error`, `config`,
//! `lifecycle`, `callbacks`, `control`, `stream`, `stream_file`, `rtt`, `peers` and `stats`; what makes it safe,
//! in `boundary` (panics, forks, failures), `fork`, `failure`, `handles`, `objects`, `pointers` and
//! `sized_struct`. `plugin` is another interface upon the same transport: that of DCF's plugin hosts.

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

/// What C sees, for the fuzz targets in `fuzz/`, which are Rust. It is there under `cfg(fuzzing)`
/// only, which the fuzzers are built with.
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

// The root package has this feature; its build script makes the header, and it is what is tested.
#[cfg(all(test, feature = "plugin"))]
mod header_tests;
#[cfg(all(test, feature = "plugin"))]
mod layout_tests;
#[cfg(all(test, feature = "plugin"))]
mod property_tests;

/// A host without memory gets errors, and is not ended.
#[global_allocator]
static MEMORY: thunderbolt_transport::ReserveAllocator = thunderbolt_transport::ReserveAllocator;
