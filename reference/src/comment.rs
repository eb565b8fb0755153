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

#[cfg(test)]
mod tests {
    use super::{blocks, Block};

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
}
