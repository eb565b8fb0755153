//! Messages with forged source addresses to `dcf-tb listen --echo`.

mod common;

use std::fs;
use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};

use common::{run, tool, Tool};
use testkit::{wait_until, Cable, Host, GENEROUS};

/// More than the number of neighbours that the kernel never evicts.
const MADE_UP: u16 = 900;
/// Addresses that are answered within a minute (SECURITY.md).
const ANSWERED: usize = 512;

fn made_up_neighbours(host: &Host) -> usize {
    let shown = host.ip(&["-6", "neigh", "show", "dev", "thunderbolt0", "nud", "all"]);
    let made_up = |line: &&str| line.starts_with("fe80::dead:");
    shown.lines().filter(made_up).count()
}

#[test]
fn echoes_to_made_up_addresses_are_limited() {
    let cable = Cable::new();
    let mut listener = Tool::start(tool(cable.a(), &["listen", "--echo"]));
    listener.wait_err("listening on thunderbolt0");
    let bare = cable.a().address().split('%').next().unwrap();
    let victim = SocketAddrV6::new(bare.parse().unwrap(), 5000, 0, cable.index() + 1);
    cable.b().run(|| {
        fs::write("/proc/sys/net/ipv6/ip_nonlocal_bind", "1").expect("a host of our own");
        for n in 0..MADE_UP {
            let source = Ipv6Addr::new(0xfe80, 0, 0, 0, 0xdead, 0, 0, n);
            let from = SocketAddrV6::new(source, 0, 0, victim.scope_id());
            let socket = UdpSocket::bind(from).expect("ip_nonlocal_bind lets us");
            socket.send_to(b"echo this", victim).expect("room");
        }
    });
    wait_until("made-up addresses are answered", GENEROUS, || {
        made_up_neighbours(cable.a()) > 0
    });
    listener.wait_err("was not answered");
    // Messages are handled in order.
    run(tool(cable.b(), &["send", "the end", cable.a().address()])).with(0);
    listener.wait_out("the end");
    let neighbours = made_up_neighbours(cable.a());
    assert!(neighbours <= ANSWERED, "{neighbours}");
    listener.interrupt();
    listener.end();
}
