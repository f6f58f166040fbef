//! Objects as the parts of a call or of a result.
//!
//! The first part is the stream of `pickle.Pickler`, protocol 5; what has a buffer of its own follows, each in a part, by reference. Bytes
//! that the pickler would put into the stream without looking at them are kept by reference, too: the stream is put together from several pieces then,
//! where its receiver looks at it.
//!
//! # Invariant
//!
//! A pickler is used by one thread at a time, and not by what is called inside its own `dump`: whoever needs one takes it out of the
//! row, or makes one. What it has written is taken out before it goes back.

#![allow(unsafe_code)]

use std::{
    slice,
    sync::{Mutex, MutexGuard, PoisonError},
};

use pyo3::{
    buffer::PyBuffer,
    exceptions::{PyException, PyTypeError},
    intern,
    prelude::*,
    sync::PyOnceLock,
    types::{PyBytes, PyDict},
};

/// Shorter buffers are copied into the stream: their receiver has memory of its own, and nothing to give back.
const LEAST_APART: usize = 2048;
/// A pickler that has written more into frames has a table of that many objects: it is not used again.
const MOST_FRAMED: usize = 64 << 10;
/// Picklers that wait to be used again.
const MOST_KEPT: usize = 16;

/// Bytes that stay where they are.
enum Piece {
    Bytes(Py<PyBytes>),
    Buffer(PyBuffer<u8>),
}

impl Piece {
    fn of(data: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = data.cast::<PyBytes>() {
            return Ok(Self::Bytes(bytes.clone().unbind()));
        }
        let buffer = PyBuffer::<u8>::get(data)?;
        if buffer.as_slice_ptr().is_none() {
            return Err(PyTypeError::new_err("a pickler wrote a buffer that does not lie in one piece"));
        }
        Ok(Self::Buffer(buffer))
    }

    fn bytes<'a>(&'a self, py: Python<'a>) -> &'a [u8] {
        match self {
            Self::Bytes(bytes) => bytes.as_bytes(py),
            Self::Buffer(buffer) => match buffer.as_slice_ptr() {
                // SAFETY: the buffer is held by `self`, contiguous and of bytes. That nobody writes to it while it is copied is the
                // caller's to keep, as with every buffer.
                Some(slice) => unsafe { slice.as_ref() },
                None => &[],
            },
        }
    }

    fn len(&self, py: Python<'_>) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.bind(py).as_bytes().len(),
            Self::Buffer(buffer) => buffer.len_bytes(),
        }
    }
}

/// What a pickler writes to.
#[pyclass(frozen, module = "libcoop._libcoop", name = "_Sink")]
pub(crate) struct Sink(Mutex<Pickled>);

/// An object, pickled.
#[derive(Default)]
pub(super) struct Pickled {
    /// What is called with it: a part before the others.
    name: Option<Vec<u8>>,
    stream: Vec<Piece>,
    buffers: Vec<Piece>,
}

impl Sink {
    fn new() -> Self {
        Self(Mutex::default())
    }

    fn lock(&self) -> MutexGuard<'_, Pickled> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Pickled {
        std::mem::take(&mut *self.lock())
    }
}

#[pymethods]
impl Sink {
    /// Bytes of the stream.
    fn write(&self, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let piece = Piece::of(data)?;
        self.lock().stream.push(piece);
        Ok(())
    }

    /// A buffer that may stay where it is; true if it is to be put into the stream.
    fn buffer(&self, buffer: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = buffer.py();
        // Of bytes, whatever it is of. What does not lie in one piece the pickler refuses in its own words.
        let Ok(raw) = buffer.call_method0(intern!(py, "raw")) else { return Ok(true) };
        let piece = Piece::of(&raw)?;
        if piece.len(py) < LEAST_APART {
            return Ok(true);
        }
        self.lock().buffers.push(piece);
        Ok(false)
    }
}

impl Pickled {
    /// A call of what has this name, without arguments.
    pub(super) fn of_name(name: Vec<u8>) -> Self {
        Self { name: Some(name), ..Self::default() }
    }

    pub(super) fn with_name(self, name: Vec<u8>) -> Self {
        Self { name: Some(name), ..self }
    }

    /// Whether it holds nothing of the object itself.
    pub(super) fn is_apart(&self) -> bool {
        self.stream.len() == 1 && self.buffers.is_empty()
    }

