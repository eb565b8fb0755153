use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use std::sync::OnceLock;

fn kernel() -> &'static Kernel {
    static KERNEL: OnceLock<Kernel> = OnceLock::new();
    KERNEL.get_or_init(Kernel::new)
}

const OWN: OwnPort = OwnPort::Configured(5000);

fn lo() -> Scope<'static> {
    Scope {
        interface: "lo",
        index: Some(1),
        kernel: kernel(),
    }
}

#[test]
fn every_form_of_a_peer_is_read() {
    let bare = parse("fe80::1%lo", lo(), OWN).unwrap();
    assert_eq!((bare.port(), bare.scope_id()), (5000, 1));
    for same in [
        "fe80::1",
        "fe80::1%1",
        "fe80:0::1%lo",
        "[fe80::1]:5000",
        "[fe80::1%1]:5000",
    ] {
        assert_eq!(parse(same, lo(), OWN).unwrap(), bare, "{same}");
    }
    assert_eq!(parse("[::1%lo]:6000", lo(), OWN).unwrap().port(), 6000);
}

#[test]
fn what_is_no_peer_is_refused_and_quoted() {
    let wrong = [
        "",
        " ",
        "%lo",
        "127.0.0.1",
        "::ffff:127.0.0.1",
        "localhost",
        "fe80::1 ",
        " fe80::1",
        "::",
        "fe80::1%",
        "fe80::1%lo ",
        "fe80::1%0",
        "fe80::1%lo%lo",
        "fe80::1%99999999999",
        "[fe80::1]",
        "[fe80::1]:",
        "[fe80::1]:0",
        "[fe80::1]:65536",
        "[fe80::1]:+1",
        "[fe80::1]:5000x",
        "fe80::1]:5000",
        "[[fe80::1]]:5000",
        "fe80::1:5000:%lo",
        "[]:5000",
        "fe80::1%lo\n",
    ];
    for text in wrong {
        let error = parse(text, lo(), OWN).unwrap_err();
        assert!(quotes(&error, text), "{text:?}: {error:?}");
    }
}

#[test]
fn a_port_without_brackets_is_refused_with_the_form_that_was_meant() {
    for (text, words) in [
        (
            "::1%lo:5000",
            ["\"lo:5000\" cannot be", "did you mean \"[::1%lo]:5000\"?"],
        ),
        (
            "[::1%lo]",
            ["ends in \"]:PORT\"", "did you mean \"::1%lo\"?"],
        ),
        (
            "::1%lo:70000",
            ["::1%lo:70000", "did you mean \"[::1%lo]:PORT\"?"],
        ),
        (
            "127.0.0.1:5000",
            ["it is an IPv4 address", "127.0.0.1:5000"],
        ),
    ] {
        let error = parse(text, lo(), OWN).unwrap_err().to_string();
        assert!(words.iter().all(|words| error.contains(words)), "{error}");
    }
}

#[test]
fn a_port_that_the_kernel_chose_is_no_peers() {
    let own = OwnPort::new(0, 40_000, "control_port");
    for bare in [
        "fe80::1",
        "fe80::1%lo",
        "fe80::1%1",
        "2001:db8::1",
        "ff02::1",
    ] {
        let error = parse(bare, lo(), own).unwrap_err();
        assert!(quotes(&error, bare), "{error:?}");
        let reason = error.to_string();
        let ip = bare.split('%').next().unwrap();
        let advice = format!("(control_port is 0): write [{ip}%lo]:PORT");
        assert!(reason.contains(&advice), "{reason}");
    }
    assert_eq!(parse("[fe80::1]:5000", lo(), own).unwrap().port(), 5000);
    assert_eq!(parse("::1%lo", lo(), own).unwrap().port(), 40_000);
    assert_eq!(parse("fe80::1", lo(), own.ignored()).unwrap().port(), 1);
    // A peer can have the same port by chance.
    let peer = SocketAddrV6::new("fe80::1".parse().unwrap(), 40_000, 0, 1);
    assert_eq!(format(&peer, "lo", own), "[fe80::1%lo]:40000");
    let ourselves = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 40_000, 0, 1);
    assert_eq!(format(&ourselves, "lo", own), "::1%lo");
}

