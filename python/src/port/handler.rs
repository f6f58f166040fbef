//! A Python handler as the core calls it.

use std::sync::{Arc, Mutex, PoisonError};

use coop_core::{
    event_loop::TimerId,
    port::{self, Bytes, Closed, ConnectionId, Context, Encoded, Fault, Handler, Incoming, Message, Outcome, Turns},
};
use pyo3::{
    exceptions::PyTypeError,
    intern,
    prelude::*,
    types::{PyBytes, PyString, PyTuple},
};

use super::{
    batch::Batch,
    context::PortContext,
    native::{Natives, PICKLED, unpickled},
};
use crate::{callback::Held, report, thread_state};

const NO_MESSAGE: &str = "a message that is neither bytes nor a Python object";

/// A Python object on its way from one port to another.
pub(super) struct Object(pub(super) Held<Py<PyAny>>);

/// Where a handler that could not start leaves its exception.
pub(super) type StartError = Arc<Mutex<Option<PyErr>>>;

/// A handler of Python, made inside its worker.
struct PyHandler {
    handler: Py<PyAny>,
    ctx: Py<PortContext>,
    started: StartError,
    /// Who has sent the last message, also as Python has it.
    sender: Option<(String, Py<PyString>)>,
}

/// What makes the handler of a port: a class, or its name, and arguments.
pub(super) fn build(class: Py<PyAny>, args: Py<PyTuple>, started: StartError, natives: Natives) -> port::Build {
    Box::new(move |context: &Context| {
        let made = attached(|py| {
            let class = resolve(class.bind(py))?;
            let handler = class.call1(args.bind(py))?.unbind();
            let ctx = Py::new(py, PortContext::new(context.clone(), natives))?;
            Ok(PyHandler { handler, ctx, started: started.clone(), sender: None })
        });
        let handler = made.map_err(|error| keep(&started, error))?;
        Ok(Box::new(handler) as Box<dyn Handler>)
    })
}

/// Keeps the exception for whoever called `start`.
fn keep(started: &StartError, error: Raised) -> Fault {
    match error {
        Raised::Gone => Fault::new("the interpreter is gone"),
        Raised::Error(error, text) => {
            started.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            // Not reported here: `start` raises it.
            Fault { message: Some(text) }
        }
    }
}

enum Raised {
    Gone,
    Error(PyErr, String),
}

fn attached<T>(f: impl FnOnce(Python<'_>) -> PyResult<T>) -> Result<T, Raised> {
    thread_state::attach(|py| {
        f(py).map_err(|error| {
            let text = error.to_string();
            Raised::Error(error, text)
        })
    })
    .unwrap_or(Err(Raised::Gone))
}

/// The class itself, or what `"module:qualname"` names.
fn resolve<'py>(class: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    match class.cast::<PyString>() {
        Err(_) => Ok(class.clone()),
        Ok(name) => class.py().import("libcoop._ports")?.call_method1("resolve", (name,)),
    }
}

impl PyHandler {
    /// A message that another process has pickled.
    fn on_encoded(&self, sender: &str, message: Message) -> Outcome {
        let encoded = message.downcast::<Encoded>().ok().filter(|encoded| encoded.tag == PICKLED);
        let Some(encoded) = encoded else {
            return Err(Fault::new(NO_MESSAGE));
        };
        self.call("on_message", |method| {
            let object = unpickled(&PyBytes::new(method.py(), &encoded.bytes))?;
            method.call1((&self.ctx, sender, object))
        })
    }

    /// Calls a method of the handler, which it may or may not have; its exception is reported here.
    fn call(
        &self,
        name: &str,
        call: impl for<'py> FnOnce(&Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>>,
    ) -> Outcome {
        self.call_by(name, |py| PyString::new(py, name), call)
    }

    /// The same; `key` is the name as Python has it.
    fn call_by(
        &self,
        name: &str,
        key: impl for<'py> FnOnce(Python<'py>) -> Bound<'py, PyString>,
        call: impl for<'py> FnOnce(&Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>>,
    ) -> Outcome {
        let called = thread_state::attach(|py| {
            let result = match self.handler.bind(py).getattr_opt(key(py)) {
                Ok(None) => Ok(()),
                Ok(Some(method)) => call(&method).map(drop),
                Err(error) => Err(error),
            };
            result.map_err(|error| {
                report::callback_raised(py, error, &format!("{name} of port {}", self.ctx.get().context.name()));
                Fault::reported()
            })
        });
        // Without an interpreter there is nobody left to call.
        called.unwrap_or(Ok(()))
    }
}

