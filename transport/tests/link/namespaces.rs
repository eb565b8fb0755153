//! A thread may be in another network namespace than the transport that it calls, and sysfs shows the
//! namespace in which it was mounted. Errors describe the interfaces of the transport's namespace.

use std::time::Duration;

use testkit::{Cable, Host, GENEROUS};
use thunderbolt_transport::{ThunderboltTransportBuilder, TransportError};

use crate::{ip, reaches, Watched};

#[test]
fn the_interfaces_that_an_error_lists_are_those_of_this_namespace() {
    let host = Host::alone();
    ip(&host, "link add only-here0 type veth peer name only-here1");
    for name in ["thunderbolt7", "auto"] {
        let error = host
            .run(|| ThunderboltTransportBuilder::new().interface(name).build())
            .unwrap_err();
        assert!(matches!(error, TransportError::InterfaceNotFound(_)));
        let text = error.to_string();
        let list = text.rsplit("this host has: ").next().unwrap();
        assert_eq!(list, "lo, only-here0, only-here1", "{text}");
    }
    ip(&host, "link delete only-here0");
}

#[test]
fn interfaces_that_peer_strings_name_are_looked_for_where_the_transport_is() {
    let cable = Cable::new();
    let a = Watched::start(cable.a(), ThunderboltTransportBuilder::new());
    ip(
        cable.a(),
        "link add only-here0 type veth peer name only-here1",
    );
    ip(
        cable.a(),
        "link property add dev thunderbolt0 altname cable-to-b",
    );
    let elsewhere = Host::alone();
    for caller in [cable.a(), &elsewhere] {
        let send = |peer: &str| caller.run(|| a.transport.send_message(b"x", peer));
        let other = send("fe80::1%only-here0").unwrap_err();
        assert!(
            matches!(other, TransportError::InvalidAddress(_)),
            "{other}"
        );
        let missing = send("fe80::1%no-such0").unwrap_err();
        // From another namespace it is unknown whether the interface exists. It is not the transport's.
        let told = match missing {
            TransportError::InterfaceNotFound(_) => "not found",
            TransportError::InvalidAddress(_) => "not ours",
            other => panic!("{other}"),
        };
        let is_here = std::ptr::eq(caller, cable.a());
        assert_eq!(told, if is_here { "not found" } else { "not ours" });
        send("fe80::1%thunderbolt0").expect("our own name");
    }
    let send = || a.transport.send_message(b"x", "fe80::1%cable-to-b");
    cable.a().run(send).expect("its alternative name");
}

/// Sockets belong to the namespace of the thread that creates them, where the interface may not exist.
/// That is not LINK_DOWN, because no event would ever bring the link up again.
#[test]
fn a_call_from_another_namespace_does_not_say_that_the_link_is_down() {
    let cable = Cable::new();
    let a = Watched::start(cable.a(), ThunderboltTransportBuilder::new());
    let _b = Watched::start(cable.b(), ThunderboltTransportBuilder::new());
    let (elsewhere, b) = (Host::alone(), cable.b().address());
    elsewhere.run(|| {
        let measured = a.transport.round_trip(b, Some(GENEROUS)).unwrap_err();
        let opened = a.transport.open_data_stream(b).unwrap_err();
        for error in [measured, opened] {
            let text = error.to_string();
            assert!(matches!(error, TransportError::Io(_)), "{text}");
            assert!(text.contains("another network namespace"), "{text}");
        }
        let found = a.transport.discover(Some(Duration::from_millis(50)));
        assert!(matches!(found, Err(TransportError::Io(_))), "{found:?}");
        let unroutable = a.transport.send_message(b"x", "fd00::9").unwrap_err();
        let text = unroutable.to_string();
        assert!(text.contains("thunderbolt0 is up"), "{text}");
    });
    reaches(&cable, &a.transport);
    assert_eq!(a.transport.get_stats().link_changes, 0);
}
