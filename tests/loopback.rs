//! What one host can show: every theme of the C ABI as a C program, in three language modes.
//!
//! Each program says on its standard output what it checks; a failure shows it.

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
    /// Defaults, start, close; 200 lives leave nothing behind; a taken port is named.
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
    /// Handles that are not live ones of the right kind, in every function.
    handles;
    /// Sizes, order, small buffers, time-outs, senders, overflow.
    messages;
    /// Many messages in one call, and one that cannot be sent.
    batch;
    /// Exact reads, pieces that are written as one, batches of messages that are received.
    pieces;
    /// The event descriptor is readable exactly when a pull would not wait.
    events;
    /// Message callbacks: order, queue first, replaced and unregistered from everywhere.
    callbacks;
    /// Log callbacks and levels.
    logs;
    /// Bytes, ends, time-outs, both directions at once, close wakes.
    streams;
    /// The pointer of its own that a program keeps with each stream.
    user_data;
    /// What each stream counts, and what the kernel tells of its connection.
    stream_stats;
    /// Options, limits, resets, polling, detaching.
    stream_ends;
    /// A thousand streams at once.
    crowd;
    /// Limits, each refusal counted under its reason and logged at a bounded rate.
    reasons;
    /// A callback per stream, in a thread of its own.
    stream_callback;
    /// Every waiting call wakes on close, callbacks finish first, of many closers one closes.
    closing;
    /// Files, pipes, sockets and /proc files over streams.
    files;
    /// File transfers that stop half-way.
    nothing_lost;
    /// Round trips, series, no answer, many threads, from inside a callback.
    rtt;
    /// Every counter.
    stats;
    /// A process without descriptors to spare.
    limits;
    /// The bytes on the wire, by a peer that knows only the protocol.
    wire;
}

/// The C++ header: errors, ownership, handlers, and exceptions that stay where they are.
#[test]
fn the_cpp_wrapper() {
    CProgram::new("wrapper", Dialect::Cpp17).run();
}

/// A host may link the library into itself.
#[test]
fn from_the_static_library() {
    CProgram::with_static_library("status", Dialect::C11).run();
}
