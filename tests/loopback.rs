//! The C ABI on one host: a C program for each chapter, in three language modes.
//!
//! Each program prints what it checks; a failure shows that output.

use testkit::{CProgram, Dialect};

/// A test for each language mode of each program.
macro_rules! in_every_dialect {
    ($($(#[$promise:meta])* $program:ident;)*) => {$(
        $(#[$promise])*
        mod $program {
            use super::{CProgram, Dialect};

            #[test]
            fn as_c99() {
                CProgram::new(stringify!($program), Dialect::C99).run();
            }

            #[test]
            fn as_c11() {
                CProgram::new(stringify!($program), Dialect::C11).run();
            }

            #[test]
            fn as_cpp17() {
                CProgram::new(stringify!($program), Dialect::Cpp17).run();
            }
        }
    )*};
}

in_every_dialect! {
    /// Defaults, start, close; 200 transports leak nothing; an error names the port that is taken.
    life;
    /// Structs of other sizes, and settings that are refused.
    config;
    /// Settings that change while a transport runs: values, refusals, limits below what is in use.
    options;
    /// Peers that appear and vanish, and when each was last heard from.
    presence;
    /// Status texts and the thread's last error.
    status;
    /// NULL where a pointer is needed, in every function.
    nulls;
    /// Memory that overlaps other memory of the same call, in every function.
    overlap;
    /// Stale, made-up and wrong-kind handles, in every function.
    handles;
    /// Sizes, order, small buffers, timeouts, senders, overflow.
    messages;
    /// Many messages in one call, and one that cannot be sent.
    batch;
    /// Exact reads, vectored writes, messages received in batches.
    pieces;
    /// The event descriptor is readable exactly when a receiving call would not block.
    events;
    /// Message callbacks: order, queued messages first, replacing and removing from anywhere.
    callbacks;
    /// Log callbacks and levels.
    logs;
    /// Bytes, ends, timeouts, both directions at once, closing wakes waiting calls.
    streams;
    /// The user pointer of a stream.
    user_data;
    /// The counters of a stream, and the kernel's figures of its connection.
    stream_stats;
    /// Options, limits, resets, polling, detaching.
    stream_ends;
    /// Buffers of exactly the size that is needed, one less and one more.
    capacities;
    /// A thousand streams at once.
    crowd;
    /// Limits, each refusal counted under its reason and logged at a bounded rate.
    reasons;
    /// A callback for each stream, on a thread of its own.
    stream_callback;
    /// Closing wakes every waiting call and waits for callbacks; of many closing threads, one closes.
    closing;
    /// Files, pipes, sockets and /proc files over streams.
    files;
    /// File transfers that stop half-way lose no bytes.
    nothing_lost;
    /// Round trips, series, no answer, many threads, from inside a callback.
    rtt;
    /// Every counter.
    stats;
    /// A process without descriptors to spare.
    limits;
    /// The bytes on the wire, checked by a peer on plain sockets.
    wire;
}

/// The C++ header: errors, ownership, handlers, and exceptions that do not cross the C boundary.
#[test]
fn the_cpp_wrapper() {
    CProgram::new("wrapper", Dialect::Cpp17).run();
}

/// Programs can link the static library.
#[test]
fn from_the_static_library() {
    CProgram::with_static_library("status", Dialect::C11).run();
}
