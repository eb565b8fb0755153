//! Properties of all handles, and of all strings that C may pass.

use std::ffi::CString;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::handles::Table;
use crate::last_error;
use crate::pointers;
use crate::status::*;

/// An operation on a table.
#[derive(Debug, Clone)]
enum Step {
    Insert,
    /// The n-th handle that was returned, live or stale.
    Remove(usize),
    Get(usize),
    /// The same with some bits changed.
    GetChanged(usize, u64),
}

fn step() -> impl Strategy<Value = Step> {
    let changed = prop_oneof![(0..64_u32).prop_map(|bit| 1 << bit), any::<u64>()];
    prop_oneof![
        2 => Just(Step::Insert),
        1 => any::<usize>().prop_map(Step::Remove),
        1 => any::<usize>().prop_map(Step::Get),
        1 => (any::<usize>(), changed).prop_map(|(which, bits)| Step::GetChanged(which, bits)),
    ]
}

proptest! {
    #[test]
    fn a_table_knows_the_live_handles_and_no_others(steps in vec(step(), 1..200)) {
        let table = Table::new(1);
        // All handles so far, with their values while they are live.
        let mut given: Vec<(u64, Option<usize>)> = Vec::new();
        for step in steps {
            let nth = |which: usize| which.checked_rem(given.len());
            match step {
                Step::Insert => {
                    let value = given.len();
                    let handle = table.insert(Arc::new(value)).expect("memory");
                    prop_assert!(given.iter().all(|&(old, _)| old != handle));
                    given.push((handle, Some(value)));
                }
                Step::Remove(which) => if let Some(nth) = nth(which) {
                    let (handle, value) = &mut given[nth];
                    prop_assert_eq!(table.remove(*handle).map(|found| *found), value.take());
                },
                Step::Get(which) => if let Some(nth) = nth(which) {
                    let (handle, value) = given[nth];
                    prop_assert_eq!(table.get(handle).map(|found| *found), value);
                },
                Step::GetChanged(which, bits) => if let Some(nth) = nth(which) {
                    let number = given[nth].0 ^ bits;
                    let live = given.iter().find(|&&(handle, _)| handle == number);
                    let value = live.and_then(|&(_, value)| value);
                    prop_assert_eq!(table.get(number).map(|found| *found), value);
                },
            }
        }
    }

    #[test]
    fn a_made_up_handle_is_refused_and_quoted(handle: u64) {
        let mut byte = 0;
        let status = [
            crate::lifecycle::dcf_tb_close(handle),
            crate::stats::dcf_tb_reset_stats(handle),
            crate::stream::dcf_tb_stream_close(handle),
            crate::stream::dcf_tb_stream_finish(handle),
            // SAFETY: the pointer is good.
            unsafe { crate::lifecycle::dcf_tb_is_running(handle, &mut byte) },
        ];
        prop_assert_eq!(status, [DCF_TB_ERR_INVALID_HANDLE; 5]);
        let text = last_error::text();
        prop_assert!(text.contains(&format!("{handle:#x} is not an open transport")), "{text}");
    }

    #[test]
    fn a_string_is_taken_as_it_is_or_is_not_utf8_and_quoted(bytes in vec(1..=u8::MAX, 0..40)) {
        let text = CString::new(bytes).expect("no NUL");
        // SAFETY: a string that lives longer.
        match unsafe { pointers::peer(text.as_ptr(), "peer") } {
            Ok(peer) => prop_assert_eq!(peer.as_bytes(), text.to_bytes()),
            Err(failure) => {
                prop_assert!(text.to_str().is_err());
                prop_assert_eq!(failure.status, DCF_TB_ERR_INVALID_ADDRESS);
                prop_assert_eq!(failure.text, format!("peer {text:?} is not UTF-8"));
            }
        }
    }
}
