use super::*;

#[track_caller]
fn read(json: &str) -> Settings {
    Settings::from_json(json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

#[track_caller]
fn refused(json: &str) -> String {
    match Settings::from_json(json) {
        Ok(settings) => panic!("{json} was taken: {settings:?}"),
        Err(error) => error,
    }
}

#[test]
fn nothing_given_is_the_defaults() {
    let defaults = Settings::default();
    assert_eq!(defaults.interface, "thunderbolt0");
    assert_eq!((defaults.control_port, defaults.data_port), (5000, 5001));
    for json in [
        "{}",
        " {\n} ",
        r#"{"of": "another", "kind": [1.5e999, {}]}"#,
    ] {
        assert_eq!(read(json), defaults, "{json}");
    }
}

#[test]
fn every_setting_is_read() {
    let all = read(
        r#"{"interface": "lo", "control_port": 1, "data_port": 65535, "buffer_size": 0,
            "tcp_nodelay": false, "tcp_keepalive": false, "allow_any_source": true,
            "wait_for_interface": true, "busy_poll_us": 2, "receive_queue": 3,
            "receive_queue_bytes": 4, "max_streams": 5, "max_silent_streams": 6,
            "silent_after_ms": 7, "connect_timeout_ms": 8, "stream_dead_after_ms": 9,
            "log_level": 4}"#,
    );
    assert_eq!(all.interface, "lo");
    assert_eq!((all.control_port, all.data_port), (1, 65535));
    assert_eq!(all.options, [0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 4]);
    assert_eq!(all.option("receive_queue_bytes"), 4);
    // The list above has all of them.
    assert!(all
        .options
        .iter()
        .zip(OPTIONS)
        .all(|(value, option)| *value != option.default));
}

#[test]
fn the_data_port_follows_the_control_port() {
    assert_eq!(read(r#"{"control_port": 6000}"#).data_port, 6001);
    assert_eq!(read(r#"{"data_port": 7000}"#).control_port, 5000);
    assert_eq!(
        read(r#"{"control_port": 65535, "data_port": 7}"#).data_port,
        7
    );
    assert!(refused(r#"{"control_port": 65535}"#).contains("65535"));
    for (port, good) in [(1, true), (65534, true), (0, false), (65535, false)] {
        assert_eq!(Settings::on_port(port).is_ok(), good, "{port}");
    }
    for port in [-1, i64::MIN, i64::MAX, 65536, 131_072] {
        assert!(Settings::on_port(port)
            .unwrap_err()
            .contains(&port.to_string()));
    }
}

#[test]
fn bad_values_are_quoted_with_their_key() {
    for (key, value) in [
        ("control_port", "0"),
        ("control_port", "65536"),
        ("data_port", "-1"),
        ("control_port", "5e3"),
        ("control_port", "5000.0"),
        ("control_port", "\"5000\""),
        ("control_port", "null"),
        ("buffer_size", "99999999999999999999"),
        ("busy_poll_us", "4294967296"),
        ("connect_timeout_ms", "0"),
        ("log_level", "5"),
        ("tcp_nodelay", "1"),
        ("allow_any_source", "\"yes\""),
        ("interface", "\"\""),
        ("interface", "\"sixteen-letters-\""),
        ("interface", "\"a\\u0000b\""),
        ("interface", "7"),
    ] {
        let error = refused(&format!("{{\"{key}\": {value}}}"));
        let quoted = format!("{key} is {value}: ");
        assert!(error.contains(&quoted), "{error}");
    }
}

#[test]
fn broken_json_is_refused_and_the_place_is_told() {
    for (json, place) in [
        ("", "line 1 column 0"),
        ("{", "line 1 column 1"),
        ("{\"control_port\": }", "line 1 column 18"),
        ("{\n\"interface\": \"lo\",\n}", "line 3 column 1"),
        ("{} {}", "line 1 column 4"),
        ("[]", "line 1 column 0"),
        ("5000", "line 1 column 4"),
        ("null", "line 1 column 4"),
        ("{\"a\": 01}", "line 1 column 8"),
        ("{'a': 1}", "line 1 column 2"),
        ("{\"a\": \"\\x\"}", "line 1 column 9"),
    ] {
        let error = refused(json);
        assert!(
            error.starts_with("the parameters are not a JSON object: "),
            "{error}"
        );
        assert!(error.ends_with(place), "{json:?}: {error}");
    }
    // Deep nesting must not overflow the stack.
    refused(&"[".repeat(1 << 20));
    let deep = format!("{{\"a\": {}{}}}", "[".repeat(1 << 20), "]".repeat(1 << 20));
    assert_eq!(read(&deep), Settings::default());
}

#[test]
fn names_may_be_written_in_any_way_json_has() {
    assert_eq!(
        read(r#"{"\u0069nterface": "\u006co"}"#).interface,
        "lo".to_owned()
    );
    assert_eq!(
        read(r#"{"interface": "a", "interface": "b"}"#).interface,
        "b"
    );
}

#[test]
fn the_defaults_are_those_of_the_native_interface() {
    // `connect_timeout_ms` has another default on purpose.
    let native = crate::config::dcf_tb_config::default();
    let own = Settings::default();
    for (key, value) in [
        ("buffer_size", native.buffer_size),
        ("tcp_nodelay", native.tcp_nodelay.into()),
        ("tcp_keepalive", native.tcp_keepalive.into()),
        ("allow_any_source", native.allow_any_source.into()),
        ("wait_for_interface", native.wait_for_interface.into()),
        ("busy_poll_us", native.busy_poll_us.into()),
        ("receive_queue", native.receive_queue.into()),
        ("receive_queue_bytes", native.receive_queue_bytes),
        ("max_streams", native.max_streams.into()),
        ("max_silent_streams", native.max_silent_streams.into()),
        ("silent_after_ms", native.silent_after_ms.into()),
        ("stream_dead_after_ms", native.stream_dead_after_ms.into()),
        ("log_level", native.log_level as u64),
    ] {
        assert_eq!(own.option(key), value, "{key}");
    }
}
