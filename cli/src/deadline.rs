//! A deadline for a whole operation, however many calls it takes. With a limit per call, a peer that sends a byte
//! now and then could block a thread forever.

use std::fmt;
use std::time::{Duration, Instant};

use thunderbolt_transport::{DataStream, TransportError};

/// The shortest timeout of a call: zero would mean "do not wait".
const LEAST: Duration = Duration::from_millis(1);

/// The error of an operation that took too long.
pub fn late(what: impl fmt::Display, after: Duration) -> TransportError {
    let after = after.as_millis();
    TransportError::timed_out(format_args!("{what} within {after} ms"))
}

#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    end: Instant,
    after: Duration,
}

impl Deadline {
    pub fn after(after: Duration) -> Self {
        let now = Instant::now();
        // A deadline beyond the clock's range becomes a day.
        let end = now.checked_add(after);
        Self {
            end: end.unwrap_or_else(|| now + Duration::from_secs(86_400)),
            after,
        }
    }

    /// The earlier of this deadline and one that is `other` from now.
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

    /// The timeout for the next call.
    pub fn left(&self) -> Duration {
        self.end
            .saturating_duration_since(Instant::now())
            .max(LEAST)
    }

    /// Returns an error if the deadline has passed.
    pub fn check(&self, what: impl FnOnce() -> String) -> Result<(), TransportError> {
        match self.is_over() {
            false => Ok(()),
            true => Err(late(what(), self.after)),
        }
    }

    /// Reads until `buf` is full or the stream ends; returns how many bytes were read.
    pub fn read(&self, stream: &DataStream, buf: &mut [u8]) -> Result<usize, TransportError> {
        let mut have = 0;
        while have < buf.len() {
            let read = stream.read_timeout(&mut buf[have..], Some(self.left()));
            match read {
                Ok(0) => break,
                Ok(read) => have += read,
                // The error names the remaining time of this call; report the whole limit instead.
                Err(TransportError::Timeout) => {
                    let (all, peer) = (buf.len(), stream.peer());
                    let what = format_args!("read {have} of {all} bytes from {peer}");
                    return Err(late(what, self.after));
                }
                Err(error) => return Err(error),
            }
            if have < buf.len() {
                let (all, peer) = (buf.len(), stream.peer());
                self.check(|| format!("read {have} of {all} bytes from {peer}"))?;
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

    /// The result of a server that reads from a peer which sends single bytes for as long as it reads.
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
