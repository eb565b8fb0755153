//! Which page has what.

use crate::header::{Header, Kind};
use crate::page::Page;

/// The overview: the rules of the header, and what belongs to all functions.
const OVERVIEW: &str = "dcf_thunderbolt";

/// Name, title, and what is declared there.
const PAGES: [(&str, &str, &[&str]); 11] = [
    (
        OVERVIEW,
        "messages, streams and round trips over a Thunderbolt/USB4 cable",
        &[
            "dcf_tb_transport",
            "dcf_tb_stream",
            "DCF_TB_WAIT_FOREVER",
            "DCF_TB_MAX_MESSAGE_SIZE",
            "DCF_TB_PEER_SIZE",
            "DCF_TB_MAX_DISCOVERED",
        ],
    ),
    (
        "dcf_tb_status",
        "status codes, and the last error in words",
        &[
            "dcf_tb_status",
            "dcf_tb_status_string",
            "dcf_tb_last_error",
            "dcf_tb_last_errno",
        ],
    ),
    (
        "dcf_tb_versions",
        "the version of the library and of its ABI",
        &["dcf_tb_abi_version", "dcf_tb_version", "DCF_TB_ABI_VERSION"],
    ),
    (
        "dcf_tb_life",
        "configuring, starting and closing a transport",
        &[
            "dcf_tb_config_init",
            "dcf_tb_init",
            "dcf_tb_close",
            "dcf_tb_is_running",
            "dcf_tb_interface",
            "dcf_tb_ports",
            "dcf_tb_wait_link",
            "dcf_tb_config",
        ],
    ),
    (
        "dcf_tb_options",
        "settings that change while a transport runs",
        &[
            "dcf_tb_set_option",
            "dcf_tb_get_option",
            "DCF_TB_OPTION_LOG_LEVEL",
            "DCF_TB_OPTION_BUSY_POLL_US",
            "DCF_TB_OPTION_RECEIVE_QUEUE",
            "DCF_TB_OPTION_RECEIVE_QUEUE_BYTES",
            "DCF_TB_OPTION_MAX_STREAMS",
            "DCF_TB_OPTION_MAX_SILENT_STREAMS",
            "DCF_TB_OPTION_SILENT_AFTER_MS",
            "DCF_TB_OPTION_CONNECT_TIMEOUT_MS",
            "DCF_TB_OPTION_ALLOW_ANY_SOURCE",
            "DCF_TB_OPTION_STREAM_DEAD_AFTER_MS",
        ],
    ),
    (
        "dcf_tb_callbacks",
        "callbacks for messages, streams, log records, link changes and peers",
        &[
            "dcf_tb_set_message_callback",
            "dcf_tb_set_stream_callback",
            "dcf_tb_set_log_callback",
            "dcf_tb_set_link_callback",
            "dcf_tb_set_peer_callback",
            "dcf_tb_log_to_socket",
            "dcf_tb_link_to_socket",
            "dcf_tb_peer_to_socket",
            "dcf_tb_message_callback",
            "dcf_tb_stream_callback",
            "dcf_tb_log_callback",
            "dcf_tb_link_callback",
            "dcf_tb_peer_callback",
            "dcf_tb_closed_callback",
            "DCF_TB_LOG_DEBUG",
            "DCF_TB_LOG_INFO",
            "DCF_TB_LOG_WARN",
            "DCF_TB_LOG_ERROR",
        ],
    ),
    (
        "dcf_tb_messages",
        "control messages",
        &[
            "dcf_tb_send",
            "dcf_tb_send_batch",
            "dcf_tb_recv",
            "dcf_tb_recv_batch",
            "dcf_tb_event_fd",
            "dcf_tb_datagram",
            "dcf_tb_received",
        ],
    ),
    (
        "dcf_tb_streams",
        "data streams, and files over them",
        &[
            "dcf_tb_open_stream",
            "dcf_tb_accept",
            "dcf_tb_stream_write",
            "dcf_tb_stream_writev",
            "dcf_tb_stream_read",
            "dcf_tb_stream_read_exact",
            "dcf_tb_stream_send_file",
            "dcf_tb_stream_receive_file",
            "dcf_tb_stream_finish",
            "dcf_tb_stream_close",
            "dcf_tb_stream_peer",
            "dcf_tb_stream_fd",
            "dcf_tb_stream_detach",
            "dcf_tb_stream_set_user_data",
            "dcf_tb_stream_user_data",
            "dcf_tb_slice",
        ],
    ),
    (
        "dcf_tb_round_trips",
        "round trips and discovery",
        &[
            "dcf_tb_measure_rtt",
            "dcf_tb_ping",
            "dcf_tb_discover",
            "dcf_tb_discover_first",
            "dcf_tb_rtt",
            "dcf_tb_peer",
        ],
    ),
    (
        "dcf_tb_peers",
        "when a peer was last heard from",
        &["dcf_tb_last_heard", "dcf_tb_forget"],
    ),
    (
        "dcf_tb_statistics",
        "statistics of a transport and of a stream",
        &[
            "dcf_tb_get_stats",
            "dcf_tb_reset_stats",
            "dcf_tb_stream_get_stats",
            "dcf_tb_stats",
            "dcf_tb_stream_stats",
        ],
    ),
];

