//! `libcoop.Redis.pubsub()`, its native half: messages, waited for or awaited.

use std::sync::Arc;

use coop_core::{
    Error,
    event_loop::timeout,
    net::redis::{Channel, Message, Subscriber, Words},
};
use pyo3::{
    exceptions::PyValueError,
    prelude::*,
    types::{PyBytes, PyTuple},
};

use super::{
    client::{Place, Way, wait_for},
    here::Here,
    shape::Plan,
    value::Text,
    words,
};
use crate::{
    detached::Detached,
    errors::{OrRaise, to_py},
    future::{self, Promise},
    wait,
};

/// Messages of channels.
#[pyclass(frozen, weakref, module = "libcoop._libcoop")]
pub(crate) struct NativeSubscriber {
    subscriber: Arc<Detached<Subscriber>>,
    way: Arc<Detached<Way>>,
    place: Arc<Place>,
    text: Text,
}

fn channel(kind: &str) -> PyResult<Channel> {
    match kind {
        "channel" => Ok(Channel::Named),
        "pattern" => Ok(Channel::Pattern),
        "shard" => Ok(Channel::Shard),
        other => {
            Err(PyValueError::new_err(format!("a channel's kind must be channel, pattern or shard, not {other:?}")))
        }
    }
}

/// (type, pattern, channel, data), the first as redis says it.
fn shown(py: Python<'_>, message: &Message, text: Text) -> PyResult<Py<PyAny>> {
    let kind = match message.by {
        Channel::Named => "message",
        Channel::Pattern => "pmessage",
        Channel::Shard => "smessage",
    };
    let pattern = message.pattern.as_deref().map(|pattern| text.of(py, pattern)).transpose()?;
    let parts = (kind, pattern, text.of(py, &message.channel)?, text.of(py, &message.payload)?);
    Ok(parts.into_pyobject(py)?.into_any().unbind())
}

impl NativeSubscriber {
    pub(crate) fn new(subscriber: Subscriber, way: Arc<Detached<Way>>, place: Arc<Place>, text: Text) -> Self {
        Self { subscriber: Arc::new(Detached::new(subscriber)), way, place, text }
    }
}

#[pymethods]
impl NativeSubscriber {
    /// Names as the server is told them.
    fn words<'py>(&self, names: &Bound<'py, PyTuple>) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let words = words::all(names)?;
        Ok((0..words.count()).map(|at| PyBytes::new(names.py(), words.word(at))).collect())
    }

    /// Begins or ends subscriptions; it ends with None when the server has confirmed the last of them.
    fn say(&self, kind: &str, subscribes: bool, names: &Bound<'_, PyTuple>) -> PyResult<Py<PyAny>> {
        let py = names.py();
        let (by, names) = (channel(kind)?, words::all(names)?);
        match Here::find(py)? {
            Here::Plain => {
                let call = if subscribes {
                    self.subscriber.subscribe(by, &names)
                } else {
                    self.subscriber.unsubscribe(by, &names)
                };
                let outcome = wait_for(py, &self.way, call, None)?;
                Plan::nothing().answer(py, outcome).map(Bound::unbind)
            }
            Here::Driven => {
                let (future, promise) = Promise::new(py, self.way.event_loop())?;
                let told = self.place.settling(promise, Plan::nothing());
                self.subscriber
                    .subscribe_with(by, subscribes, &names, told)
                    .map_err(|refused| refused.error)
                    .or_raise(py)?;
                Ok(future)
            }
            Here::Asyncio(event_loop) => {
                let address = self.place.address(&event_loop)?;
                let future = Place::asyncio_future(&event_loop)?;
                let told = address.teller(future.clone().unbind(), Plan::nothing());
                self.subscriber
                    .subscribe_with(by, subscribes, &names, told)
                    .map_err(|refused| refused.error)
                    .or_raise(py)?;
                Ok(future.unbind())
            }
        }
    }

    /// The next message, or None after `limit` seconds: waited for where nothing runs in this thread, a `libcoop.Future` otherwise.
    fn next(&self, py: Python<'_>, limit: Option<f64>) -> PyResult<Py<PyAny>> {
        let limit = wait::timeout(limit)?;
        let subscriber = self.subscriber.clone();
        if let Here::Plain = Here::find(py)? {
            return match wait_for(py, &self.way, subscriber.next(), limit)? {
                Err(Error::Timeout(_)) => Ok(py.None()),
                message => shown(py, &message.or_raise(py)?, self.text),
            };
        }
        let (event_loop, text) = (self.way.event_loop().clone(), self.text);
        let timed = event_loop.clone();
        future::spawn_settling(py, &event_loop, |promise| async move {
            let message = match timeout(&timed, limit, subscriber.next()).await {
                Ok(Ok(message)) => Arc::new(message),
                Ok(Err(error)) | Err(error) => {
                    promise.settle(|py| match error {
                        Error::Timeout(_) => Ok(py.None()),
                        error => Err(to_py(py, &error)),
                    });
                    return;
                }
            };
            let kept = message.clone();
            // Whoever was cancelled just now has not had it.
            promise.settle_or(move |py| shown(py, &message, text), |_| subscriber.put_back(Arc::unwrap_or_clone(kept)));
        })
    }

    /// Gives a message back that nobody has had, as `next` has answered it.
    fn put_back(&self, py: Python<'_>, kind: &str, parts: &Bound<'_, PyTuple>) -> PyResult<()> {
        let by = match kind {
            "message" => Channel::Named,
            "pmessage" => Channel::Pattern,
            _ => Channel::Shard,
        };
        let (pattern, said) = (parts.get_item(0)?, words::all(&parts.get_slice(1, 3))?);
        let pattern =
            if pattern.is_none() { None } else { Some(words::all(&PyTuple::new(py, [pattern])?)?.word(0).to_vec()) };
        let message = Message { by, pattern, channel: said.word(0).to_vec(), payload: said.word(1).to_vec() };
        py.detach(|| self.subscriber.put_back(message));
        Ok(())
    }

    /// How many messages were lost because nobody took them.
    #[getter]
    fn lost(&self) -> u64 {
        self.subscriber.lost()
    }

    /// Ends it: who waits for a message is told Closed.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.subscriber.close());
    }
}
