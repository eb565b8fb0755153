//! The library as a plugin of DCF's hosts. Each program has a host of its own, so that ports can have
//! their usual numbers.

use testkit::{CProgram, Dialect, Host};

fn passes(program: &str, dialect: Dialect) {
    let host = Host::alone();
    CProgram::new(program, dialect).on(&host).run();
}

#[test]
fn v1_and_the_old_loader_as_c99() {
    passes("plugin_v1", Dialect::C99);
}

#[test]
fn v1_and_the_old_loader_as_cpp17() {
    passes("plugin_v1", Dialect::Cpp17);
}

#[test]
fn the_design_document_as_c11() {
    passes("plugin_v1_1", Dialect::C11);
}

#[test]
fn the_design_document_as_cpp17() {
    passes("plugin_v1_1", Dialect::Cpp17);
}

#[test]
fn v2_as_c99() {
    passes("plugin_v2", Dialect::C99);
}

#[test]
fn v2_as_cpp17() {
    passes("plugin_v2", Dialect::Cpp17);
}
