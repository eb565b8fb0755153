//! The library is memory-clean: no bad access, no lost block.

use testkit::{CProgram, Dialect};

fn clean(program: &str, argument: &str) {
    CProgram::new(program, Dialect::C11)
        .arg(argument)
        .under_valgrind()
        .run();
}

#[test]
fn life() {
    clean("life", "brief");
}

#[test]
fn messages() {
    clean("messages", "brief");
}

#[test]
fn streams() {
    clean("stream_callback", "brief");
}
