//! One push: what was announced, and who takes part in it.

use std::cell::Cell;
use std::collections::HashMap;
use std::net::Ipv6Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use thunderbolt_transport::DataStream;

use super::folder::Folder;
use super::notes;
use super::plan::{self, Plan, Refused, Rules};
use super::Options;
use crate::exit::{Exit, Failure};
use crate::interrupt;
use crate::service;
use crate::transfer::entry::{Entry, Kind};
use crate::transfer::extensions::Extensions;
use crate::transfer::message::Want;
use crate::transfer::progress::Progress;
use crate::transfer::trouble::{Result, Trouble};
use crate::transfer::{missing, SessionId, MOST_STREAMS};
use crate::units::{bytes, files_and_links, plural, rate_of};

/// Entries whose failure is shown; the rest is counted.
const SAID: u64 = 100;

/// A push under way.
pub struct Session {
    pub id: SessionId,
    pub peer: String,
    pub folder: Arc<Folder>,
    pub rules: Rules,
    pub sync: bool,
    pub extensions: Extensions,
    pub entries: Vec<Entry>,
    pub wants: Vec<Want>,
    /// What cannot be taken, and why.
    pub refused: Refused,
    /// Which files a stream has taken on, and how far they are.
    files: Mutex<HashMap<u32, State>>,
    /// Files under way, and since when there are so many.
    busy: Mutex<(usize, Instant)>,
    /// Lines about entries that failed.
    said: AtomicU64,
    /// The streams that help, to be ended with the one that announced it.
    helpers: Mutex<Vec<DataStream>>,
    pub progress: Progress,
    begin: Instant,
    pub received: AtomicU64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum State {
    UnderWay,
    Done,
    /// Its content was there already, as a comparison told.
    Same,
    Failed,
}

impl Session {
    pub fn new(
        peer: &str,
        folder: &Arc<Folder>,
        options: &Options,
        entries: Vec<Entry>,
        extensions: Extensions,
        alive: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Self> {
        let rules = Rules {
            force: options.force,
            compare: options.compare,
        };
        let Plan { wants, refused } = plan::plan(folder, &entries, rules, alive)?;
        let mut id = SessionId::default();
        rustix::rand::getrandom(&mut id, rustix::rand::GetRandomFlags::empty())
            .map_err(|error| plan::failed("random numbers", &error.into()))?;
        let total: u64 = entries.iter().map(|entry| entry.size).sum();
        let progress = Progress::new(total - missing(&entries, &wants), total);
        Ok(Self {
            id,
            peer: peer.to_owned(),
            folder: Arc::clone(folder),
            rules,
            sync: options.sync,
            extensions,
            entries,
            wants,
            refused,
            files: Mutex::default(),
            busy: Mutex::new((0, Instant::now())),
            said: AtomicU64::new(0),
            helpers: Mutex::default(),
            progress,
            begin: Instant::now(),
            received: AtomicU64::new(0),
        })
    }

    /// Takes a file on, if it is one that is wanted and nobody has.
    pub fn take(&self, index: u32) -> Result<(&Entry, Want)> {
        let entry = self.entries.get(index as usize);
        let want = self.wants.get(index as usize).copied();
        let wanted = |(entry, want): &(&Entry, Want)| {
            entry.kind != Kind::Folder && !matches!(want, Want::Nothing)
        };
        let found = entry.zip(want).filter(wanted);
        let found = found.ok_or_else(|| Trouble::protocol("a file that is not wanted"))?;
        match lock(&self.files).insert(index, State::UnderWay) {
            None => {
                self.count(|files| files + 1);
                Ok(found)
            }
            Some(_) => Err(Trouble::protocol("a file comes twice")),
        }
    }

    pub fn ended(&self, index: u32, state: State) {
        lock(&self.files).insert(index, state);
        self.count(|files| files - 1);
    }

    fn count(&self, change: impl FnOnce(usize) -> usize) {
        let mut busy = lock(&self.busy);
        *busy = (change(busy.0), Instant::now());
    }

    /// An error if no file is under way, and none was for so long: the pusher only says that it lives.
    pub fn still_busy(&self, limit: Duration) -> Result<()> {
        let (files, since) = *lock(&self.busy);
        if files > 0 || since.elapsed() < limit {
            return Ok(());
        }
        let seconds = limit.as_secs();
        let text = format!("the pusher sent no file for {seconds} s");
        Err(Failure::new(Exit::Failed, text).into())
    }

    /// Whether a file is in its place, brought by this push or an earlier one.
    pub fn is_there(&self, index: u32) -> bool {
        let state = lock(&self.files).get(&index).copied();
        match self.wants.get(index as usize) {
            Some(Want::Nothing) => !self.refused.contains_key(&index),
            _ => matches!(state, Some(State::Done | State::Same)),
        }
    }

    /// A file that the pusher could not read.
    pub fn skip(&self, index: u32) -> Result<()> {
        self.take(index)?;
        self.ended(index, State::Failed);
        Ok(())
    }

    /// Says on this side why an entry failed. A push of very many that fail does not fill the screen.
    pub fn say(&self, entry: &Entry, why: &str) {
        match self.said.fetch_add(1, Ordering::Relaxed) {
            ..SAID => notes::note(&format!("{}: {why}", entry.shown())),
            SAID => notes::note("more that failed are only counted"),
            _ => {}
        }
    }

    pub fn helps(&self, stream: &DataStream) -> Result<()> {
        let mut helpers = lock(&self.helpers);
        if helpers.len() + 1 >= MOST_STREAMS.into() {
            let text = format!("a push has {MOST_STREAMS} streams at most");
            return Err(Failure::new(Exit::Refused, text).into());
        }
        helpers.push(stream.clone());
        Ok(())
    }

    /// A stream that helped has ended: another one may come.
    pub fn has_helped(&self, stream: &DataStream) {
        let address = stream.peer_address();
        lock(&self.helpers).retain(|helper| helper.peer_address() != address);
    }

    pub fn dismiss_helpers(&self) {
        lock(&self.helpers)
            .drain(..)
            .for_each(|stream| stream.close());
    }

    pub fn add(&self, count: u64) {
        self.received.fetch_add(count, Ordering::Relaxed);
        self.progress.add(count);
    }

    /// All files are in their places: the folders get their times and permissions, and the user a word.
    /// Gives the folders that did not get theirs, and why.
    pub fn finish(&self) -> Vec<(u32, String)> {
        let mut failed = Vec::new();
        // From within outwards: making a file changes the time of its folder only, and a folder that may not
        // be entered any more has all that is to be in it.
        for (index, entry) in self.entries.iter().enumerate().rev() {
            let index = index as u32;
            if entry.kind == Kind::Folder && !self.refused.contains_key(&index) {
                let settled =
                    self.folder
                        .settle(&entry.path, entry.mode, entry.modified, self.rules.force);
                if let Err(error) = settled {
                    let why = format!("cannot set its time and permissions: {error}");
                    self.say(entry, &why);
                    failed.push((index, why));
                }
            }
        }
        self.report();
        failed
    }

    fn report(&self) {
        let files = lock(&self.files);
        let count = |state| files.values().filter(|is| **is == state).count() as u64;
        let (done, same) = (count(State::Done), count(State::Same));
        let of = |index: &u32, kind| self.entries[*index as usize].kind == kind;
        let links = files
            .iter()
            .filter(|(index, state)| **state == State::Done && of(index, Kind::Link))
            .count() as u64;
        let is_file = |index: &&u32| self.entries[**index as usize].is_file();
        let of_files = self.refused.keys().filter(is_file);
        let refused = of_files.count() as u64;
        let wanted = self.wants.iter().filter(|want| **want != Want::Nothing);
        let missed = wanted.count() as u64 - done - same + refused;
        let there = self.entries.iter().zip(&self.wants);
        let there = there.filter(|(entry, want)| entry.is_file() && **want == Want::Nothing);
        let received = self.received.load(Ordering::Relaxed);
        let time = self.begin.elapsed().max(Duration::from_nanos(1));
        let mut text = format!(
            "{} received from {}: {} in {:.2} s, {}",
            files_and_links(done - links, links),
            self.peer,
            bytes(received),
            time.as_secs_f64(),
            rate_of(received, time)
        );
        let there = there.count() as u64 - refused + same;
        if there > 0 {
            text.push_str(&format!("; {} there already", plural(there, "was", "were")));
        }
        if missed > 0 {
            text.push_str(&format!("; {} missing", plural(missed, "is", "are")));
        }
        self.progress.clear();
        notes::note(&text);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|error| error.into_inner())
}

/// The place for one push at a time.
#[derive(Default)]
pub struct Slot {
    state: Mutex<SlotState>,
    changed: Condvar,
}

#[derive(Default)]
struct SlotState {
    taken: bool,
    session: Option<Arc<Session>>,
    finished: u64,
    /// A push was under way when the program was told to end.
    cut: bool,
    streams: usize,
    /// Who was told to come again, the first one first, and when it asked last.
    waiting: Vec<(Ipv6Addr, Instant)>,
}

/// Sources that are remembered while they wait.
const WAITING: usize = 64;
/// Who has not asked again in this time has given up. Pushers ask four times a second.
const ASKING: Duration = Duration::from_secs(2);

/// Holds the place until it is dropped.
pub struct Holding<'a> {
    slot: &'a Slot,
    is_finished: Cell<bool>,
}

impl Slot {
    /// Takes the place, if it is free and no other source has been waiting for longer.
    pub fn take(&self, source: Ipv6Addr) -> Option<Holding<'_>> {
        let mut state = lock(&self.state);
        let is_turn = turn(&mut state.waiting, source, Instant::now());
        if state.taken || !is_turn {
            return None;
        }
        state.taken = true;
        state.waiting.retain(|(other, _)| *other != source);
        Some(Holding {
            slot: self,
            is_finished: Cell::new(false),
        })
    }

