//! The names that DCF's loaders look up. They have no prefix, so only the shared library has them:
//! the static library is built without this module.

use std::ffi::{c_char, c_void};

use super::object::Object;
use super::v1::{self, DCFTransportV1};
use super::v1_1::{self, DCFTransportV1_1};
use super::v2::ITransport;
use crate::boundary;

/// Creates a plugin for hosts of the contracts v1 and 1.1; NULL on failure.
#[no_mangle]
pub extern "C" fn create_plugin() -> *mut c_void {
    create().cast()
}

/// Creates a plugin for hosts of the contract v2; NULL on failure.
#[no_mangle]
pub extern "C" fn create_plugin_v2() -> *mut ITransport {
    match create() {
        object if object.is_null() => std::ptr::null_mut(),
        // SAFETY: it was created just now.
        object => unsafe { Object::v2(object) },
    }
}

/// The version of the contract, which loaders compare with theirs.
#[no_mangle]
pub extern "C" fn get_plugin_version() -> *const c_char {
    c"1.0".as_ptr()
}

/// The function table of the contract v1, for objects of `create_plugin`.
#[no_mangle]
#[allow(non_upper_case_globals)]
pub static iface: DCFTransportV1 = v1::TABLE;

/// The function table of the design document, for objects of `create_plugin`.
#[no_mangle]
#[allow(non_upper_case_globals)]
pub static iface_v1_1: DCFTransportV1_1 = v1_1::TABLE;

fn create() -> *mut Object {
    let mut object = std::ptr::null_mut();
    boundary::call("create_plugin", || {
        object = Object::create();
        Ok(())
    });
    object
}
