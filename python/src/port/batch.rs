//! `libcoop.Batch`: datagrams that Python reads where they lie.
//!
//! # Invariant
//!
//! A memoryview of a batch holds the batch object, which holds the buffer, which is given back to the port only when nobody
//! else holds it: so the bytes under a live view are neither changed nor freed.

use std::{
    ffi::{c_int, c_void},
    sync::atomic::{AtomicUsize, Ordering},
};

use coop_core::port;
use pyo3::{
    exceptions::{PyIndexError, PyValueError},
    ffi,
    prelude::*,
    types::{PyMemoryView, PySequence, PyTuple},
};

use crate::address;

/// Datagrams in the order they came, read where they lie: iterating gives `(data, address)`, the bytes as a read-only memoryview
/// and the sender as `(host, port)`.
///
/// A memoryview of it keeps the bytes as they are for as long as it lives, also after the callback has returned; until then their
/// buffer is not used again. A sequence: `len(batch)`, `batch[i]`, `batch[-1]`.
#[pyclass(frozen, sequence, module = "libcoop")]
pub(crate) struct Batch {
    batch: port::Batch,
    index: AtomicUsize,
}

impl Batch {
    pub(super) fn new(batch: port::Batch) -> Self {
        Self { batch, index: AtomicUsize::new(0) }
    }

    /// The datagram at hand.
    pub(super) fn index(&self) -> usize {
        self.index.load(Ordering::Relaxed)
    }

    fn check(&self, index: isize) -> PyResult<usize> {
        let len = self.batch.len();
        let from_end = if index < 0 { index.checked_add_unsigned(len) } else { Some(index) };
        match from_end.and_then(|index| usize::try_from(index).ok()).filter(|index| *index < len) {
            Some(index) => Ok(index),
            None => Err(PyIndexError::new_err(format!("datagram {index} of a batch of {len}"))),
        }
    }

    fn range(&self, index: usize) -> (usize, usize) {
        let offsets = self.batch.offsets();
        (offsets[index] as usize, offsets[index + 1] as usize)
    }
}

#[pymethods]
impl Batch {
    fn __len__(&self) -> usize {
        self.batch.len()
    }

    fn __getitem__<'py>(this: &Bound<'py, Self>, index: isize) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let (py, batch) = (this.py(), this.get());
        let index = batch.check(index)?;
        let view = PyMemoryView::from(this.as_any())?;
        Ok((slice(&view, batch.range(index))?, address::to_py(py, batch.batch.address(index))?))
    }

    fn __iter__(this: &Bound<'_, Self>) -> PyResult<BatchIter> {
        let view = PyMemoryView::from(this.as_any())?.unbind();
        Ok(BatchIter { batch: this.clone().unbind(), view, next: 0, sender: None })
    }

    /// The datagram at hand, which iterating sets and you may: the one that an exception in `on_batch` skips.
    #[getter(index)]
    fn get_index(&self) -> usize {
        self.index()
    }

    #[setter(index)]
    fn set_index(&self, index: isize) -> PyResult<()> {
        let index = usize::try_from(index).map_err(|_| PyValueError::new_err(format!("index {index} is negative")))?;
        self.index.store(index, Ordering::Relaxed);
        Ok(())
    }

    /// All bytes that `offsets` point into, as a read-only memoryview.
    #[getter]
    fn data<'py>(this: &Bound<'py, Self>) -> PyResult<Bound<'py, PyMemoryView>> {
        PyMemoryView::from(this.as_any())
    }

    /// Where each datagram begins in `data`, and after the last where it ends: a memoryview of `len(batch) + 1` unsigned 32-bit
    /// integers.
    #[getter]
    fn offsets<'py>(this: &Bound<'py, Self>) -> PyResult<Bound<'py, PyMemoryView>> {
        let batch = this.get().batch.clone();
        let shape = [batch.offsets().len().cast_signed()];
        let offsets = Bound::new(this.py(), Offsets { batch, shape, stride: [size_of::<u32>().cast_signed()] })?;
        PyMemoryView::from(offsets.as_any())
    }

    /// The sender of a datagram. Raises IndexError.
    fn address<'py>(&self, py: Python<'py>, index: isize) -> PyResult<Bound<'py, PyTuple>> {
        address::to_py(py, self.batch.address(self.check(index)?))
    }

    /// The senders in turn, as (begin, end, address): datagrams begin to end - 1 came from that address in a row.
    fn senders<'py>(&self, py: Python<'py>) -> PyResult<Vec<(usize, usize, Bound<'py, PyTuple>)>> {
        self.batch.senders().map(|(begin, end, from)| Ok((begin, end, address::to_py(py, from)?))).collect()
    }

    /// Whether a datagram was longer than the library reads, and cut. Raises IndexError.
    fn truncated(&self, index: isize) -> PyResult<bool> {
        Ok(self.batch.truncated(self.check(index)?))
    }

    fn __repr__(&self) -> String {
        format!("<libcoop.Batch of {} datagrams at {}>", self.batch.len(), self.index())
    }

    /// # Safety
    /// Called by the interpreter, with a view to fill.
    unsafe fn __getbuffer__(this: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let data = this.get().batch.data();
        // SAFETY: the bytes live and stay as they are while the batch is held (the module's invariant), and the view holds it.
        unsafe { fill(view, &this, data.as_ptr().cast(), data.len(), flags) }
    }
}

