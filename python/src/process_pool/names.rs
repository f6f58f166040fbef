//! Functions that are found by their names: most of those that are called, and pickle takes longer for one than for all the rest of a small
//! call. What holds for pickle holds here: the name leads to the very same object on this side, and to what it names there.

use std::collections::HashMap;

use pyo3::{
    exceptions::PyImportError,
    intern,
    prelude::*,
    sync::PyOnceLock,
    types::{PyDict, PyModule, PyString, PyType},
};

/// The first byte of a part that is the name of what is called; the stream after it has the rest.
pub(super) const NAMED: u8 = 2;

/// So many names a worker knows at most.
const MOST: usize = 1024;

fn modules(py: Python<'_>) -> PyResult<&Bound<'_, PyDict>> {
    static MODULES: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
    let find = || PyResult::Ok(py.import("sys")?.getattr("modules")?.cast_into::<PyDict>()?.unbind());
    Ok(MODULES.get_or_try_init(py, find)?.bind(py))
}

/// `types.FunctionType` and `types.BuiltinFunctionType`.
fn kinds(py: Python<'_>) -> PyResult<&(Py<PyType>, Py<PyType>)> {
    static KINDS: PyOnceLock<(Py<PyType>, Py<PyType>)> = PyOnceLock::new();
    KINDS.get_or_try_init(py, || {
        let types = py.import("types")?;
        let kind = |name| PyResult::Ok(types.getattr(name)?.cast_into::<PyType>()?.unbind());
        Ok((kind("FunctionType")?, kind("BuiltinFunctionType")?))
    })
}

/// The name of a function, as a part; `None` for what pickle is to see itself.
pub(super) fn name_of(f: &Bound<'_, PyAny>, has_main: bool) -> PyResult<Option<Vec<u8>>> {
    let py = f.py();
    let (function, builtin) = kinds(py)?;
    let kind = f.get_type();
    if !kind.is(function) && !kind.is(builtin) {
        return Ok(None);
    }
    let (module, name) = (f.getattr(intern!(py, "__module__"))?, f.getattr(intern!(py, "__qualname__"))?);
    let (Ok(module), Ok(name)) = (module.cast::<PyString>(), name.cast::<PyString>()) else { return Ok(None) };
    let Some(found) = modules(py)?.get_item(module)? else { return Ok(None) };
    let Ok(found) = found.cast_into::<PyModule>() else { return Ok(None) };
    if !found.dict().get_item(name)?.is_some_and(|there| there.is(f)) {
        return Ok(None);
    }
    let (Ok(module), Ok(name)) = (module.to_str(), name.to_str()) else { return Ok(None) };
    if !has_main && module == "__main__" {
        return Ok(None);
    }
    let mut part = Vec::with_capacity(module.len() + name.len() + 2);
    part.push(NAMED);
    part.extend_from_slice(module.as_bytes());
    part.push(0);
    part.extend_from_slice(name.as_bytes());
    Ok(Some(part))
}

/// What names lead to, on the worker's side.
#[derive(Default)]
pub(super) struct Names(HashMap<Vec<u8>, (Py<PyString>, Py<PyString>)>);

impl Names {
    /// What such a part names now; its module is imported if it is not yet. Raises what that raises.
    pub(super) fn find<'py>(&mut self, py: Python<'py>, part: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        if !self.0.contains_key(part) {
            let text = String::from_utf8_lossy(part.get(1..).unwrap_or_default());
            let (module, name) = text.split_once('\0').unwrap_or_default();
            let names = (PyString::intern(py, module).unbind(), PyString::intern(py, name).unbind());
            if self.0.len() >= MOST {
                self.0.clear();
            }
            self.0.insert(part.to_vec(), names);
        }
        let Some((module, name)) = self.0.get(part) else { return Err(PyImportError::new_err("a call has no name")) };
        let (module, name) = (module.bind(py), name.bind(py));
        let found = match modules(py)?.get_item(module)? {
            Some(found) => found,
            None => py.import(module)?.into_any(),
        };
        found.getattr(name)
    }
}