#[test]
fn interfaces_that_are_not_ours_are_told_from_those_that_do_not_exist() {
    let elsewhere = Scope {
        interface: "thunderbolt0",
        index: Some(999_999),
        kernel: kernel(),
    };
    let error = |text| parse(text, elsewhere, OWN).unwrap_err();
    assert!(matches!(
        error("fe80::1%lo"),
        TransportError::InvalidAddress(_)
    ));
    assert!(matches!(
        error("fe80::1%1"),
        TransportError::InvalidAddress(_)
    ));
    assert!(matches!(
        error("fe80::1%none0"),
        TransportError::InterfaceNotFound(_)
    ));
    assert!(matches!(
        error("fe80::1%888888"),
        TransportError::InterfaceNotFound(_)
    ));
}

/// Whether the error rejects the peer string and quotes it.
fn quotes(error: &TransportError, text: &str) -> bool {
    let start = format!("invalid peer address \"{text}\": ");
    matches!(error, TransportError::InvalidAddress(reason) if reason.starts_with(&start))
}

/// Whether the error quotes the interface of the peer string that was not found.
fn names_the_zone(error: &str, text: &str) -> bool {
    let named = error.strip_prefix("network interface \"");
    let zone = named.and_then(|rest| rest.split_once("\" not found: "));
    zone.is_some_and(|(zone, _)| text.contains(&format!("%{zone}")))
}

#[test]
fn an_interface_with_brackets_in_its_name_is_named() {
    for text in ["::1%a]b", "[::1%a]b]:5000", "[::1%]]:5000"] {
        let error = parse(text, lo(), OWN).unwrap_err();
        assert!(names_the_zone(&error.to_string(), text), "{text}: {error}");
    }
}

/// Pieces of peer strings, and characters that are not valid there.
fn piece() -> impl Strategy<Value = String> {
    let known = [
        "[",
        "]",
        "]:",
        ":",
        "%",
        "%lo",
        "%1",
        "::1",
        "fe80::1",
        "fe80::a:b",
        "0",
        "6000",
        "65536",
        "+1",
        "127.0.0.1",
        "::ffff:1.2.3.4",
        "ff02::1",
        "\0",
        " ",
    ];
    prop_oneof![
        4 => proptest::sample::select(known.map(str::to_owned).to_vec()),
        1 => any::<char>().prop_map(String::from),
    ]
}

proptest! {
    #[test]
    fn any_string_means_what_it_is_written_as_or_is_quoted(pieces in vec(piece(), 0..6)) {
        let text = pieces.concat();
        match parse(&text, lo(), OWN) {
            Ok(address) => {
                prop_assert_ne!(address.port(), 0);
                prop_assert_eq!(address.scope_id(), 1);
                let written = format(&address, "lo", OWN);
                prop_assert_eq!(parse(&written, lo(), OWN).ok(), Some(address));
            }
            Err(error @ TransportError::InterfaceNotFound(_)) => {
                prop_assert!(names_the_zone(&error.to_string(), &text), "{error}");
            }
            Err(error) => prop_assert!(quotes(&error, &text), "{error:?}"),
        }
    }

    #[test]
    fn any_address_on_any_interface_is_read_back(
        ip: u128, port in 1..=u16::MAX, own_port: u16, configured: bool, interface in "[^/:%\\s\\x00]{1,3}"
    ) {
        let scope = Scope { interface: &interface, index: Some(7), kernel: kernel() };
        let address = SocketAddrV6::new(ip.into(), port, 0, 7);
        prop_assume!(!address.ip().is_unspecified() && address.ip().to_ipv4_mapped().is_none());
        let own_port = OwnPort::new(configured.into(), own_port, "control_port");
        let text = format(&address, &interface, own_port);
        prop_assert!(text.len() <= MAX_PEER_TEXT);
        prop_assert_eq!(parse(&text, scope, own_port).ok(), Some(address), "{}", text);
    }
}
