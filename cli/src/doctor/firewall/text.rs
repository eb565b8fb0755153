//! Parses the output of `nft list ruleset`, for an nft without JSON support and for older recordings. Only common
//! rules are understood. Other rules are assumed to match possibly, with the verdicts that they name.

use super::names::{header, named, prefix, way};
use super::packet::Field;
use super::rules::{Base, Chain, Rule, Step, Test, Value, Values, Verdict};

/// Parses the chains for IPv6 packets. `None`: this is not the layout of nft.
pub fn read(text: &str) -> Option<Vec<Chain>> {
    let mut chains: Vec<Chain> = Vec::new();
    let (mut table, mut is_chain, mut is_asleep) = (String::new(), false, false);
    let mut depth = 0_usize;
    for line in text.lines() {
        let words = words(line);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words[..] {
            // nft never prints a table or chain on one line.
            ["table", _, _, "{", next, ..] if !next.starts_with('#') => return None,
            ["chain", _, "{", next, ..] if !next.starts_with('#') => return None,
            ["table", family, name, ..] if depth == 0 => {
                table = format!("{family} {name}");
                is_asleep = false;
            }
            ["flags", ref flags @ ..] if depth == 1 => {
                is_asleep |= flags.iter().any(|flag| flag.contains("dormant"));
            }
            ["type", _, "hook", ..] if is_asleep => {}
            ["chain", name, ..] if depth == 1 => {
                is_chain = ["inet", "ip6", "netdev"]
                    .iter()
                    .any(|family| table.split(' ').next() == Some(family));
                if is_chain {
                    chains.push(Chain {
                        table: table.clone(),
                        name: name.to_owned(),
                        base: None,
                        rules: Vec::new(),
                    });
                }
            }
            [_, _, "{"] if depth == 1 => is_chain = false,
            ["type", _, "hook", hook, ..] if is_chain && depth == 2 => {
                let device = words.windows(2).find(|pair| pair[0] == "device");
                if let (Some(chain), Some(way)) = (chains.last_mut(), way(hook)) {
                    chain.base = Some(Base {
                        way,
                        drops: words.windows(2).any(|pair| pair == ["policy", "drop"]),
                        devices: ["ingress", "egress"]
                            .contains(&hook)
                            .then(|| device.into_iter().map(|pair| pair[1].to_owned()).collect()),
                    });
                }
            }
            ["comment", ..] | [] | ["}"] => {}
            _ if is_chain && depth == 2 => {
                if let Some(chain) = chains.last_mut() {
                    chain.rules.push(rule(&words));
                }
            }
            [_, ..] if depth == 0 => return None,
            _ => {}
        }
        let count = |brace| words.iter().filter(|word| **word == brace).count();
        depth = (depth + count("{")).saturating_sub(count("}"));
        if depth < 2 {
            is_chain = false;
        }
    }
    Some(chains)
}

