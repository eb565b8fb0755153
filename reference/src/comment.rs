//! A comment of the header as paragraphs, lists and tables. Its form is the same everywhere; a test of the root
//! package sees to the parts that each function has.

/// A piece of a comment.
#[derive(Debug, PartialEq, Eq)]
pub enum Block {
    /// Text.
    Paragraph(String),
    /// An entry of a list: what it is about, and the text.
    Entry(String, String),
    /// `Ownership:` and its like: the word, and the text.
    Part(String, String),
    /// A status that a function may return, and when.
    Status(String, String),
}

/// The pieces of a comment.
pub fn blocks(lines: &[String]) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open = false;
    for line in lines {
        if line.trim().is_empty() {
            open = false;
        } else if let Some(block) = begins(line) {
            blocks.push(block);
            open = true;
        } else if let (true, Some(block)) = (open, blocks.last_mut()) {
            block.extend(line.trim());
        } else {
            blocks.push(Block::Paragraph(line.trim().to_owned()));
            open = true;
        }
    }
    blocks
}

/// The block that begins with this line, if one does.
fn begins(line: &str) -> Option<Block> {
    if let Some(entry) = line.strip_prefix("- ") {
        let (term, text) = entry.split_once(": ")?;
        return Some(Block::Entry(term.replace('`', ""), text.to_owned()));
    }
    if let Some(status) = line.strip_prefix("  DCF_TB_") {
        let (name, text) = status.split_once(' ').unwrap_or((status, ""));
        return Some(Block::Status(
            format!("DCF_TB_{name}"),
            text.trim().to_owned(),
        ));
    }
    let (word, text) = line.split_once(':')?;
    ["Ownership", "Blocks", "In callbacks", "Returns"]
        .contains(&word)
        .then(|| Block::Part(word.to_owned(), text.trim().to_owned()))
}

impl Block {
    fn extend(&mut self, more: &str) {
        let (Self::Paragraph(text)
        | Self::Entry(_, text)
        | Self::Part(_, text)
        | Self::Status(_, text)) = self;
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(more);
    }
}

/// One of the rules that hold for every function: a word such as `Threads`, and the text. The last
/// paragraph, about linking, has no word.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Rule {
    pub word: String,
    pub text: String,
}

/// The rules in the comment at the head of the header. A word at the beginning of a line has the
/// text that stands beside it, in a column of its own.
pub fn rules(lines: &[String]) -> Vec<Rule> {
    /// The column in which the text begins.
    const INDENT: usize = 11;
    let mut rules: Vec<Rule> = Vec::new();
    let mut open = false;
    for line in lines.iter().skip_while(|line| !line.starts_with("Results")) {
        let (word, text) = match line.split_at_checked(INDENT) {
            Some((word, text)) if word.starts_with(' ') || word.ends_with("  ") => (word, text),
            _ => ("", line.as_str()),
        };
        if line.is_empty() {
            open = false;
        } else if let (true, true, Some(rule)) = (open, word.trim().is_empty(), rules.last_mut()) {
            rule.text.push(' ');
            rule.text.push_str(text);
        } else {
            rules.push(Rule {
                word: word.trim().to_owned(),
                text: text.to_owned(),
            });
            open = true;
        }
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::{blocks, rules, Block, Rule};

    #[test]
    fn a_functions_comment() {
        let lines = [
            "Sends it.",
            "All of it.",
            "",
            "- `data`, `len`: the message,",
            "  whole.",
            "",
            "Blocks: never.",
            "Returns:",
            "  DCF_TB_OK",
            "  DCF_TB_EOF     the stream",
            "                 ended",
        ];
        let lines: Vec<String> = lines.map(str::to_owned).into();
        let text = |text: &str| text.to_owned();
        assert_eq!(
            blocks(&lines),
            [
                Block::Paragraph(text("Sends it. All of it.")),
                Block::Entry(text("data, len"), text("the message, whole.")),
                Block::Part(text("Blocks"), text("never.")),
                Block::Part(text("Returns"), text("")),
                Block::Status(text("DCF_TB_OK"), text("")),
                Block::Status(text("DCF_TB_EOF"), text("the stream ended")),
            ]
        );
    }

    #[test]
    fn the_rules_at_the_head() {
        let lines = [
            "About this header.",
            "",
            "Results    A function returns",
            "           a status.",
            "Ownership  Nothing changes hands.",
            "",
            "Link with it,",
            "or with the other.",
        ];
        let rule = |word: &str, text: &str| Rule {
            word: word.to_owned(),
            text: text.to_owned(),
        };
        assert_eq!(
            rules(&lines.map(str::to_owned)),
            [
                rule("Results", "A function returns a status."),
                rule("Ownership", "Nothing changes hands."),
                rule("", "Link with it, or with the other."),
            ]
        );
    }
}
