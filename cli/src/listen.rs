//! `dcf-tb listen`: prints incoming messages and accepts streams.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use thunderbolt_transport::{DataStream, ThunderboltTransport, TransportError, MAX_MESSAGE_SIZE};

use crate::bench::{self, Counting};
use crate::common::Common;
use crate::connect;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::handshake::{self, Opening, Service, Welcome};
use crate::interrupt;
use crate::output;
use crate::own_addresses::OwnAddresses;
use crate::paced_reader::{Pace, PacedReader};
use crate::throttle::Throttle;
use crate::units::{bytes, plural, rate_of};

/// Print the messages that peers send, and serve `dcf-tb bench`, until Ctrl-C.
///
/// While it runs, this host answers ping and discover. A stream of a program other than dcf-tb is read to its end
/// and counted, or sent back with --echo.
#[derive(Debug, Args)]
pub struct Options {
    /// Stop after this number of messages.
    #[arg(long, short, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// Print the bytes as hexadecimal digits.
    #[arg(long)]
    hex: bool,

    /// Print one JSON object per line, with the bytes as hexadecimal digits.
    #[arg(long, conflicts_with = "hex")]
    json: bool,

    /// Send messages and streams back to their senders.
    #[arg(long)]
    echo: bool,

    /// Accept messages and streams from any user of this machine, too.
    #[arg(long)]
    allow_local: bool,
}

#[derive(Serialize)]
struct Json<'a> {
    from: &'a str,
    size: usize,
    hex: String,
    text: Option<&'a str>,
}

/// Why messages and streams from this machine are refused.
const LOCAL: &str =
    "it comes from this machine, where any user can send it (use `--allow-local` to accept it)";
/// The receive queue: a benchmark sends messages faster than a terminal shows them.
const WAITING: usize = 65_536;
/// An idle stream is closed after this time, because any host can open streams and each has a thread.
const PACE: Pace = Pace {
    bytes: 1,
    period: Duration::from_secs(3600),
};

pub fn run(common: &Common, options: &Options) -> Result<Exit, Failure> {
    interrupt::take_signals();
    let streams = Arc::new(AtomicU64::new(0));
    let counting = Arc::new(Counting::default());
    let lines = Arc::new(Throttle::new(10, Duration::from_millis(100)));
    let echo = options.echo;
    let own = Arc::new(OwnAddresses::new(options.allow_local));
    let transport = connect::server(common, |builder| {
        let streams = Arc::clone(&streams);
        let counted = Arc::clone(&counting);
        let lines = Arc::clone(&lines);
        let own = Arc::clone(&own);
        builder.receive_queue(WAITING).on_stream(move |stream| {
            let number = streams.fetch_add(1, Ordering::Relaxed) + 1;
            if own.refuses(stream.peer_address()) {
                return refuse(&stream, number, &own);
            }
            serve(&stream, number, echo, &counted, &lines);
        })
    })?;
    connect::report_listening(&transport);
    messages(&transport, options, &counting, &own, &lines)?;
    // With --count a signal interrupts an unfinished task.
    Ok(interrupt::exit(options.count.is_some()))
}

