//! Generates the C header from the sources and docs/REFERENCE.md from the header, and sets the soname
//! and the symbol versions of the shared library.

use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs};

/// The source files of the header, in its order.
const SOURCES: [&str; 16] = [
    "types",
    "status",
    "last_error",
    "config",
    "lifecycle",
    "options",
    "callbacks",
    "to_socket",
    "control",
    "stream",
    "stream_io",
    "stream_file",
    "rtt",
    "peers",
    "stats",
    "stream_stats",
];
const HEADER: &str = "include/dcf_thunderbolt.h";
const REFERENCE: &str = "docs/REFERENCE.md";

/// Defines the versions of the exported symbols; `src/symbol_versions.rs` assigns them.
const SYMBOL_VERSIONS: &str = "DCF_TB_1.0 { };\n";

fn main() {
    let root = env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let out = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    let header = generate(root.as_ref());
    write_for_the_test(root.as_ref(), out.as_ref(), &header);
    renew(root.as_ref(), HEADER, &header);
    match dcf_reference::markdown(&header) {
        Ok(text) => renew(root.as_ref(), REFERENCE, &text),
        // Not fatal here, because a test of the reference fails too.
        Err(error) => println!("cargo:warning={REFERENCE} cannot be renewed: {error}"),
    }
    if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        link();
        version_symbols(out.as_ref());
    }
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

/// Restores the hexadecimal numbers of the sources, which cbindgen writes in decimal.
fn as_written(line: &str, sources: &str) -> Option<String> {
    let (name, _) = line.strip_prefix("#define ")?.split_once(' ')?;
    let (_, definition) = sources.split_once(&format!("pub const {name}: "))?;
    let (kind, definition) = definition.split_once(" = ")?;
    let (number, _) = definition.split_once(';')?;
    let unsigned = if kind == "u32" { "u" } else { "" };
    let number = number.starts_with("0x").then(|| number.replace('_', ""))?;
    Some(format!("#define {name} {number}{unsigned}"))
}

/// Writes the new header and the committed one to `OUT_DIR`, for the test that compares them.
fn write_for_the_test(root: &Path, out: &Path, header: &str) {
    let found = fs::read(root.join(HEADER)).unwrap_or_default();
    fs::write(out.join("dcf_thunderbolt.h"), header).expect("OUT_DIR can be written");
    fs::write(out.join("dcf_thunderbolt.found.h"), found).expect("OUT_DIR can be written");
}

/// Updates a committed file. If the sources are read-only, the tests report the difference.
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
    for argument in [
        "-Wl,-soname,libdcf_thunderbolt.so.1",
        // Threads of the library, and thread-local destructors, outlive a dlclose.
        "-Wl,-z,nodelete",
        // Resolves all symbols at load time, and makes the tables read-only afterwards.
        "-Wl,-z,relro,-z,now",
    ] {
        println!("cargo:rustc-cdylib-link-arg={argument}");
    }
}

/// rustc passes the list of exports as a version script without a version name. GNU ld accepts no second script
/// beside it; lld does, and rustc uses its own lld on x86-64 since 1.90. Tries rustc's default, then lld.
fn version_symbols(out: &Path) {
    let script = out.join("symbol_versions.map");
    fs::write(&script, SYMBOL_VERSIONS).expect("OUT_DIR can be written");
    let script = format!("-Wl,--version-script={}", script.display());
    let ways = [vec![script.as_str()], vec!["-fuse-ld=lld", script.as_str()]];
    let Some(way) = ways.iter().find(|way| gives_versions(out, way)) else {
        println!(
            "cargo:warning=the exported symbols have no versions, because this linker does not support them beside \
             rustc's own list: install lld and run `cargo clean` (docs/ABI.md)"
        );
        return;
    };
    println!("cargo:rustc-cfg=symbol_versions");
    for argument in way {
        println!("cargo:rustc-cdylib-link-arg={argument}");
    }
}

/// Whether a library linked with these arguments has a versioned symbol.
fn gives_versions(out: &Path, arguments: &[&str]) -> bool {
    let (source, library) = (out.join("versioned.rs"), out.join("libversioned.so"));
    let program = r#"
        #[no_mangle]
        pub extern "C" fn versioned() {}
        core::arch::global_asm!(".symver versioned, versioned@@DCF_TB_1.0");
    "#;
    fs::write(&source, program).expect("OUT_DIR can be written");
    let set_by_cargo = |name: &str| env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"));
    let mut compiler = Command::new(set_by_cargo("RUSTC"));
    compiler.args(["--edition=2021", "--crate-type=cdylib", "--target"]);
    compiler.arg(set_by_cargo("TARGET"));
    if let Ok(linker) = env::var("RUSTC_LINKER") {
        compiler.arg(format!("-Clinker={linker}"));
    }
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    compiler.args(flags.split('\x1f').filter(|flag| !flag.is_empty()));
    compiler.args(
        arguments
            .iter()
            .map(|argument| format!("-Clink-arg={argument}")),
    );
    compiler.arg("-o").arg(&library).arg(&source);
    let output = compiler.stdin(Stdio::null()).output();
    // Some linkers succeed and ignore the version.
    let wanted = b"\0DCF_TB_1.0\0";
    let has = |file: Vec<u8>| file.windows(wanted.len()).any(|part| part == wanted);
    output.is_ok_and(|output| output.status.success()) && fs::read(&library).is_ok_and(has)
}
