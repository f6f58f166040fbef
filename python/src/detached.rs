//! Values whose end may wait for threads that themselves wait to attach.

use std::ops::Deref;

use pyo3::prelude::*;

/// Dropped detached. A handle is such a value too: the last one of a runtime's loop ends the pool's threads, and those let go of
/// their thread states.
pub(crate) struct Detached<T: Send>(Option<T>);

impl<T: Send> Detached<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Some(value))
    }
}

impl<T: Send> Deref for Detached<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("there until it is dropped")
    }
}

impl<T: Send> Drop for Detached<T> {
    fn drop(&mut self) {
        let mut value = self.0.take();
        if Python::try_attach(|py| py.detach(|| drop(value.take()))).is_none() {
            drop(value);
        }
    }
}
