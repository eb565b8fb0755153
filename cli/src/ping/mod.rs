//! `dcf-tb ping`: measures round trips, in the style of ping(8), with a histogram.

mod report;
mod target;

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use clap::Args;
use thunderbolt_transport::{ThunderboltTransport, TransportError};

use crate::common::{seconds, Common};
use crate::connect;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::hints::in_tool;
use crate::interrupt;
use crate::output;
use crate::units::in_microseconds;
use report::Series;
use target::Target;

/// Measure round trips to a peer, like ping(8): one per second until Ctrl-C.
///
/// The peer answers while any program with this transport runs there. Percentiles and a histogram are printed at
/// the end.
#[derive(Debug, Args)]
pub struct Options {
    /// The peer. If omitted, the only one on the link.
    peer: Option<String>,

    /// Stop after this number of pings.
    #[arg(long, short, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// Time between two pings. With 0, each is sent when the previous one was answered.
    #[arg(long, short, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    interval: Duration,

    /// How long to wait for an answer.
    #[arg(long, short = 'W', value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    timeout: Duration,

    /// Print only the result, as JSON.
    #[arg(long)]
    json: bool,
}

/// With a shorter interval, lines would scroll by too fast to read.
const READABLE: Duration = Duration::from_millis(2);

pub fn run(common: &Common, options: &Options) -> Result<Exit, Failure> {
    interrupt::take_signals();
    let transport = connect::client(common, options.peer.as_deref())?;
    let peer = connect::peer(&transport, common, options.peer.as_deref())?;
    let live = !options.json && !common.quiet && options.interval >= READABLE;
    if !options.json {
        output::note(&format!(
            "ping {} over {}, 16 bytes",
            peer.name,
            transport.interface()
        ));
    }
    let mut series = Series::new(peer.name.clone(), transport.interface());
    let mut target = Target::new(&transport, common, peer, options.peer.is_some());
    let outcome = measure(&transport, &mut target, options, live, &mut series);
    if series.sent() == 0 && outcome.is_err() {
        // A wrong address has no statistics.
    } else if options.json {
        output::json(&series.json());
    } else {
        series.lines().iter().for_each(|line| output::prose(line));
    }
    match outcome? {
        _ if series.received() > 0 => Ok(Exit::Done),
        None => Ok(Exit::Failed),
        Some(reason) => Err(Failure::new(Exit::Failed, reason)),
    }
}

fn measure(
    transport: &ThunderboltTransport,
    target: &mut Target<'_>,
    options: &Options,
    live: bool,
    series: &mut Series,
) -> Result<Option<String>, Failure> {
    // Why the last ping did not reach the peer.
    let mut reason = None;
    // Before the first answer, a wrong address or a link that is down is an error, not a lost ping.
    let mut answered_before = false;
    let begin = Instant::now();
    while options.count.is_none_or(|count| series.sent() < count) {
        let due = options.interval * u32::try_from(series.sent()).unwrap_or(u32::MAX);
        if interrupt::sleep(due.saturating_sub(begin.elapsed())) {
            break;
        }
        let number = series.sent() + 1;
        let time = match transport.round_trip(&target.peer.control, Some(options.timeout)) {
            Ok(time) => Some(time),
            Err(error) if is_undelivered(&error) => {
                reason = Some(in_tool(&error.last_error_text()));
                None
            }
            Err(TransportError::Timeout | TransportError::WouldBlock) => None,
            Err(TransportError::Shutdown | TransportError::Cancelled) => break,
            Err(
                error @ (TransportError::LinkDown { .. } | TransportError::ConnectionFailed(_)),
            ) if answered_before => {
                output::note(&in_tool(&error.last_error_text()));
                None
            }
            Err(error) => return Err(error.into()),
        };
        if time.is_some() {
            (answered_before, reason) = (true, None);
        }
        series.add(time);
        if live {
            output::prose(&match time {
                Some(time) => format!(
                    "16 bytes from {}: seq={number} time={}",
                    series.peer,
                    in_microseconds(time)
                ),
                None => match &reason {
                    None => format!("no answer from {}: seq={number}", series.peer),
                    Some(why) => format!("no answer from {}: seq={number}: {why}", series.peer),
                },
            });
        }
        match time {
            Some(_) => target.answered(),
            None => target.missed(),
        }
        if series.peer != target.peer.name {
            series.peer.clone_from(&target.peer.name);
            reason = None;
        }
    }
    Ok(reason)
}

/// Whether an ICMP error came back instead of an answer. The peer may be there the next time.
fn is_undelivered(error: &TransportError) -> bool {
    matches!(error, TransportError::ConnectionFailed(_))
        && matches!(
            error.kind(),
            ErrorKind::ConnectionRefused | ErrorKind::HostUnreachable
        )
}
