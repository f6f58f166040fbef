//! Replies on their way to a loop of asyncio.
//!
//! The thread that reads replies puts them here and, if it is the first since the last time, writes a byte to a socket that asyncio watches;
//! asyncio's thread takes all that have come. Nobody waits for the interpreter but who has it anyway.
//!
//! The loop of asyncio holds the inbox, as the callback of its reader, and nobody else does for long: when the loop is closed the inbox goes,
//! and what still comes is dropped.

use std::{
    io::{Read, Write},
    mem,
    os::{
        fd::{AsRawFd, RawFd},
        unix::net::UnixStream,
    },
    sync::{Arc, Mutex, PoisonError, Weak},
};

use coop_core::{Error, Result, net::redis::Reply};
use pyo3::{PyTraverseError, PyVisit, exceptions::PyException, intern, prelude::*};

use super::shape::Plan;
use crate::{callback::Held, errors::to_py, report};

/// A reply that has come, and whose it is.
struct Item {
    future: Held<Py<PyAny>>,
    plan: Plan,
    outcome: Result<Reply>,
}

#[derive(Default)]
struct Waiting {
    items: Vec<Item>,
    is_told: bool,
}

pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    teller: UnixStream,
}

impl Queue {
    fn put(&self, item: Item) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.items.push(item);
        if !mem::replace(&mut waiting.is_told, true) {
            // There is room for one byte: the last one was read before `is_told` was taken back.
            let _ = (&self.teller).write(&[0]);
        }
    }
}

/// Where replies for one loop go.
#[derive(Clone)]
pub(crate) struct Address(Weak<Queue>);

impl Address {
    pub(crate) fn is_there(&self) -> bool {
        self.0.strong_count() > 0
    }

    /// What a call is told by.
    pub(crate) fn teller(&self, future: Py<PyAny>, plan: Plan) -> impl FnOnce(Result<Reply>) + Send + 'static + use<> {
        let (queue, future) = (self.0.clone(), Held::new(future));
        move |outcome| {
            if let Some(queue) = queue.upgrade() {
                queue.put(Item { future, plan, outcome });
            }
        }
    }
}

/// What a loop of asyncio watches, and calls.
#[pyclass(frozen, weakref, module = "libcoop._libcoop")]
pub(crate) struct RedisInbox {
    queue: Arc<Queue>,
    listener: UnixStream,
}

impl RedisInbox {
    pub(crate) fn address(&self) -> Address {
        Address(Arc::downgrade(&self.queue))
    }
}

#[pymethods]
impl RedisInbox {
    #[new]
    fn new(py: Python<'_>) -> PyResult<Self> {
        let pair = || {
            let (listener, teller) = UnixStream::pair()?;
            listener.set_nonblocking(true)?;
            teller.set_nonblocking(true)?;
            Ok((listener, teller))
        };
        let (listener, teller) =
            pair().map_err(|error| to_py(py, &Error::os("listen for replies of redis", &error)))?;
        Ok(Self { queue: Arc::new(Queue { waiting: Mutex::default(), teller }), listener })
    }

    /// What is readable when replies have come.
    fn fileno(&self) -> RawFd {
        self.listener.as_raw_fd()
    }

    /// Ends the futures of the replies that have come.
    fn take(&self, py: Python<'_>) {
        let _ = (&self.listener).read(&mut [0; 16]);
        let items = {
            let mut waiting = self.queue.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.is_told = false;
            mem::take(&mut waiting.items)
        };
        for item in items {
            let Item { future, plan, outcome } = item;
            let future = future.take().into_bound(py);
            let told = match plan.answer(py, outcome) {
                Ok(value) => future.call_method1(intern!(py, "set_result"), (value,)),
                Err(error) => future.call_method1(intern!(py, "set_exception"), (error.into_value(py),)),
            };
            match told {
                // It raises InvalidStateError, for it was cancelled.
                Err(error) if !error.is_instance_of::<PyException>(py) => {
                    report::callback_raised(py, error, "a future of redis");
                }
                _ => {}
            }
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> std::result::Result<(), PyTraverseError> {
        if let Ok(waiting) = self.queue.waiting.try_lock() {
            for item in &waiting.items {
                visit.call(item.future.get())?;
            }
        }
        Ok(())
    }
}