/// The pages of a header. Each of its items is on exactly one, or the error names it.
pub fn of(header: &Header) -> Result<Vec<Page>, String> {
    let mut pages: Vec<Page> = Vec::new();
    for (name, title, items) in PAGES {
        let mut page = Page {
            name,
            title,
            rules: name == OVERVIEW,
            functions: Vec::new(),
            others: Vec::new(),
        };
        for item in items {
            match header.item(item).map(|item| item.kind) {
                Some(Kind::Function) => page.functions.push((*item).to_owned()),
                Some(_) => page.others.push((*item).to_owned()),
                None => return Err(format!("{name}: the header has no {item}")),
            }
        }
        pages.push(page);
    }
    for item in &header.items {
        let name = &item.name;
        // The codes are all statuses, and there will be more of them.
        if name.starts_with("DCF_TB_") && item.is_status(header) {
            let status = pages.iter_mut().find(|page| page.name == "dcf_tb_status");
            status.expect("listed above").others.push(name.clone());
        }
        let times = pages.iter().filter(|page| page.has(name)).count();
        if times != 1 {
            return Err(format!(
                "{name} is on {times} pages; list it once in reference/src/pages.rs"
            ));
        }
    }
    Ok(pages)
}

#[cfg(test)]
mod tests {
    use super::of;
    use crate::header::Header;

    const HEADER: &str = include_str!("../../include/dcf_thunderbolt.h");

    #[test]
    fn every_item_of_the_header_is_on_one_page() {
        of(&Header::parse(HEADER)).expect("all are listed");
    }

    #[test]
    fn a_new_function_without_a_page_is_an_error() {
        let new = "\n/**\n * Does it.\n */\ndcf_tb_status dcf_tb_new(void);\n\n";
        let header = Header::parse(&format!("{HEADER}{new}"));
        let error = of(&header).expect_err("nobody listed it");
        assert!(error.contains("dcf_tb_new"), "{error}");
    }

    #[test]
    fn every_comment_and_member_is_on_a_page() {
        let header = Header::parse(HEADER);
        let pages = of(&header).expect("all are listed");
        let text: String = pages
            .iter()
            .map(|page| page.render(&header, &pages))
            .collect();
        for word in [
            "interface_name",
            "p999_ns",
            "rejected_silent",
            "ERR_QUEUE_FULL",
            "Ownership",
        ] {
            assert!(text.contains(word), "{word} is on no page");
        }
        assert!(!text.contains('`'), "marks of the sources are left");
    }
}
