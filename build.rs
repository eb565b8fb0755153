//! Makes the C header from the sources and docs/REFERENCE.md from the header, and gives the shared
//! library its soname.

use std::path::Path;
use std::{env, fs};

/// What the header is made of, in its order.
const SOURCES: [&str; 12] = [
    "types",
    "status",
    "last_error",
    "config",
    "life",
    "callbacks",
    "control",
    "stream",
    "stream_io",
    "stream_file",
    "rtt",
    "stats",
];
const HEADER: &str = "include/dcf_thunderbolt.h";
const REFERENCE: &str = "docs/REFERENCE.md";

fn main() {
    let root = env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let out = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    let header = generate(root.as_ref());
    leave_for_the_test(root.as_ref(), out.as_ref(), &header);
    renew(root.as_ref(), HEADER, &header);
    match dcf_reference::markdown(&header) {
        Ok(text) => renew(root.as_ref(), REFERENCE, &text),
        // A test of the reference fails too; until then the library can be built and tried.
        Err(error) => println!("cargo:warning={REFERENCE} cannot be renewed: {error}"),
    }
    link();
}

fn generate(root: &Path) -> String {
    println!("cargo:rerun-if-changed=cbindgen.toml");
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml"))
        .unwrap_or_else(|error| panic!("cbindgen.toml: {error}"));
    let mut builder = cbindgen::Builder::new().with_config(config);
    let mut sources = String::new();
    for source in SOURCES {
        let path = format!("src/{source}.rs");
        println!("cargo:rerun-if-changed={path}");
        sources +=
            &fs::read_to_string(root.join(&path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        builder = builder.with_src(root.join(path));
    }
    let bindings = builder
        .generate()
        .unwrap_or_else(|error| panic!("cannot make the C header: {error}"));
    let mut header = Vec::new();
    bindings.write(&mut header);
    let header = String::from_utf8(header).expect("the header is UTF-8");
    header
        .lines()
        .map(|line| as_written(line, &sources).unwrap_or_else(|| line.to_owned()) + "\n")
        .collect()
}

/// cbindgen makes all numbers decimal; those that the sources write in hexadecimal stay so.
fn as_written(line: &str, sources: &str) -> Option<String> {
    let (name, _) = line.strip_prefix("#define ")?.split_once(' ')?;
    let (_, definition) = sources.split_once(&format!("pub const {name}: "))?;
    let (kind, definition) = definition.split_once(" = ")?;
    let (number, _) = definition.split_once(';')?;
    let unsigned = if kind == "u32" { "u" } else { "" };
    let number = number.starts_with("0x").then(|| number.replace('_', ""))?;
    Some(format!("#define {name} {number}{unsigned}"))
}

/// Leaves the new header and the one that was found in `OUT_DIR`, for the test that compares them.
fn leave_for_the_test(root: &Path, out: &Path, header: &str) {
    let found = fs::read(root.join(HEADER)).unwrap_or_default();
    fs::write(out.join("dcf_thunderbolt.h"), header).expect("OUT_DIR can be written");
    fs::write(out.join("dcf_thunderbolt.found.h"), found).expect("OUT_DIR can be written");
}

/// Brings a committed file up to date. If the sources are read-only, the tests report the difference.
fn renew(root: &Path, name: &str, text: &str) {
    println!("cargo:rerun-if-changed={name}");
    let committed = root.join(name);
    if fs::read(&committed).unwrap_or_default() != text.as_bytes() {
        let directory = committed.parent().unwrap_or(root);
        let written = fs::create_dir_all(directory)
            .and_then(|()| fs::write(&committed, text))
            .map_or_else(|error| error.to_string(), |()| "it was renewed".to_owned());
        println!("cargo:warning={name} was not up to date: {written}");
    }
}

fn link() {
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        return;
    }
    for argument in [
        "-Wl,-soname,libdcf_thunderbolt.so.1",
        // Our threads, and the destructors of threads that used us, outlive a dlclose.
        "-Wl,-z,nodelete",
        // A symbol that is missing shows at once, and the tables are read-only afterwards.
        "-Wl,-z,relro,-z,now",
    ] {
        println!("cargo:rustc-cdylib-link-arg={argument}");
    }
}
