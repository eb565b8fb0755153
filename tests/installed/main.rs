//! The installed library: every example is built against an installed tree by pkg-config, by CMake and statically,
//! and run on two hosts.

mod play;
mod programs;
mod tree;

use std::fs;
use std::process::Command;

use programs::Programs;
use testkit::{Faults, LossyCable};
use tree::Tree;

#[test]
fn the_tree_has_what_a_c_library_has() {
    let tree = Tree::multiarch();
    let libraries = tree.libraries();
    let link = |name: &str| fs::read_link(libraries.join(name)).expect("a link");
    let version = env!("CARGO_PKG_VERSION");
    let full = format!("libdcf_thunderbolt.so.{version}");
    assert_eq!(
        link("libdcf_thunderbolt.so").to_str(),
        Some("libdcf_thunderbolt.so.1")
    );
    assert_eq!(
        link("libdcf_thunderbolt.so.1").to_str(),
        Some(full.as_str())
    );
    assert!(libraries.join(full).is_file());
    assert!(libraries.join("libdcf_thunderbolt.a").is_file());
    for header in ["dcf_thunderbolt.h", "dcf_thunderbolt.hpp", "dcf_plugin.h"] {
        assert!(tree.path("include").join(header).is_file(), "{header}");
    }
    assert_eq!(tree.pkg_config(&["--modversion"]), [version]);
    // All paths are below the prefix, and no path of the build is in the file.
    let pc =
        fs::read_to_string(libraries.join("pkgconfig/dcf_thunderbolt.pc")).expect("it is there");
    assert!(
        pc.contains("prefix=/usr\n") && pc.contains("includedir=${prefix}/include\n"),
        "{pc}"
    );
    assert!(!pc.contains('@'), "{pc}");
}

/// man finds a page for each function, by the function's name.
#[test]
fn every_function_has_a_page() {
    let tree = Tree::multiarch();
    let symbols = include_str!("../../abi/symbols.txt");
    let names = symbols.lines().filter_map(|line| line.split('@').next());
    for function in names.filter(|name| name.starts_with("dcf_tb_")) {
        let page = tree.path("share/man/man3").join(format!("{function}.3"));
        let text = fs::read_to_string(&page).unwrap_or_else(|error| panic!("{function}: {error}"));
        let heading = format!(".SS {function}\n");
        assert!(text.contains(&heading), "{function} is not on its page");
    }
}

/// The suppressions contain instructions with the path at which `make install` puts them.
#[test]
fn the_suppressions_of_thread_sanitizer_are_there() {
    let tree = Tree::multiarch();
    let file = tree.path("share/dcf_thunderbolt/thread-sanitizer.suppressions");
    let text = fs::read_to_string(file).unwrap_or_default();
    assert!(
        text.contains("\ncalled_from_lib:libdcf_thunderbolt.so\n"),
        "{text}"
    );
}

/// The tool with its pages and completions.
#[test]
fn the_tool_is_there() {
    let tree = Tree::multiarch();
    let version = tree::output_of(Command::new(tree.path("bin/dcf-tb")).arg("--version"));
    assert_eq!(
        version.trim(),
        concat!("dcf-tb ", env!("CARGO_PKG_VERSION"))
    );
    for place in [
        "share/man/man1/dcf-tb.1",
        "share/bash-completion/completions/dcf-tb",
        "share/zsh/site-functions/_dcf-tb",
        "share/fish/vendor_completions.d/dcf-tb.fish",
    ] {
        let text = fs::read_to_string(tree.path(place)).unwrap_or_default();
        assert!(text.contains("dcf-tb"), "{place}");
    }
}

