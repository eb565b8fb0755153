//! Rules of a packet filter, whatever they were read from, and what they do with a packet.
//!
//! Where a rule cannot be evaluated, both outcomes are followed: "accept" is said only of a packet that no way
//! through the rules drops.

use std::collections::HashMap;

use super::packet::{Fact, Field, Packet, Way};

#[derive(Debug, Clone)]
pub struct Chain {
    /// Family and name, as nft writes them.
    pub table: String,
    pub name: String,
    /// Of a chain that the kernel enters by itself.
    pub base: Option<Base>,
    pub rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
pub struct Base {
    pub way: Way,
    pub drops: bool,
    /// The devices that it belongs to; none, if these are not known. `None` for those chains that all packets pass.
    pub devices: Option<Vec<String>>,
}

/// What is done one after the other, until a test fails or a verdict ends it.
pub type Rule = Vec<Step>;

#[derive(Debug, Clone)]
pub enum Step {
    Test(Test),
    End(Verdict),
    /// A verdict for each of some values.
    Map(Field, Vec<(Values, Verdict)>),
    /// May drop the packet, or send it elsewhere.
    Unknown,
    /// Connections are no longer followed.
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

/// Values that are compared with a field.
#[derive(Debug, Clone, Default)]
pub struct Values {
    pub each: Vec<Value>,
    /// There are others, or they change.
    pub more: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// From one to another.
    Range(u128, u128),
    /// A trailing `*` stands for anything.
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
            // A name for a number, or the other way round.
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
    /// One that nothing is known of.
    pub fn unknown() -> Self {
        Self {
            field: Field::Unknown,
            values: Values::unknown(),
            negated: false,
        }
    }

    fn ask(&self, packet: &Packet) -> Answer {
        // Asking for a TCP port asks for TCP first, also where it is negated.
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

/// What may become of a packet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcomes {
    pub accept: bool,
    pub drop: bool,
    /// It comes to the end of the chain.
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

/// Jumps in jumps: the kernel allows 16. A recording may say anything.
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

    /// What a chain that the kernel enters does with the packet.
    pub fn base(&mut self, chain: &'a Chain, base: &Base) -> Outcomes {
        let is_ours = |name: &String| Some(name.as_str()) == self.packet.interface;
        let reach = match &base.devices {
            // Older versions of nft do not tell the device.
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
        // The kernel refuses chains that come back to themselves; a recording may have them.
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

    /// Adds what a rule may do, and says whether no packet goes on behind it.
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

    /// Adds what a verdict does, and says whether no packet comes back from it.
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
