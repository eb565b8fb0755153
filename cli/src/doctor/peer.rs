//! The other host: whether it answers, and whether its packets are as large as ours.

use thunderbolt_transport::TransportError;

use super::finding::Finding;
use super::sysroot::SysRoot;
use crate::common::Common;
use crate::connect::{self, Peer, DISCOVERY};
use crate::failure::Failure;
use crate::units::short_time;

/// What a segment has beside its data: headers of IPv6 and TCP, and the timestamp option.
const HEADERS: u64 = 40 + 20 + 12;
/// Up to here the segment is the peer's word: before any data have come, the kernel sends no more at once than
/// half of the peer's first window, which is 64 KiB.
const TELLING: u64 = 30_000;

/// Compares the MTUs: a peer tells the largest segment that it takes when a stream is opened.
pub fn mtu(sys: &SysRoot, name: &str, common: &Common, named: Option<&str>) -> Finding {
    const CHECK: &str = "peer";
    let Some(ours) = sys.number(&format!("sys/class/net/{name}/mtu")) else {
        return Finding::unknown(CHECK, "our own MTU cannot be read");
    };
    let asked = ask(name, common, named);
    match asked {
        Err(failure) => Finding::note(CHECK, format!("it was not asked: {}", failure.text))
            .advise("with `dcf-tb listen` over there, its MTU is compared with ours"),
        Ok(Asked { peer, rtt, segment }) if segment < TELLING && segment + HEADERS < ours => Finding::problem(
            CHECK,
            format!(
                "{peer} answers in {rtt}, and its MTU is about {}: what is larger gets lost (ours is {ours})",
                segment + HEADERS
            ),
        )
        .advise(format!(
            "over there, with INTERFACE as it is called there: sudo ip link set dev INTERFACE mtu {ours}"
        )),
        Ok(Asked { peer, rtt, segment }) => Finding::good(
            CHECK,
            format!(
                "{peer} answers in {rtt}, and takes packets of {} bytes (more was not tried)",
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
    let stream = transport.open_data_stream(&peer.data)?;
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
