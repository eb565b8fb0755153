//! Which rounds the judge accepts, and which it rejects.

use super::violations;
use crate::fault::Effect;
use crate::report::Report;

/// A round without faults in which a sends ten messages and one stream to b.
const A: &str = "messages_sent=10 message_bytes_sent=100 streams_opened=1 opened_whole=1 \
    opened_whole_bytes=50 stream_bytes_written=50 library.messages_sent=10 \
    library.bytes_sent=100 library.connections_initiated=1 library.stream_bytes_sent=50";
const B: &str = "messages_received=10 message_bytes_received=100 streams_accepted=1 \
    served_whole=1 served_whole_bytes=50 stream_bytes_read=50 library.messages_received=10 \
    library.bytes_received=100 library.connections_accepted=1 \
    library.stream_bytes_received=50";

fn found(effect: &Effect, a: &str, b: &str) -> Vec<String> {
    violations(
        effect,
        &[a, b].map(|text| Report::parse(text).expect("a report")),
    )
}

/// `B` with some numbers changed.
fn b_with(changes: &[(&str, &str)]) -> String {
    changes.iter().fold(B.to_owned(), |text, (old, new)| {
        assert!(text.contains(old), "{old}");
        text.replace(old, new)
    })
}

const ONE_LESS: &[(&str, &str)] = &[
    ("messages_received=10", "messages_received=9"),
    ("bytes_received=100", "bytes_received=90"),
];

#[test]
fn a_round_without_faults_adds_up() {
    assert_eq!(found(&Effect::default(), A, B), [] as [String; 0]);
}

#[test]
fn a_lost_message_is_found_where_none_may_be_lost() {
    let b = b_with(ONE_LESS);
    let all = found(&Effect::default(), A, &b);
    assert!(
        all.len() == 1 && all[0].contains("10 messages sent, 9 received"),
        "{all:?}"
    );
    let lossy = Effect {
        loses_messages: true,
        ..Effect::default()
    };
    assert_eq!(found(&lossy, A, &b), [] as [String; 0]);
}

#[test]
fn a_drop_that_is_counted_explains_a_loss_and_one_that_is_not_there_does_not() {
    for counter in ["kernel_drops", "messages_dropped"] {
        let b = b_with(ONE_LESS) + &format!(" library.{counter}=1");
        let all = found(&Effect::default(), A, &b);
        assert!(
            !all.iter().any(|text| text.contains("messages sent")),
            "{all:?}"
        );
    }
    let b = B.to_owned() + " library.messages_dropped=1";
    let all = found(&Effect::default(), A, &b);
    assert!(all[0].contains("1 dropped by the library"), "{all:?}");
}

#[test]
fn a_ping_may_be_lost_where_the_kernel_drops_what_comes() {
    let a = A.to_owned() + " failure.round_trip.0A00=1";
    assert_eq!(found(&Effect::default(), &a, B).len(), 1);
    let b = B.to_owned() + " library.kernel_drops=1";
    assert_eq!(found(&Effect::default(), &a, &b), [] as [String; 0]);
}

#[test]
fn more_than_was_sent_is_never_right() {
    let b = b_with(&[("messages_received=10", "messages_received=11")]);
    let lossy = Effect {
        loses_messages: true,
        ..Effect::default()
    };
    assert!(!found(&lossy, A, &b).is_empty());
}

#[test]
fn figures_of_the_library_are_compared_with_those_of_the_host() {
    for (figure, other) in [
        (
            "library.messages_received=10",
            "library.messages_received=12",
        ),
        ("library.bytes_received=100", "library.bytes_received=99"),
        (
            "library.connections_accepted=1",
            "library.connections_accepted=2",
        ),
        (
            "library.stream_bytes_received=50",
            "library.stream_bytes_received=51",
        ),
    ] {
        let all = found(&Effect::default(), A, &b_with(&[(figure, other)]));
        assert_eq!(all.len(), 1, "{figure}: {all:?}");
    }
    let open = B.to_owned() + " library.streams_open=1";
    assert_eq!(found(&Effect::default(), A, &open).len(), 1);
}

#[test]
fn a_stream_that_broke_is_found_where_none_may_break() {
    let b = b_with(&[
        ("served_whole=1", "served_broken=1"),
        ("served_whole_bytes=50", "served_whole_bytes=0"),
    ]);
    assert!(found(&Effect::default(), A, &b).len() >= 2);
    let breaking = Effect {
        breaks_streams: true,
        ..Effect::default()
    };
    assert_eq!(found(&breaking, A, &b), [] as [String; 0]);
}

#[test]
fn calls_may_fail_only_as_the_fault_makes_them() {
    let a = A.to_owned() + " failures=2 library.errors=2 failure.send.030F=2";
    let all = found(&Effect::default(), &a, B);
    assert!(all.len() == 1 && all[0].contains("LINK_DOWN"), "{all:?}");
    let mut allowed = Effect::default();
    allowed.allowed[0].push(crate::status::LINK_DOWN);
    assert_eq!(found(&allowed, &a, B), [] as [String; 0]);
}

#[test]
fn an_error_that_was_not_counted_is_found() {
    let a = A.to_owned() + " failures=2 library.errors=1";
    assert_eq!(found(&Effect::default(), &a, B).len(), 1);
}
