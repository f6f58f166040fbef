//! `with`: what is entered is the object itself, and leaving closes it.

/// `__enter__` and `__exit__`: what stands in the place of a closure runs at the end.
macro_rules! with_block {
    ($class:ident, |$this:ident, $py:ident| $close:expr) => {
        #[pyo3::pymethods]
        impl $class {
            fn __enter__(this: pyo3::Py<Self>) -> pyo3::Py<Self> {
                this
            }

            #[pyo3(signature = (*_exc))]
            fn __exit__(
                &self,
                $py: pyo3::Python<'_>,
                _exc: &pyo3::Bound<'_, pyo3::types::PyTuple>,
            ) -> pyo3::PyResult<()> {
                let $this = self;
                $close
            }
        }
    };
}
pub(crate) use with_block;
