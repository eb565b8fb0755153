//! Processes that unload the library, fork, raise signals, or call it from inside callbacks.

use testkit::{CProgram, Dialect, Host};

fn passes(program: &str) {
    CProgram::new(program, Dialect::C11).run();
}

/// Runs a program that switches the loopback interface of a host of its own off and on.
fn passes_with_a_link_to_switch(program: &str) {
    let host = Host::alone();
    CProgram::new(program, Dialect::C11)
        .on(&host)
        .serve(|request| {
            host.ip(&["link", "set", "lo", request]);
            "done".to_owned()
        });
}

fn unloads(scene: &str) {
    CProgram::without_library("dlclose", Dialect::C11)
        .arg(scene)
        .run();
}

#[test]
fn dlclose_with_a_transport_open() {
    unloads("open");
}

#[test]
fn dlclose_while_a_callback_runs_and_from_inside_one() {
    unloads("callback");
}

#[test]
fn dlclose_and_dlopen_again_and_again() {
    unloads("reload");
}

#[test]
fn dlclose_then_the_end_of_a_thread_that_used_the_library() {
    unloads("thread");
}

#[test]
fn exit_with_a_transport_open() {
    unloads("exit");
}

#[test]
fn exit_after_dlclose_with_a_transport_open() {
    unloads("unloaded-exit");
}

#[test]
fn fork() {
    passes("forks");
}

#[test]
fn fork_inside_and_beside_callbacks() {
    passes("forks_inside");
}

#[test]
fn programs_started_beside_transports() {
    passes("spawns");
}

#[test]
fn leaving_a_callback_by_exception_or_pthread_exit() {
    CProgram::new("leaving", Dialect::Cpp17).run();
}

#[test]
fn signals_and_interruptions() {
    passes("signals");
}

#[test]
fn floating_point_traps() {
    passes("floats");
}

#[test]
fn nothing_on_the_standard_outputs() {
    passes("silent");
}

#[test]
fn threads_are_named_and_descriptors_are_not_inherited() {
    passes("resources");
}

#[test]
fn every_function_from_inside_every_callback() {
    passes_with_a_link_to_switch("reentrant");
}

#[test]
fn close_from_inside_every_callback() {
    passes_with_a_link_to_switch("close_inside");
}

#[test]
fn callbacks_that_unregister_one_another() {
    passes("mutual");
}

#[test]
fn any_function_from_any_thread_at_any_time() {
    passes("storm");
}
