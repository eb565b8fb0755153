//! Peers that misbehave or fail do not affect other peers.

use testkit::{CProgram, Dialect};

#[test]
fn peers_that_flood_stall_reset_stay_silent_or_answer_wrongly() {
    CProgram::new("peers", Dialect::C11).run();
}
