//! Fields and values of the rules in JSON (libnftables-json(5)).

use serde_json::Value as Json;

use super::names::{header, named, prefix as prefix_of};
use super::packet::Field;
use super::rules::{Value, Values};

pub fn word<'a>(entry: &'a Json, key: &str) -> &'a str {
    entry.get(key).and_then(Json::as_str).unwrap_or_default()
}

pub fn has_word(list: Option<&Json>, word: &str) -> bool {
    match list {
        Some(Json::Array(words)) => words.iter().any(|each| each == word),
        Some(other) => other == word,
        None => false,
    }
}

pub fn field(left: &Json) -> Field {
    let Some((kind, content)) = left.as_object().and_then(|left| left.iter().next()) else {
        return Field::Unknown;
    };
    match (kind.as_str(), word(content, "key")) {
        ("meta", "iif" | "iifname") => Field::InInterface,
        ("meta", "oif" | "oifname") => Field::OutInterface,
        ("meta", "l4proto") => Field::Protocol,
        ("meta", "nfproto" | "protocol") => Field::Family,
        ("ct", "state") => Field::State,
        ("payload", _) => header(word(content, "protocol"), word(content, "field")),
        ("fib", _) if word(content, "result") == "oif" => {
            let flags = content.get("flags");
            match has_word(flags, "saddr") && has_word(flags, "iif") {
                true => Field::RouteBack,
                false => Field::Unknown,
            }
        }
        _ => Field::Unknown,
    }
}

/// The range below or above a number.
pub fn beside(values: &Values, above: bool, with: bool) -> Values {
    let one = |value: &Value| match (value, above, with) {
        (Value::Range(number, _), true, true) => Some(Value::Range(*number, u128::MAX)),
        (Value::Range(number, _), true, false) => Some(Value::Range(number + 1, u128::MAX)),
        (Value::Range(number, _), false, true) => Some(Value::Range(0, *number)),
        (Value::Range(number, _), false, false) => Some(Value::Range(0, number.checked_sub(1)?)),
        (Value::Text(_), ..) => None,
    };
    let each: Option<Vec<Value>> = values.each.iter().map(one).collect();
    match each {
        Some(each) if values.each.len() == 1 && !values.more => Values { each, more: false },
        _ => Values::unknown(),
    }
}

pub fn value(field: &Field, value: &Json) -> Option<Value> {
    if let Some(inner) = value.get("elem") {
        return self::value(field, inner.get("val")?);
    }
    if let Some(range) = value.get("range") {
        let end = |at| match single(field, range.get(at)?)? {
            Value::Range(low, high) => Some((low, high)),
            Value::Text(_) => None,
        };
        return Some(Value::Range(end(0)?.0, end(1)?.1));
    }
    if let Some(prefix) = value.get("prefix") {
        let bits = u32::try_from(prefix.get("len")?.as_u64()?).ok()?;
        return prefix_of(word(prefix, "addr"), bits);
    }
    single(field, value)
}

fn single(field: &Field, value: &Json) -> Option<Value> {
    match value {
        Json::Number(number) => {
            let number = number.as_u64()?.into();
            Some(Value::Range(number, number))
        }
        Json::Bool(value) => Some(Value::Range((*value).into(), (*value).into())),
        Json::String(text) => named(field, text),
        _ => None,
    }
}
