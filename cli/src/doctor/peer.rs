//! Checks the other host: whether it answers, and its MTU.

use thunderbolt_transport::TransportError;

use super::finding::Finding;
use super::sysroot::SysRoot;
use crate::common::Common;
use crate::connect::{self, DISCOVERY};
use crate::failure::Failure;
use crate::peer::Peer;
use crate::units::short_time;

/// The headers of a segment: IPv6, TCP, and the timestamp option.
const HEADERS: u64 = 40 + 20 + 12;
/// Smaller segments are set by the peer. Before any data has arrived, the kernel sends at most half of the peer's
/// first window, which is 64 KiB.
const TELLING: u64 = 30_000;

/// Compares the MTUs: a peer announces its largest segment when a stream is opened.
pub fn mtu(sys: &SysRoot, name: &str, common: &Common, named: Option<&str>) -> Finding {
    const CHECK: &str = "peer";
    let Some(ours) = sys.number(&format!("sys/class/net/{name}/mtu")) else {
        return Finding::unknown(CHECK, "cannot read our own MTU");
    };
    let asked = ask(name, common, named);
    match asked {
        Err(failure) => Finding::note(CHECK, format!("not checked: {}", failure.text)).advise(
            failure
                .advice
                .unwrap_or_else(|| "start `dcf-tb listen` on the other host to compare its MTU".to_owned()),
        ),
        Ok(Asked { peer, rtt, segment }) if segment < TELLING && segment + HEADERS < ours => Finding::problem(
            CHECK,
            format!(
                "{peer} answers in {rtt}, but its MTU is about {}: larger packets are lost (ours is {ours})",
                segment + HEADERS
            ),
        )
        .advise(format!(
            "on the other host, with the name of its INTERFACE: sudo ip link set dev INTERFACE mtu {ours}"
        )),
        Ok(Asked { peer, rtt, segment }) => Finding::good(
            CHECK,
            format!(
                "{peer} answers in {rtt} and accepts packets of {} bytes (larger ones were not tried)",
                (segment + HEADERS).min(ours)
            ),
        ),
    }
}

struct Asked {
    peer: String,
    rtt: String,
    segment: u64,
}

fn ask(name: &str, common: &Common, named: Option<&str>) -> Result<Asked, Failure> {
    let on = Common {
        interface: name.to_owned(),
        ..common.clone()
    };
    let transport = connect::client(&on, None)?;
    let peer: Peer = connect::peer(&transport, &on, named)?;
    let rtt = transport.round_trip(&peer.control, Some(DISCOVERY))?;
    let stream = connect::open(&transport, &peer)?;
    let socket = socket2::Socket::from(stream.detach()?);
    let segment = socket.tcp_mss().map_err(|source| {
        let text = format!("cannot read socket option TCP_MAXSEG: {source}");
        Failure::from(TransportError::SocketOption(text))
    })?;
    Ok(Asked {
        peer: peer.name,
        rtt: short_time(rtt),
        segment: segment.into(),
    })
}
