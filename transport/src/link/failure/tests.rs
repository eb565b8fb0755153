use super::super::state::{CarrierLoss, Missing};
use super::*;
use crate::link::Current;
use crate::ThunderboltTransportBuilder;
use std::sync::mpsc;
use testkit::GENEROUS;

/// The kind of an error, without its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Is {
    LinkDown,
    Connection,
    Permission,
    Files,
    Memory,
    Io,
}

fn is(error: &TransportError) -> Is {
    match error {
        TransportError::LinkDown { .. } => Is::LinkDown,
        TransportError::ConnectionFailed(_) => Is::Connection,
        TransportError::PermissionDenied { .. } => Is::Permission,
        TransportError::TooManyFiles { .. } => Is::Files,
        TransportError::OutOfMemory { .. } => Is::Memory,
        TransportError::Io(_) => Is::Io,
        other => panic!("{other:?}"),
    }
}

fn to(text: &str) -> SocketAddrV6 {
    SocketAddrV6::new(text.parse().unwrap(), 5000, 0, 7)
}

/// Every errno of Linux, the large numbers of the network among them.
const ALL: std::ops::RangeInclusive<i32> = 1..=133;

/// What each errno is: while a link is up, and while it is not.
fn expected(errno: i32, attempt: Attempt<'_>) -> (Is, Is) {
    use Attempt::{Bind, Connect, Connection, Opening, Send};
    let both = |is| (is, is);
    let begins = matches!(attempt, Send(_) | Connect(_));
    match errno {
        libc::ENODEV if matches!(attempt, Bind(_)) => (Is::Io, Is::LinkDown),
        libc::ENETDOWN | libc::ENODEV | libc::ENXIO => both(Is::LinkDown),
        libc::ENETUNREACH => (Is::Connection, Is::LinkDown),
        libc::EADDRNOTAVAIL => (Is::Io, Is::LinkDown),
        libc::EINVAL if begins => (Is::Io, Is::LinkDown),
        libc::EACCES if matches!(attempt, Opening(_) | Connection) => both(Is::Connection),
        libc::EACCES | libc::EPERM => both(Is::Permission),
        libc::EMFILE | libc::ENFILE => both(Is::Files),
        libc::ENOMEM => both(Is::Memory),
        libc::EHOSTUNREACH
        | libc::EHOSTDOWN
        | libc::EPROTO
        | libc::ECONNREFUSED
        | libc::ECONNRESET
        | libc::ECONNABORTED
        | libc::EPIPE
        | libc::ENOTCONN
        | libc::ETIMEDOUT => both(Is::Connection),
        _ => both(Is::Io),
    }
}

fn states() -> Vec<LinkState> {
    vec![
        LinkState::Up,
        LinkState::Absent(Absence::NotThere),
        LinkState::Absent(Absence::Gone),
        LinkState::Absent(Absence::Moved),
        LinkState::Down,
        LinkState::NoCarrier(CarrierLoss::NoSignal),
        LinkState::NoCarrier(CarrierLoss::Dormant),
        LinkState::Addressless(Missing::Disabled),
        LinkState::Addressless(Missing::Nothing),
        LinkState::Unbound("the port is taken".to_owned()),
        LinkState::Interrupted,
    ]
}