    /// The push of that name, if it is under way.
    pub fn session(&self, id: &SessionId) -> Option<Arc<Session>> {
        let state = lock(&self.state);
        state.session.clone().filter(|session| session.id == *id)
    }

    /// Counts a stream while it is served.
    pub fn serve(&self, serve: impl FnOnce()) {
        lock(&self.state).streams += 1;
        serve();
        lock(&self.state).streams -= 1;
        self.changed.notify_all();
    }

    /// Waits until a push has come to a good end.
    pub fn wait_finished(&self, is_interrupted: impl Fn() -> bool) {
        let mut state = lock(&self.state);
        while state.finished == 0 && !is_interrupted() {
            let tick = Duration::from_millis(100);
            let waited = self.changed.wait_timeout(state, tick);
            state = waited.unwrap_or_else(|error| error.into_inner()).0;
        }
    }

    /// Whether a signal ended a push before its end.
    pub fn is_cut(&self) -> bool {
        lock(&self.state).cut
    }

    pub fn has_finished(&self) -> bool {
        lock(&self.state).finished > 0
    }

    /// Waits until no stream is served.
    pub fn wait_idle(&self, limit: Duration) {
        let idle = |state: &mut SlotState| state.streams > 0;
        drop(
            self.changed
                .wait_timeout_while(lock(&self.state), limit, idle),
        );
    }
}

