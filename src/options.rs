//! Settings that can change while a transport runs.

use std::time::Duration;

use thunderbolt_transport::ThunderboltTransport;

use crate::boundary;
use crate::config::{bytes, invalid, log_level};
use crate::failure::Failure;
use crate::pointers::Out;
use crate::status::dcf_tb_status;
use crate::symbol_versions::exported_since;
use crate::types::dcf_tb_transport;

/// Option: `log_level`, one of `DCF_TB_LOG_*`.
pub const DCF_TB_OPTION_LOG_LEVEL: i32 = 1;
/// Option: `busy_poll_us`. Applies to waits that begin later.
pub const DCF_TB_OPTION_BUSY_POLL_US: i32 = 2;
/// Option: `receive_queue`. If more messages are queued than the new limit, they stay, and new ones
/// are dropped and counted until there is room.
pub const DCF_TB_OPTION_RECEIVE_QUEUE: i32 = 3;
/// Option: `receive_queue_bytes`. If more bytes are queued than the new limit, the messages stay, and
/// new ones are dropped and counted until there is room.
pub const DCF_TB_OPTION_RECEIVE_QUEUE_BYTES: i32 = 4;
/// Option: `max_streams`. If more streams are open than the new limit, they stay open, and new ones
/// are refused until enough have closed.
pub const DCF_TB_OPTION_MAX_STREAMS: i32 = 5;
/// Option: `max_silent_streams`. If more streams are silent than the new limit, they stay, and each
/// new stream replaces the oldest one or is refused. If there was no limit before, streams that are
/// silent now count as well.
pub const DCF_TB_OPTION_MAX_SILENT_STREAMS: i32 = 6;
/// Option: `silent_after_ms`. Also applies to streams that are silent now.
pub const DCF_TB_OPTION_SILENT_AFTER_MS: i32 = 7;
/// Option: `connect_timeout_ms`. Applies to calls that begin later.
pub const DCF_TB_OPTION_CONNECT_TIMEOUT_MS: i32 = 8;
/// Option: `allow_any_source`. Open streams stay open.
pub const DCF_TB_OPTION_ALLOW_ANY_SOURCE: i32 = 9;

/// Option: `stream_dead_after_ms`. Applies to streams that are opened or accepted later. Values
/// above 2147483647 have the effect of 2147483647.
pub const DCF_TB_OPTION_STREAM_DEAD_AFTER_MS: i32 = 10;

/// An option: its number, its name, and its functions in the Rust API.
struct Setting {
    number: i32,
    /// The member of dcf_tb_config.
    name: &'static str,
    set: fn(&ThunderboltTransport, &'static str, u64) -> Result<(), Failure>,
    get: fn(&ThunderboltTransport) -> u64,
}

/// All options. `set` refuses the same values as `dcf_tb_init`.
const SETTINGS: [Setting; 10] = [
    Setting {
        number: DCF_TB_OPTION_LOG_LEVEL,
        name: "log_level",
        set: |transport, _, value| {
            transport.set_log_level(log_level(value)?);
            Ok(())
        },
        get: |transport| transport.log_level() as u64,
    },
    Setting {
        number: DCF_TB_OPTION_BUSY_POLL_US,
        name: "busy_poll_us",
        set: |transport, name, value| {
            transport.set_busy_poll(Duration::from_micros(number(name, value)?.into()));
            Ok(())
        },
        get: |transport| whole(transport.busy_poll().as_micros()),
    },
    Setting {
        number: DCF_TB_OPTION_RECEIVE_QUEUE,
        name: "receive_queue",
        set: |transport, name, value| {
            transport.set_receive_queue(number(name, value)? as usize);
            Ok(())
        },
        get: |transport| transport.receive_queue() as u64,
    },
    Setting {
        number: DCF_TB_OPTION_RECEIVE_QUEUE_BYTES,
        name: "receive_queue_bytes",
        set: |transport, name, value| {
            transport.set_receive_queue_bytes(bytes(name, value)?);
            Ok(())
        },
        get: |transport| transport.receive_queue_bytes() as u64,
    },
    Setting {
        number: DCF_TB_OPTION_MAX_STREAMS,
        name: "max_streams",
        set: |transport, name, value| {
            transport.set_max_streams(number(name, value)?);
            Ok(())
        },
        get: |transport| transport.max_streams().into(),
    },
    Setting {
        number: DCF_TB_OPTION_MAX_SILENT_STREAMS,
        name: "max_silent_streams",
        set: |transport, name, value| {
            transport.set_max_silent_streams(number(name, value)?);
            Ok(())
        },
        get: |transport| transport.max_silent_streams().into(),
    },
    Setting {
        number: DCF_TB_OPTION_SILENT_AFTER_MS,
        name: "silent_after_ms",
        set: |transport, name, value| {
            transport.set_silent_after(milliseconds(name, value)?);
            Ok(())
        },
        get: |transport| whole(transport.silent_after().as_millis()),
    },
    Setting {
        number: DCF_TB_OPTION_CONNECT_TIMEOUT_MS,
        name: "connect_timeout_ms",
        set: |transport, name, value| {
            transport.set_connect_timeout(milliseconds(name, value)?);
            Ok(())
        },
        get: |transport| whole(transport.connect_timeout().as_millis()),
    },
    Setting {
        number: DCF_TB_OPTION_ALLOW_ANY_SOURCE,
        name: "allow_any_source",
        set: |transport, _, value| {
            transport.set_allow_any_source(value != 0);
            Ok(())
        },
        get: |transport| transport.allow_any_source().into(),
    },
    Setting {
        number: DCF_TB_OPTION_STREAM_DEAD_AFTER_MS,
        name: "stream_dead_after_ms",
        set: |transport, name, value| {
            transport.set_stream_dead_after(milliseconds(name, value)?);
            Ok(())
        },
        get: |transport| whole(transport.stream_dead_after().as_millis()),
    },
];

fn setting(option: i32) -> Result<&'static Setting, Failure> {
    let known = SETTINGS.iter().find(|setting| setting.number == option);
    known.ok_or_else(|| {
        invalid(format!(
            "option is {option}: it must be one of DCF_TB_OPTION_*, 1 to {} in this version, {}; the other \
             settings are fixed when the transport starts",
            SETTINGS.len(),
            env!("CARGO_PKG_VERSION"),
        ))
    })
}

