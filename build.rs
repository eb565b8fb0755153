//! Makes the C header from the sources, and gives the shared library its soname.

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

fn main() {
    let root = env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let out = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    let header = generate(root.as_ref());
    update(root.as_ref(), out.as_ref(), &header);
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

/// Leaves the new header and the one that was found in `OUT_DIR`, for the test that compares them,
/// and brings the committed one up to date. Where the sources are read-only the test has to do.
fn update(root: &Path, out: &Path, header: &str) {
    println!("cargo:rerun-if-changed={HEADER}");
    let committed = root.join(HEADER);
    let found = fs::read(&committed).unwrap_or_default();
    fs::write(out.join("dcf_thunderbolt.h"), header).expect("OUT_DIR can be written");
    fs::write(out.join("dcf_thunderbolt.found.h"), &found).expect("OUT_DIR can be written");
    if found != header.as_bytes() {
        let written = fs::create_dir_all(root.join("include"))
            .and_then(|()| fs::write(&committed, header))
            .map_or_else(|error| error.to_string(), |()| "it was renewed".to_owned());
        println!("cargo:warning={HEADER} was not up to date: {written}");
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
