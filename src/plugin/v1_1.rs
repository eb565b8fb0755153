//! The contract of section 5.2 of the design document: objects of `create_plugin`, with a setup from
//! JSON and health checks.

use std::ffi::{c_char, c_int, c_void, CStr};
use std::time::Duration;

use super::adapter::Adapter;
use super::object;
use super::params::Settings;
use super::v1;
use crate::failure::Failure;
use crate::pointers::peer;
use crate::status::{DCF_TB_ERR_CONFIG_INVALID, DCF_TB_OK};

/// The function table of the design document.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct DCFTransportV1_1 {
    setup: unsafe extern "C" fn(*mut c_void, *const c_char, c_int) -> bool,
    send: unsafe extern "C" fn(*mut c_void, *const u8, usize, *const c_char) -> bool,
    receive: unsafe extern "C" fn(*mut c_void, *mut usize) -> *mut u8,
    health_check: unsafe extern "C" fn(*mut c_void, *const c_char, *mut c_int) -> bool,
    destroy: unsafe extern "C" fn(*mut c_void),
}

pub(super) const TABLE: DCFTransportV1_1 = DCFTransportV1_1 {
    setup,
    send: v1::send,
    receive: v1::receive,
    health_check,
    destroy: v1::destroy,
};

/// Ignores the timeout, because a setup does not wait.
unsafe extern "C" fn setup(this: *mut c_void, params: *const c_char, _timeout_ms: c_int) -> bool {
    let settings = || {
        if params.is_null() {
            return Ok(Settings::default());
        }
        // SAFETY: not NULL, and the caller's promise about `params`.
        let params = unsafe { CStr::from_ptr(params) };
        let params = params.to_str().map_err(|error| {
            let text = format!("the parameters are not UTF-8: {error}");
            Failure::new(DCF_TB_ERR_CONFIG_INVALID, text)
        })?;
        Settings::from_json(params).map_err(|text| Failure::new(DCF_TB_ERR_CONFIG_INVALID, text))
    };
    // SAFETY: the caller's promise about `this`.
    unsafe { object::set_up(this, settings) == DCF_TB_OK }
}

unsafe extern "C" fn health_check(
    this: *mut c_void,
    target: *const c_char,
    rtt_ms: *mut c_int,
) -> bool {
    let body = |adapter: &Adapter| {
        // SAFETY: the caller's promise about `target`.
        let target = unsafe { peer(target, "target") }?;
        let rtt = whole_milliseconds(adapter.health_check(target)?);
        if !rtt_ms.is_null() {
            // SAFETY: not NULL, and the caller's promise about `rtt_ms`.
            unsafe { rtt_ms.write(rtt) };
        }
        Ok(())
    };
    // SAFETY: the caller's promise about `this`.
    unsafe { object::call("health_check", this, body) == DCF_TB_OK }
}

/// Rounds up to at least 1: hosts weigh paths by this number, and could take 0 for "no peer".
fn whole_milliseconds(time: Duration) -> c_int {
    let millis = time.as_micros().div_ceil(1000).max(1);
    c_int::try_from(millis).unwrap_or(c_int::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_take_at_least_a_millisecond() {
        for (micros, millis) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (2_700_000, 2700)] {
            assert_eq!(whole_milliseconds(Duration::from_micros(micros)), millis);
        }
        assert_eq!(whole_milliseconds(Duration::MAX), c_int::MAX);
    }
}
