//! The rules of a packet filter, from any source, and their effect on a packet.

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

    pub fn ask(&self, packet: &Packet) -> Answer {
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
