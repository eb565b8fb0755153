//! Builds transports from the common options, and finds peers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use thunderbolt_transport::{
    DataStream, DiscoveredPeer, LogLevel, ThunderboltTransport, ThunderboltTransportBuilder,
    TransportError,
};

use crate::common::Common;
use crate::countdown::Countdown;
use crate::doctor::ports;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::hints::in_tool;
use crate::interface::{interface, is_auto};
use crate::interrupt;
use crate::output::{self, Verbosity};
use crate::peer::{check_peer, Peer};
use crate::service;
use crate::silence;
use crate::units::plural;

/// How long peers have to answer a search: thousands of times the round trip of a cable.
pub const DISCOVERY: Duration = Duration::from_millis(500);
/// A shorter search, which is enough unless the peer is busy.
const QUICK: Duration = Duration::from_millis(50);
/// How long a peer may take to accept a stream. Its kernel does, unless the host is off.
const CONNECT: Duration = Duration::from_secs(5);
/// The pause between two searches for a peer that is waited for.
const AGAIN: Duration = Duration::from_millis(250);
/// After this time a note tells the user about the wait.
const SLOW: Duration = Duration::from_secs(1);

/// The most peers that an error names, because a host on the link can answer under many addresses.
const NAMED: usize = 8;

/// A builder with the settings of every transport of this program.
fn builder(interface: String) -> ThunderboltTransportBuilder {
    let level = if output::wants(Verbosity::Everything) {
        LogLevel::Debug
    } else if output::wants(Verbosity::Verbose) {
        LogLevel::Info
    } else if output::wants(Verbosity::Normal) {
        LogLevel::Warn
    } else {
        LogLevel::Error
    };
    ThunderboltTransportBuilder::new()
        .interface(interface)
        .name_settings(false)
        .log_level(level)
        .logger(|level, text| output::error(&format!("{level}: {}", in_tool(text))))
}

fn started(builder: ThunderboltTransportBuilder) -> Result<Arc<ThunderboltTransport>, Failure> {
    let transport = builder.build()?;
    interrupt::closes(Arc::downgrade(&transport));
    Ok(transport)
}

/// A transport for a client. It uses any free ports, so another program on this host may hold the default ports.
pub fn client(common: &Common, peer: Option<&str>) -> Result<Arc<ThunderboltTransport>, Failure> {
    client_with(common, peer, |builder| builder)
}

/// As [`client`], with more settings.
pub fn client_with(
    common: &Common,
    peer: Option<&str>,
    more: impl FnOnce(ThunderboltTransportBuilder) -> ThunderboltTransportBuilder,
) -> Result<Arc<ThunderboltTransport>, Failure> {
    check_peer(peer)?;
    let builder = builder(interface(common, peer))
        .control_port(0)
        .data_port(0);
    started(more(builder))
}

/// A transport for a server, at the ports of the options.
pub fn server(
    common: &Common,
    more: impl FnOnce(ThunderboltTransportBuilder) -> ThunderboltTransportBuilder,
) -> Result<Arc<ThunderboltTransport>, Failure> {
    let builder = builder(interface(common, None))
        .control_port(common.control_port)
        .data_port(common.data_port)
        .wait_for_interface(true);
    let transport = more(builder).build().map_err(taken)?;
    interrupt::closes(Arc::downgrade(&transport));
    Ok(transport)
}

/// Names the process that holds a port that is in use.
fn taken(error: TransportError) -> Failure {
    let (tables, port) = match &error {
        TransportError::AddressInUse { protocol, port, .. } => match protocol.starts_with("UDP") {
            true => (&ports::UDP, *port),
            false => (&ports::TCP, *port),
        },
        _ => return error.into(),
    };
    let holder = match ports::process(tables, port) {
        Some(process) => format!("held by {process}"),
        None => {
            "held by a process of another user; run `sudo dcf-tb doctor` to see which".to_owned()
        }
    };
    let mut failure = Failure::from(error);
    failure.text = format!("{} ({holder})", failure.text);
    failure
}

/// Reports where a server listens, or that it waits for its interface.
pub fn report_listening(transport: &ThunderboltTransport) {
    let interface = transport.interface();
    let status = if transport.get_stats().link_up {
        format!(
            "listening on {interface}: control port {}, data port {}",
            transport.control_port(),
            transport.data_port()
        )
    } else {
        let said = transport.set_link_handler(Some(Box::new(|event| {
            let state = if event.up { "up" } else { "down" };
            let status = format!("{} is {state}", event.interface);
            output::note(&status);
            service::status(&status);
        })));
        // Fails if the transport was closed meanwhile.
        drop(said);
        let what = match is_auto(&interface) {
            true => "a Thunderbolt interface".to_owned(),
            false => format!("the link on {interface}"),
        };
        format!("waiting for {what}; run `dcf-tb doctor` if it should be up")
    };
    output::note(&status);
    // A server is ready before the link is up: the cable may be plugged in at any time.
    service::ready(&status);
}