impl Handler for PyHandler {
    fn on_start(&mut self, _: &Context) -> Outcome {
        let started = attached(|py| match self.handler.bind(py).getattr_opt("on_start")? {
            Some(method) => method.call1((&self.ctx,)).map(drop),
            None => Ok(()),
        });
        started.map_err(|error| keep(&self.started, error))
    }

    fn on_batch(&mut self, _: &Context, batch: &mut port::Batch) -> Outcome {
        let given = batch.clone();
        self.call("on_batch", |method| {
            let object = Bound::new(method.py(), Batch::new(given))?;
            let result = method.call1((&self.ctx, &object));
            batch.index = object.get().index();
            result
        })
    }

    fn on_connect(&mut self, _: &Context, connection: ConnectionId) -> Outcome {
        self.call("on_connect", |method| method.call1((&self.ctx, connection.0)))
    }

    fn on_data(&mut self, _: &Context, connection: ConnectionId, bytes: &[u8]) -> Outcome {
        self.call("on_data", |method| method.call1((&self.ctx, connection.0, PyBytes::new(method.py(), bytes))))
    }

    fn on_drained(&mut self, _: &Context, connection: ConnectionId) -> Outcome {
        self.call("on_drained", |method| method.call1((&self.ctx, connection.0)))
    }

    fn on_end(&mut self, ctx: &Context, connection: ConnectionId) -> Outcome {
        let has = thread_state::attach(|py| self.handler.bind(py).hasattr("on_end").unwrap_or(true));
        if has != Some(true) {
            let _ = ctx.close(connection);
            return Ok(());
        }
        self.call("on_end", |method| method.call1((&self.ctx, connection.0)))
    }

    fn on_close(&mut self, _: &Context, connection: ConnectionId, why: &Closed) -> Outcome {
        self.call("on_close", |method| method.call1((&self.ctx, connection.0, why.name())))
    }

    fn on_message(&mut self, _: &Context, sender: &str, message: Message) -> Outcome {
        match message.downcast::<Object>() {
            Ok(object) => self.call("on_message", |method| method.call1((&self.ctx, sender, object.0.take()))),
            Err(message) => match message.downcast::<Bytes>() {
                Ok(bytes) => self.call("on_message", |method| {
                    method.call1((&self.ctx, sender, PyBytes::new(method.py(), &bytes.0)))
                }),
                Err(message) => self.on_encoded(sender, message),
            },
        }
    }

    fn on_incoming(&mut self, _: &Context, sender: &str, incoming: Incoming<'_>) -> Outcome {
        if self.sender.as_ref().is_none_or(|(known, _)| known != sender) {
            self.sender = thread_state::attach(|py| (sender.to_owned(), PyString::new(py, sender).unbind()));
        }
        let Some((_, sender)) = &self.sender else { return Ok(()) };
        self.call_by(
            "on_message",
            |py| intern!(py, "on_message").clone(),
            |method| {
                let (py, tag) = (method.py(), incoming.tag());
                let bytes = PyBytes::new_with(py, incoming.len(), |room| {
                    incoming.take(room);
                    Ok(())
                })?;
                match tag {
                    0 => method.call1((&self.ctx, sender, bytes)),
                    PICKLED => method.call1((&self.ctx, sender, unpickled(&bytes)?)),
                    _ => Err(PyTypeError::new_err(NO_MESSAGE)),
                }
            },
        )
    }

    /// Attached once for all of them.
    fn turns(&self) -> Option<Turns> {
        Some(Box::new(|row| {
            let mut attached = false;
            thread_state::attach(|_| {
                attached = true;
                row();
            });
            if !attached {
                // Without an interpreter nobody is called, and all else goes on.
                row();
            }
        }))
    }

    fn on_timer(&mut self, _: &Context, timer: TimerId) -> Outcome {
        self.call("on_timer", |method| method.call1((&self.ctx, timer.0)))
    }

    fn on_hand_over(&mut self, _: &Context) -> Outcome {
        self.call("on_hand_over", |method| method.call1((&self.ctx,)))
    }

    fn on_stop(&mut self, _: &Context) -> Outcome {
        self.call("on_stop", |method| method.call1((&self.ctx,)))
    }
}

impl Drop for PyHandler {
    fn drop(&mut self) {
        // Attached, so that the handler's own end is here and now, on the thread that it lived on.
        thread_state::attach(|py| {
            let handler = std::mem::replace(&mut self.handler, py.None());
            drop(handler);
        });
    }
}
