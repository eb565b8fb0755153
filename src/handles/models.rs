//! The table in every possible order of its threads (`make models`). The value of a slot is in a
//! cell of loom, which detects accesses that are not ordered.

use super::*;
use crate::models::check;
use loom::thread::{spawn, JoinHandle};

fn table() -> Arc<Table<u32>> {
    Arc::new(Table::new(1))
}

fn with<T: 'static>(
    table: &Arc<Table<u32>>,
    body: impl FnOnce(&Table<u32>) -> T + 'static,
) -> JoinHandle<T> {
    let table = Arc::clone(table);
    spawn(move || body(&table))
}

#[test]
fn a_lookup_gives_the_value_or_nothing_while_it_is_removed() {
    check(Some(3), || {
        let table = table();
        let handle = table.insert(Arc::new(7)).unwrap();
        let lookups = [(); 2].map(|()| with(&table, move |table| table.get(handle)));
        assert_eq!(table.remove(handle).as_deref(), Some(&7));
        assert!(table.get(handle).is_none());
        for lookup in lookups {
            let found = lookup.join().unwrap();
            assert!(found.is_none_or(|value| *value == 7));
        }
    });
}

#[test]
fn of_many_who_remove_it_one_gets_it() {
    check(Some(3), || {
        let table = table();
        let handle = table.insert(Arc::new(7)).unwrap();
        let others = [(); 2].map(|()| with(&table, move |table| table.remove(handle).is_some()));
        let own = table.remove(handle).is_some();
        let got = others.map(|other| other.join().unwrap()).into_iter();
        assert_eq!(got.chain([own]).filter(|&got| got).count(), 1);
    });
}

/// The slot gets its next value while a lookup of the previous one is running.
#[test]
fn a_stale_handle_never_finds_the_next_value_of_its_slot() {
    check(Some(3), || {
        let table = table();
        let first = table.insert(Arc::new(1)).unwrap();
        let lookup = with(&table, move |table| table.get(first));
        let next = with(&table, move |table| {
            table.remove(first).unwrap();
            let second = table.insert(Arc::new(2)).unwrap();
            assert_ne!(first, second);
            table.get(second)
        });
        assert!(table.get(first).is_none_or(|value| *value == 1));
        assert!(lookup.join().unwrap().is_none_or(|value| *value == 1));
        assert_eq!(next.join().unwrap().as_deref(), Some(&2));
        assert_eq!(table.free().used, 1, "one slot served both");
    });
}

/// Two insertions need memory for the first slots at the same time, while a lookup uses a handle
/// that it got without any ordering.
#[test]
fn slots_are_made_once_and_are_whole_for_who_finds_them() {
    check(Some(3), || {
        let table = table();
        let told = Arc::new(AtomicU64::new(0));
        let inserting = [1, 2].map(|number| {
            let told = Arc::clone(&told);
            with(&table, move |table| {
                let handle = table.insert(Arc::new(number)).unwrap();
                told.store(handle, Ordering::Relaxed);
                assert_eq!(table.get(handle).as_deref(), Some(&number));
            })
        });
        let found = table.get(told.load(Ordering::Relaxed));
        assert!(found.is_none_or(|value| matches!(*value, 1 | 2)));
        for inserting in inserting {
            inserting.join().unwrap();
        }
        let found = table.get(told.load(Ordering::Relaxed));
        assert!(matches!(found.as_deref(), Some(1 | 2)));
        assert_eq!(table.free().used, 2);
    });
}
