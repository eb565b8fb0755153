//! The exported symbols of the libraries.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use testkit::{library_directory, package_root};

fn output_of(program: &str, arguments: &[&str]) -> String {
    let library = library_directory().join("libdcf_thunderbolt.so");
    let output = Command::new(program).args(arguments).arg(library).output();
    let output =
        output.unwrap_or_else(|error| panic!("cannot run {program} ({error}): install binutils"));
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// All exported symbols, as `name@version`, or `name` for unversioned ones.
fn exported_with_versions() -> BTreeSet<String> {
    output_of("nm", &["--dynamic", "--defined-only", "--format=posix"])
        .lines()
        .filter_map(|line| line.split(' ').next())
        // nm writes @@ for the default version, which an unversioned lookup finds.
        .map(|name| name.replace("@@", "@"))
        .collect()
}

fn exported() -> BTreeSet<String> {
    let names = exported_with_versions().into_iter();
    names
        .filter_map(|name| name.split('@').next().map(str::to_owned))
        .collect()
}

/// The lines of a list, without comments.
fn listed(path: &str) -> BTreeSet<String> {
    let list = read(path);
    let lines = list.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

fn read(path: &str) -> String {
    let path = package_root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The functions that the header declares.
fn declared() -> BTreeSet<String> {
    let header = read("include/dcf_thunderbolt.h");
    // Leave out comments, which also name functions.
    let code: String = header
        .split("/*")
        .enumerate()
        .map(|(number, part)| match (number, part.split_once("*/")) {
            (0, _) | (_, None) => part,
            (_, Some((_, code))) => code,
        })
        .collect();
    let code: String = code
        .lines()
        .map(|line| line.split("//").next().unwrap_or(""))
        .collect();
    code.split('(')
        .filter_map(|before| {
            before
                .rsplit(|c: char| !c.is_alphanumeric() && c != '_')
                .next()
        })
        .filter(|name| name.starts_with("dcf_tb_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn exactly_the_listed_symbols_are_exported() {
    assert_eq!(listed("abi/symbols.txt"), exported_with_versions());
}

/// Plugin hosts pass their names to `dlsym` together with the library, so they need no version.
#[test]
fn all_symbols_but_those_for_plugin_hosts_have_a_version() {
    let without: BTreeSet<String> = exported_with_versions()
        .into_iter()
        .filter(|name| !name.contains('@'))
        .collect();
    assert_eq!(
        without,
        PLUGIN.map(str::to_owned).into(),
        "symbol versions need lld: see docs/ABI.md"
    );
}

/// Debian writes `@Base` for unversioned symbols, and the first package version behind each symbol.
#[test]
fn the_debian_package_has_the_same_symbols() {
    let debian: BTreeSet<String> = listed("debian/libdcf-thunderbolt1.symbols")
        .iter()
        .filter_map(|line| line.split(' ').next())
        .filter(|name| name.contains('@'))
        .map(|name| name.trim_end_matches("@Base").to_owned())
        .collect();
    assert_eq!(debian, listed("abi/symbols.txt"));
}

#[test]
fn the_header_declares_what_is_exported() {
    let (own, plugin): (BTreeSet<_>, BTreeSet<_>) = exported()
        .into_iter()
        .partition(|name| name.starts_with("dcf_tb_"));
    assert_eq!(declared(), own);
    assert_eq!(plugin, PLUGIN.map(str::to_owned).into());
    let header = read("include/dcf_plugin.h");
    for name in PLUGIN {
        assert!(
            [format!("{name}("), format!(" {name};")]
                .iter()
                .any(|declaration| header.contains(declaration)),
            "{name} is not declared"
        );
    }
}

/// The symbols that DCF's loaders look up.
const PLUGIN: [&str; 5] = [
    "create_plugin",
    "create_plugin_v2",
    "get_plugin_version",
    "iface",
    "iface_v1_1",
];

/// A program that links the static library gets all its symbols, so they must not include plugin names.
#[test]
fn the_static_library_has_no_names_of_plugins() {
    let library = library_directory().join("libdcf_thunderbolt.a");
    let output = Command::new("nm")
        .args(["--defined-only", "--extern-only", "--format=posix"])
        .arg(library)
        .output()
        .expect("binutils");
    let names: BTreeSet<String> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.split(' ').next().map(str::to_owned))
        .collect();
    assert!(
        declared().is_subset(&names),
        "it lacks functions of the header"
    );
    for name in PLUGIN {
        assert!(!names.contains(name), "{name}");
    }
}

/// No function is untested.
#[test]
fn every_declared_function_is_called_by_a_c_test() {
    let mut tests = String::new();
    for entry in fs::read_dir(package_root().join("tests/c")).expect("our own directory") {
        let path = entry.expect("our own directory").path();
        tests.push_str(&fs::read_to_string(&path).expect("our own file"));
    }
    for function in declared() {
        assert!(
            tests.contains(&format!("{function}(")),
            "{function} is not called"
        );
    }
}

#[test]
fn the_library_is_named_and_stays_loaded() {
    let dynamic = output_of("readelf", &["--dynamic", "--wide"]);
    assert!(dynamic.contains("[libdcf_thunderbolt.so.1]"), "{dynamic}");
    assert!(dynamic.contains("NODELETE"), "{dynamic}");
}
