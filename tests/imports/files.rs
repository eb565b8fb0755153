//! The imports between the files of a crate.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use super::tokens::{of_product, Token};

/// A module's path from the root of its crate.
type Module = Vec<String>;

/// The declarations and paths of one file.
#[derive(Debug, Default, PartialEq, Eq)]
struct File {
    /// The modules that it declares with `mod name;`, without test modules.
    children: BTreeSet<Module>,
    /// The paths that it names, from the root of the crate.
    named: Vec<Module>,
    /// The names that its `use` declarations bind, and the path of each.
    bound: HashMap<Module, Module>,
}

/// The imports of a crate: the name of each file, and the names of those that it imports from.
pub type Imports = BTreeMap<String, BTreeSet<String>>;

/// Reads the crate whose root, `lib.rs` or `main.rs`, is in `folder`.
pub fn imports(folder: &Path) -> Imports {
    let root = ["lib.rs", "main.rs"]
        .iter()
        .find(|name| folder.join(name).exists())
        .unwrap_or_else(|| panic!("no root of a crate in {}", folder.display()));
    let mut names = BTreeMap::from([(Module::new(), (*root).to_owned())]);
    let mut files = BTreeMap::new();
    let mut left = vec![Module::new()];
    while let Some(module) = left.pop() {
        let path = folder.join(&names[&module]);
        let source = fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
        let file = parse(&source, &module);
        for child in &file.children {
            let base = child.join("/");
            let choices = [format!("{base}.rs"), format!("{base}/mod.rs")];
            let found = choices.iter().find(|name| folder.join(name).exists());
            let found = found.unwrap_or_else(|| panic!("{} declares {base}", path.display()));
            names.insert(child.clone(), found.clone());
            left.push(child.clone());
        }
        files.insert(module, file);
    }
    between(&names, &files)
}

fn between(names: &BTreeMap<Module, String>, files: &BTreeMap<Module, File>) -> Imports {
    let of = |(module, file): (&Module, &File)| {
        let targets = file.named.iter().map(|path| origin(path, files));
        let targets = targets.filter(|target| target != module);
        let targets = targets.map(|target| names[&target].clone()).collect();
        (names[module].clone(), targets)
    };
    files.iter().map(of).collect()
}

/// The file that defines the item of a path. Follows re-exports (`pub use`) to the definition.
fn origin(path: &[String], files: &BTreeMap<Module, File>) -> Module {
    let mut path = path.to_vec();
    let mut passed = BTreeSet::new();
    loop {
        let lengths = (0..=path.len()).rev();
        let length = lengths
            .into_iter()
            .find(|length| files.contains_key(&path[..*length]));
        let (module, rest) = path.split_at(length.unwrap_or_default());
        let bound = &files[module].bound;
        let alias = rest
            .first()
            .map(|name| [module, std::slice::from_ref(name)].concat());
        match alias.and_then(|alias| bound.get(&alias)) {
            Some(target) if passed.insert(path.clone()) => {
                path = [target, &rest[1..]].concat();
            }
            _ => return module.to_vec(),
        }
    }
}

