//! The effect of rules on a packet.
//!
//! Where a rule cannot be evaluated, both outcomes are followed. A packet counts as accepted only if no path
//! through the rules drops it.

use std::collections::HashMap;

use super::packet::Packet;
use super::rules::{Answer, Base, Chain, Rule, Step, Test, Verdict};

/// The possible outcomes of a packet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcomes {
    pub accept: bool,
    pub drop: bool,
    /// It reaches the end of the chain.
    pub falls: bool,
}

impl Outcomes {
    const ANY: Self = Self {
        accept: true,
        drop: true,
        falls: true,
    };

    fn or(&mut self, other: Self) {
        self.accept |= other.accept;
        self.drop |= other.drop;
        self.falls |= other.falls;
    }
}

/// The deepest nesting of jumps: the kernel allows 16, but a recording may have more.
const DEEPEST: usize = 16;

pub struct Judge<'a> {
    chains: HashMap<(&'a str, &'a str), &'a Chain>,
    packet: Packet<'a>,
    known: HashMap<(&'a str, &'a str), Outcomes>,
}

impl<'a> Judge<'a> {
    pub fn new(chains: &'a [Chain], mut packet: Packet<'a>) -> Self {
        let steps = || chains.iter().flat_map(|chain| chain.rules.iter().flatten());
        packet.is_tracked = !steps().any(|step| matches!(step, Step::Untrack));
        let named = |chain: &'a Chain| ((chain.table.as_str(), chain.name.as_str()), chain);
        Self {
            chains: chains.iter().map(named).collect(),
            packet,
            known: HashMap::new(),
        }
    }

    /// The outcome of the packet in a base chain.
    pub fn base(&mut self, chain: &'a Chain, base: &Base) -> Outcomes {
        let is_ours = |name: &String| Some(name.as_str()) == self.packet.interface;
        let reach = match &base.devices {
            // Older versions of nft do not print the device.
            Some(devices) if devices.is_empty() => Answer::Maybe,
            Some(devices) if !devices.iter().any(is_ours) => Answer::No,
            _ => Answer::Yes,
        };
        if reach == Answer::No || base.way != self.packet.way {
            return Outcomes {
                accept: true,
                ..Outcomes::default()
            };
        }
        let mut outcomes = self.walk(chain, 0);
        outcomes.accept |= reach == Answer::Maybe;
        if std::mem::take(&mut outcomes.falls) {
            outcomes.drop |= base.drops;
            outcomes.accept |= !base.drops;
        }
        outcomes
    }

    fn chain(&mut self, table: &'a str, name: &'a str, depth: usize) -> Outcomes {
        match self.chains.get(&(table, name)) {
            Some(chain) if depth < DEEPEST => {
                let chain = *chain;
                self.walk(chain, depth)
            }
            _ => Outcomes::ANY,
        }
    }

    fn walk(&mut self, chain: &'a Chain, depth: usize) -> Outcomes {
        let key = (chain.table.as_str(), chain.name.as_str());
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        // The kernel rejects loops of chains, but a recording may have them.
        self.known.insert(key, Outcomes::ANY);
        let mut outcomes = Outcomes::default();
        let ended = chain
            .rules
            .iter()
            .any(|rule| self.rule(key.0, rule, depth, &mut outcomes));
        outcomes.falls |= !ended;
        self.known.insert(key, outcomes);
        outcomes
    }

    /// Adds the possible outcomes of a rule. Returns whether no packet continues after it.
    fn rule(
        &mut self,
        table: &'a str,
        rule: &'a Rule,
        depth: usize,
        outcomes: &mut Outcomes,
    ) -> bool {
        let mut is_certain = true;
        for step in rule {
            match step {
                Step::Test(test) => match test.ask(&self.packet) {
                    Answer::Yes => {}
                    Answer::No => return false,
                    Answer::Maybe => is_certain = false,
                },
                Step::End(verdict) => {
                    if self.end(table, verdict, depth, outcomes) {
                        return is_certain;
                    }
                }
                Step::Map(field, entries) => {
                    for (values, verdict) in entries {
                        let test = Test {
                            field: field.clone(),
                            values: values.clone(),
                            negated: false,
                        };
                        let answer = test.ask(&self.packet);
                        if answer == Answer::No {
                            continue;
                        }
                        let ended = self.end(table, verdict, depth, outcomes);
                        if answer == Answer::Yes && ended {
                            return is_certain;
                        }
                    }
                }
                Step::Unknown => {
                    outcomes.accept = true;
                    outcomes.drop = true;
                }
                Step::Untrack => {}
            }
        }
        false
    }

    /// Adds the outcome of a verdict. Returns whether no packet continues after it.
    fn end(
        &mut self,
        table: &'a str,
        verdict: &'a Verdict,
        depth: usize,
        outcomes: &mut Outcomes,
    ) -> bool {
        match verdict {
            Verdict::Accept => outcomes.accept = true,
            Verdict::Drop => outcomes.drop = true,
            Verdict::Return => outcomes.falls = true,
            Verdict::Goto(name) => outcomes.or(self.chain(table, name, depth + 1)),
            Verdict::Jump(name) => {
                let there = self.chain(table, name, depth + 1);
                outcomes.accept |= there.accept;
                outcomes.drop |= there.drop;
                return !there.falls;
            }
        }
        true
    }
}

/// The outcome of a packet in all chains, and the chain with the worst outcome.
pub fn outcome<'a>(chains: &'a [Chain], packet: &Packet<'a>) -> (Outcomes, Option<&'a Chain>) {
    let mut judge = Judge::new(chains, packet.clone());
    let mut worst = (
        Outcomes {
            accept: true,
            ..Outcomes::default()
        },
        None,
    );
    for chain in chains {
        let Some(base) = &chain.base else { continue };
        let outcomes = judge.base(chain, base);
        if outcomes.drop && (worst.1.is_none() || !outcomes.accept) {
            worst = (outcomes, Some(chain));
            if !outcomes.accept {
                break;
            }
        }
    }
    worst
}
