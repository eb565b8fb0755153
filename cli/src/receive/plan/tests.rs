//! What is wanted of what is announced, by what is there.

use super::*;
use crate::transfer::entry::More;
use crate::transfer::PIECE;

fn entry(size: u64) -> Entry {
    Entry {
        kind: Kind::File,
        mode: 0o644,
        modified: (100, 0),
        size,
        path: "x".into(),
        more: More::Nothing,
    }
}

fn found(there: There, brought: Mark, left: u64) -> Found {
    Found {
        there,
        brought,
        left,
    }
}

fn file(size: u64, seconds: i64) -> There {
    There::File {
        size,
        modified: (seconds, 0),
        mode: 0o644,
    }
}

fn want(found: Found, force: bool) -> Option<Want> {
    let rules = Rules {
        force,
        compare: false,
    };
    wanted(&entry(10 * PIECE), found, rules)
}

fn content(have: u64) -> Option<Want> {
    Some(Want::Content { have })
}

#[test]
fn what_is_there_is_not_wanted_again_and_not_overwritten() {
    let want = |there, left, force| want(found(there, Mark::Ours, left), force);
    assert_eq!(want(There::Nothing, 0, false), content(0));
    assert_eq!(want(There::Nothing, PIECE + 1, false), content(PIECE));
    assert_eq!(want(file(10 * PIECE, 100), 0, false), Some(Want::Nothing));
    assert_eq!(want(file(10 * PIECE, 99), 0, false), Some(Want::Comparison));
    assert_eq!(want(file(10 * PIECE, 99), 0, true), content(0));
    assert_eq!(want(file(PIECE, 100), 0, false), None);
    assert_eq!(want(file(PIECE, 100), 0, true), content(0));
    for force in [false, true] {
        assert_eq!(want(There::Folder, 0, force), None);
    }
    assert_eq!(want(There::Special, 0, false), None);
    assert_eq!(want(There::Special, 0, true), content(0));
}

#[test]
fn of_what_others_put_there_nothing_is_told() {
    for brought in [Mark::NotOurs, Mark::Unsupported] {
        for (size, seconds) in [(10 * PIECE, 100), (10 * PIECE, 99), (PIECE, 100), (0, 0)] {
            // One answer, whatever the file is like.
            let found = found(file(size, seconds), brought, 0);
            assert_eq!(want(found, false), None);
            assert_eq!(want(found, true), content(0));
        }
        let rules = Rules {
            force: false,
            compare: true,
        };
        let want = |there| wanted(&entry(10 * PIECE), found(there, brought, 0), rules);
        assert_eq!(want(file(10 * PIECE, 100)), Some(Want::Nothing));
        assert_eq!(want(file(10 * PIECE, 99)), Some(Want::Comparison));
        assert_eq!(want(file(PIECE, 99)), None);
    }
}

#[test]
fn names_in_the_way_are_counted() {
    let names: Vec<String> = (0..5).map(|number| format!("f{number}")).collect();
    assert!(exists(&names)
        .text
        .starts_with("f0, f1, f2 and 2 more exist already"));
    assert!(exists(&names[..1]).text.starts_with("f0 exists already"));
}

#[test]
fn while_it_is_made_the_pusher_can_be_told() {
    let directory = tempfile::tempdir().unwrap();
    let folder = Folder::open(directory.path()).unwrap();
    let entries: Vec<Entry> = (0..100)
        .map(|number| Entry {
            path: format!("d{}/f{number}", number % 3).into(),
            ..entry(1)
        })
        .collect();
    let mut told = 0;
    let made = plan(&folder, &entries, Rules::default(), &mut || {
        told += 1;
        Ok(())
    });
    assert_eq!(made.unwrap().wants.len(), entries.len());
    assert!(told >= entries.len(), "{told}");
    // A pusher that is gone ends it.
    let gone = plan(&folder, &entries, Rules::default(), &mut || {
        Err(Trouble::ended())
    });
    assert!(matches!(gone, Err(Trouble::Broken(_))));
}
