//! Versions of the exported symbols, with which two major versions of the library can be in one
//! process.
//!
//! A program that was linked with the shared library needs `dcf_tb_init@DCF_TB_1.0`, and the
//! dynamic linker does not resolve that to a library of another version. The names that DCF's
//! plugin hosts look up have no version, because hosts pass them to `dlsym` with the library that
//! they mean.
//!
//! The assembler accepts `.symver` only in the object that defines the function. rustc keeps the
//! functions and the assembly of a module in one object, so each module lists its own functions.
//! `build.rs` defines the versions and sets `symbol_versions` if the linker supports them.

/// Exports functions of this module with a version: that of the first library that has them.
macro_rules! exported_since {
    ($version:literal: $($function:ident),+ $(,)?) => {$(
        #[cfg(all(symbol_versions, not(test)))]
        core::arch::global_asm!(concat!(
            ".symver ", stringify!($function), ", ", stringify!($function), "@@", $version
        ));
        // A misspelt name is a compile error even where the linker supports no versions.
        const _: () = { let _ = $function; };
    )+};
}

pub(crate) use exported_since;
