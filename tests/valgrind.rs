//! The library is memory-clean: no bad access, no lost block. The programs that one host can run, but
//! those that starve the process, fork it, or look at how its threads sleep.

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
