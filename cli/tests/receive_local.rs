//! Programs on the receiving machine: any user could write with the receiver's permissions.

mod common;

use common::folders::{push, Folders};
use common::{run, tool, Tool};
use testkit::Cable;

#[test]
fn a_push_from_the_same_machine_is_refused_without_allow_local() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let path = folders.write("out/file", "content");
    let host = cable.b();
    let mut receiver = folders.receive(host, &[]);
    let refused = push(host, &[&path, host.address()]);
    assert!(refused.err.contains("--allow-local"), "{}", refused.err);
    refused.with(8);
    receiver.wait_err("it comes from this machine");
    assert!(folders.names("in").is_empty());
    // Peers on the cable are served as before.
    push(cable.a(), &[&path]).with(0);
    drop(receiver);

    let _receiver = folders.receive(host, &["--allow-local", "--force"]);
    let other = folders.write("out/other", "content");
    push(host, &[&other, host.address()]).with(0);
    assert_eq!(folders.names("in"), ["file", "other"]);
}

#[test]
fn on_the_loopback_interface_no_peer_is_served() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let path = folders.write("out/file", "content");
    let host = cable.a();
    let folder = folders.at("in");
    for (arguments, code) in [(&[][..], 8), (&["--allow-local"], 0)] {
        let receive = [&["receive", "-I", "lo", &folder], arguments].concat();
        let mut receiver = Tool::start(tool(host, &receive));
        receiver.wait_err("listening on lo");
        let pushed = run(tool(host, &["push", "-I", "lo", &path, "::1"]));
        assert_eq!(pushed.code, code, "{}", pushed.err);
    }
}

#[test]
fn a_listener_refuses_its_own_machine_without_allow_local() {
    let cable = Cable::new();
    let host = cable.b();
    let bench = ["bench", "--time", "0.1", host.address()];
    let mut listener = Tool::start(tool(host, &["listen"]));
    listener.wait_err("listening");
    run(tool(host, &["send", "from here", host.address()])).with(0);
    listener.wait_err("was ignored: it comes from this machine");
    let refused = run(tool(host, &bench));
    assert!(refused.err.contains("--allow-local"), "{}", refused.err);
    refused.with(8);
    run(tool(cable.a(), &["send", "from there", host.address()])).with(0);
    listener.wait_out("from there");
    assert!(!listener.out().contains("from here"));
    drop(listener);

    let mut listener = Tool::start(tool(host, &["listen", "--allow-local"]));
    listener.wait_err("listening");
    run(tool(host, &["send", "from here", host.address()])).with(0);
    listener.wait_out("from here");
}