/// The range that the type of the `dcf_tb_config` member has.
fn number(name: &str, value: u64) -> Result<u32, Failure> {
    u32::try_from(value).map_err(|_| {
        invalid(format!(
            "{name} is {value}: it must be at most {}",
            u32::MAX
        ))
    })
}

fn milliseconds(name: &str, value: u64) -> Result<Duration, Failure> {
    Ok(Duration::from_millis(number(name, value)?.into()))
}

fn whole(units: u128) -> u64 {
    u64::try_from(units).unwrap_or(u64::MAX)
}

/// Changes a setting of a running transport. The new value applies at once, on all threads, to
/// everything that begins later. It ends nothing that is in progress: if more is in use than a new
/// limit allows, that stays, and further requests are refused until there is room. The call takes
/// no lock that traffic takes.
///
/// Settings without a `DCF_TB_OPTION_*` belong to the sockets or threads, and are fixed when the
/// transport starts. To change one, close the transport and start another. Callbacks have their own
/// functions, such as `dcf_tb_set_message_callback`.
///
/// - `transport`: the handle.
/// - `option`: one of `DCF_TB_OPTION_*`.
/// - `value`: the new value, in the unit and range of the member of `dcf_tb_config`. A boolean is
///   true for every number except 0.
///
/// Ownership: unchanged.
/// Blocks: never.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_ERR_INVALID_HANDLE
///   DCF_TB_ERR_CONFIG_INVALID   `dcf_tb_init` would refuse the value, or this version does not know
///                               the option; the error text quotes it
#[no_mangle]
pub extern "C" fn dcf_tb_set_option(
    transport: dcf_tb_transport,
    option: i32,
    value: u64,
) -> dcf_tb_status {
    boundary::on_transport("dcf_tb_set_option", transport, |owner| {
        let setting = setting(option)?;
        (setting.set)(&owner.transport, setting.name, value)
    })
}

/// Reads the present value of a setting.
///
/// - `transport`: the handle.
/// - `option`: one of `DCF_TB_OPTION_*`.
/// - `value`: receives the value.
///
/// Ownership: unchanged.
/// Blocks: never.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_ERR_INVALID_HANDLE
///   DCF_TB_ERR_NULL_POINTER     `value` is NULL
///   DCF_TB_ERR_CONFIG_INVALID   this version does not know the option; the error text quotes it
#[no_mangle]
pub unsafe extern "C" fn dcf_tb_get_option(
    transport: dcf_tb_transport,
    option: i32,
    value: *mut u64,
) -> dcf_tb_status {
    boundary::on_transport("dcf_tb_get_option", transport, |owner| {
        // SAFETY: the caller's promise about `value`.
        let out = unsafe { Out::new(value, "value") }?;
        out.set((setting(option)?.get)(&owner.transport));
        Ok(())
    })
}

exported_since! {
    "DCF_TB_1.0":
    dcf_tb_set_option,
    dcf_tb_get_option,
}

#[cfg(all(test, feature = "plugin"))] // the root package: what is tested
mod tests {
    use super::*;

    #[test]
    fn each_option_is_a_member_of_the_config() {
        let header = include_str!(concat!(env!("OUT_DIR"), "/dcf_thunderbolt.h"));
        for (n, setting) in SETTINGS.iter().enumerate() {
            assert_eq!(setting.number, n as i32 + 1);
            let name = setting.name;
            let constant = format!("#define DCF_TB_OPTION_{} {}\n", name.to_uppercase(), n + 1);
            assert!(header.contains(&constant), "the header lacks {constant}");
            assert!(header.contains(&format!(" {name};\n")), "no member {name}");
        }
        assert_eq!(
            header.matches("#define DCF_TB_OPTION_").count(),
            SETTINGS.len()
        );
    }
}
