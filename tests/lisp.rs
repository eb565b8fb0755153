//! The Common Lisp systems of `lisp/`: the binding, the drop-in for HydraMesh, and a peer in Lisp that is
//! written by `docs/WIRE.md` alone. Each suite of `lisp/tests` is a test here, and a failure shows its
//! output.

#[path = "common/lisp.rs"]
mod lisp;

use lisp::Lisp;
use testkit::{CProgram, Cable, Dialect};

/// Three tests for each suite: on SBCL, on SBCL while another thread collects garbage all the time, and
/// on ECL.
macro_rules! suites {
    ($($(#[$promise:meta])* $suite:ident;)*) => {$(
        $(#[$promise])*
        mod $suite {
            use super::Lisp;

            fn name() -> String {
                stringify!($suite).replace('_', "-")
            }

            #[test]
            fn on_sbcl() {
                Lisp::Sbcl.run(&[&name()]);
            }

            #[test]
            fn during_collections() {
                Lisp::Sbcl.run(&["--collecting", &name()]);
            }

            #[test]
            fn on_ecl() {
                Lisp::Ecl.run(&[&name()]);
            }
        }
    )*};
}

suites! {
    /// Structs, numbers and functions match those of the C header.
    bindings;
    /// Every export has a docstring.
    documentation;
    /// Found by variable, soname and build tree; another ABI is refused, with restarts.
    library;
    /// Opened, closed, lost.
    life;
    /// Sizes, kinds of vectors, batches, senders, time-outs.
    messages;
    /// Binary streams as the Common Lisp standard defines them.
    streams;
    /// Files, by their pathnames.
    files;
    /// Round trips, series, discovery, statistics.
    round_trips;
    /// Handlers on threads of Lisp's, and their errors.
    handlers;
    /// Log records on a thread of Lisp's, and their levels.
    events;
    /// Conditions: codes, errno, texts, restarts.
    failures;
    /// Interrupted waits leave the library usable.
    interrupts;
    /// A saved image starts again.
    image;
    /// Programs written for HydraMesh, unchanged.
    compat;
    /// The quick start of `lisp/README.md`, run as it is written.
    readme;
}

/// Lisp on host a; on host b a C program that echoes.
fn with_c_on_the_other_host(lisp: Lisp, more: &[&str]) {
    let cable = Cable::new();
    // Compile first: the other host's time limit begins with its start.
    lisp.compile(cable.a());
    let mut far = CProgram::new("far_host", Dialect::C11)
        .on(cable.b())
        .start();
    assert_eq!(far.question(), "ready");
    let names = [more, &["two-hosts"]].concat();
    lisp.suites(cable.a(), &names).serve(|question| {
        match question {
            "address" => return cable.b().address().to_owned(),
            "unplug" => cable.unplug(),
            "plug" => cable.plug(),
            other => panic!("unknown request {other:?}"),
        }
        "done".to_owned()
    });
    far.answer("end");
    far.finish();
}

/// Lisp on host a; on host b plain sockets in Lisp, which answer pings by hand.
fn with_plain_sockets_on_the_other_host(lisp: Lisp, more: &[&str]) {
    let cable = Cable::new();
    lisp.compile(cable.a());
    let mut far = Lisp::Sbcl.start(cable.b(), "tests/plain-peer/run.lisp", &[]);
    assert_eq!(far.question(), "ready");
    let names = [more, &["wire"]].concat();
    lisp.suites(cable.a(), &names).serve(|question| {
        if question == "address" {
            return cable.b().address().to_owned();
        }
        far.answer(&format!("{question} {}", cable.a().address()));
        far.question()
    });
    far.answer("end");
    far.finish();
}

mod two_hosts {
    use super::{with_c_on_the_other_host, Lisp};

    #[test]
    fn on_sbcl() {
        with_c_on_the_other_host(Lisp::Sbcl, &[]);
    }

    #[test]
    fn during_collections() {
        with_c_on_the_other_host(Lisp::Sbcl, &["--collecting"]);
    }

    #[test]
    fn on_ecl() {
        with_c_on_the_other_host(Lisp::Ecl, &[]);
    }
}

mod wire {
    use super::{with_plain_sockets_on_the_other_host, Lisp};

    #[test]
    fn on_sbcl() {
        with_plain_sockets_on_the_other_host(Lisp::Sbcl, &[]);
    }

    #[test]
    fn during_collections() {
        with_plain_sockets_on_the_other_host(Lisp::Sbcl, &["--collecting"]);
    }

    #[test]
    fn on_ecl() {
        with_plain_sockets_on_the_other_host(Lisp::Ecl, &[]);
    }
}