/// The offsets of a batch, as a buffer of unsigned 32-bit integers.
#[pyclass(frozen, module = "libcoop._libcoop", name = "_Offsets")]
struct Offsets {
    batch: port::Batch,
    /// Their number, where a view can point to.
    shape: [isize; 1],
    stride: [isize; 1],
}

#[pymethods]
impl Offsets {
    /// # Safety
    /// Called by the interpreter, with a view to fill.
    unsafe fn __getbuffer__(this: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let object = this.get();
        let offsets = object.batch.offsets();
        // SAFETY: as for the batch: this object holds the buffer, and the view holds this object.
        unsafe { fill(view, &this, offsets.as_ptr().cast(), size_of_val(offsets), flags)? };
        // SAFETY: filled by the line above, so it is not null.
        let view = unsafe { &mut *view };
        view.itemsize = object.stride[0];
        if !view.format.is_null() {
            view.format = c"I".as_ptr().cast_mut();
        }
        if !view.shape.is_null() {
            view.shape = object.shape.as_ptr().cast_mut();
        }
        if !view.strides.is_null() {
            view.strides = object.stride.as_ptr().cast_mut();
        }
        Ok(())
    }
}

/// Fills a read-only view of bytes.
///
/// # Safety
/// `view` is null or a place for a view; `pointer` leads to `len` bytes that live, and do not change, as long as `owner` does.
unsafe fn fill<T>(
    view: *mut ffi::Py_buffer,
    owner: &Bound<'_, T>,
    pointer: *const c_void,
    len: usize,
    flags: c_int,
) -> PyResult<()> {
    const READ_ONLY: c_int = 1;
    // SAFETY: the caller's promise; the view takes a reference of its own to the owner. NULL and a wish to write are answered
    // with BufferError.
    let filled = unsafe {
        ffi::PyBuffer_FillInfo(view, owner.as_ptr(), pointer.cast_mut(), len.cast_signed(), READ_ONLY, flags)
    };
    if filled == 0 { Ok(()) } else { Err(PyErr::fetch(owner.py())) }
}

/// A datagram's part of the view. With `get_slice` the interpreter makes the slice itself, with no step to look at: what it costs is most of
/// what a batch's iteration does.
fn slice<'py>(view: &Bound<'py, PyMemoryView>, (start, end): (usize, usize)) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: asks nothing of the object but to be one: what has no slices answers TypeError, and a memoryview has them.
    let view = unsafe { view.cast_unchecked::<PySequence>() };
    view.get_slice(start, end).map(Bound::into_any)
}

/// Goes through a batch and says in `index` where it is.
#[pyclass(module = "libcoop._libcoop", name = "_BatchIterator")]
pub(crate) struct BatchIter {
    batch: Py<Batch>,
    view: Py<PyMemoryView>,
    next: usize,
    /// The address of the datagram before, which is most often that of the next.
    sender: Option<(std::net::SocketAddr, Py<PyTuple>)>,
}

#[pymethods]
impl BatchIter {
    fn __iter__(this: Py<Self>) -> Py<Self> {
        this
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<(Bound<'py, PyAny>, Bound<'py, PyTuple>)>> {
        let batch = self.batch.get();
        if self.next >= batch.batch.len() {
            return Ok(None);
        }
        let index = self.next;
        self.next += 1;
        batch.index.store(index, Ordering::Relaxed);
        let from = batch.batch.address(index);
        let sender = match &self.sender {
            Some((address, sender)) if *address == from => sender.bind(py).clone(),
            _ => {
                let sender = address::to_py(py, from)?;
                self.sender = Some((from, sender.clone().unbind()));
                sender
            }
        };
        Ok(Some((slice(self.view.bind(py), batch.range(index))?, sender)))
    }
}
