//! Common Lisp: the binding compared with the same calls in C, each with C at the other end. Left out
//! without SBCL.

use crate::contestant::Contestant;
use crate::figure::Figure;
use crate::work::{ratio, row, size, work, Builder, Work};

/// The program that `bench/lisp` builds.
const PROGRAM: &str = "lisp";
/// The contestant that it is compared with.
const C: &str = "C, the same calls";

/// Messages and streams, sent and received, if the program was built.
pub fn works(b: &Builder) -> Vec<Work> {
    if b.programs.join(PROGRAM).is_file() {
        all(b)
    } else {
        Vec::new()
    }
}

/// The end that is in Lisp.
#[derive(Clone, Copy)]
enum End {
    Near,
    Far,
}

fn all(b: &Builder) -> Vec<Work> {
    let contestants = |end, what: &str, in_c, with: &str| {
        let lisp = b.library(
            PROGRAM,
            &format!("work={what} {with}"),
            &format!("work={what} {with}"),
        );
        let c = b.yardstick(C, in_c, with, with);
        let mixed = match end {
            End::Near => Contestant {
                far: c.far.clone(),
                ..lisp
            },
            End::Far => Contestant {
                near: c.near.clone(),
                ..lisp
            },
        };
        vec![mixed, c]
    };
    let messages = |end, id, title, row_title| {
        let rows = vec![row(id, row_title, Figure::MessageRate, ratio(C, 0.5, 0.8))];
        Work {
            settles: true,
            ..work(
                id,
                title,
                contestants(end, "messages", "messages_dcf", "size=64"),
                rows,
            )
        }
        .lasting(b.length(size("duration_ms", 1_000, 250)))
    };
    let stream = |end, id, title, row_title| {
        let rows = vec![row(id, row_title, Figure::StreamRate, ratio(C, 0.5, 0.95))];
        let checked = format!("verify=1 {}", b.length(size("bytes", 1 << 29, 1 << 28)));
        Work {
            checks: contestants(end, "stream", "stream_dcf", &checked),
            ..work(
                id,
                title,
                contestants(end, "stream", "stream_dcf", ""),
                rows,
            )
        }
        .lasting(b.length(size("bytes", 8 << 30, 2 << 30)))
    };
    vec![
        messages(
            End::Near,
            "lisp-send",
            "Messages of 64 bytes from Common Lisp: send-message",
            "Lisp: send-message, 64 B",
        ),
        messages(
            End::Far,
            "lisp-receive",
            "Messages of 64 bytes to Common Lisp: a message handler",
            "Lisp: message handler, 64 B",
        ),
        stream(
            End::Near,
            "lisp-write",
            "One stream from Common Lisp: write-sequence of 256 KiB",
            "Lisp: write-sequence",
        ),
        stream(
            End::Far,
            "lisp-read",
            "One stream to Common Lisp: read-sequence of 256 KiB",
            "Lisp: read-sequence",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::{all, works};
    use crate::contestant::Kind;
    use crate::work::Builder;
    use std::path::Path;

    #[test]
    fn one_end_is_in_lisp() {
        let builder = Builder {
            programs: Path::new("."),
            quick: true,
        };
        assert!(works(&builder).is_empty(), "it is not built here");
        for work in all(&builder) {
            let [lisp, c] = &work.contestants[..] else {
                panic!("{}: {:?}", work.id, work.contestants)
            };
            assert_eq!((lisp.kind, c.kind), (Kind::Library, Kind::Yardstick));
            let in_lisp = [&lisp.far[0], &lisp.near[0]].map(|program| program.ends_with("/lisp"));
            assert!(in_lisp[0] != in_lisp[1], "{}: {lisp:?}", work.id);
            assert!(work.rows.iter().all(|row| row.title.chars().count() <= 29));
        }
    }
}