/// Splits a line into words; a quoted string is one word. Semicolons are separators, commas are kept.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut is_quoted) = (Vec::new(), None::<String>, false);
    for letter in line.chars() {
        match letter {
            '"' => {
                is_quoted = !is_quoted;
                word.get_or_insert_default();
            }
            letter if is_quoted => word.get_or_insert_default().push(letter),
            ' ' | '\t' | ';' => words.extend(word.take()),
            ',' => word.get_or_insert_default().push(','),
            letter => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

fn rule(words: &[&str]) -> Rule {
    let mut rule = Rule::new();
    let mut rest = words;
    while !rest.is_empty() {
        let (steps, used) = step(rest);
        rule.extend(steps);
        rest = &rest[used.clamp(1, rest.len())..];
    }
    rule
}

/// Parses the next step. Returns its number of words.
fn step(words: &[&str]) -> (Vec<Step>, usize) {
    let end = |verdict, used| (vec![Step::End(verdict)], used);
    let test = |field, at| test(field, words, at);
    match *words {
        ["accept", ..] => end(Verdict::Accept, 1),
        ["drop", ..] => end(Verdict::Drop, 1),
        // The kind of rejection does not matter.
        ["reject", ..] => end(Verdict::Drop, words.len()),
        ["return", ..] => end(Verdict::Return, 1),
        ["jump", name, ..] => end(Verdict::Jump(name.to_owned()), 2),
        ["goto", name, ..] => end(Verdict::Goto(name.to_owned()), 2),
        ["counter", "packets", _, "bytes", _, ..] => (Vec::new(), 5),
        ["counter", ..] => (Vec::new(), 1),
        ["comment", _, ..] => (Vec::new(), 2),
        ["log", "prefix", _, ..] => (Vec::new(), 3),
        ["notrack", ..] => (vec![Step::Untrack], 1),
        ["meta", "iifname" | "iif", ..] => test(Field::InInterface, 2),
        ["meta", "oifname" | "oif", ..] => test(Field::OutInterface, 2),
        ["iifname" | "iif", ..] => test(Field::InInterface, 1),
        ["oifname" | "oif", ..] => test(Field::OutInterface, 1),
        ["meta", "l4proto", ..] => test(Field::Protocol, 2),
        ["meta", "nfproto" | "protocol", ..] => test(Field::Family, 2),
        ["ct", "state", ..] => test(Field::State, 2),
        [protocol, name, ..] if header(protocol, name) != Field::Unknown => {
            test(header(protocol, name), 2)
        }
        // Unknown words: from here on only verdicts count.
        _ => {
            let rest = words
                .iter()
                .skip(1)
                .position(|word| VERDICTS.contains(word));
            let used = rest.map_or(words.len(), |position| position + 1);
            let mut steps = vec![Step::Test(Test::unknown())];
            if rest.is_none() || words[..used].contains(&"vmap") {
                steps.push(Step::Unknown);
            }
            (steps, used)
        }
    }
}

const VERDICTS: [&str; 6] = ["accept", "drop", "reject", "return", "jump", "goto"];

fn test(field: Field, words: &[&str], at: usize) -> (Vec<Step>, usize) {
    let (negated, at) = match words.get(at) {
        Some(&"!=") => (true, at + 1),
        Some(&"==") => (false, at + 1),
        _ => (false, at),
    };
    let (list, used) = match words.get(at) {
        Some(&"{") => {
            let end = words[at..].iter().position(|word| *word == "}");
            let end = end.map_or(words.len(), |end| at + end);
            (&words[at + 1..end], end + 1)
        }
        Some(&("vmap" | "<" | ">" | "<=" | ">=" | "&" | ".")) | None => {
            return (
                vec![Step::Test(Test::unknown()), Step::Unknown],
                words.len(),
            )
        }
        Some(_) => (&words[at..=at], at + 1),
    };
    let mut values = Values::default();
    for word in list
        .iter()
        .flat_map(|word| word.split(','))
        .filter(|word| !word.is_empty())
    {
        match value(&field, word) {
            Some(value) => values.each.push(value),
            None => values.more = true,
        }
    }
    let test = Test {
        field,
        values,
        negated,
    };
    (vec![Step::Test(test)], used)
}

fn value(field: &Field, text: &str) -> Option<Value> {
    if text.starts_with('@') || text.starts_with('$') {
        return None;
    }
    let is_name = matches!(
        field,
        Field::InInterface | Field::OutInterface | Field::State
    );
    if let Some((address, bits)) = text.split_once('/').filter(|_| !is_name) {
        return prefix(address, bits.parse().ok()?);
    }
    if let Some((from, to)) = text.split_once('-').filter(|_| !is_name) {
        if let (Some(Value::Range(low, _)), Some(Value::Range(_, high))) =
            (named(field, from), named(field, to))
        {
            return Some(Value::Range(low, high));
        }
    }
    named(field, text)
}
