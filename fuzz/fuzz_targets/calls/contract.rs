//! The statuses that each function may return, parsed from the header, so that the documentation itself
//! is checked.

use std::collections::{HashMap, HashSet};
use std::ffi::c_char;
use std::sync::LazyLock;

use dcf_thunderbolt::fuzzing::*;

const HEADER: &str = include_str!("../../../include/dcf_thunderbolt.h");

static STATUSES: LazyLock<HashMap<&str, HashSet<i32>>> = LazyLock::new(read_header);

/// The outcome of a call.
#[must_use = "say what it should be"]
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    function: &'static str,
    pub status: i32,
}

/// Calls a function of the C ABI, and checks that the header lists the status.
macro_rules! call {
    ($function:ident($($argument:expr),* $(,)?)) => {
        $crate::contract::Outcome::new(
            stringify!($function),
            #[allow(unused_unsafe)]
            // SAFETY: the pointers are NULL or lead to what the header asks for.
            unsafe {
                dcf_thunderbolt::fuzzing::$function($($argument),*)
            },
        )
    };
}
pub(crate) use call;

impl Outcome {
    pub fn new(function: &'static str, status: i32) -> Self {
        if status != DCF_TB_OK {
            let text = last_error();
            assert!(
                STATUSES[function].contains(&status),
                "{function} gave {status:#06x}, which the header does not list: {text}"
            );
            let of_this_call = text
                .strip_prefix(function)
                .and_then(|text| text.strip_prefix(": "));
            assert!(
                of_this_call.is_some_and(|text| !text.is_empty()),
                "{function}: {text:?}"
            );
        }
        Self { function, status }
    }

    pub fn is_ok(self) -> bool {
        self.status == DCF_TB_OK
    }

    /// The status must be `expected`.
    #[track_caller]
    pub fn gives(self, expected: i32) {
        self.gives_one_of(&[expected]);
    }

    /// The status must be one of these.
    #[track_caller]
    pub fn gives_one_of(self, expected: &[i32]) {
        assert!(
            expected.contains(&self.status),
            "{} gave {:#06x} instead of {expected:#06x?}: {}",
            self.function,
            self.status,
            if self.is_ok() {
                String::new()
            } else {
                last_error()
            },
        );
    }
}

/// The text of this thread's last error.
pub fn last_error() -> String {
    let mut text = vec![0_u8; 4096];
    // SAFETY: as many bytes as we say.
    let length = unsafe { dcf_tb_last_error(text.as_mut_ptr().cast::<c_char>(), text.len()) };
    text.truncate(length);
    String::from_utf8(text).expect("the last error is UTF-8")
}

fn read_header() -> HashMap<&'static str, HashSet<i32>> {
    let mut numbers = HashMap::new();
    for line in HEADER.lines() {
        let mut words = line.split_whitespace();
        if let (Some("#define"), Some(name), Some(number)) =
            (words.next(), words.next(), words.next())
        {
            let number = number
                .strip_prefix("0x")
                .map(|digits| i32::from_str_radix(digits, 16));
            numbers.extend(number.and_then(Result::ok).map(|number| (name, number)));
        }
    }
    let mut statuses = HashMap::new();
    for comment in HEADER.split("/**").skip(1) {
        let Some((comment, declaration)) = comment.split_once("*/") else {
            continue;
        };
        let listed: HashSet<i32> = comment
            .lines()
            .filter_map(|line| numbers.get(line.split_whitespace().nth(1)?).copied())
            .collect();
        let function = declaration.trim_start().strip_prefix("dcf_tb_status ");
        if let Some((name, _)) = function.and_then(|function| function.split_once('(')) {
            statuses.insert(name, listed);
        }
    }
    assert!(statuses.len() >= 30 && statuses.values().all(|listed| listed.contains(&DCF_TB_OK)));
    statuses
}
