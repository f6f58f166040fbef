//! The table of functions that code without a link to the library is given: native handlers of ports.
//!
//! A process may hold two copies of the core, libcoop.so and the Python wheel's, and an object of one means nothing to the other. So
//! a native handler calls the copy that called it, through the table that it was given, and no handle crosses.

use crate::api_table::TABLE;
pub use crate::api_table::coop_api;

/// The functions of this copy of the library: those that a program calls by their names, in a table that it can hand on. In
/// Python it is the capsule libcoop._libcoop.coop_api, named "libcoop.coop_api", of the copy in the wheel.
///
/// The table is the library's and lives as long as the program. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn coop_api_get() -> *const coop_api {
    &raw const TABLE
}

#[cfg(test)]
mod test {
    use std::collections::BTreeSet;

    #[test]
    fn the_table_has_every_exported_function() {
        // After the type, whose functions may have a parameter of this form.
        let (_, table) = include_str!("api_table.rs").split_once("static TABLE: coop_api = ").unwrap();
        let filled = table.lines().filter_map(|line| line.trim().split_once(": coop_"));
        let fields: BTreeSet<_> = filled
            .filter(|(field, function)| function.strip_suffix(',') == Some(*field))
            .map(|(field, _)| format!("coop_{field}"))
            .collect();
        let exported = include_str!("../coop.symbols").lines().map(str::to_owned);
        let exported: BTreeSet<_> = exported.filter(|name| name != "coop_api_get").collect();
        let missing: Vec<_> = exported.symmetric_difference(&fields).collect();
        assert!(missing.is_empty(), "run .ci/api --write: {missing:?}");
    }
}
