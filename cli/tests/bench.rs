//! bench between two hosts. These tests check that it measures, and not the figures.

mod common;

use std::fs;

use common::{plain, run, tool, Tool, TOOL};
use serde_json::Value;
use testkit::Cable;

fn listen(cable: &Cable) -> Tool {
    let mut listener = Tool::start(tool(cable.b(), &["listen"]));
    listener.wait_err("listening on thunderbolt0");
    listener
}

#[test]
fn every_row_is_measured_and_checked() {
    let cable = Cable::new();
    let listener = listen(&cable);
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("report.html");
    let arguments = [
        "bench",
        "--time",
        "0.3",
        "--json",
        "--streams",
        "3",
        "--report",
    ];
    let command = tool(
        cable.a(),
        &[&arguments[..], &[page.to_str().unwrap()]].concat(),
    );
    let ended = run(command);
    // On a busy machine the listener may take a second to answer.
    let waits = |line: &&str| !line.contains("has not answered yet");
    assert_eq!(ended.err.lines().find(waits), None);
    let json: Value = serde_json::from_str(&ended.with(0)).unwrap();
    assert_eq!(json["peer"], cable.b().address());
    assert_eq!(json["trained_gbps"], Value::Null);
    for row in ["round_trips", "round_trips_under_load"] {
        assert!(json[row]["count"].as_u64().unwrap() > 0, "{row}");
        assert!(
            json[row]["p50_us"].as_f64() <= json[row]["max_us"].as_f64(),
            "{row}"
        );
    }
    let messages = &json["messages"];
    assert!(messages["sent"].as_u64().unwrap() > 0);
    assert!(messages["received"].as_u64().unwrap() > 0);
    let streams = json["streams"].as_array().unwrap();
    let names: Vec<_> = streams
        .iter()
        .map(|stream| stream["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["out", "in", "both ways", "several out"]);
    for stream in streams {
        assert_eq!(stream["right"], true, "{stream}");
        assert!(stream["bytes"].as_u64().unwrap() > 0, "{stream}");
    }
    assert_eq!(streams[3]["streams"], 3);

    let page = fs::read_to_string(page).unwrap();
    // Two charts, each for a wide and for a narrow page.
    assert_eq!(page.matches("<svg").count(), 4);
    for about in [
        "<td>date</td>",
        "<td>kernel</td>",
        "<td>MTU</td>",
        "name=\"viewport\"",
    ] {
        assert!(page.contains(about), "{about}");
    }
    assert!(page.contains(json["host"].as_str().unwrap()));
    assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
    assert!(page.contains("3 streams out") && page.contains(cable.b().address()));
    for foreign in ["<script", "<link", "src=", "url("] {
        assert!(
            !page.contains(foreign),
            "the page needs nothing else: {foreign}"
        );
    }
    // The listener counted the messages, and printed none.
    assert!(listener.out().is_empty());
    listener.interrupt();
    listener.end().with(130);
}

#[test]
fn a_duration_of_zero_prints_no_figures() {
    let cable = Cable::new();
    let _listener = listen(&cable);
    let out = run(tool(cable.a(), &["bench", "--time", "0", "--json"])).with(0);
    let json: Value = serde_json::from_str(&out).unwrap();
    let messages = &json["messages"];
    assert_eq!(messages["sent"], 0);
    assert!(messages["sent_per_second"].is_null() && messages["received_per_second"].is_null());
    assert!(json["trained_gbps"].is_null());
    let table = run(tool(cable.a(), &["bench", "--time", "0"])).with(0);
    assert!(
        table.contains("no message was sent") && !table.contains("NaN"),
        "{table}"
    );
}

#[test]
fn a_report_that_cannot_be_written_loses_no_results() {
    let cable = Cable::new();
    let _listener = listen(&cable);
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let bench = |report: &str| {
        run(tool(
            cable.a(),
            &["bench", "--time", "0", "--report", report],
        ))
    };
    // Checked before anything is measured, as far as possible.
    for (path, why) in [
        (at("nowhere/report"), "No such file"),
        (folder.path().to_str().unwrap().to_owned(), "is a directory"),
    ] {
        let ended = bench(&path);
        assert_eq!((ended.code, ended.out.as_str()), (1, ""), "{ended:?}");
        assert!(
            ended.err.contains(&path) && ended.err.contains(why),
            "{ended:?}"
        );
    }
    let full = bench("/dev/full");
    assert!(
        full.out.contains("stream out"),
        "the result is printed: {full:?}"
    );
    assert!(
        full.err.contains("cannot write /dev/full: No space left"),
        "{full:?}"
    );
    full.with(1);
    // A full disk leaves the older report and no other file.
    let small = at("small");
    fs::create_dir(&small).unwrap();
    let mut command = cable.a().command("unshare");
    plain(&mut command).env("DCF_TB_INTERFACE", "thunderbolt0");
    let script = "mount -t tmpfs -o size=8k tmpfs $0 && cd $0 && echo older >report && \
        \"$@\"; echo code $?; ls; cat report";
    command.args(["--mount", "sh", "-c", script, &small, TOOL]);
    command.args(["bench", "--time", "0", "--report", "report"]);
    let ended = run(command);
    assert!(
        ended.err.contains("cannot write report: No space left"),
        "{ended:?}"
    );
    let out = ended.with(0);
    assert!(
        out.contains("stream out") && out.ends_with("code 1\nreport\nolder\n"),
        "{out}"
    );
}

#[test]
fn the_table_is_readable() {
    let cable = Cable::new();
    let _listener = listen(&cable);
    let table = run(tool(
        cable.a(),
        &["bench", "-t", "0.1", cable.b().address()],
    ))
    .with(0);
    let begins = [
        "fe80::",
        "round trip ",
        "  under load",
        "messages ",
        "stream out",
        "stream in",
        "streams both ways",
        "4 streams out",
    ];
    assert_eq!(table.lines().count(), begins.len(), "{table}");
    for (line, begin) in table.lines().zip(begins) {
        assert!(line.starts_with(begin), "{table}");
    }
}

#[test]
fn a_peer_without_a_listener_cannot_be_measured() {
    let cable = Cable::new();
    let nobody = run(tool(cable.a(), &["bench"]));
    assert!(nobody.err.contains("dcf-tb listen"), "{}", nobody.err);
    nobody.with(4);
    let folder = tempfile::tempdir().unwrap();
    let mut receiver = Tool::start(tool(
        cable.b(),
        &["receive", folder.path().to_str().unwrap()],
    ));
    receiver.wait_err("listening");
    let other = run(tool(cable.a(), &["bench"]));
    assert!(
        other.err.contains("bench needs `dcf-tb listen`"),
        "{}",
        other.err
    );
    other.with(4);
}

#[test]
fn an_interrupted_benchmark_ends() {
    let cable = Cable::new();
    let mut listener = Tool::start(tool(cable.b(), &["listen", "-vv"]));
    listener.wait_err("listening");
    let bench = Tool::start(tool(cable.a(), &["bench", "--time", "60"]));
    listener.wait_err("accepted");
    bench.interrupt();
    let ended = bench.end();
    assert_eq!(ended.out, "");
    ended.with(130);
}
