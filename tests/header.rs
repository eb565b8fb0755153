//! The header: clean in every language mode, alone and twice, with the fixed numbers and layouts.

use std::collections::BTreeSet;
use std::fs;

use testkit::{package_root, Dialect};

const DIALECTS: [Dialect; 5] = [
    Dialect::C99,
    Dialect::C11,
    Dialect::C23,
    Dialect::Cpp11,
    Dialect::Cpp17,
];

/// Compiles `source` without running it; gives what the compiler printed on its standard output.
#[track_caller]
fn compile(dialect: Dialect, source: &str, options: &[&str]) -> String {
    use std::io::Write;
    use std::process::Stdio;
    let mut compiler = dialect.command();
    compiler.args(options).args(["-o", "-", "-"]);
    let mut child = compiler
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a compiler");
    let mut input = child.stdin.take().expect("piped");
    input
        .write_all(source.as_bytes())
        .expect("the compiler reads its input");
    drop(input);
    let output = child.wait_with_output().expect("our own child");
    assert!(
        output.status.success(),
        "as {dialect:?}:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn compiles_alone_and_twice_in_every_dialect() {
    for dialect in DIALECTS {
        let once = "#include <dcf_thunderbolt.h>\n";
        compile(dialect, &format!("{once}int unused;\n"), &["-S"]);
        compile(dialect, &format!("{once}{once}int unused;\n"), &["-S"]);
    }
}

/// The numbers, the sizes and the offsets, checked by the compiler.
#[test]
fn numbers_and_layouts_are_the_fixed_ones() {
    let source = fs::read_to_string(package_root().join("tests/c/layout.c")).expect("our own file");
    for dialect in [Dialect::C11, Dialect::C23, Dialect::Cpp11, Dialect::Cpp17] {
        compile(dialect, &source, &["-S"]);
    }
}

/// Macros that the header adds to those of the standard headers that it includes.
#[test]
fn every_macro_has_the_prefix() {
    for dialect in [Dialect::C11, Dialect::Cpp17] {
        let macros = |source: &str| -> BTreeSet<String> {
            compile(dialect, source, &["-E", "-dM"])
                .lines()
                .filter_map(|line| line.strip_prefix("#define ")?.split([' ', '(']).next())
                .map(str::to_owned)
                .collect()
        };
        let header = fs::read_to_string(package_root().join("include/dcf_thunderbolt.h"))
            .expect("the header");
        let standard: String = header
            .lines()
            .filter(|line| line.trim_start().starts_with("#include <"))
            .map(|line| format!("{line}\n"))
            .collect();
        let ours = macros("#include <dcf_thunderbolt.h>\n");
        for name in ours.difference(&macros(&standard)) {
            assert!(
                name.starts_with("DCF_TB_") || name.starts_with("DCF_THUNDERBOLT_"),
                "{name} has no prefix"
            );
        }
    }
}

/// Whatever the header declares at file scope, by the compiler's own account: each line of the
/// preprocessed text that comes from the header is looked at.
#[test]
fn every_name_has_the_prefix() {
    let text = compile(Dialect::C11, "#include <dcf_thunderbolt.h>\n", &["-E"]);
    let mut from_header = String::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with("# ") {
            inside = line.contains("dcf_thunderbolt.h");
        } else if inside {
            from_header.push_str(line);
            from_header.push('\n');
        }
    }
    let names = declared(&from_header);
    assert!(names.len() > 40, "too few names found: {names:?}");
    for name in names {
        assert!(
            name.starts_with("dcf_tb_") || name.starts_with("DCF_TB_"),
            "{name}"
        );
    }
}

/// Names of functions, types, tags and enumerators declared at file scope: of each declaration,
/// the tag after struct/enum/union and the name before `(`, `;` or `)(`.
fn declared(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut depth = 0_usize;
    let mut declaration = String::new();
    for character in text.chars() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ';' if depth == 0 => {
                names.extend(names_of(&declaration));
                declaration.clear();
            }
            other if depth == 0 => declaration.push(other),
            _ => {}
        }
    }
    names
}

fn names_of(declaration: &str) -> Vec<String> {
    let word = |text: &str| -> Option<String> {
        text.rsplit(|c: char| !c.is_alphanumeric() && c != '_')
            .find(|w| !w.is_empty())
            .map(str::to_owned)
    };
    let mut names = Vec::new();
    for keyword in ["struct ", "enum ", "union "] {
        if let Some((_, rest)) = declaration.split_once(keyword) {
            names.extend(rest.split_whitespace().next().map(str::to_owned));
        }
    }
    let name = match declaration.split_once("(*") {
        Some((_, pointer)) => pointer.split(')').next().and_then(word),
        None => declaration.split('(').next().and_then(word),
    };
    names.extend(name);
    names
}
