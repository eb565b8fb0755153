//! The header as `docs/REFERENCE.md`.

use crate::comment::{blocks, rules, Block};
use crate::header::{Header, Item, Kind};
use crate::page::Page;
use crate::rust;

/// What stands above the generated text.
const HEAD: &str = "\
# Reference of the C API

<!-- Generated from include/dcf_thunderbolt.h. To change it, change the comments in src/*.rs and run
`cargo build`. -->

The header [`include/dcf_thunderbolt.h`](../include/dcf_thunderbolt.h) is the full reference, and
the man pages (`man dcf_thunderbolt`) are made from it. So is this page, which lists every function,
setting, statistic, type and status. For each function the header also says what it blocks on, who
owns what, and which statuses it returns.

Contents: [Rules for all functions](#rules-for-all-functions) · [Functions](#functions) ·
[Configuration](#configuration) · [Statistics](#statistics) · [Structs](#structs) ·
[Callbacks](#callbacks) · [Handles](#handles) · [Constants](#constants) · [Errors](#errors)
";

const CONFIGURATION: &str = "\
`dcf_tb_config_init` fills in the defaults. Change what should differ, then pass the struct to
`dcf_tb_init`; NULL means all defaults. `ThunderboltTransportBuilder` in Rust has a method for each.
Rust also has `ThunderboltConfig`, with the six settings from `interface` to `tcp_keepalive`, for
`ThunderboltTransportBuilder::config`.
";

const STATISTICS: &str = "\
Set `struct_size` before each `dcf_tb_get_stats`. In Rust, `Stats` has the same names; `uptime_ns`
is `uptime` (a `Duration`) and `uptime_secs`.
";

const ERRORS: &str = "\
A status is 0 or a positive number. Most numbers are those of DCF's own error table.
`dcf_tb_last_error` gives the failure in words, with the offending value. The last column is the
counterpart in Rust, of `TransportError` if not said otherwise.

In Rust, `errno()` and `kind()` tell what the operating system answered, and the text of an error
goes with it to any thread. `TransportError::Timeout` has no room for a text: `last_error_text()`
has it, on the thread that made the call. In a task, read it before the next `.await`.
";

/// The struct of the settings, and that of the statistics: each has a chapter of its own.
const SETTINGS: &str = "dcf_tb_config";
const STATS: &str = "dcf_tb_stats";

/// The whole page.
pub fn render(header: &Header, pages: &[Page]) -> Result<String, String> {
    let mut text = HEAD.to_owned();
    text += "\n## Rules for all functions\n\n";
    for rule in rules(&header.rules) {
        let said = code_names(&rule.text);
        match rule.word.as_str() {
            "" => text += &format!("\n{}", wrap(&said, "")),
            word => text += &wrap(&format!("- **{word}**: {said}"), "  "),
        }
    }
    text += "\n## Functions\n";
    for page in pages.iter().filter(|page| page.functions().count() > 0) {
        text += &format!("\n### {}\n\n", capitalized(page.title));
        text += "| Function | What it does |\n|---|---|\n";
        for item in page.functions().filter_map(|name| header.item(name)) {
            text += &format!("| `{}` | {} |\n", item.name, cell(&summary(item)));
        }
    }
    text += &format!("\n## Configuration\n\n{CONFIGURATION}\n");
    text += "| Member | Default | Meaning | Rust |\n|---|---|---|---|\n";
    for member in members(header, SETTINGS)? {
        let (default, meaning) = default_of(&joined(&member.comment));
        text += &format!(
            "| `{}` | {} | {} | {} |\n",
            member.code,
            cell(&default),
            cell(&meaning),
            rust::setting(member.name())
        );
    }
    text += &format!("\n## Statistics\n\n{STATISTICS}\n");
    text += "| Member | Meaning |\n|---|---|\n";
    for member in members(header, STATS)? {
        text += &row(&member.code, &joined(&member.comment));
    }
    text += "\n## Structs\n";
    let is_other = |item: &&Item| item.name != SETTINGS && item.name != STATS;
    for item in of_kind(header, Kind::Struct).filter(is_other) {
        text += &format!("\n### `{}`\n\n", item.name);
        text += &wrap(&code_names(&joined(&item.comment)), "");
        text += "\n| Member | Meaning |\n|---|---|\n";
        for member in &item.members {
            text += &row(&member.code, &joined(&member.comment));
        }
    }
    text += "\n## Callbacks\n";
    let is_callback = |item: &&Item| item.code.concat().contains("(*");
    for item in of_kind(header, Kind::Type).filter(is_callback) {
        text += &format!(
            "\n### `{}`\n\n```c\n{}\n```\n",
            item.name,
            item.code.join("\n")
        );
        for block in blocks(&item.comment) {
            if let Block::Paragraph(said) = block {
                text += &format!("\n{}", wrap(&code_names(&said), ""));
            }
        }
    }
    text += "\n## Handles\n\n| Type | Meaning |\n|---|---|\n";
    let is_handle = |item: &&Item| !is_callback(item) && item.name != "dcf_tb_status";
    for item in of_kind(header, Kind::Type).filter(is_handle) {
        text += &row(&item.name, &joined(&item.comment));
    }
    text += "\n## Constants\n\n| Constant | Value | Meaning |\n|---|---|---|\n";
    let constants = || of_kind(header, Kind::Constant);
    for item in constants().filter(|item| !item.is_status(header)) {
        text += &format!(
            "| `{}` | {} | {} |\n",
            item.name,
            item.value(),
            cell(&joined(&item.comment))
        );
    }
    text += &format!("\n## Errors\n\n{ERRORS}\n");
    text += "| Status | Number | Meaning, and what to do | Rust |\n|---|---|---|---|\n";
    for item in constants().filter(|item| item.is_status(header)) {
        let rust = rust::status(&item.name).ok_or_else(|| {
            format!(
                "{} has no Rust error; list it in reference/src/rust.rs",
                item.name
            )
        })?;
        let meaning = cell(&joined(&item.comment));
        text += &format!(
            "| `{}` | {} | {meaning} | {rust} |\n",
            item.name,
            item.value()
        );
    }
    Ok(text)
}

fn of_kind(header: &Header, kind: Kind) -> impl Iterator<Item = &Item> {
    header.items.iter().filter(move |item| item.kind == kind)
}

fn members<'a>(header: &'a Header, name: &str) -> Result<&'a [crate::header::Member], String> {
    let item = header
        .item(name)
        .ok_or_else(|| format!("the header has no {name}"))?;
    Ok(&item.members)
}

fn row(code: &str, meaning: &str) -> String {
    format!("| `{code}` | {} |\n", cell(meaning))
}

/// Text that may stand in a table.
fn cell(text: &str) -> String {
    code_names(text).replace('|', "\\|")
}

fn joined(comment: &[String]) -> String {
    let lines: Vec<&str> = comment.iter().map(|line| line.trim()).collect();
    lines.join(" ").trim().to_owned()
}

/// The first sentence about a function.
fn summary(item: &Item) -> String {
    let first = blocks(&item.comment).into_iter().next();
    let Some(Block::Paragraph(text)) = first else {
        return String::new();
    };
    match text.split_once(". ") {
        Some((sentence, _)) => sentence.to_owned() + ".",
        None => text,
    }
}

/// The default that the comment of a setting names, and the rest of the comment.
fn default_of(comment: &str) -> (String, String) {
    const WORD: &str = "Default ";
    let Some((before, after)) = comment.split_once(WORD) else {
        return ("–".to_owned(), comment.to_owned());
    };
    let ends = ["; ", ". "].map(|end| after.find(end).unwrap_or(after.len()));
    let end = ends[0].min(ends[1]);
    let (default, rest) = after.split_at(end);
    let rest = rest.trim_start_matches([';', '.']).trim_start();
    let meaning = format!("{before}{}", capitalized(rest));
    (
        default.trim_end_matches('.').to_owned(),
        meaning.trim_end().to_owned(),
    )
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

/// Marks names of the library as code where the text does not do so itself.
fn code_names(text: &str) -> String {
    let marked = text
        .split('`')
        .enumerate()
        .map(|(number, part)| match number % 2 {
            0 => names_in(part),
            _ => format!("`{part}`"),
        });
    marked.collect()
}

fn names_in(text: &str) -> String {
    let pieces = text.split_inclusive(char::is_whitespace);
    pieces
        .map(|piece| match is_option(piece) {
            true => {
                let (option, after) = piece.split_at(piece.trim_end_matches([' ', ',', '.']).len());
                format!("`{option}`{after}")
            }
            false => identifiers_in(piece),
        })
        .collect()
}

/// Whether this is an option of the compiler, such as `-lm`.
fn is_option(word: &str) -> bool {
    let name = word.strip_prefix('-').unwrap_or_default();
    name.starts_with(char::is_alphabetic)
}

fn identifiers_in(text: &str) -> String {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let mut marked = String::new();
    for piece in text.split_inclusive(|letter| !is_part(letter)) {
        let (word, after) = piece.split_at(piece.trim_end_matches(|letter| !is_part(letter)).len());
        let is_macro = word.starts_with("DCF_TB_") && word.len() > "DCF_TB_".len();
        let is_name = word.contains('_') && word == word.to_lowercase();
        match is_macro || is_name {
            true => marked += &format!("`{word}`{after}"),
            false => marked += piece,
        }
    }
    marked
}

/// Lines of at most 100 columns; those after the first begin with `indent`.
fn wrap(text: &str, indent: &str) -> String {
    const COLUMNS: usize = 100;
    let mut wrapped = String::new();
    let mut column = 0;
    for word in text.split_whitespace() {
        let width = word.chars().count();
        if column > 0 && column + 1 + width > COLUMNS {
            wrapped += "\n";
            wrapped += indent;
            column = indent.len();
        } else if column > 0 {
            wrapped += " ";
            column += 1;
        }
        wrapped += word;
        column += width;
    }
    wrapped + "\n"
}

#[cfg(test)]
mod tests {
    use super::{code_names, default_of, render, wrap};
    use crate::header::{Header, Kind};
    use crate::pages;

    const HEADER: &str = include_str!("../../include/dcf_thunderbolt.h");
    const COMMITTED: &str = include_str!("../../docs/REFERENCE.md");

    fn rendered() -> String {
        let header = Header::parse(HEADER);
        let pages = pages::of(&header).expect("all are listed");
        render(&header, &pages).expect("every status has a counterpart")
    }

    #[test]
    fn the_committed_page_is_the_generated_one() {
        let rendered = rendered();
        for (committed, generated) in COMMITTED.lines().zip(rendered.lines()) {
            assert_eq!(
                committed, generated,
                "docs/REFERENCE.md is not up to date; run `cargo build` and commit it"
            );
        }
        assert_eq!(COMMITTED.lines().count(), rendered.lines().count());
    }

    #[test]
    fn everything_of_the_header_is_on_the_page() {
        let text = rendered();
        for item in Header::parse(HEADER).items {
            assert!(text.contains(&item.name), "{} is missing", item.name);
            if item.kind == Kind::Struct {
                for member in &item.members {
                    let row = format!("| `{}` |", member.code);
                    assert!(text.contains(&row), "{}: {row} is missing", item.name);
                }
            }
        }
    }

    #[test]
    fn lines_outside_tables_are_short_and_cells_are_filled() {
        let text = rendered();
        let mut is_code = false;
        for line in text.lines() {
            is_code ^= line.starts_with("```");
            let is_free = line.starts_with('|') || is_code;
            assert!(is_free || line.chars().count() <= 100, "too long: {line}");
            assert!(!line.contains("|  |"), "an empty cell: {line}");
        }
    }

    #[test]
    fn defaults_are_taken_from_comments() {
        for (comment, default, meaning) in [
            ("A port. Default 5000; 0 = any.", "5000", "A port. 0 = any."),
            (
                "A size. Default 64 MiB. It grows.",
                "64 MiB",
                "A size. It grows.",
            ),
            ("Time. It stops. Default 10.", "10", "Time. It stops."),
            ("Size of this struct.", "–", "Size of this struct."),
        ] {
            let expected = (default.to_owned(), meaning.to_owned());
            assert_eq!(default_of(comment), expected, "{comment}");
        }
    }

    #[test]
    fn names_become_code_once() {
        for (text, marked) in [
            ("see dcf_tb_init.", "see `dcf_tb_init`."),
            (
                "`dcf_tb_init` and DCF_TB_OK (0)",
                "`dcf_tb_init` and `DCF_TB_OK` (0)",
            ),
            ("set struct_size; abort()", "set `struct_size`; abort()"),
            ("threads named dcf-tb-...", "threads named dcf-tb-..."),
            (
                "link it with -lm, or -Wl,-z,now.",
                "link it with `-lm`, or `-Wl,-z,now`.",
            ),
        ] {
            assert_eq!(code_names(text), marked);
        }
    }

    #[test]
    fn text_is_wrapped() {
        let text = format!("{} {}", "a".repeat(60), "b".repeat(60));
        let lines = format!("{}\n  {}\n", "a".repeat(60), "b".repeat(60));
        assert_eq!(wrap(&text, "  "), lines);
    }
}