/// Reads the file of `module`.
fn parse(source: &str, module: &Module) -> File {
    let tokens = of_product(source);
    let mut file = File {
        children: children(&tokens, module),
        ..File::default()
    };
    let mut here = module.clone();
    // The brace depth at which each inline module begins.
    let mut inline = Vec::new();
    let mut depth = 0;
    let mut at = 0;
    while at < tokens.len() {
        let before = at.checked_sub(1).map(|before| &tokens[before]);
        match &tokens[at..] {
            [Token::Word(word), Token::Word(name), Token::Mark('{'), ..] if word == "mod" => {
                here.push(name.clone());
                inline.push(depth);
                at += 2;
                continue;
            }
            [Token::Mark('{'), ..] => depth += 1,
            [Token::Mark('}'), ..] => {
                depth -= 1;
                if inline.last() == Some(&depth) {
                    inline.pop();
                    here.pop();
                }
            }
            // Not the `use<'a>` of a type.
            [Token::Word(word), next, ..] if word == "use" && !next.is_mark('<') => {
                at += 1 + file.read_use(&tokens[at + 1..], &here);
                continue;
            }
            [Token::Word(_), Token::PathSeparator, ..]
                if before != Some(&Token::PathSeparator)
                    && !before.is_some_and(|it| it.is("in")) =>
            {
                let words = path(&tokens[at..]);
                at += words.len() * 2 - 1;
                file.named.extend(file.resolve(&words, &here));
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    file
}

/// The modules that a file declares with `mod name;`.
fn children(tokens: &[Token], module: &Module) -> BTreeSet<Module> {
    let child = |window: &[Token]| match window {
        [Token::Word(word), Token::Word(name), Token::Mark(';')] if word == "mod" => {
            Some([&module[..], std::slice::from_ref(name)].concat())
        }
        _ => None,
    };
    tokens.windows(3).filter_map(child).collect()
}

/// The words of the path at the beginning of `tokens`.
fn path(tokens: &[Token]) -> Vec<String> {
    let mut words = Vec::new();
    for pair in tokens.chunks(2) {
        let Token::Word(word) = &pair[0] else { break };
        words.push(word.clone());
        if pair.get(1) != Some(&Token::PathSeparator) {
            break;
        }
    }
    words
}

impl File {
    /// Resolves a path that is written in module `here` to one from the root of the crate. `None` if it leads to another
    /// crate, or is the path of an item.
    fn resolve(&self, words: &[String], here: &Module) -> Option<Module> {
        let (first, rest) = words.split_first()?;
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "self" => Some([here, rest].concat()),
            "super" => {
                let ups = words.iter().take_while(|word| *word == "super").count();
                let base = &here[..here.len().checked_sub(ups)?];
                Some([base, &words[ups..]].concat())
            }
            _ => {
                let path = [here, words].concat();
                self.children.contains(&path[..=here.len()]).then_some(path)
            }
        }
    }

    /// Reads a `use` declaration up to its semicolon. Returns its number of tokens.
    fn read_use(&mut self, tokens: &[Token], here: &Module) -> usize {
        let end = tokens.iter().position(|token| token.is_mark(';'));
        let end = end.unwrap_or(tokens.len());
        self.read_tree(&tokens[..end], &[], here);
        end
    }

    /// Reads a use tree behind `prefix`. Returns its number of tokens.
    fn read_tree(&mut self, tokens: &[Token], prefix: &[String], here: &Module) -> usize {
        let mut words = prefix.to_vec();
        let mut at = 0;
        loop {
            match tokens.get(at) {
                Some(Token::Word(word)) if word != "as" => words.push(word.clone()),
                Some(Token::PathSeparator) => {}
                Some(Token::Mark('{')) => {
                    at += 1;
                    while tokens.get(at).is_some_and(|token| !token.is_mark('}')) {
                        match tokens[at].is_mark(',') {
                            true => at += 1,
                            false => at += self.read_tree(&tokens[at..], &words, here).max(1),
                        }
                    }
                    return at + 1;
                }
                _ => break,
            }
            at += 1;
        }
        if words.last().is_some_and(|word| word == "self") && words.len() > 1 {
            words.pop();
        }
        let mut name = words.last().cloned();
        if let [Token::Word(word), Token::Word(alias), ..] = &tokens[at..] {
            if word == "as" {
                name = Some(alias.clone());
                at += 2;
            }
        } else if tokens.get(at).is_some_and(|token| token.is_mark('*')) {
            name = None;
            at += 1;
        }
        if let Some(path) = self.resolve(&words, here) {
            if let Some(name) = name {
                self.bound
                    .insert([here, &[name][..]].concat(), path.clone());
            }
            self.named.push(path);
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(path: &str) -> Module {
        path.split("::")
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// The paths that a file named `a::b` names, joined again.
    fn named(source: &str) -> Vec<String> {
        let file = parse(source, &module("a::b"));
        file.named.iter().map(|path| path.join("::")).collect()
    }

    #[test]
    fn use_lines_are_read_in_all_their_forms() {
        for (source, paths) in [
            ("use crate::x::Y;", &["x::Y"][..]),
            ("pub(crate) use crate::x::Y as Z;", &["x::Y"]),
            ("use crate::x::*;", &["x"]),
            ("use super::x::{self, Y, z::{W, V}};", &["a::x", "a::x::Y", "a::x::z::W", "a::x::z::V"]),
            ("use super::super::x;", &["x"]),
            ("use self::x::Y;", &["a::b::x::Y"]),
            ("use crate::{x, y::Z,};", &["x", "y::Z"]),
            ("use {crate::x, super::y};", &["x", "a::y"]),
            ("use std::io::{self, Read}; use other::x;", &[]),
            ("mod x; use x::Y; x::f(); y::f();", &["a::b::x::Y", "a::b::x::f"]),
            ("fn f() -> impl Fn() + use<'_> { crate::x::y() }", &["x::y"]),
            ("mod inner { use super::Y; use super::super::z; } use super::w;", &["a::b::Y", "a::z", "a::w"]),
            ("fn f() { mod deep { fn g() { super::h() } } super::k() }", &["a::b::h", "a::k"]),
            ("match x { crate::x::Y::Z => super::w(), _ => $crate::v!() }", &["x::Y::Z", "a::w", "v"]),
            ("pub(in crate::a) fn f() {}", &[]),
            ("// use crate::x;\nlet text = \"crate::x\"; #[cfg(test)] mod tests { use crate::x; }", &[]),
        ] {
            assert_eq!(named(source), paths, "{source}");
        }
    }

    fn crate_of(files: &[(&str, &str)]) -> Imports {
        let files: BTreeMap<Module, &str> = files
            .iter()
            .map(|(path, source)| (module(path), *source))
            .collect();
        let names = files.keys().map(|path| (path.clone(), path.join("/")));
        let parsed = files
            .iter()
            .map(|(path, source)| (path.clone(), parse(source, path)));
        between(&names.collect(), &parsed.collect())
    }

    #[test]
    fn a_path_leads_to_the_file_that_has_the_item() {
        let imports = crate_of(&[
            (
                "",
                "mod a; mod b; pub use a::deep::Item; pub use b::Other as Renamed;",
            ),
            (
                "a",
                "pub mod deep; use self::deep::Item; fn f() { super::b::Other::new() }",
            ),
            (
                "a::deep",
                "use super::Helper; use crate::Renamed; pub struct Item;",
            ),
            (
                "b",
                "use crate::{Item, a::deep::Item as Same}; use b::Nothing;",
            ),
        ]);
        let of = |name: &str| -> Vec<&str> { imports[name].iter().map(String::as_str).collect() };
        assert_eq!(of("a"), ["a/deep", "b"]);
        assert_eq!(
            of("a/deep"),
            ["a", "b"],
            "through the root to the definition"
        );
        assert_eq!(of("b"), ["a/deep"]);
    }

    #[test]
    fn circular_re_exports_do_not_loop_forever() {
        let imports = crate_of(&[
            ("", "mod a; mod b;"),
            ("a", "pub use crate::b::X;"),
            ("b", "pub use crate::a::X;"),
        ]);
        assert!(imports.len() == 3);
    }
}
