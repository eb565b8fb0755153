//! Connections to the rail port that have not said a whole hello. Anybody on the link can make them, so there is
//! a bound on their number, on their time, and on what they cost.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::wire::{begins_hello, GREETING_SIZE};

/// Each side closes a connection without a whole greeting after this time.
pub(crate) const GREETING_TIMEOUT: Duration = Duration::from_secs(5);

/// A hello of which some bytes have arrived.
#[derive(Debug)]
struct Greeting<K> {
    key: K,
    bytes: [u8; GREETING_SIZE],
    length: usize,
    until: Instant,
}

/// What bytes of a hello came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It is not whole.
    Pending,
    Whole(Box<[u8; GREETING_SIZE]>),
    /// It cannot become a hello: close the connection.
    Foreign,
}

/// The connections, by a name that the driver gives them. The oldest gives way when there are too many, so that idle
/// connections never keep a peer out.
#[derive(Debug)]
pub(crate) struct Greetings<K> {
    waiting: VecDeque<Greeting<K>>,
    most: usize,
}

impl<K: Copy + PartialEq> Greetings<K> {
    pub fn new(most: usize) -> Self {
        Self {
            waiting: VecDeque::new(),
            most,
        }
    }

    /// A connection came. Returns one to close because there are too many.
    pub fn add(&mut self, now: Instant, key: K) -> Option<K> {
        self.waiting.push_back(Greeting {
            key,
            bytes: [0; GREETING_SIZE],
            length: 0,
            until: now + GREETING_TIMEOUT,
        });
        let oldest = (self.waiting.len() > self.most).then(|| self.waiting.pop_front())?;
        oldest.map(|greeting| greeting.key)
    }

    /// The connections.
    pub fn keys(&self) -> Vec<K> {
        self.waiting.iter().map(|greeting| greeting.key).collect()
    }

    /// Bytes that a connection still has to bring. 0: it is not one of these.
    pub fn missing(&self, key: K) -> usize {
        let waiting = self.waiting.iter().find(|greeting| greeting.key == key);
        waiting.map_or(0, |greeting| GREETING_SIZE - greeting.length)
    }

    /// Bytes came, no more than were missing. The first wrong byte of a magic shows a foreign connection.
    pub fn receive(&mut self, key: K, bytes: &[u8]) -> Progress {
        let index = self.waiting.iter().position(|it| it.key == key);
        let Some(index) = index else {
            return Progress::Foreign;
        };
        let greeting = &mut self.waiting[index];
        let end = greeting.length + bytes.len();
        greeting.bytes[greeting.length..end].copy_from_slice(bytes);
        greeting.length = end;
        if !begins_hello(&greeting.bytes[..end]) {
            self.waiting.remove(index);
            return Progress::Foreign;
        }
        if end < GREETING_SIZE {
            return Progress::Pending;
        }
        let bytes = greeting.bytes;
        self.waiting.remove(index);
        Progress::Whole(Box::new(bytes))
    }

    /// The connection ended.
    pub fn remove(&mut self, key: K) {
        self.waiting.retain(|greeting| greeting.key != key);
    }

    /// A connection whose time is over, and which is to be closed.
    pub fn expired(&mut self, now: Instant) -> Option<K> {
        let is_over = self.waiting.front()?.until <= now;
        let oldest = is_over.then(|| self.waiting.pop_front())?;
        oldest.map(|greeting| greeting.key)
    }

    pub fn deadline(&self) -> Option<Instant> {
        Some(self.waiting.front()?.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rails::wire::{Greeting as Header, Opening};

    fn hello() -> [u8; GREETING_SIZE] {
        let header = Header {
            kind: Opening::New,
            window: 1,
            session: [1; 16],
            host: [2; 16],
            offset: 0,
        };
        header.encode()
    }

    #[test]
    fn a_hello_may_come_byte_by_byte() {
        let now = Instant::now();
        let mut greetings = Greetings::new(2);
        assert_eq!(greetings.add(now, 'a'), None);
        let hello = hello();
        for (index, byte) in hello[..55].iter().enumerate() {
            assert_eq!(greetings.missing('a'), 56 - index);
            assert_eq!(greetings.receive('a', &[*byte]), Progress::Pending);
        }
        let whole = greetings.receive('a', &hello[55..]);
        assert_eq!(whole, Progress::Whole(Box::new(hello)));
        assert_eq!((greetings.missing('a'), greetings.deadline()), (0, None));
    }

    #[test]
    fn foreign_bytes_end_it_at_once() {
        let now = Instant::now();
        let mut greetings = Greetings::new(2);
        greetings.add(now, 'a');
        assert_eq!(greetings.receive('a', b"DCF"), Progress::Pending);
        assert_eq!(greetings.receive('a', b"X"), Progress::Foreign);
        assert_eq!(greetings.missing('a'), 0);
    }

    #[test]
    fn the_oldest_gives_way_and_time_ends_the_rest() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let mut greetings = Greetings::new(2);
        assert_eq!(greetings.add(now, 'a'), None);
        assert_eq!(greetings.add(later, 'b'), None);
        assert_eq!(greetings.add(later, 'c'), Some('a'));
        greetings.remove('b');
        assert_eq!(greetings.expired(later + Duration::from_secs(4)), None);
        let end = later + GREETING_TIMEOUT;
        assert_eq!(greetings.deadline(), Some(end));
        assert_eq!(greetings.expired(end), Some('c'));
        assert_eq!(greetings.expired(end), None);
    }
}
