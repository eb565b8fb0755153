//! The rules of a packet filter, from any source, and their effect on a packet.
//!
//! Where a rule cannot be evaluated, both outcomes are followed. A packet counts as accepted only if no path
//! through the rules drops it.

use std::collections::HashMap;

use super::packet::{Fact, Field, Packet, Way};

#[derive(Debug, Clone)]
pub struct Chain {
    /// Family and name, as nft writes them.
    pub table: String,
    pub name: String,
    /// Set for a base chain, which the kernel enters itself.
    pub base: Option<Base>,
    pub rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
pub struct Base {
    pub way: Way,
    pub drops: bool,
    /// The devices of the chain; empty if unknown. `None` for a chain of all packets.
    pub devices: Option<Vec<String>>,
}

/// Steps in sequence, until a test fails or a verdict ends them.
pub type Rule = Vec<Step>;

#[derive(Debug, Clone)]
pub enum Step {
    Test(Test),
    End(Verdict),
    /// A verdict map.
    Map(Field, Vec<(Values, Verdict)>),
    /// May drop or redirect the packet.
    Unknown,
    /// Connection tracking is disabled.
    Untrack,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Accept,
    Drop,
    Return,
    Jump(String),
    Goto(String),
}

#[derive(Debug, Clone)]
pub struct Test {
    pub field: Field,
    pub values: Values,
    pub negated: bool,
}

/// Values that a field is compared with.
#[derive(Debug, Clone, Default)]
pub struct Values {
    pub each: Vec<Value>,
    /// There are other values, or they change.
    pub more: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// An inclusive range.
    Range(u128, u128),
    /// A trailing `*` matches anything.
    Text(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Yes,
    No,
    Maybe,
}

impl Values {
    pub fn unknown() -> Self {
        Self {
            each: Vec::new(),
            more: true,
        }
    }

    fn contain(&self, fact: &Fact) -> Answer {
        let one = |value: &Value| match (value, fact) {
            (Value::Range(low, high), Fact::Between(from, to)) => {
                if low <= from && to <= high {
                    Answer::Yes
                } else if high < from || to < low {
                    Answer::No
                } else {
                    Answer::Maybe
                }
            }
            (Value::Text(text), Fact::Text(fact)) => match text.strip_suffix('*') {
                Some(begin) if fact.starts_with(begin) => Answer::Yes,
                None if text == fact => Answer::Yes,
                _ => Answer::No,
            },
            // A name and a number cannot be compared.
            _ => Answer::Maybe,
        };
        let answers: Vec<Answer> = self.each.iter().map(one).collect();
        if answers.contains(&Answer::Yes) {
            Answer::Yes
        } else if self.more || answers.contains(&Answer::Maybe) {
            Answer::Maybe
        } else {
            Answer::No
        }
    }
}

impl Test {
    /// A test with an unknown result.
    pub fn unknown() -> Self {
        Self {
            field: Field::Unknown,
            values: Values::unknown(),
            negated: false,
        }
    }

    fn ask(&self, packet: &Packet) -> Answer {
        // A test of a TCP port implies a test for TCP, even if negated.
        if !packet.has(&self.field) {
            return Answer::No;
        }
        let facts = packet.facts(&self.field);
        let answers: Vec<Answer> = facts.iter().map(|fact| self.values.contain(fact)).collect();
        let all = |wanted| !answers.is_empty() && answers.iter().all(|answer| *answer == wanted);
        match (all(Answer::Yes), all(Answer::No), self.negated) {
            (true, _, false) | (_, true, true) => Answer::Yes,
            (true, _, true) | (_, true, false) => Answer::No,
            _ => Answer::Maybe,
        }
    }
}

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
