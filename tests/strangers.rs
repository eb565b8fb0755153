//! Other users of this machine.

use std::fs;
use std::io::{stderr, Write};

use testkit::{CProgram, Dialect, Host};

/// Other users try to bind our ports while the library has SO_REUSEPORT set on its own sockets.
///
/// In a user namespace with a single user id this tests less, and says so even where the output of passed
/// tests is hidden. CI runs as root.
#[test]
fn no_other_user_gets_our_ports() {
    let map = fs::read_to_string("/proc/self/uid_map").expect("procfs");
    let ids = map.split_whitespace().skip(2).step_by(3);
    if ids.eq(["1"]) {
        let note = "\nno_other_user_gets_our_ports: only one user id is mapped here, so attackers \
                    of another user were not tested; run this test as root\n";
        stderr().write_all(note.as_bytes()).expect("stderr");
    }
    let host = Host::alone();
    host.ip(&["address", "add", "fe80::5/64", "dev", "lo", "nodad"]);
    CProgram::new("port_theft", Dialect::C11).on(&host).run();
}
