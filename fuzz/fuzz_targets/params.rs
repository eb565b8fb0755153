//! The JSON parameters of the plugin: accepted settings are those that serde_json finds, and a refused
//! text has a setting that is out of its range.
#![no_main]

// The target uses a part of the module.
#[allow(dead_code)]
#[path = "../../src/plugin/params.rs"]
mod params;

use std::ops::RangeInclusive;

use libfuzzer_sys::fuzz_target;
use params::Settings;
use serde_json::Value;

const WORD: RangeInclusive<u64> = 0..=u32::MAX as u64;
const BYTES: RangeInclusive<u64> = 0..=i64::MAX as u64;

/// The documented ranges.
const NUMBERS: [(&str, RangeInclusive<u64>); 10] = [
    ("buffer_size", BYTES),
    ("busy_poll_us", WORD),
    ("receive_queue", WORD),
    ("receive_queue_bytes", BYTES),
    ("max_streams", WORD),
    ("max_silent_streams", WORD),
    ("silent_after_ms", WORD),
    ("connect_timeout_ms", 1..=u32::MAX as u64),
    ("stream_dead_after_ms", WORD),
    ("log_level", 1..=4),
];
const YES_OR_NO: [&str; 4] = [
    "tcp_nodelay",
    "tcp_keepalive",
    "allow_any_source",
    "wait_for_interface",
];

fuzz_target!(|text: &str| {
    let settings = Settings::from_json(text);
    // serde_json also parses floating-point numbers, and fails on those out of range; the plugin does
    // not parse them.
    let Ok(value) = serde_json::from_str::<Value>(text) else {
        return;
    };
    let expected = value.as_object().and_then(expected);
    assert_eq!(settings.is_ok(), expected.is_some(), "{settings:?}");
    let (Ok(settings), Some(expected)) = (settings, expected) else {
        return;
    };
    assert_eq!(settings.interface, expected.interface);
    assert_eq!(
        [settings.control_port, settings.data_port].map(u64::from),
        expected.ports
    );
    for (key, value) in expected.options {
        assert_eq!(settings.option(key), value, "{key}");
    }
    // A transport accepts the settings.
    let _ = settings.builder();
});

struct Expected {
    interface: String,
    ports: [u64; 2],
    options: Vec<(&'static str, u64)>,
}

/// `None` where a setting is wrong.
fn expected(given: &serde_json::Map<String, Value>) -> Option<Expected> {
    let defaults = Settings::default();
    let number = |key: &str, allowed: &RangeInclusive<u64>, default: u64| match given.get(key) {
        None => Some(default),
        Some(value) => value.as_u64().filter(|number| allowed.contains(number)),
    };
    let control = number("control_port", &(1..=65_535), 5000)?;
    let data = number("data_port", &(1..=65_535), control + 1)?;
    if data > 65_535 {
        return None;
    }
    let interface = match given.get("interface") {
        None => defaults.interface.as_str(),
        Some(value) => value.as_str()?,
    };
    if !(1..=15).contains(&interface.len()) || interface.contains('\0') {
        return None;
    }
    let mut options = Vec::new();
    for (key, allowed) in &NUMBERS {
        options.push((*key, number(key, allowed, defaults.option(key))?));
    }
    for key in YES_OR_NO {
        let value = given
            .get(key)
            .map_or(Some(defaults.option(key) != 0), Value::as_bool);
        options.push((key, value?.into()));
    }
    Some(Expected {
        interface: interface.to_owned(),
        ports: [control, data],
        options,
    })
}
