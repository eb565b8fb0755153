//! The time for all of something, however many calls it takes. A limit for each call would let a peer that
//! sends a byte now and then hold a place for ever.

use std::fmt;
use std::time::{Duration, Instant};

use thunderbolt_transport::{DataStream, TransportError};

/// The least that a call waits: with nothing it would not wait at all, and say so.
const LEAST: Duration = Duration::from_millis(1);

/// The error of a wait that took too long.
pub fn late(what: impl fmt::Display, after: Duration) -> TransportError {
    let after = after.as_millis();
    TransportError::timed_out(format_args!("{what}: nothing within {after} ms"))
}

#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    end: Instant,
    after: Duration,
}

impl Deadline {
    pub fn after(after: Duration) -> Self {
        let now = Instant::now();
        // Farther away than a clock can tell: a day is as good as for ever.
        let end = now.checked_add(after);
        Self {
            end: end.unwrap_or_else(|| now + Duration::from_secs(86_400)),
            after,
        }
    }

    /// This one or the other, whichever comes first.
    pub fn or_within(self, other: Duration) -> Self {
        let other = Self::after(other);
        match other.end < self.end {
            true => other,
            false => self,
        }
    }

    pub fn is_over(&self) -> bool {
        Instant::now() >= self.end
    }

    /// The limit for the next call.
    pub fn left(&self) -> Duration {
        self.end
            .saturating_duration_since(Instant::now())
            .max(LEAST)
    }

    /// An error when the time is up.
    pub fn check(&self, what: impl FnOnce() -> String) -> Result<(), TransportError> {
        match self.is_over() {
            false => Ok(()),
            true => Err(late(what(), self.after)),
        }
    }

    /// Fills `buf`, or reads to the end of the stream; gives how much there was.
    pub fn read(&self, stream: &DataStream, buf: &mut [u8]) -> Result<usize, TransportError> {
        let mut have = 0;
        while have < buf.len() {
            let read = stream.read_timeout(&mut buf[have..], Some(self.left()));
            match read {
                Ok(0) => break,
                Ok(read) => have += read,
                // It names the time that was left.
                Err(TransportError::Timeout) => {
                    let what = format_args!("stream with {}", stream.peer());
                    return Err(late(what, self.after));
                }
                Err(error) => return Err(error),
            }
            if have < buf.len() {
                self.check(|| format!("reading from {}", stream.peer()))?;
            }
        }
        Ok(have)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{mpsc, Arc};
    use std::thread;
    use testkit::{Host, GENEROUS};
    use thunderbolt_transport::ThunderboltTransportBuilder;

    /// What a server reads of a peer that goes on dribbling for as long as it is read.
    fn of_a_dribble<T: Send + 'static>(
        read: impl Fn(&DataStream) -> T + Send + Sync + 'static,
    ) -> T {
        Host::alone().run(|| {
            let (sender, receiver) = mpsc::channel();
            let builder = || {
                let builder = ThunderboltTransportBuilder::new().interface("lo");
                builder.control_port(0).data_port(0)
            };
            let server = builder()
                .on_stream(move |stream| drop(sender.send(read(&stream))))
                .build()
                .unwrap();
            let client = builder().build().unwrap();
            let to = format!("[::1]:{}", server.data_port());
            let stream = client.open_data_stream(&to).unwrap();
            let ended = Arc::new(AtomicBool::new(false));
            let dribble = {
                let ended = Arc::clone(&ended);
                thread::spawn(move || {
                    while !ended.load(Ordering::Relaxed) {
                        let written = stream.write_timeout(b"D", Some(GENEROUS));
                        if written.outcome.is_err() {
                            break;
                        }
                        thread::sleep(Duration::from_millis(5));
                    }
                })
            };
            let read = receiver.recv_timeout(GENEROUS);
            ended.store(true, Ordering::Relaxed);
            dribble.join().unwrap();
            read.expect("it ends although bytes come")
        })
    }

    #[test]
    fn bytes_that_dribble_do_not_put_it_off() {
        let read = of_a_dribble(|stream| {
            let mut buf = vec![0; 1 << 20];
            Deadline::after(Duration::from_millis(100)).read(stream, &mut buf)
        });
        assert!(matches!(read, Err(TransportError::Timeout)), "{read:?}");
        let after = Deadline::after(Duration::MAX);
        assert!(!after.is_over() && after.or_within(Duration::ZERO).is_over());
    }
}
