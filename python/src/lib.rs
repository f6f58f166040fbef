//! libcoop for Python.
