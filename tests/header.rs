//! The headers compile without warnings in every language mode, alone and included twice, and have the
//! fixed numbers and layouts.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use testkit::{package_root, Dialect};

const DIALECTS: [Dialect; 5] = [
    Dialect::C99,
    Dialect::C11,
    Dialect::C23,
    Dialect::Cpp11,
    Dialect::Cpp17,
];

/// Compiles `source` without running it, and returns the compiler's standard output.
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
        let both = "#include <dcf_plugin.h>\n#include <dcf_thunderbolt.h>\n";
        for plugin in ["#include <dcf_plugin.h>\n", both] {
            compile(dialect, &format!("{plugin}int unused;\n"), &["-S"]);
            compile(dialect, &format!("{plugin}{plugin}int unused;\n"), &["-S"]);
        }
    }
}

/// Uses that must compile with our types and with DCF's.
const PLUGIN_TYPES: &str = "
typedef char v1_is_four_words[sizeof(DCFTransportV1) == 4 * sizeof(void *) ? 1 : -1];
typedef char v1_1_is_five_words[sizeof(DCFTransportV1_1) == 5 * sizeof(void *) ? 1 : -1];
typedef char v2_is_eleven_words[sizeof(ITransport) == 11 * sizeof(void *) ? 1 : -1];
typedef char the_last_is_get_fd[offsetof(ITransport, get_fd) == 10 * sizeof(void *) ? 1 : -1];
typedef char the_handle_follows[offsetof(dcf_tb_plugin, transport) == sizeof(DCFTransportV1) ? 1 : -1];
int use_all(void);
int use_all(void)
{
    ITransport *v2 = create_plugin_v2();
    int rtt = 0, fd = v2->get_fd(v2);
    void *v1 = create_plugin();
    bool up = iface.setup(v1, NULL, 5000);
    return fd + up + iface_v1_1.health_check(v1, \"::1\", &rtt) + get_plugin_version()[0];
}
";

/// The include guards and types of DCF's headers, written anew.
const DCF_HEADERS: [(&str, &str); 2] = [
    (
        "dcf_transport_v1.h",
        "#ifndef DCF_TRANSPORT_V1_H
#define DCF_TRANSPORT_V1_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
typedef struct {
    bool (*setup)(void *, const char *, int);
    bool (*send)(void *, const uint8_t *, size_t, const char *);
    uint8_t *(*receive)(void *, size_t *);
    void (*destroy)(void *);
} DCFTransportV1;
#endif
",
    ),
    (
        "dcf_types.h",
        "#ifndef DCF_TYPES_H
#define DCF_TYPES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
typedef struct ITransport {
    void *ctx;
    int (*setup)(struct ITransport *, const char *, int);
    int (*send)(struct ITransport *, const uint8_t *, size_t, const char *, uint32_t);
    int (*receive)(struct ITransport *, uint8_t **, size_t *, char **, uint32_t);
    bool (*is_connected)(struct ITransport *, const char *);
    int (*disconnect)(struct ITransport *, const char *);
    int (*shutdown)(struct ITransport *);
    void (*destroy)(struct ITransport *);
    const char *(*get_name)(struct ITransport *);
    const char *(*get_version)(struct ITransport *);
    int (*get_fd)(struct ITransport *);
} ITransport;
typedef enum DCFError { DCF_SUCCESS = 0, DCF_ERR_ALREADY_INITIALIZED = 0x0605 } DCFError;
#endif
",
    ),
];

/// A directory that is deleted with this value.
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// As in DCF's own `dcf_types.h`: defines feature macros of the C library, and uses their declarations.
const CHOOSES_FEATURES: &str = "#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <pthread.h>
typedef pthread_rwlock_t dcf_rwlock_t;
";

/// A directory with DCF's headers; its `dcf_types.h` begins with `types_begin`.
fn dcf_headers(types_begin: &str) -> Directory {
    static DIRECTORIES: AtomicU32 = AtomicU32::new(0);
    let number = DIRECTORIES.fetch_add(1, Ordering::Relaxed);
    let name = format!("dcf-tb-headers-{}-{number}", std::process::id());
    let directory = Directory(std::env::temp_dir().join(name));
    fs::create_dir_all(&directory.0).expect("a new directory");
    for (name, text) in DCF_HEADERS {
        let guard = "#define DCF_TYPES_H\n";
        let text = text.replace(guard, &format!("{guard}{types_begin}"));
        fs::write(directory.0.join(name), text).expect("room on the disk");
    }
    directory
}

#[test]
fn the_plugin_header_goes_with_those_of_dcf_in_any_order() {
    let directory = dcf_headers("");
    let path = directory.0.to_str().expect("paths here are UTF-8");
    let (v1, v2, own) = ("dcf_transport_v1.h", "dcf_types.h", "dcf_plugin.h");
    let orders: [&[&str]; 9] = [
        &[own],
        &[v1, own],
        &[own, v1],
        &[v2, own],
        &[own, v2],
        &[v1, v2, own],
        &[v2, own, v1],
        &[own, v1, v2],
        &[own, "dcf_thunderbolt.h", v2, v1, own],
    ];
    for dialect in DIALECTS {
        for order in orders {
            let includes = order.iter().map(|name| format!("#include <{name}>\n"));
            let source = includes.collect::<String>() + PLUGIN_TYPES;
            compile(dialect, &source, &["-S", "-I", path]);
        }
        // Without DCF's headers, it defines the types itself.
        let alone = format!("#include <dcf_plugin.h>\n{PLUGIN_TYPES}");
        compile(dialect, &alone, &["-S"]);
    }
}

/// DCF's `dcf_types.h` cannot compile after a system header in strict C. So our header includes none
/// that would get in its way.
#[test]
fn the_plugin_header_needs_no_features_of_the_c_library() {
    let directory = dcf_headers(CHOOSES_FEATURES);
    let path = directory.0.to_str().expect("paths here are UTF-8");
    let (v1, v2, own) = ("dcf_transport_v1.h", "dcf_types.h", "dcf_plugin.h");
    let orders: [&[&str]; 9] = [
        &[own],
        &[v1, own],
        &["stdio.h", own],
        &["dcf_thunderbolt.h", own],
        &[own, v1],
        &[own, v2],
        &[v2, own],
        &[v2, v1, own],
        &[own, v1, v2],
    ];
    for dialect in DIALECTS {
        for order in orders {
            let includes = order.iter().map(|name| format!("#include <{name}>\n"));
            let source = includes.collect::<String>() + PLUGIN_TYPES;
            compile(dialect, &source, &["-S", "-I", path]);
        }
    }
}

#[test]
fn the_plugin_header_leaves_out_what_it_is_told_to() {
    let others = "
#define DCF_PLUGIN_NO_V1
#define DCF_PLUGIN_NO_V2
#define DCF_PLUGIN_NO_PROTOTYPES
#include <dcf_plugin.h>
typedef struct { int other; } DCFTransportV1;
typedef struct { int other; } ITransport;
static int iface, create_plugin;
int use_both(void);
int use_both(void) { DCFTransportV1 a = {1}; ITransport b = {2}; return a.other + b.other + iface + create_plugin; }
";
    // As in an old header of DCF.
    let manager = "
#define DCF_PLUGIN_MANAGER_H
typedef struct { int other; } ITransport;
#include <dcf_plugin.h>
void *use_it(void);
void *use_it(void) { ITransport b = {2}; return b.other ? create_plugin() : NULL; }
";
    for dialect in DIALECTS {
        compile(dialect, others, &["-S"]);
        compile(dialect, manager, &["-S"]);
    }
}

#[test]
fn the_cpp_wrapper_compiles_alone_and_twice() {
    let once = "#include <dcf_thunderbolt.hpp>\n";
    compile(Dialect::Cpp17, once, &["-S", "-Wshadow", "-Weffc++"]);
    compile(Dialect::Cpp17, &format!("{once}{once}"), &["-S"]);
}

/// The compiler checks the numbers, sizes and offsets.
#[test]
fn numbers_and_layouts_are_the_fixed_ones() {
    let source = fs::read_to_string(package_root().join("tests/c/layout.c")).expect("our own file");
    for dialect in [Dialect::C11, Dialect::C23, Dialect::Cpp11, Dialect::Cpp17] {
        compile(dialect, &source, &["-S"]);
    }
}

/// Looks at the macros that the header adds to those of the standard headers it includes.
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

/// Looks at everything that the header declares at file scope: every line of the preprocessed text that
/// comes from the header.
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

/// Names of functions, types, tags and enumerators declared at file scope: the tag after
/// struct/enum/union and the name before `(`, `;` or `)(` in each declaration.
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
