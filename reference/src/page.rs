//! A page as roff, which man shows.

use roff::{bold, italic, roman, Inline, Roff};

use crate::comment::{blocks, rules, Block};
use crate::header::{Header, Item, Kind};

/// One group of functions and what belongs to them.
#[derive(Debug)]
pub struct Page {
    /// Its file's name, without the section.
    pub name: &'static str,
    /// What it is about, in a few words.
    pub title: &'static str,
    /// Whether it has the rules for all functions.
    pub rules: bool,
    /// The functions, in order.
    pub functions: Vec<String>,
    /// Types and numbers.
    pub others: Vec<String>,
}

impl Page {
    /// The names of its functions.
    pub fn functions(&self) -> impl Iterator<Item = &str> {
        self.functions.iter().map(String::as_str)
    }

    /// Whether this is declared on it.
    pub fn has(&self, name: &str) -> bool {
        self.functions.iter().chain(&self.others).any(|n| n == name)
    }

    /// The whole page; `all` are those that it points to.
    pub fn render(&self, header: &Header, all: &[Self]) -> String {
        let mut page = Roff::new();
        let version = concat!("dcf_thunderbolt ", env!("CARGO_PKG_VERSION"));
        page.control(
            "TH",
            [self.name, "3", NO_DATE, version, "libdcf_thunderbolt"],
        );
        self.head(&mut page, header);
        if self.rules {
            page.control("SH", ["RULES FOR ALL FUNCTIONS"]);
            write_rules(&mut page, &header.rules);
        }
        section(
            &mut page,
            "FUNCTIONS",
            self.items(&self.functions, header),
            function,
        );
        let of = |kind| move |item: &&Item| item.kind == kind;
        let others = || self.items(&self.others, header);
        section(
            &mut page,
            "TYPES",
            others().filter(of(Kind::Type)),
            type_or_struct,
        );
        section(
            &mut page,
            "STRUCTS",
            others().filter(of(Kind::Struct)),
            type_or_struct,
        );
        section(
            &mut page,
            "CONSTANTS",
            others().filter(of(Kind::Constant)),
            constant,
        );
        page.control("SH", ["SEE ALSO"]);
        let others: Vec<&Self> = all.iter().filter(|other| other.name != self.name).collect();
        for (number, other) in others.iter().enumerate() {
            let comma = if number + 1 < others.len() { "," } else { "" };
            page.control("BR", [other.name, &format!("(3){comma}")]);
        }
        page.render()
    }

    fn head(&self, page: &mut Roff, header: &Header) {
        page.control("SH", ["NAME"]);
        let mut names = vec![self.name];
        names.extend(self.functions().filter(|function| *function != self.name));
        page.text([roman(format!("{} - {}", names.join(", "), self.title))]);
        page.control("SH", ["LIBRARY"]);
        page.text([roman(
            "libdcf_thunderbolt: cc $(pkg-config --cflags --libs dcf_thunderbolt)",
        )]);
        page.control("SH", ["SYNOPSIS"]);
        page.control("nf", []);
        page.text([bold("#include <dcf_thunderbolt.h>")]);
        for function in self.items(&self.functions, header) {
            page.text([roman("")]);
            code(page, function);
        }
        page.control("fi", []);
    }

    fn items<'a>(&self, names: &'a [String], header: &'a Header) -> impl Iterator<Item = &'a Item> {
        names.iter().filter_map(|name| header.item(name))
    }
}

/// A page is of a version, not of a day.
const NO_DATE: &str = " ";

/// A section, if there is anything in it.
fn section<'a>(
    page: &mut Roff,
    title: &str,
    items: impl Iterator<Item = &'a Item>,
    write: fn(&mut Roff, &Item),
) {
    let mut items = items.peekable();
    if items.peek().is_some() {
        page.control("SH", [title]);
    }
    for item in items {
        write(page, item);
    }
}

fn function(page: &mut Roff, item: &Item) {
    page.control("SS", [item.name.as_str()]);
    said(page, &item.comment);
}

fn type_or_struct(page: &mut Roff, item: &Item) {
    page.control("SS", [item.name.as_str()]);
    page.control("nf", []);
    code(page, item);
    page.control("fi", []);
    page.control("PP", []);
    said(page, &item.comment);
    for member in &item.members {
        page.control("TP", []);
        page.text([bold(&member.code)]);
        said_in_place(page, &member.comment);
    }
}

fn constant(page: &mut Roff, item: &Item) {
    page.control("TP", []);
    let number = item.code.concat().replace("#define ", "");
    page.text([bold(number)]);
    said_in_place(page, &item.comment);
}

fn code(page: &mut Roff, item: &Item) {
    for line in &item.code {
        page.text([bold(line)]);
    }
}

/// A comment as paragraphs of its own.
fn said(page: &mut Roff, comment: &[String]) {
    for (number, block) in blocks(comment).into_iter().enumerate() {
        match block {
            Block::Paragraph(text) => {
                if number > 0 {
                    page.control("PP", []);
                }
                page.text(words(&text));
            }
            Block::Entry(term, text) => entry(page, None, italic(term), &text),
            Block::Part(word, text) => entry(page, None, bold(word), &text),
            Block::Status(status, text) => entry(page, STATUS_WIDTH, bold(status), &text),
        }
    }
}

/// So many columns hold the longest name of a status.
const STATUS_WIDTH: Option<&str> = Some("36");

fn entry(page: &mut Roff, width: Option<&str>, term: Inline, text: &str) {
    page.control("TP", width);
    page.text([term]);
    page.text(words(if text.is_empty() { "\u{a0}" } else { text }));
}

/// A comment as the text of one entry.
fn said_in_place(page: &mut Roff, comment: &[String]) {
    let text: Vec<&str> = comment.iter().map(|line| line.trim()).collect();
    page.text(words(text.join(" ").trim()));
}

/// Text with `names` in bold.
fn words(text: &str) -> Vec<Inline> {
    let parts = text.split('`').enumerate();
    parts
        .map(|(number, part)| match number % 2 {
            0 => roman(part),
            _ => bold(part),
        })
        .collect()
}

/// The rules for all functions, each with its word in the margin.
fn write_rules(page: &mut Roff, lines: &[String]) {
    for rule in rules(lines) {
        if rule.word.is_empty() {
            page.control("PP", []);
        } else {
            page.control("TP", []);
            page.text([bold(rule.word)]);
        }
        page.text([roman(rule.text)]);
    }
}