/// Whether a source is the first that waits. It waits from now on.
fn turn(waiting: &mut Vec<(Ipv6Addr, Instant)>, source: Ipv6Addr, now: Instant) -> bool {
    waiting.retain(|(other, asked)| *other == source || now.duration_since(*asked) < ASKING);
    let known = waiting.iter().position(|(other, _)| *other == source);
    match known {
        Some(at) => waiting[at].1 = now,
        None if waiting.len() < WAITING => waiting.push((source, now)),
        None => return false,
    }
    waiting[0].0 == source
}

impl Holding<'_> {
    /// Lets others join.
    pub fn open(&self, session: &Arc<Session>) {
        service::status(&format!("receiving from {}", session.peer));
        lock(&self.slot.state).session = Some(Arc::clone(session));
    }

    pub fn finished(&self) {
        self.is_finished.set(true);
        lock(&self.slot.state).finished += 1;
    }
}

impl Drop for Holding<'_> {
    fn drop(&mut self) {
        let is_interrupted = interrupt::is_interrupted();
        let session = {
            let mut state = lock(&self.slot.state);
            state.taken = false;
            state.cut |= is_interrupted && !self.is_finished.get();
            state.session.take()
        };
        if let Some(session) = session {
            session.dismiss_helpers();
            if !is_interrupted {
                service::status("waiting for a push");
            }
        }
        self.slot.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_take_turns() {
        let [first, second, third] = [1, 2, 3].map(|last| Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, last));
        let slot = Slot::default();
        let held = slot.take(first).unwrap();
        assert!(slot.take(second).is_none() && slot.take(first).is_none());
        drop(held);
        // The one that had it does not get it again before the one that waits.
        assert!(slot.take(first).is_none());
        let held = slot.take(second).unwrap();
        drop(held);
        assert!(slot.take(first).is_some());

        let (mut waiting, now) = (Vec::new(), Instant::now());
        assert!(turn(&mut waiting, first, now));
        assert!(!turn(&mut waiting, second, now));
        // Who gave up holds up nobody.
        assert!(turn(&mut waiting, second, now + ASKING));
        for number in 0..2 * WAITING as u16 {
            let source = Ipv6Addr::new(0, 0, 0, 0, 0, 0, 1, number);
            assert!(!turn(&mut waiting, source, now + ASKING));
        }
        assert_eq!(waiting.len(), WAITING);
        assert!(!turn(&mut waiting, third, now + ASKING));
    }
}
