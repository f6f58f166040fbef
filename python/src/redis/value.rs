//! Replies as Python's values.

use coop_core::net::redis::Reply;
use pyo3::{
    prelude::*,
    types::{PyBytes, PyDict, PyList, PyString},
};

use super::error;

/// How bytes are shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text {
    /// As `str`, of UTF-8.
    pub(crate) is_decoded: bool,
}

impl Text {
    pub(crate) fn of<'py>(self, py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        if !self.is_decoded {
            return Ok(PyBytes::new(py, bytes).into_any());
        }
        match str::from_utf8(bytes) {
            Ok(text) => Ok(PyString::new(py, text).into_any()),
            // Raises what Python says of such bytes.
            Err(_) => PyBytes::new(py, bytes).call_method1("decode", ("utf-8",)),
        }
    }
}

/// The reply as it is: maps as dicts, the rest of what has parts as lists, errors within as exceptions.
pub(crate) fn plain<'py>(py: Python<'py>, reply: &Reply, text: Text) -> PyResult<Bound<'py, PyAny>> {
    Ok(match reply {
        Reply::Null => py.None().into_bound(py),
        Reply::Int(number) => number.into_pyobject(py)?.into_any(),
        Reply::Bulk(bytes) | Reply::Status(bytes) | Reply::Verbatim { text: bytes, .. } => text.of(py, bytes)?,
        Reply::Error(said) => error::to_py(py, said)?,
        Reply::Array(parts) | Reply::Set(parts) | Reply::Push(parts) => list(py, parts, text)?.into_any(),
        Reply::Map(pairs) => {
            let dict = PyDict::new(py);
            for (key, value) in pairs {
                dict.set_item(plain(py, key, text)?, plain(py, value, text)?)?;
            }
            dict.into_any()
        }
        Reply::Double(number) => number.into_pyobject(py)?.into_any(),
        Reply::Bool(yes) => yes.into_pyobject(py)?.to_owned().into_any(),
        Reply::BigNumber(digits) => {
            let digits = String::from_utf8_lossy(digits);
            py.get_type::<pyo3::types::PyInt>().call1((&*digits,))?
        }
        Reply::Attribute { reply, .. } => plain(py, reply, text)?,
        other => {
            let words = format!("redis: a reply of the kind {:?} is not known here", other.kind());
            return Err(crate::errors::to_py(py, &coop_core::Error::Unsupported(words)));
        }
    })
}

pub(crate) fn list<'py>(py: Python<'py>, parts: &[Reply], text: Text) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for part in parts {
        list.append(plain(py, part, text)?)?;
    }
    Ok(list)
}
