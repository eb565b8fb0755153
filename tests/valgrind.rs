//! The library has no bad access and no leak under valgrind. Runs the programs of one host, except those
//! that exhaust resources, fork, or observe how threads sleep.

use testkit::{CProgram, Dialect};

macro_rules! clean {
    ($($program:ident)*) => {$(
        #[test]
        fn $program() {
            CProgram::new(stringify!($program), Dialect::C11)
                .arg("brief")
                .under_valgrind()
                .run();
        }
    )*};
}

clean! {
    batch
    callbacks
    config
    events
    files
    handles
    life
    logs
    messages
    nothing_lost
    nulls
    options
    pieces
    presence
    reasons
    rtt
    stats
    status
    stream_callback
    stream_ends
    stream_stats
    streams
    user_data
    wire
}
