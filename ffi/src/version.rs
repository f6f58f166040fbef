//! The version, which has one place: Cargo.toml.

use std::ffi::{CStr, c_char};

use coop_core::Error;

use crate::{guard::guard, status::coop_status};

/// The version that this header is of; coop_version() is the library's.
pub const COOP_VERSION_MAJOR: i32 = 0;
/// Until 1.0 a new minor version may change the ABI, and the library's SONAME changes with it.
pub const COOP_VERSION_MINOR: i32 = 1;
/// Versions that differ in it only are compatible.
pub const COOP_VERSION_PATCH: i32 = 0;

const TEXT: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(text) => text,
    Err(_) => unreachable!(),
};

/// The version of the library that is loaded: "0.1.0". The text is the library's and lives as long as the program.
#[unsafe(no_mangle)]
pub extern "C" fn coop_version() -> *const c_char {
    TEXT.as_ptr()
}

/// Whether a program compiled with a header of this version works with the library that is loaded. COOP_CHECK_VERSION()
/// asks that for this header.
///
/// Each minor version until 1.0 is a file of its own, libcoop.so.0.1, and a program linked to one is not started with
/// another. But a header may lie beside an older libcoop.a, a dlopen may find any file, and if two libraries of a process
/// were linked to two versions, the loader gives both of them the functions of the one that came first. So whoever does not
/// link in the ordinary way asks before anything else.
///
/// Any thread. COOP_E_UNSUPPORTED; coop_last_error() has both versions.
#[unsafe(no_mangle)]
pub extern "C" fn coop_version_check(major: i32, minor: i32) -> coop_status {
    guard!({
        let same = major == COOP_VERSION_MAJOR && minor == COOP_VERSION_MINOR;
        // From 1.0 on, what a minor version has the next one has too.
        let older = major == COOP_VERSION_MAJOR && major > 0 && (0..COOP_VERSION_MINOR).contains(&minor);
        if same || older {
            return Ok(());
        }
        let library = env!("CARGO_PKG_VERSION");
        Err(Error::Unsupported(format!("compiled with a coop.h of version {major}.{minor}; the library is {library}")))
    })
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn the_header_says_what_cargo_toml_says() {
        assert_eq!(TEXT.to_str(), Ok(env!("CARGO_PKG_VERSION")));
        let header = include_str!("../../include/coop.h");
        for (name, expected) in [
            ("MAJOR", env!("CARGO_PKG_VERSION_MAJOR").to_owned()),
            ("MINOR", env!("CARGO_PKG_VERSION_MINOR").to_owned()),
            ("PATCH", env!("CARGO_PKG_VERSION_PATCH").to_owned()),
            ("STRING", concat!("\"", env!("CARGO_PKG_VERSION"), "\"").to_owned()),
        ] {
            let line = format!("#define COOP_VERSION_{name} {expected}");
            assert!(header.lines().any(|found| found == line), "{line} is missing");
        }
    }
}
