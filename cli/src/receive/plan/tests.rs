//! The plan of a push.

use super::*;

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
            ..Entry::of_size(1)
        })
        .collect();
    let mut told = 0;
    let made = plan(&folder, &entries, Rules::default(), false, &mut || {
        told += 1;
        Ok(())
    });
    assert_eq!(made.unwrap().wants.len(), entries.len());
    assert!(told >= entries.len(), "{told}");
    // A pusher that disconnects ends the planning.
    let gone = plan(&folder, &entries, Rules::default(), false, &mut || {
        Err(TransferError::ended())
    });
    assert!(matches!(gone, Err(TransferError::Broken(_))));
}
