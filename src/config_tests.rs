use std::ffi::CString;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::last_error;
use crate::status::{DCF_TB_ERR_NULL_POINTER, DCF_TB_OK};

/// A config in memory of `size` bytes, as a caller with another header has it.
struct Sized(Vec<u64>);

impl Sized {
    fn new(size: usize) -> Self {
        let mut config = Self(vec![0x5A5A_5A5A_5A5A_5A5A; size / 8 + 2]);
        // SAFETY: there is room for `size` bytes.
        let status = unsafe { dcf_tb_config_init(config.pointer(), size) };
        assert_eq!(status, DCF_TB_OK);
        config
    }

    fn pointer(&mut self) -> *mut dcf_tb_config {
        self.0.as_mut_ptr().cast()
    }

    fn bytes(&mut self) -> &mut [u8] {
        let len = self.0.len() * 8;
        // SAFETY: the same memory as bytes.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), len) }
    }

    fn read(&mut self) -> Result<dcf_tb_config, Failure> {
        // SAFETY: the struct is as large as its size says.
        unsafe { dcf_tb_config::read(self.pointer()) }
    }
}

fn bytes_of(config: &dcf_tb_config) -> &[u8] {
    // SAFETY: the same memory as bytes; the members have no padding between them.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(config).cast(), SIZE) }
}

#[test]
fn init_fills_what_the_caller_has_and_no_more() {
    for size in (4..=SIZE + 40).chain([MAX_SIZE]) {
        let mut config = Sized::new(size);
        let bytes = config.bytes();
        assert_eq!(bytes[..4], (size as u32).to_ne_bytes());
        assert!(bytes[size..].iter().all(|&byte| byte == 0x5A), "{size}");
        if size > SIZE {
            assert!(bytes[SIZE..size].iter().all(|&byte| byte == 0));
        }
        if size >= 8 {
            assert_eq!(bytes[4..6], 5000_u16.to_ne_bytes());
        }
    }
}

#[test]
fn init_refuses_sizes_that_are_none() {
    let mut config = Sized::new(SIZE);
    for size in [0, 3, MAX_SIZE + 1, usize::MAX] {
        // SAFETY: refused before anything is written.
        let status = unsafe { dcf_tb_config_init(config.pointer(), size) };
        assert_eq!(status, DCF_TB_ERR_CONFIG_INVALID);
        assert!(last_error::text().contains(&size.to_string()));
    }
    // SAFETY: NULL is refused.
    let status = unsafe { dcf_tb_config_init(std::ptr::null_mut(), SIZE) };
    assert_eq!(status, DCF_TB_ERR_NULL_POINTER);
}

#[test]
fn smaller_structs_have_defaults_for_the_rest() {
    for size in 4..SIZE {
        let mut config = Sized::new(size);
        // All members that the caller has are changed, and garbage follows them.
        config.bytes()[4..size].fill(1);
        let known = config.read().unwrap();
        let port = |end| if size >= end { 0x0101 } else { 0 };
        assert_eq!(known.control_port, port(6).max(5000 * u16::from(size < 6)));
        assert_eq!(known.data_port, port(8).max(5001 * u16::from(size < 8)));
        if size < offset_of!(dcf_tb_config, interface_name) + size_of::<usize>() {
            let default = dcf_tb_config::default().interface_name;
            assert_eq!(known.interface_name, default, "half a pointer is none");
        }
        if size < offset_of!(dcf_tb_config, user_data) + size_of::<usize>() {
            assert!(known.user_data.is_null());
        }
        let last = offset_of!(dcf_tb_config, remember_peers);
        let remember = if size < SIZE { 0 } else { 0x0101_0101 };
        assert_eq!(known.remember_peers, remember);
        let timeout = if size < last { 5000 } else { 0x0101_0101 };
        assert_eq!(known.peer_timeout_ms, timeout);
        let level = offset_of!(dcf_tb_config, log_level) + 4;
        let expected = if size < level { 2 } else { 0x0101_0101 };
        assert_eq!(known.log_level, expected);
    }
}

#[test]
fn larger_structs_may_say_nothing_new() {
    for size in [SIZE + 1, SIZE + 8, 1000, MAX_SIZE] {
        let mut config = Sized::new(size);
        assert!(config.read().is_ok());
        config.bytes()[size - 1] = 1;
        let failure = config.read().err().unwrap();
        assert_eq!(failure.status, DCF_TB_ERR_CONFIG_INVALID);
        assert!(failure.text.contains(&format!("byte {}", size - 1)));
    }
}

