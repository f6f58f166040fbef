//! libcoop C ABI.
