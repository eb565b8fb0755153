//! The map as a graph in the DOT language.

use super::hosts::{Link, Map};
use super::text;
use crate::output::escape;

/// The node of this host. The others are numbered, because their names may be equal.
const OWN: &str = "own";

pub fn graph(map: &Map) -> String {
    let mut graph = String::from("graph cables {\n  node [shape=box];\n");
    graph += &format!("  {OWN} [label={}];\n", quoted(&[&map.host]));
    for (number, host) in map.peers.iter().enumerate() {
        let label = quoted(&[&text::name(host), host.uuid.as_deref().unwrap_or("")]);
        graph += &format!("  host{number} [label={label}];\n");
        for link in &host.links {
            graph += &edge(number, link);
        }
    }
    graph + "}\n"
}

fn edge(number: usize, link: &Link) -> String {
    let fastest = link.answers.iter().map(|answer| answer.rtt_us);
    let fastest = fastest.min_by(f64::total_cmp).map(text::round_trip);
    let facts = [
        Some(link.interface.clone()),
        text::rate(link),
        text::mtu(link),
        link.reason.clone(),
        fastest,
    ];
    let facts: Vec<_> = facts.into_iter().flatten().collect();
    let facts: Vec<&str> = facts.iter().map(String::as_str).collect();
    let style = if link.up { "solid" } else { "dashed" };
    let label = quoted(&facts);
    format!("  {OWN} -- host{number} [label={label}, style={style}];\n")
}

/// A string with one line for each text that is not empty. Backslashes would be escapes of DOT, which can show
/// other text, and double quotes would end the string.
fn quoted(lines: &[&str]) -> String {
    let lines = lines.iter().filter(|line| !line.is_empty());
    let escaped = lines.map(|line| escape(line).replace('\\', "\\\\").replace('"', "\\\""));
    format!("\"{}\"", escaped.collect::<Vec<_>>().join("\\n"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_name_cannot_leave_its_string() {
        assert_eq!(quoted(&["a", "", "b"]), r#""a\nb""#);
        assert_eq!(
            quoted(&[r#"x"]; evil [label="\N"#]),
            r#""x\"]; evil [label=\"\\N""#
        );
    }
}
