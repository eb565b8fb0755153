//! The settings of a plugin's transport, and their JSON form in the contract of the design document.
//!
//! This file uses nothing else of this crate, so that a fuzzer can include it.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::value::RawValue;
use thunderbolt_transport::{
    LogLevel, ThunderboltTransportBuilder, DEFAULT_CONTROL_PORT, DEFAULT_INTERFACE,
};

/// The settings with which a plugin starts its transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) interface: String,
    /// An address that the interface must have at the start.
    pub(crate) address: Option<Ipv6Addr>,
    /// At least 1. A free port of the kernel is impossible, because both hosts need the same port.
    pub(crate) control_port: u16,
    pub(crate) data_port: u16,
    /// The value of each of [`OPTIONS`].
    options: [u64; OPTIONS.len()],
}

/// A setting that is a number or a boolean. `dcf_tb_config` has a member of the same name.
struct Setting {
    key: &'static str,
    default: u64,
    allowed: Allowed,
    apply: fn(ThunderboltTransportBuilder, u64) -> ThunderboltTransportBuilder,
}

enum Allowed {
    YesOrNo,
    Numbers(RangeInclusive<u64>),
}

use Allowed::{Numbers, YesOrNo};

/// Numbers that fit into 32 bits.
const WORD: RangeInclusive<u64> = 0..=u32::MAX as u64;
/// Bytes that fit into memory.
const BYTES: RangeInclusive<u64> = 0..=isize::MAX as u64;
const PORTS: RangeInclusive<u64> = 1..=u16::MAX as u64;

const OPTIONS: [Setting; 14] = [
    Setting {
        key: "buffer_size",
        default: 64 << 20,
        allowed: Numbers(BYTES),
        apply: |builder, bytes| builder.buffer_size(bytes as usize),
    },
    Setting {
        key: "tcp_nodelay",
        default: 1,
        allowed: YesOrNo,
        apply: |builder, on| builder.tcp_nodelay(on != 0),
    },
    Setting {
        key: "tcp_keepalive",
        default: 1,
        allowed: YesOrNo,
        apply: |builder, on| builder.tcp_keepalive(on != 0),
    },
    Setting {
        key: "allow_any_source",
        default: 0,
        allowed: YesOrNo,
        apply: |builder, on| builder.allow_any_source(on != 0),
    },
    Setting {
        key: "wait_for_interface",
        default: 0,
        allowed: YesOrNo,
        apply: |builder, on| builder.wait_for_interface(on != 0),
    },
    Setting {
        key: "busy_poll_us",
        default: 50,
        allowed: Numbers(WORD),
        apply: |builder, micros| builder.busy_poll(Duration::from_micros(micros)),
    },
    Setting {
        key: "receive_queue",
        default: 1024,
        allowed: Numbers(WORD),
        apply: |builder, messages| builder.receive_queue(messages as usize),
    },
    Setting {
        key: "receive_queue_bytes",
        default: 64 << 20,
        allowed: Numbers(BYTES),
        apply: |builder, bytes| builder.receive_queue_bytes(bytes as usize),
    },
    Setting {
        key: "max_streams",
        default: 1024,
        allowed: Numbers(WORD),
        apply: |builder, streams| builder.max_streams(streams as u32),
    },
    Setting {
        key: "max_silent_streams",
        default: 1000,
        allowed: Numbers(WORD),
        apply: |builder, streams| builder.max_silent_streams(streams as u32),
    },
    Setting {
        key: "silent_after_ms",
        default: 10_000,
        allowed: Numbers(WORD),
        apply: |builder, millis| builder.silent_after(Duration::from_millis(millis)),
    },
    Setting {
        // Shorter than the transport's default: a mesh must notice a dead peer within 3 s.
        key: "connect_timeout_ms",
        default: 3_000,
        allowed: Numbers(1..=u32::MAX as u64),
        apply: |builder, millis| builder.connect_timeout(Duration::from_millis(millis)),
    },
    Setting {
        key: "stream_dead_after_ms",
        default: 10_000,
        allowed: Numbers(WORD),
        apply: |builder, millis| builder.stream_dead_after(Duration::from_millis(millis)),
    },
    Setting {
        key: "log_level",
        default: LogLevel::Info as u64,
        allowed: Numbers(LogLevel::Debug as u64..=LogLevel::Error as u64),
        apply: |builder, level| {
            let mut levels = [LogLevel::Debug, LogLevel::Info, LogLevel::Warn].into_iter();
            let known = levels.find(|known| *known as u64 == level);
            builder.log_level(known.unwrap_or(LogLevel::Error))
        },
    },
];