/// ASDF finds the systems in the tree, and the systems find the library there.
#[test]
fn the_lisp_systems_load() {
    let tree = Tree::multiarch();
    let cache = tree.path("cache");
    let mut sbcl = Command::new("sbcl");
    sbcl.args([
        "--noinform",
        "--non-interactive",
        "--no-sysinit",
        "--no-userinit",
    ]);
    sbcl.args(["--eval", "(require :asdf)"]);
    sbcl.args(["--eval", "(asdf:load-system \"dcf-thunderbolt/compat\")"]);
    sbcl.args([
        "--eval",
        "(print (asdf:system-source-directory \"dcf-thunderbolt\"))",
    ]);
    sbcl.env("LD_LIBRARY_PATH", tree.libraries());
    let systems = tree.path("share/common-lisp/systems");
    sbcl.env("CL_SOURCE_REGISTRY", format!("{}:", systems.display()));
    let translations = format!(
        "(:output-translations (t (\"{}\" :implementation)) :ignore-inherited-configuration)",
        cache.display()
    );
    sbcl.env("ASDF_OUTPUT_TRANSLATIONS", translations);
    let output = sbcl.output().expect("sbcl");
    let printed = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}{said}");
    let source = tree.path("share/common-lisp/source/dcf-thunderbolt");
    let source = fs::canonicalize(source).expect("it was installed");
    assert!(
        printed.contains(source.to_str().expect("UTF-8")),
        "{printed}"
    );
}

#[test]
fn uninstall_removes_the_installed_files_and_no_others() {
    let tree = Tree::multiarch();
    let installed = tree.files();
    assert!(installed.len() > 50, "{installed:?}");
    let others = ["lib/other.so", "include/other.h", "share/man/man3/other.3"];
    for other in others {
        let path = tree.path(other);
        fs::create_dir_all(tree::parent(&path)).expect("our own directory");
        fs::write(path, "").expect("our own directory");
    }
    tree.make("uninstall");
    let left = tree.files();
    assert_eq!(left.len(), others.len(), "{left:?}");
    assert!(left.iter().all(|path| path.contains("/other.")), "{left:?}");
    let lisp = tree.path("share/common-lisp/source/dcf-thunderbolt");
    assert!(!lisp.exists());
    assert!(!tree.libraries().join("cmake/dcf_thunderbolt").exists());
}

#[test]
fn examples_by_pkg_config_run_on_two_hosts() {
    let tree = Tree::multiarch();
    play::all(&Programs::by_pkg_config(&tree), &tree);
}

#[test]
fn examples_by_cmake_run_on_two_hosts_with_both_libraries() {
    let tree = Tree::multiarch();
    for programs in Programs::by_cmake(&tree) {
        play::all(&programs, &tree);
    }
}

#[test]
fn examples_without_any_shared_library_run_on_two_hosts() {
    let tree = Tree::multiarch();
    play::all(&Programs::wholly_static(&tree), &tree);
}

#[test]
fn a_cpp_program_by_cmake() {
    programs::cpp_by_cmake(&Tree::multiarch());
}

/// Another prefix, and moved to another place afterwards.
#[test]
fn a_tree_that_was_moved_serves_cmake() {
    let mut tree = Tree::install("/opt/dcf", "lib");
    tree.relocate();
    programs::cpp_by_cmake(&tree);
}

/// CMake accepts requests for the same major version, up to this version.
#[test]
fn cmake_refuses_other_major_and_newer_versions() {
    let tree = Tree::multiarch();
    let finds = |version: &str| {
        let project = tree::fresh_directory("find");
        let text = format!(
            "cmake_minimum_required(VERSION 3.13)\nproject(find C)\n\
             find_package(dcf_thunderbolt {version} REQUIRED)\n"
        );
        fs::write(project.join("CMakeLists.txt"), text).expect("our own directory");
        let mut cmake = Command::new("cmake");
        cmake
            .arg("-S")
            .arg(&project)
            .arg("-B")
            .arg(project.join("build"));
        cmake.arg(format!("-DCMAKE_PREFIX_PATH={}", tree.path("").display()));
        let found = cmake.output().expect("cmake").status.success();
        fs::remove_dir_all(project).expect("our own directory");
        found
    };
    assert!(finds("") && finds("1") && finds("1.0") && finds("1.0.0 EXACT"));
    assert!(!finds("0.9") && !finds("1.99") && !finds("2.0"));
}

/// The barrier of the gradient exchange uses messages, which may be lost.
#[test]
fn gradients_are_exchanged_over_a_cable_that_loses_packets() {
    let tree = Tree::multiarch();
    let programs = Programs::by_pkg_config(&tree);
    let cable = LossyCable::new();
    cable.set_faults(Faults::dropping(0.1, 8));
    play::gradients(&programs, cable.a(), cable.b(), "5000", "10");
}
