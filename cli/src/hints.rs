//! Adapts the library's texts to this tool: removes advice that only a program can follow.

/// Settings of the library that this tool has no option for, as the library's texts name them.
const SETTINGS: [&str; 14] = [
    "name_settings",
    "allow_any_source",
    "wait_for_interface",
    "remember_peers",
    "peer_timeout",
    "busy_poll",
    "receive_queue",
    "max_streams",
    "max_silent_streams",
    "silent_after",
    "connect_timeout",
    "stream_dead_after",
    "tcp_nodelay",
    "tcp_keepalive",
];
/// Settings that an option sets.
const OPTIONS: [(&str, &str); 2] = [
    ("control_port", "--control-port"),
    ("data_port", "--data-port"),
];

/// Removes the clauses that advise to change a setting which this tool does not have, and replaces the name of a
/// setting by that of its option.
pub fn in_tool(text: &str) -> String {
    let mut text = text.to_owned();
    for (setting, option) in OPTIONS {
        text = text.replace(setting, option);
    }
    if !names_a_setting(&text) {
        return text;
    }
    let mut kept = String::new();
    let mut rest = text.as_str();
    while let Some((before, group)) = rest.split_once('(') {
        let (inside, after) = group.split_once(')').unwrap_or((group, ""));
        match names_a_setting(inside) {
            true => kept.push_str(before.trim_end()),
            false => kept.push_str(&format!("{before}({inside})")),
        }
        rest = after;
    }
    kept.push_str(rest);
    clauses(&kept)
}

fn names_a_setting(text: &str) -> bool {
    SETTINGS.iter().any(|setting| text.contains(setting))
}

/// Removes the clauses that name a setting or say to raise it.
fn clauses(text: &str) -> String {
    const ENDS: [&str; 3] = [": ", ", ", "; "];
    let mut kept = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = ENDS.iter().filter_map(|end| rest.find(end)).min();
        let (clause, after) = match end {
            Some(end) => (&rest[..end], &rest[end..]),
            None => (rest, ""),
        };
        let words = clause.trim_start_matches([':', ',', ';', ' ']);
        if !names_a_setting(words) && !words.contains("raise it") {
            kept.push_str(clause);
        }
        // A separator belongs to the clause behind it.
        let next = after
            .char_indices()
            .nth(2)
            .map_or(after.len(), |(at, _)| at);
        let (separator, others) = after.split_at(next);
        let end = ENDS.iter().filter_map(|end| others.find(end)).min();
        let (clause, _) = others.split_at(end.unwrap_or(others.len()));
        if !names_a_setting(clause) && !clause.contains("raise it") {
            kept.push_str(separator);
        }
        rest = others;
    }
    kept
}

#[cfg(test)]
mod tests;