impl Default for Settings {
    fn default() -> Self {
        Self {
            interface: DEFAULT_INTERFACE.to_owned(),
            address: None,
            control_port: DEFAULT_CONTROL_PORT,
            data_port: DEFAULT_CONTROL_PORT + 1,
            options: OPTIONS.map(|option| option.default),
        }
    }
}

impl Settings {
    /// The defaults with this control port. The data port is the next one.
    pub(crate) fn on_port(port: i64) -> Result<Self, String> {
        let control_port = u16::try_from(port).ok().filter(|&port| port > 0);
        let data_port = control_port.and_then(|port| port.checked_add(1));
        match (control_port, data_port) {
            (Some(control_port), Some(data_port)) => Ok(Self {
                control_port,
                data_port,
                ..Self::default()
            }),
            _ => Err(format!(
                "port {port} is not from 1 to 65534: it is the control port, and the next one is \
                 the data port"
            )),
        }
    }

    /// Parses a JSON object with any of the settings. Unknown keys are ignored.
    pub(crate) fn from_json(json: &str) -> Result<Self, String> {
        // The values stay text. Parsing an unknown number as floating point could raise an exception
        // that the host traps.
        let given: BTreeMap<String, &RawValue> = serde_json::from_str(json)
            .map_err(|error| format!("the parameters are not a JSON object: {error}"))?;
        let given = |key: &str| given.get(key).map(|value| value.get());
        let number = |key: &str, allowed: &RangeInclusive<u64>| {
            given(key)
                .map(|text| number(key, text, allowed))
                .transpose()
        };
        let mut settings = match number("control_port", &PORTS)? {
            Some(port) => Self {
                control_port: port as u16,
                // Checked and replaced below.
                data_port: (port as u16).wrapping_add(1),
                ..Self::default()
            },
            None => Self::default(),
        };
        match number("data_port", &PORTS)? {
            Some(port) => settings.data_port = port as u16,
            None => settings.data_port = Self::on_port(settings.control_port.into())?.data_port,
        }
        if let Some(text) = given("interface") {
            settings.interface = interface(text)?;
        }
        for (option, value) in OPTIONS.iter().zip(&mut settings.options) {
            if let Some(text) = given(option.key) {
                *value = match &option.allowed {
                    Numbers(allowed) => self::number(option.key, text, allowed)?,
                    YesOrNo => yes_or_no(option.key, text)?,
                };
            }
        }
        Ok(settings)
    }

    /// Whether both start the same transport: `address` may differ.
    pub(crate) fn agree_with(&self, other: &Self) -> bool {
        let own = Self {
            address: other.address,
            ..self.clone()
        };
        own == *other
    }

    /// The value of one of [`OPTIONS`].
    pub(crate) fn option(&self, key: &str) -> u64 {
        let place = OPTIONS.iter().position(|option| option.key == key);
        place.map_or(0, |place| self.options[place])
    }

    pub(crate) fn builder(&self) -> ThunderboltTransportBuilder {
        let builder = ThunderboltTransportBuilder::new()
            .interface(&self.interface)
            .control_port(self.control_port)
            .data_port(self.data_port);
        let options = OPTIONS.iter().zip(self.options);
        options.fold(builder, |builder, (option, value)| {
            (option.apply)(builder, value)
        })
    }
}

fn number(key: &str, text: &str, allowed: &RangeInclusive<u64>) -> Result<u64, String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let value = digits.then(|| text.parse().ok()).flatten();
    value
        .filter(|value| allowed.contains(value))
        .ok_or_else(|| {
            let (least, most) = (allowed.start(), allowed.end());
            format!("{key} is {text}: it must be a whole number from {least} to {most}")
        })
}

fn yes_or_no(key: &str, text: &str) -> Result<u64, String> {
    match text {
        "true" => Ok(1),
        "false" => Ok(0),
        _ => Err(format!("{key} is {text}: it must be true or false")),
    }
}

fn interface(text: &str) -> Result<String, String> {
    let name: Option<String> = serde_json::from_str(text).ok();
    let name = name.filter(|name| is_interface_name(name));
    name.ok_or_else(|| format!("interface is {text}: it must be a string of 1 to 15 bytes"))
}

/// Whether the name is valid. The interface need not exist.
pub(crate) fn is_interface_name(name: &str) -> bool {
    (1..=15).contains(&name.len()) && !name.contains('\0')
}

#[cfg(test)]
#[path = "params_tests.rs"]
mod tests;