    /// How many bytes there are.
    pub(super) fn len(&self, py: Python<'_>) -> usize {
        self.stream.iter().chain(&self.buffers).map(|piece| piece.len(py)).sum()
    }

    /// Whether the stream has these bytes in it.
    pub(super) fn contains(&self, py: Python<'_>, what: &[u8]) -> bool {
        self.stream.iter().any(|piece| piece.bytes(py).windows(what.len()).any(|window| window == what))
    }

    /// Calls `f` with its parts, each in its pieces.
    pub(super) fn with_parts<R>(&self, py: Python<'_>, f: impl FnOnce(&[&[&[u8]]]) -> R) -> R {
        match (&self.name, &*self.stream, &*self.buffers) {
            (None, [stream], []) => f(&[&[stream.bytes(py)]]),
            (Some(name), [stream], []) => f(&[&[name], &[stream.bytes(py)]]),
            (Some(name), [], []) => f(&[&[name]]),
            (name, stream, buffers) => {
                let name = name.as_deref();
                let stream: Vec<&[u8]> = stream.iter().map(|piece| piece.bytes(py)).collect();
                let buffers: Vec<&[u8]> = buffers.iter().map(|piece| piece.bytes(py)).collect();
                let name = name.as_ref().map(slice::from_ref).into_iter();
                f(&name.chain([&*stream]).chain(buffers.chunks(1)).collect::<Vec<_>>())
            }
        }
    }
}

/// A pickler that can be used again and again.
struct Ready {
    dump: Py<PyAny>,
    clear_memo: Py<PyAny>,
    sink: Py<Sink>,
}

static READY: Mutex<Vec<Ready>> = Mutex::new(Vec::new());

impl Ready {
    fn make(py: Python<'_>) -> PyResult<Self> {
        static PICKLER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let import = || PyResult::Ok(py.import("pickle")?.getattr("Pickler")?.unbind());
        let pickler = PICKLER.get_or_try_init(py, import)?.bind(py);
        let sink = Bound::new(py, Sink::new())?;
        let options = PyDict::new(py);
        options.set_item("buffer_callback", sink.getattr("buffer")?)?;
        let pickler = pickler.call((&sink, 5), Some(&options))?;
        Ok(Self {
            dump: pickler.getattr("dump")?.unbind(),
            clear_memo: pickler.getattr("clear_memo")?.unbind(),
            sink: sink.unbind(),
        })
    }

    fn take(py: Python<'_>) -> PyResult<Self> {
        let ready = READY.lock().unwrap_or_else(PoisonError::into_inner).pop();
        ready.map_or_else(|| Self::make(py), Ok)
    }

    fn put_back(self) {
        let mut row = READY.lock().unwrap_or_else(PoisonError::into_inner);
        let left = if row.len() < MOST_KEPT {
            row.push(self);
            None
        } else {
            Some(self)
        };
        drop(row);
        drop(left);
    }
}

/// Pickles an object; what pickle refuses goes by value, by cloudpickle, if that is installed. Raises what pickling raises. `has_main`: the main
/// script can be run in another process.
pub(super) fn pickled(value: &Bound<'_, PyAny>, has_main: bool) -> PyResult<Pickled> {
    let py = value.py();
    let ready = Ready::take(py)?;
    if let Err(error) = ready.dump.bind(py).call1((value,)) {
        // Its sink holds half an object, and its memo the rest.
        drop(ready);
        return by_value(value, error);
    }
    let pickled = ready.sink.get().take();
    ready.clear_memo.bind(py).call0()?;
    let framed: usize = pickled.stream.iter().map(|piece| piece.len(py)).filter(|len| *len <= MOST_FRAMED).sum();
    if framed <= MOST_FRAMED {
        ready.put_back();
    }
    if !has_main && pickled.contains(py, b"__main__") {
        let module = py.import("libcoop._process_pool_pickle")?;
        if module.call_method1("refers_to_main", (value,))?.is_truthy()? {
            return by_value(value, PyErr::from_value(module.call_method0("no_main")?));
        }
    }
    Ok(pickled)
}

fn by_value(value: &Bound<'_, PyAny>, refused: PyErr) -> PyResult<Pickled> {
    let py = value.py();
    if !refused.is_instance_of::<PyException>(py) {
        return Err(refused);
    }
    let sink = Bound::new(py, Sink::new())?;
    py.import("libcoop._process_pool_pickle")?.call_method1("by_value", (value, &sink, refused))?;
    Ok(sink.get().take())
}
