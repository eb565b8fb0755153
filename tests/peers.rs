//! Peers that misbehave or are unlucky: none of them takes anything from the others.

use testkit::{CProgram, Dialect};

#[test]
fn that_flood_stall_reset_say_nothing_or_answer_wrongly() {
    CProgram::new("peers", Dialect::C11).run();
}
