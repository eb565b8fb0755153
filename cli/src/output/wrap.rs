//! Breaks long texts into lines for a terminal.

/// Fewer columns than this for a text would put a word on each line.
const LEAST: usize = 20;

/// Breaks a text between its words into lines of at most `columns`, without indentation. A longer word has a line
/// of its own.
pub fn wrapped(text: &str, columns: usize) -> Vec<String> {
    broken(text, columns.max(LEAST), "")
}

/// As [`wrapped`], for a command: a backslash at the end of a line tells a shell that it goes on.
pub fn wrapped_command(command: &str, columns: usize) -> Vec<String> {
    // A quoted word may have spaces, between which a backslash would be part of the word.
    if command.contains('\'') {
        return vec![command.to_owned()];
    }
    broken(command, columns.max(LEAST) - 2, " \\")
}

/// Breaks a line to the width of a terminal, if there is one. The lines that follow have the same indentation.
pub fn laid_out(line: &str, columns: Option<usize>) -> String {
    let Some(columns) = columns.filter(|columns| line.chars().count() > *columns) else {
        return line.to_owned();
    };
    let text = line.trim_start_matches(' ');
    let indent = &line[..line.len() - text.len()];
    let lines = wrapped(text, columns.saturating_sub(indent.len()));
    format!("{indent}{}", lines.join(&format!("\n{indent}")))
}

fn broken(text: &str, columns: usize, more: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last_mut().expect("there is one");
        let length = last.chars().count() + 1 + word.chars().count();
        if last.is_empty() {
            last.push_str(word);
        } else if length <= columns {
            last.push(' ');
            last.push_str(word);
        } else {
            last.push_str(more);
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_too_long_and_no_word_is_lost() {
        let text = "the link has no carrier: the other host is not connected".repeat(5);
        for columns in [20, 31, 80, 1000] {
            let lines = wrapped(&text, columns);
            assert!(lines.iter().all(|line| line.chars().count() <= columns));
            assert_eq!(lines.join(" "), text);
        }
        assert_eq!(wrapped("a", 0), ["a"]);
        let long = "x".repeat(100);
        assert_eq!(wrapped(&format!("a {long} b"), 30), ["a", &long, "b"]);
    }

    #[test]
    fn lines_that_follow_are_indented_alike() {
        let line = "    some words that are too long";
        assert_eq!(laid_out(line, None), line);
        assert_eq!(laid_out(line, Some(40)), line);
        let broken = "    some words that are\n    too long";
        assert_eq!(laid_out(line, Some(25)), broken);
    }

    #[test]
    fn a_command_goes_on_behind_a_backslash() {
        let command = "sudo ip link set dev thunderbolt0 mtu 65520";
        let lines = wrapped_command(command, 24);
        assert!(lines.len() > 1 && lines.iter().all(|line| line.len() <= 24));
        assert_eq!(lines.join("\n").replace(" \\\n", " "), command);
        let quoted = "sudo sysctl -w 'net.ipv4.tcp_rmem=4096 131072 67108864'";
        assert_eq!(wrapped_command(quoted, 24), [quoted]);
    }
}