#[test]
fn every_errno_means_what_the_state_of_the_link_allows() {
    let peer = to("fd00::9");
    let attempts = [
        Attempt::Send(&peer),
        Attempt::Connect(&peer),
        Attempt::Opening(&peer),
        Attempt::Connection,
        Attempt::Bind("tb0"),
    ];
    let mut seen = 0;
    for attempt in attempts {
        for errno in ALL {
            let (when_up, when_down) = expected(errno, attempt);
            for state in states() {
                let up = state == LinkState::Up;
                let source = io::Error::from_raw_os_error(errno);
                let error = sort(attempt, "cannot do it".into(), source, "tb0", &state, false);
                let case = format!("errno {errno}, {attempt:?}, {state:?}: {error}");
                assert_eq!(is(&error), if up { when_up } else { when_down }, "{case}");
                let text = error.to_string();
                assert!(text.contains("cannot do it"), "{case}");
                let kernel = io::Error::from_raw_os_error(errno).to_string();
                if errno != libc::ENOMEM {
                    assert!(text.contains(&kernel), "{case}");
                    assert_eq!(error.raw_os_error(), Some(errno), "{case}");
                }
                // The text does not contradict the state of the link.
                let text = text.replace(&kernel, "");
                match up {
                    true => assert!(
                        is(&error) == Is::LinkDown || !text.contains("is down"),
                        "{case}"
                    ),
                    false => assert!(!text.contains("is up"), "{case}"),
                }
                if !up && is(&error) == Is::LinkDown {
                    assert!(text.contains(&state.reason("tb0")), "{case}");
                }
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 5 * 133 * states().len());
}

fn said(errno: i32, attempt: Attempt<'_>, any_source: bool) -> String {
    let source = io::Error::from_raw_os_error(errno);
    let action = "cannot send to it".to_owned();
    sort(attempt, action, source, "tb0", &LinkState::Up, any_source).to_string()
}

/// Advice fits the address, and the transport: one that refuses what comes from other addresses than
/// link-local ones gains nothing by a route.
#[test]
fn what_to_do_about_a_missing_route_depends_on_the_address() {
    let text = |address: &str, any| said(libc::ENETUNREACH, Attempt::Send(&to(address)), any);
    for address in ["fd00::9", "2001:db8::1", "64:ff9b::1", "fec0::1"] {
        let text_any = text(address, true);
        let route = format!("ip -6 route add {address}/128 dev tb0");
        assert!(text_any.contains(&route), "{text_any}");
        let text = text(address, false);
        assert!(text.contains("link-local address, fe80::"), "{text}");
        assert!(!text.contains("route add"), "{text}");
    }
    assert!(text("fe80::1", false).contains("ip -6 route add fe80::/64 dev tb0"));
    assert!(text("::1", false).contains("only lo leads to"));
    assert!(text("ff02::1", false).contains("ff00::/8"));
}

/// A link that is up as far as we know, with the interface of this index.
fn link(index: u32, name: &str) -> Link {
    let link = Link::absent(name);
    link.set(Current {
        name: name.to_owned(),
        index: Some(index),
        state: LinkState::Up,
        multicast: true,
        addresses: vec![Ipv6Addr::LOCALHOST],
    });
    link
}

fn failed(link: &Link, attempt: Attempt<'_>, errno: i32) -> TransportError {
    let source = io::Error::from_raw_os_error(errno);
    link.failed(attempt, "cannot do it".to_owned(), source, false)
}

fn on_lo() -> SocketAddrV6 {
    SocketAddrV6::new(Ipv6Addr::LOCALHOST, 5000, 0, 1)
}

#[test]
fn the_kernel_is_asked_when_our_knowledge_may_be_old() {
    // lo is up, and so it stays.
    let peer = on_lo();
    let up = link(1, "lo");
    let error = failed(&up, Attempt::Send(&peer), libc::ENETUNREACH);
    assert_eq!(is(&error), Is::Connection, "{error}");
    assert!(!up.is_doubted());

    // It is gone already, and the notification is on its way.
    let peer = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 5000, 0, 999_999);
    let gone = link(999_999, "tb0");
    let error = failed(&gone, Attempt::Send(&peer), libc::ENETUNREACH);
    assert_eq!(is(&error), Is::LinkDown, "{error}");
    assert!(
        error.to_string().contains("the interface is gone"),
        "{error}"
    );
    assert!(gone.take_doubt(), "who waits is told when it is back");
}

#[test]
fn an_address_of_the_incarnation_before_is_no_argument_that_is_invalid() {
    let peer = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 5000, 0, 999_999);
    for attempt in [Attempt::Send(&peer), Attempt::Connect(&peer)] {
        let error = failed(&link(1, "lo"), attempt, libc::EINVAL);
        assert_eq!(is(&error), Is::LinkDown, "{error}");
    }
}

/// A socket is made in the network namespace of the thread that makes it, which the link is perhaps
/// not in.
#[test]
fn a_device_that_is_missing_for_one_thread_only_is_no_link_that_is_down() {
    let error = failed(&link(1, "lo"), Attempt::Bind("lo"), libc::ENODEV);
    assert_eq!(is(&error), Is::Io, "{error}");
    assert!(error.to_string().contains("network namespace"), "{error}");
    let renamed = failed(&link(1, "lo"), Attempt::Bind("lo-before"), libc::ENODEV);
    assert_eq!(is(&renamed), Is::LinkDown, "{renamed}");
}

/// ENETDOWN says that the link was down, however short. A program that waits for it then must not
/// wait for ever, although nothing has changed at the next look.
#[test]
fn a_link_that_was_down_for_a_moment_is_doubted_and_said_to_be_back() {
    let lo = link(1, "lo");
    let error = failed(&lo, Attempt::Send(&on_lo()), libc::ENETDOWN);
    assert!(
        matches!(error, TransportError::LinkDown { back: true, .. }),
        "{error:?}"
    );
    let text = error.to_string();
    assert!(text.contains("\"lo\" went down, and is up again"), "{text}");
    assert!(lo.is_doubted() && lo.take_doubt());
}

/// The handler is called for the outage and for its end, although no look of the event loop saw one.
#[test]
fn whoever_waits_for_a_link_that_was_down_for_a_moment_hears_of_its_end() {
    let (sender, events) = mpsc::channel();
    let transport = ThunderboltTransportBuilder::new()
        .interface("lo")
        .control_port(0)
        .data_port(0)
        .on_link(move |event| sender.send(event.up).unwrap())
        .build()
        .unwrap();
    for errno in [libc::ENETDOWN, libc::ENODEV, libc::ENXIO] {
        let source = io::Error::from_raw_os_error(errno);
        let attempt = Attempt::Send(&on_lo());
        let error = transport
            .core()
            .context
            .failed(attempt, "cannot do it".into(), source);
        assert_eq!(is(&error), Is::LinkDown, "{error}");
        for up in [false, true] {
            assert_eq!(events.recv_timeout(GENEROUS).unwrap(), up);
        }
    }
    // An error that does not concern the link is no outage.
    let source = io::Error::from_raw_os_error(libc::ENETUNREACH);
    let attempt = Attempt::Send(&on_lo());
    let error = transport
        .core()
        .context
        .failed(attempt, "cannot do it".into(), source);
    assert_eq!(is(&error), Is::Connection, "{error}");
    assert_eq!(transport.get_stats().link_changes, 6);
    transport.close();
    assert!(events.try_recv().is_err());
}