/// Returns the peer that the user named, or the only one on the link.
pub fn peer(
    transport: &ThunderboltTransport,
    common: &Common,
    named: Option<&str>,
) -> Result<Peer, Failure> {
    if let Some(text) = named {
        return Ok(Peer::new(text, common));
    }
    let search = |time| transport.discover_port(common.control_port, Some(time));
    let found = match search(QUICK)? {
        found if found.is_empty() => search(DISCOVERY - QUICK)?,
        found => found,
    };
    select(transport, common, &found)
}

/// As [`peer`] without a name, but waits for a peer, and for the link, that are not there yet.
pub fn peer_within(
    transport: &ThunderboltTransport,
    common: &Common,
    limit: Duration,
) -> Result<Peer, Failure> {
    let begin = Instant::now();
    let mut countdown = None;
    loop {
        let found = transport.discover_port(common.control_port, Some(QUICK));
        let why = match found {
            Ok(found) if !found.is_empty() => {
                drop(countdown);
                return select(transport, common, &found);
            }
            Ok(_) => format!("no receiver answers yet on {}", transport.interface()),
            Err(TransportError::LinkDown { reason, .. }) if begin.elapsed() < limit => {
                format!("the link is down: {reason}")
            }
            Err(error) => return Err(error.into()),
        };
        if begin.elapsed() >= limit {
            drop(countdown);
            return Err(no_peer(transport, common));
        }
        countdown.get_or_insert_with(|| Countdown::new(&why, limit));
        if interrupt::sleep(AGAIN) {
            return Err(Failure::new(Exit::Interrupted, "interrupted"));
        }
    }
}

/// The only one of the peers that answered.
fn select(
    transport: &ThunderboltTransport,
    common: &Common,
    found: &[DiscoveredPeer],
) -> Result<Peer, Failure> {
    match found {
        [only] => {
            let peer = Peer::found(only, common);
            output::detail(&format!("found {}", peer.name));
            Ok(peer)
        }
        [] => Err(no_peer(transport, common)),
        several => {
            let mut names: Vec<_> = several
                .iter()
                .take(NAMED)
                .map(|peer| Peer::found(peer, common).name)
                .collect();
            if several.len() > NAMED {
                names.push("…".to_owned());
            }
            Err(Failure::new(
                Exit::Peer,
                format!(
                    "{} answered on {}: {}",
                    plural(several.len() as u64, "peer", "peers"),
                    transport.interface(),
                    names.join(", ")
                ),
            )
            .advise("give one of them as PEER"))
        }
    }
}

/// The peers that answer now. `None`: the link is down, or the search failed.
pub fn present(transport: &ThunderboltTransport, common: &Common) -> Option<Vec<Peer>> {
    let found = transport.discover_port(common.control_port, Some(DISCOVERY));
    let found = found.ok()?;
    Some(found.iter().map(|peer| Peer::found(peer, common)).collect())
}

/// Describes that a peer no longer answers, and which peers do.
pub fn gone(peer: &Peer, present: &[Peer]) -> String {
    let mut names: Vec<&str> = present.iter().map(|peer| &*peer.name).collect();
    names.truncate(NAMED);
    format!(
        "{} no longer answers; these peers do: {}",
        peer.name,
        names.join(", ")
    )
}

/// The failure of a search without an answer.
pub fn no_peer(transport: &ThunderboltTransport, common: &Common) -> Failure {
    Failure::new(
        Exit::Peer,
        format!(
            "no peer answered on {}, control port {}",
            transport.interface(),
            common.control_port
        ),
    )
    .advise(silence::advice(transport, common, None))
}

/// Opens a stream to a peer, and says so if that takes long.
pub fn open(transport: &ThunderboltTransport, peer: &Peer) -> Result<DataStream, TransportError> {
    static IS_NOTED: AtomicBool = AtomicBool::new(false);
    let open = |limit| transport.open_data_stream_timeout(&peer.data, Some(limit));
    match open(SLOW) {
        Err(TransportError::Timeout) => {
            if !IS_NOTED.swap(true, Ordering::Relaxed) {
                output::note(&format!(
                    "{} has not answered yet; waiting for up to {} s",
                    peer.name,
                    CONNECT.as_secs()
                ));
            }
            open(CONNECT - SLOW)
        }
        opened => opened,
    }
}

/// Whether this error of [`open`] means that the peer does not answer.
pub fn is_silent(error: &TransportError) -> bool {
    matches!(
        error,
        TransportError::ConnectionFailed(_) | TransportError::Timeout
    )
}

/// As [`open`], with advice why the peer may not answer.
pub fn stream(
    transport: &ThunderboltTransport,
    common: &Common,
    peer: &Peer,
) -> Result<DataStream, Failure> {
    open(transport, peer).map_err(|error| match is_silent(&error) {
        true => Failure::from(error).advise(silence::advice(transport, common, Some(peer))),
        false => error.into(),
    })
}
