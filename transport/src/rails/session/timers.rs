//! What happens when time passes.

use std::time::Instant;

use super::{Action, End, Session};
use crate::rails::paths::Need;

impl Session {
    /// When to call [`Self::tick`] at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        if let Some((_, until)) = self.resetting {
            return (!self.rails.is_empty()).then_some(until);
        }
        if self.end.is_some() {
            return None;
        }
        let paths = self.paths.as_ref().and_then(|paths| paths.deadline());
        let rails = self.rails.iter().filter_map(|rail| rail.deadline());
        rails.chain(paths).chain(self.dies_at()).min()
    }

    fn dies_at(&self) -> Option<Instant> {
        self.without_rail_since?
            .checked_add(self.settings.dead_after)
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Instant) {
        if let Some((_, until)) = self.resetting {
            if until <= now {
                while !self.rails.is_empty() {
                    self.close_rail(now, 0);
                }
            }
        }
        if self.end.is_some() {
            return;
        }
        if self.dies_at().is_some_and(|at| at <= now) {
            let end = if self.is_complete() {
                End::Complete
            } else {
                End::Dead
            };
            return self.end_with(end);
        }
        self.tick_rails(now);
        while let Some(need) = self.paths.as_mut().and_then(|paths| paths.due(now)) {
            self.actions.push_back(match need {
                Need::Connect(path) => Action::Connect(path),
                Need::GiveUp(path) => Action::GiveUp(path),
            });
        }
    }

    fn tick_rails(&mut self, now: Instant) {
        let is_stalled = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        while let Some(index) = self
            .rails
            .iter()
            .position(|rail| is_stalled(rail.stalls_at()))
        {
            self.close_rail(now, index);
        }
        let mut is_probing = false;
        for rail in &mut self.rails {
            rail.owes_ack |= rail.ack_at.is_some_and(|at| at <= now);
            if rail.owes_ack {
                rail.ack_at = None;
            }
            is_probing |= rail.takes_probe(now);
        }
        if is_probing {
            for rail in &mut self.rails {
                rail.owes_probe = true;
            }
        }
    }
}