fn messages(
    transport: &ThunderboltTransport,
    options: &Options,
    counting: &Counting,
    own: &OwnAddresses,
    lines: &Throttle,
) -> Result<(), Failure> {
    let mut buf = vec![0; MAX_MESSAGE_SIZE];
    let mut taken = 0;
    while options.count.is_none_or(|count| taken < count) {
        let (size, from) = match transport.recv(&mut buf, None) {
            Ok(received) => received,
            Err(TransportError::Shutdown) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if counting.takes(&buf[..size]) {
            continue;
        }
        if own.refuses_message(&from) {
            if own.is_first() {
                output::note(&format!("a message from {from} was ignored: {LOCAL}"));
            }
            continue;
        }
        taken += 1;
        print(&buf[..size], &from, options);
        if options.echo {
            answer(transport, &buf[..size], &from, lines);
        }
    }
    Ok(())
}

/// Sends a message back. A sender can forge its address, and each new address that is answered takes an entry of
/// the kernel's neighbour table.
fn answer(transport: &ThunderboltTransport, message: &[u8], from: &str, lines: &Throttle) {
    match transport.may_answer(from) {
        Ok(true) => {}
        Ok(false) => {
            return lines.note(&format!(
                "a message from {from} was not answered: too many new addresses sent within the last minute"
            ));
        }
        Err(error) => return cannot_answer(from, error, lines),
    }
    if let Err(error) = transport.send_message(message, from) {
        cannot_answer(from, error, lines);
    }
}

fn cannot_answer(from: &str, error: TransportError, lines: &Throttle) {
    lines.note(&format!(
        "cannot answer {from}: {}",
        Failure::from(error).text
    ));
}

/// Refuses a stream: tells its program why, and the user once.
fn refuse(stream: &DataStream, number: u64, own: &OwnAddresses) {
    if own.is_first() {
        let peer = stream.peer();
        output::note(&format!("stream {number} from {peer} was refused: {LOCAL}"));
    }
    if let Ok(Opening::Asked(..)) = handshake::opening(stream, Some(handshake::PATIENCE)) {
        // The stream is refused even if this cannot be sent.
        let _ = handshake::answer(stream, Welcome::Local, 0);
    }
}

fn print(message: &[u8], from: &str, options: &Options) {
    let hex = || -> String { message.iter().map(|byte| format!("{byte:02x}")).collect() };
    if options.json {
        output::json_line(&Json {
            from,
            size: message.len(),
            hex: hex(),
            text: std::str::from_utf8(message).ok(),
        });
    } else if options.hex {
        output::line(&format!("{from}: {}", hex()));
    } else {
        output::line(&format!("{from}: {}", output::harmless(message)));
    }
}

/// Serves one stream to its end.
fn serve(stream: &DataStream, number: u64, echo: bool, counting: &Counting, lines: &Throttle) {
    let outcome = match handshake::opening(stream, None) {
        Ok(Opening::Asked(Service::Push, _)) => handshake::answer(stream, Welcome::NotServed, 0),
        Ok(Opening::Asked(service, _)) => handshake::answer(stream, Welcome::Granted, 0)
            .and_then(|()| bench::serve(stream, service, counting)),
        Ok(Opening::Unknown(welcome)) => handshake::answer(stream, welcome, 0),
        Ok(Opening::Other(first)) => other(stream, number, &first, echo, lines),
        Err(error) => Err(error),
    };
    if let Err(error) = outcome {
        if !matches!(error, TransportError::Shutdown | TransportError::Cancelled) {
            let why = Failure::from(error).text;
            lines.note(&format!("stream {number} from {}: {why}", stream.peer()));
        }
    }
}

/// Serves a stream that is not dcf-tb's.
fn other(
    stream: &DataStream,
    number: u64,
    first: &[u8],
    echo: bool,
    lines: &Throttle,
) -> Result<(), TransportError> {
    let begin = Instant::now();
    let mut total = first.len() as u64;
    if echo {
        stream.write_timeout(first, None).outcome?;
    }
    let mut reading = PacedReader::new(stream, PACE);
    while total > 0 {
        let bytes = reading.next()?;
        if bytes.is_empty() {
            break;
        }
        total += bytes.len() as u64;
        if echo {
            let written = stream.write_timeout(bytes, Some(PACE.period));
            written.outcome?;
        }
    }
    if echo {
        stream.finish()?;
    }
    let time = begin.elapsed().max(Duration::from_nanos(1));
    lines.note(&format!(
        "stream {number} from {}: {} in {:.3} s, {}",
        stream.peer(),
        if total < 1024 {
            plural(total, "byte", "bytes")
        } else {
            bytes(total)
        },
        time.as_secs_f64(),
        rate_of(total, time)
    ));
    Ok(())
}
