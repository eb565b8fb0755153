//! A peer whose address has changed when the cable is plugged in again.

mod common;

use std::fs;

use common::folders::Folders;
use common::{tool, Tool};
use testkit::Cable;

const SIZE: usize = 48 << 20;

/// A push in progress, of which some has arrived.
fn under_way(cable: &Cable, folders: &Folders, arguments: &[&str]) -> Tool {
    folders.push_slowly(cable, SIZE, arguments)
}

#[test]
fn a_push_follows_the_receiver() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let _receiver = folders.receive(cable.b(), &[]);
    let mut pusher = under_way(&cable, &folders, &[]);
    cable.unplug();
    pusher.wait_err("waiting for up to 120 s");
    let moved = cable.plug_with_another_address();
    let said = format!(
        "{} no longer answers; the receiver is now at {moved}",
        cable.b().address()
    );
    pusher.wait_err(&said);
    let ended = pusher.end();
    let said = format!("1 file pushed to {moved}");
    assert!(ended.out.contains(&said), "{}", ended.err);
    ended.with(0);
    assert!(folders.read("in/file") == folders.read("out/file"));
}

#[test]
fn a_restarted_receiver_is_recognised() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let receiver = folders.receive(cable.b(), &[]);
    let mut pusher = under_way(&cable, &folders, &["--streams", "2"]);
    cable.unplug();
    pusher.wait_err("waiting for up to 120 s");
    receiver.interrupt();
    receiver.end();
    cable.plug_with_another_address();
    let _receiver = folders.receive(cable.b(), &[]);
    pusher.end().with(0);
    assert!(folders.read("in/file") == folders.read("out/file"));
}

#[test]
fn another_receiver_does_not_get_the_rest() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let receiver = folders.receive(cable.b(), &[]);
    let mut pusher = under_way(&cable, &folders, &["--wait", "20"]);
    cable.unplug();
    pusher.wait_err("waiting for up to 20 s");
    drop(receiver);
    fs::create_dir(folders.at("other")).unwrap();
    let moved = cable.plug_with_another_address();
    let mut other = Tool::start(tool(cable.b(), &["receive", &folders.at("other")]));
    other.wait_err("listening");
    pusher.wait_err(&format!("{moved} is not the receiver"));
    let ended = pusher.end();
    let said = format!("{moved} is another receiver");
    assert!(ended.err.contains(&said), "{}", ended.err);
    assert!(ended.code == 3 || ended.code == 4, "{ended:#?}");
    assert!(folders.names("other").is_empty());
}

#[test]
fn another_receiver_at_the_same_address_does_not_get_the_rest_either() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let receiver = folders.receive(cable.b(), &[]);
    let mut pusher = under_way(&cable, &folders, &[]);
    receiver.interrupt();
    receiver.end();
    pusher.wait_err("waiting for up to 120 s");
    fs::create_dir(folders.at("other")).unwrap();
    let _other = Tool::start(tool(cable.b(), &["receive", &folders.at("other")]));
    let ended = pusher.end();
    assert!(
        ended
            .err
            .contains("is not the one that this push started with"),
        "{}",
        ended.err
    );
    ended.with(4);
    assert!(folders.names("other").is_empty());
}

#[test]
fn a_given_address_that_is_gone_is_reported() {
    let (cable, folders) = (Cable::new(), Folders::new());
    let _receiver = folders.receive(cable.b(), &[]);
    let mut pusher = under_way(&cable, &folders, &["--wait", "20", cable.b().address()]);
    cable.unplug();
    pusher.wait_err("waiting for up to 20 s");
    let moved = cable.plug_with_another_address();
    let said = format!(
        "{} no longer answers; these peers do: {moved}",
        cable.b().address()
    );
    pusher.wait_err(&said);
    let ended = pusher.end();
    assert!(
        ended.err.contains("with the new address or without one"),
        "{}",
        ended.err
    );
    assert!(ended.code == 3 || ended.code == 4, "{ended:#?}");
    assert_eq!(folders.names("in"), [".file.dcf-part"]);
}

#[test]
fn ping_follows_the_only_peer() {
    let cable = Cable::new();
    let mut listener = Tool::start(tool(cable.b(), &["listen"]));
    listener.wait_err("listening");
    let often = ["ping", "-i", "0.05", "-W", "0.2"];
    let mut found = Tool::start(tool(cable.a(), &often));
    let mut named = Tool::start(tool(
        cable.a(),
        &[&often[..], &[cable.b().address()]].concat(),
    ));
    for ping in [&mut found, &mut named] {
        ping.wait_out("seq=2 time=");
    }
    cable.unplug();
    found.wait_out("no answer");
    let moved = cable.plug_with_another_address();
    found.wait_out(&format!("16 bytes from {moved}"));
    named.wait_err(&format!(
        "{} no longer answers; these peers do: {moved}",
        cable.b().address()
    ));
    for ping in [&found, &named] {
        ping.interrupt();
    }
    found.end().with(0);
    assert!(!named.end().with(0).contains(&format!("from {moved}")));
}
