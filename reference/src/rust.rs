//! What the names of the header are called in Rust.

/// The method of `ThunderboltTransportBuilder` for a setting of `dcf_tb_config`.
pub fn setting(member: &str) -> String {
    match member {
        "struct_size" | "user_data" => "–".to_owned(),
        "interface_name" => "`interface`".to_owned(),
        "on_log" => "`logger`".to_owned(),
        "on_message" | "on_stream" => format!("`{member}`, `message_handler`"),
        _ => match member.strip_suffix("_ms").or(member.strip_suffix("_us")) {
            Some(name) => format!("`{name}(Duration)`"),
            None => format!("`{member}`"),
        },
    }
}

/// The `TransportError`, or the result, that stands for each status.
const STATUSES: [(&str, &str); 33] = [
    ("DCF_TB_OK", "`Ok`"),
    ("DCF_TB_WOULD_BLOCK", "`WouldBlock`"),
    ("DCF_TB_CANCELLED", "`Cancelled`, `Shutdown`"),
    ("DCF_TB_EOF", "`Ok(0)`, or a smaller count"),
    ("DCF_TB_ERR_NULL_POINTER", "–"),
    ("DCF_TB_ERR_OUT_OF_MEMORY", "`OutOfMemory`"),
    ("DCF_TB_ERR_BUFFER_TOO_SMALL", "`BufferTooSmall`"),
    ("DCF_TB_ERR_CONFIG_INVALID", "–"),
    ("DCF_TB_ERR_SOCKET_OPTION", "`SocketOption`"),
    ("DCF_TB_ERR_CONNECTION_REFUSED", "`ConnectionFailed`"),
    ("DCF_TB_ERR_INTERFACE_NOT_FOUND", "`InterfaceNotFound`"),
    ("DCF_TB_ERR_CONNECTION_FAILED", "`ConnectionFailed`"),
    ("DCF_TB_ERR_CONNECTION_RESET", "`ConnectionFailed`"),
    ("DCF_TB_ERR_HOST_UNREACHABLE", "`ConnectionFailed`"),
    ("DCF_TB_ERR_LINK_DOWN", "`LinkDown`"),
    ("DCF_TB_ERR_CONNECTION_ABORTED", "`ConnectionFailed`"),
    (
        "DCF_TB_ERR_TOO_MANY_CONNECTIONS",
        "`TooManyStreams`, `TooManySilentStreams`",
    ),
    ("DCF_TB_ERR_ADDRESS_IN_USE", "`AddressInUse`"),
    ("DCF_TB_ERR_INVALID_MESSAGE", "`InvalidMessage`"),
    ("DCF_TB_ERR_MESSAGE_TOO_LARGE", "`MessageTooLarge`"),
    ("DCF_TB_ERR_FORKED", "–"),
    ("DCF_TB_ERR_NOT_INITIALIZED", "`NotInitialized`"),
    ("DCF_TB_ERR_SHUTDOWN", "–"),
    ("DCF_TB_ERR_PERMISSION_DENIED", "`PermissionDenied`"),
    ("DCF_TB_ERR_INVALID_ADDRESS", "`InvalidAddress`"),
    ("DCF_TB_ERR_OUT_OF_RANGE", "`OutOfRange`"),
    ("DCF_TB_ERR_INVALID_HANDLE", "–"),
    ("DCF_TB_ERR_IO", "`Io`"),
    ("DCF_TB_ERR_BROKEN_PIPE", "`ConnectionFailed`"),
    ("DCF_TB_ERR_TIMEOUT", "`Timeout`"),
    ("DCF_TB_ERR_TOO_MANY_FILES", "`TooManyFiles`"),
    ("DCF_TB_ERR_QUEUE_FULL", "`QueueFull`"),
    ("DCF_TB_ERR_THREAD", "`Thread`"),
];

/// The counterpart of a status, if `STATUSES` lists it.
pub fn status(name: &str) -> Option<&'static str> {
    match name {
        // A panic passes through the Rust API as a panic.
        "DCF_TB_ERR_PANIC" => Some("–"),
        _ => STATUSES
            .iter()
            .find_map(|(status, rust)| (*status == name).then_some(*rust)),
    }
}

#[cfg(test)]
mod tests {
    use super::{setting, status, STATUSES};
    use crate::header::Header;

    const HEADER: &str = include_str!("../../include/dcf_thunderbolt.h");
    const BUILDER: &str = include_str!("../../transport/src/config.rs");
    const STATS: &str = include_str!("../../transport/src/stats.rs");
    const ERRORS: &str = include_str!("../../transport/src/error.rs");
    const MAPPING: &str = include_str!("../../src/failure.rs");

    /// The words in backticks.
    fn quoted(text: &str) -> impl Iterator<Item = &str> {
        text.split('`').skip(1).step_by(2)
    }

    #[test]
    fn every_setting_names_a_method_of_the_builder() {
        let header = Header::parse(HEADER);
        let config = header.item("dcf_tb_config").expect("the settings");
        for member in &config.members {
            for method in quoted(&setting(member.name())) {
                let method = method.trim_end_matches("(Duration)");
                let declared = ["(", "<"].map(|after| format!("pub fn {method}{after}"));
                assert!(
                    declared.iter().any(|text| BUILDER.contains(text)),
                    "{}: the builder has no {method}; name the method in reference/src/rust.rs",
                    member.name()
                );
            }
        }
    }

    #[test]
    fn every_statistic_has_its_name_in_rust_too() {
        let header = Header::parse(HEADER);
        let stats = header.item("dcf_tb_stats").expect("the statistics");
        for member in &stats.members {
            let name = match member.name() {
                "struct_size" => continue,
                "uptime_ns" => "uptime",
                name => name,
            };
            // A field of the struct, or an entry of the table that makes most of them.
            let declared = [
                format!("pub {name}: "),
                format!("\n        {name},"),
                format!("=> {name},"),
            ];
            assert!(
                declared.iter().any(|text| STATS.contains(text)),
                "Stats has no {name}"
            );
        }
    }

    #[test]
    fn every_error_that_is_named_exists() {
        for (name, rust) in STATUSES {
            for error in quoted(rust).filter(|word| !word.starts_with("Ok")) {
                let declared = [" {", "(", ","].map(|after| format!("\n    {error}{after}"));
                assert!(
                    declared.iter().any(|text| ERRORS.contains(text)),
                    "{name}: TransportError has no {error}"
                );
            }
        }
    }

    #[test]
    fn the_table_agrees_with_the_mapping_of_the_library() {
        let mut compared = 0;
        for line in MAPPING.lines() {
            let Some((pattern, result)) = line.split_once(" => DCF_TB_") else {
                continue;
            };
            let name = format!("DCF_TB_{}", result.trim_end_matches(','));
            for error in pattern.split("TransportError::").skip(1) {
                let end = error.find(|letter: char| !letter.is_alphanumeric());
                let error = &error[..end.unwrap_or(error.len())];
                let rust = status(&name).unwrap_or_default();
                assert!(quoted(rust).any(|word| word == error), "{name}: {error}");
                compared += 1;
            }
        }
        assert!(compared > 15, "{compared}");
    }
}
