//! The header is complete, and the committed one is the generated one.

use std::collections::BTreeSet;

const GENERATED: &str = include_str!(concat!(env!("OUT_DIR"), "/dcf_thunderbolt.h"));
const FOUND: &str = include_str!(concat!(env!("OUT_DIR"), "/dcf_thunderbolt.found.h"));
const SYMBOLS: &str = include_str!("../abi/symbols.txt");

/// `build.rs` keeps a copy of the committed header, and then overwrites it. So this fails once, and
/// the new header must be reviewed and committed.
#[test]
fn the_committed_header_is_the_generated_one() {
    for (n, (found, generated)) in FOUND.lines().zip(GENERATED.lines()).enumerate() {
        assert_eq!(
            found,
            generated,
            "include/dcf_thunderbolt.h:{} was not up to date; review and commit the new one",
            n + 1
        );
    }
    assert!(
        FOUND == GENERATED,
        "include/dcf_thunderbolt.h was not up to date; review and commit the new one"
    );
}

/// Name and comment of each function in the header.
fn functions() -> Vec<(&'static str, &'static str)> {
    let (_, functions) = GENERATED
        .split_once("extern \"C\" {")
        .expect("functions come last");
    functions
        .split("/**")
        .skip(1)
        .map(|function| {
            let (comment, declaration) = function.split_once("*/").expect("comments end");
            let (before, _) = declaration.split_once('(').expect("a function");
            let name = before.rsplit([' ', '*', '\n']).next().expect("a name");
            (name, comment)
        })
        .collect()
}

#[test]
fn every_comment_says_what_it_must() {
    assert_eq!(functions().len(), 51);
    for (name, comment) in functions() {
        let mut rest = comment;
        for part in ["Ownership:", "Blocks:", "In callbacks:", "Returns:"] {
            let (_, after) = rest
                .split_once(&format!("\n * {part}"))
                .unwrap_or_else(|| panic!("{name} says nothing about \"{part}\""));
            rest = after;
        }
        assert!(!rest.trim().is_empty(), "{name} returns nothing");
    }
}

/// Every status that a comment names must exist.
#[test]
fn comments_name_real_constants() {
    let defined: BTreeSet<&str> = GENERATED
        .lines()
        .filter_map(|line| line.strip_prefix("#define ")?.split(' ').next())
        .collect();
    for word in GENERATED.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')) {
        if word.starts_with("DCF_TB_") && !word.ends_with('_') {
            assert!(defined.contains(word), "{word} is not defined");
        }
    }
}

#[test]
fn the_symbol_list_has_every_function() {
    let mut names: Vec<&str> = functions().iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    let listed = SYMBOLS.lines().filter_map(|line| line.split('@').next());
    let listed = listed.filter(|name| name.starts_with("dcf_tb_"));
    assert_eq!(listed.collect::<Vec<_>>(), names);
}