#[test]
fn sizes_that_are_none_are_refused() {
    for size in [0_u32, 1, 3, 4097, u32::MAX] {
        let mut config = Sized::new(SIZE);
        config.bytes()[..4].copy_from_slice(&size.to_ne_bytes());
        let failure = config.read().err().unwrap();
        assert_eq!(failure.status, DCF_TB_ERR_CONFIG_INVALID);
        assert!(failure.text.contains(&size.to_string()));
    }
}

#[test]
fn null_means_the_defaults() {
    // SAFETY: NULL is allowed.
    let config = unsafe { dcf_tb_config::read(std::ptr::null()) }.unwrap();
    assert_eq!((config.control_port, config.data_port), (5000, 5001));
    // SAFETY: the default name is a static string.
    assert!(unsafe { config.builder() }.is_ok());
}

#[test]
fn bad_settings_are_quoted() {
    let refuse = |change: &dyn Fn(&mut dcf_tb_config), quoted: &str| {
        let mut config = dcf_tb_config::default();
        change(&mut config);
        // SAFETY: every name here is a static string.
        let failure = unsafe { config.builder() }.err().unwrap();
        assert_eq!(failure.status, DCF_TB_ERR_CONFIG_INVALID);
        assert!(failure.text.contains(quoted), "{}", failure.text);
    };
    refuse(&|config| config.log_level = 0, "log_level is 0");
    refuse(&|config| config.log_level = 5, "log_level is 5");
    refuse(&|config| config.interface_name = c"".as_ptr(), "\"\"");
    refuse(
        &|c| c.interface_name = c"sixteen-letters!".as_ptr(),
        "\"sixteen-letters!\"",
    );
    refuse(&|c| c.interface_name = c"\xff0".as_ptr(), "\"\\xff0\"");
    for name in [std::ptr::null(), c"fifteen-letters".as_ptr()] {
        let config = dcf_tb_config {
            interface_name: name,
            ..Default::default()
        };
        // SAFETY: NULL or a static string.
        assert!(unsafe { config.builder() }.is_ok());
    }
}

/// Bytes of which most are 0, as required of bytes that this version does not know.
fn mostly_zero(size: usize) -> impl Strategy<Value = Vec<u8>> {
    let odd = (0..size.max(1), any::<u8>());
    (vec(any::<u8>(), size.min(SIZE)), option::of(odd)).prop_map(move |(mut bytes, odd)| {
        bytes.resize(size, 0);
        if let Some(byte) = odd.and_then(|(at, value)| Some((bytes.get_mut(at)?, value))) {
            *byte.0 = byte.1;
        }
        bytes
    })
}

proptest! {
    #[test]
    fn any_bytes_of_any_size_are_read_member_by_member_or_refused(
        bytes in (4..=MAX_SIZE).prop_flat_map(mostly_zero)
    ) {
        let size = bytes.len();
        let mut config = Sized::new(size);
        config.bytes()[4..size].copy_from_slice(&bytes[4..]);
        let unknown = bytes.get(SIZE..).unwrap_or_default();
        prop_assert_eq!(config.read().is_ok(), unknown.iter().all(|&byte| byte == 0));
        if let Ok(read) = config.read() {
            let defaults = dcf_tb_config::default();
            for &(start, end) in &MEMBERS[1..] {
                let expected = if end <= size { &bytes } else { bytes_of(&defaults) };
                prop_assert_eq!(&bytes_of(&read)[start..end], &expected[start..end]);
            }
        }
    }

    #[test]
    fn any_interface_name_and_any_level_are_taken_or_quoted(
        name in vec(1..=u8::MAX, 0..20), log_level in -2..8_i32
    ) {
        let name = CString::new(name).expect("no NUL");
        let config = dcf_tb_config { interface_name: name.as_ptr(), log_level, ..Default::default() };
        let name_is_one = name.to_str().is_ok_and(|text| (1..16).contains(&text.len()));
        // SAFETY: the name lives longer.
        match unsafe { config.builder() } {
            Ok(_) => prop_assert!(name_is_one && (1..=4).contains(&log_level)),
            Err(failure) => {
                let quoted = match name_is_one {
                    true => format!("log_level is {log_level}"),
                    false => format!("interface_name is {name:?}"),
                };
                prop_assert_eq!(failure.status, DCF_TB_ERR_CONFIG_INVALID);
                prop_assert!(failure.text.starts_with(&quoted), "{}", failure.text);
            }
        }
    }
}
