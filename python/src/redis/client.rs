//! `libcoop.Redis`: the calls.

use std::{
    future::Future,
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use coop_core::{
    Error, Refused, Result,
    event_loop::WeakHandle,
    net::redis::{CallId, Client, Command, Own, Reply, Script},
};
use pyo3::{
    intern,
    prelude::*,
    sync::PyOnceLock,
    types::{PyDict, PyList, PyTuple, PyType},
};

use super::{
    error::of_call,
    here::Here,
    inbox::{Address, RedisInbox},
    options,
    shape::Plan,
    subscriber::NativeSubscriber,
    value::Text,
    words,
};
use crate::{
    detached::Detached,
    errors::{OrRaise, to_py},
    event_loop::EventLoop,
    future::Promise,
    posts::{Call, Posts},
    wait,
};

/// A client, or a connection of one's own.
pub(crate) enum Way {
    Shared(Client),
    Own(Own),
}

impl Deref for Way {
    type Target = Client;

    fn deref(&self) -> &Client {
        match self {
            Self::Shared(client) => client,
            Self::Own(own) => own,
        }
    }
}

/// What is asked for, in one piece.
pub(crate) enum Ask {
    Command(Command),
    Pipeline(Vec<Command>),
    Transaction(Vec<Command>),
    Script(Script, Command, Command),
}

impl Ask {
    fn future(&self, client: &Client, limit: Option<Duration>) -> coop_core::net::redis::Call {
        match (self, limit) {
            (Self::Command(command), None) => client.command(command),
            (Self::Command(command), Some(limit)) => client.command_within(command, limit),
            (Self::Pipeline(commands), _) => client.pipeline(commands),
            (Self::Transaction(commands), _) => client.transaction(commands),
            (Self::Script(script, keys, args), _) => client.script(script, keys, args),
        }
    }

    fn begin<F>(&self, client: &Client, limit: Option<Duration>, f: F) -> std::result::Result<CallId, Refused<F>>
    where
        F: FnOnce(Result<Reply>) + Send + 'static,
    {
        match self {
            Self::Command(command) => client.command_with(command, limit, f),
            Self::Pipeline(commands) => client.pipeline_with(commands, limit, f),
            Self::Transaction(commands) => client.transaction_with(commands, limit, f),
            Self::Script(script, keys, args) => client.script_with(script, keys, args, limit, f),
        }
    }
}

/// Where the replies of the last loop of asyncio went.
struct Last {
    event_loop: Py<PyAny>,
    address: Address,
}

/// What futures of a client's calls are settled by, and where.
pub(crate) struct Place {
    posts: Arc<Posts>,
    event_loop: WeakHandle,
    last: Mutex<Option<Last>>,
}

impl Place {
    /// Where replies for a loop of asyncio go: it is watched from the first call on.
    pub(crate) fn address(&self, event_loop: &Bound<'_, PyAny>) -> PyResult<Address> {
        static FIND: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let py = event_loop.py();
        let lock = || self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // A loop's address may be that of one that is gone: its weak reference says.
        if let Some(Last { event_loop: weak, address }) = &*lock()
            && address.is_there()
            && weak.bind(py).call0()?.is(event_loop)
        {
            return Ok(address.clone());
        }
        let find = FIND
            .get_or_try_init(py, || PyResult::Ok(py.import("libcoop._redis_asyncio")?.getattr("inbox_of")?.unbind()))?;
        let inbox = find.bind(py).call1((event_loop,))?.cast_into::<RedisInbox>()?;
        let address = inbox.get().address();
        let last = py.import("weakref")?.call_method1("ref", (event_loop,))?.unbind();
        let before = lock().replace(Last { event_loop: last, address: address.clone() });
        drop(before);
        Ok(address)
    }

    /// A future of this thread's loop of asyncio.
    pub(crate) fn asyncio_future<'py>(event_loop: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let py = event_loop.py();
        let class = CLASS.import(py, "libcoop._redis_asyncio", "RedisFuture")?;
        let keywords = PyDict::new(py);
        keywords.set_item(intern!(py, "loop"), event_loop)?;
        class.call((), Some(&keywords))
    }

    /// What a call is told by whose future is libcoop's: settled with others in one attach.
    pub(crate) fn settling(&self, promise: Promise, plan: Plan) -> impl FnOnce(Result<Reply>) + Send + 'static + use<> {
        let (posts, event_loop) = (self.posts.clone(), self.event_loop.clone());
        move |outcome| {
            let settle = Call::Native(Box::new(move |py: Python<'_>| {
                promise.settle(|_| Ok(plan.answer(py, outcome)?.unbind()));
            }));
            match event_loop.upgrade() {
                // A refused one is dropped, and its promise tells of it.
                Some(event_loop) => drop(posts.post(&event_loop, settle)),
                None => drop(settle),
            }
        }
    }
}

/// Waits for it on this thread; Ctrl-C is heard.
pub(crate) fn wait_for<T: Send>(
    py: Python<'_>,
    client: &Client,
    future: impl Future<Output = Result<T>> + Send,
    limit: Option<Duration>,
) -> PyResult<Result<T>> {
    if client.event_loop().is_loop_thread() {
        let text = "a loop's own callback cannot wait for a reply of redis that the loop reads";
        return Err(to_py(py, &Error::WouldDeadlock(text)));
    }
    match wait::until(py, limit, future)? {
        Some(answer) => Ok(answer),
        None => {
            let limit = limit.unwrap_or(Duration::MAX);
            Ok(Err(Error::Timeout(format!("redis: nothing has come within {limit:?}"))))
        }
    }
}

/// What `libcoop.Redis` is made of; see there.
#[pyclass(frozen, weakref, subclass, module = "libcoop._libcoop")]
pub(crate) struct NativeRedis {
    /// None once it was given back.
    way: Mutex<Option<Arc<Detached<Way>>>>,
    text: Text,
    place: Arc<Place>,
    server: String,
}

impl NativeRedis {
    fn lock(&self) -> MutexGuard<'_, Option<Arc<Detached<Way>>>> {
        self.way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn way(&self, py: Python<'_>) -> PyResult<Arc<Detached<Way>>> {
        let way = self.lock().clone();
        way.ok_or_else(|| to_py(py, &Error::Closed("redis connection")))
    }

    fn ask(&self, py: Python<'_>, ask: &Ask, plan: Plan, limit: Option<Duration>) -> PyResult<Py<PyAny>> {
        let way = self.way(py)?;
        match Here::find(py)? {
            Here::Plain => {
                let call = ask.future(&way, limit);
                let outcome = wait_for(py, &way, call, None)?;
                Ok(plan.answer(py, outcome)?.unbind())
            }
            Here::Driven => self.future(py, &way, ask, plan, limit),
            Here::Asyncio(event_loop) => {
                let address = self.place.address(&event_loop)?;
                let future = Place::asyncio_future(&event_loop)?;
                let told = address.teller(future.clone().unbind(), plan);
                match ask.begin(&way, limit, told) {
                    Ok(id) => {
                        let canceller = RedisCall { way, id };
                        future.setattr(intern!(py, "_call"), canceller)?;
                    }
                    Err(refused) => {
                        let error = of_call(py, &refused.error).into_value(py);
                        future.call_method1(intern!(py, "set_exception"), (error,))?;
                    }
                }
                Ok(future.unbind())
            }
        }
    }

    fn future(
        &self,
        py: Python<'_>,
        way: &Arc<Detached<Way>>,
        ask: &Ask,
        plan: Plan,
        limit: Option<Duration>,
    ) -> PyResult<Py<PyAny>> {
        let (future, promise) = Promise::new(py, way.event_loop())?;
        let canceller = promise.canceller();
        match ask.begin(way, limit, self.place.settling(promise, plan)) {
            Ok(id) => {
                let call = RedisCall { way: way.clone(), id };
                canceller.ends_by(move || call.end());
                Ok(future)
            }
            Err(refused) => {
                let error = of_call(py, &refused.error);
                drop(refused);
                crate::future::done(py, Err(error))
            }
        }
    }
}

/// A call, to be cancelled.
#[pyclass(frozen, module = "libcoop._libcoop")]
pub(crate) struct RedisCall {
    way: Arc<Detached<Way>>,
    id: CallId,
}

impl RedisCall {
    fn end(&self) {
        // Stale if it has just ended.
        let _ = self.way.cancel(self.id);
    }
}

#[pymethods]
impl RedisCall {
    /// Cancels it, if it has not ended.
    fn cancel(&self, py: Python<'_>) {
        py.detach(|| self.end());
    }
}

#[pymethods]
impl NativeRedis {
    #[new]
    fn new(
        py: Python<'_>,
        event_loop: &Bound<'_, EventLoop>,
        url: Option<&str>,
        decode: bool,
        options: &Bound<'_, PyDict>,
    ) -> PyResult<Self> {
        let options = options::read(py, url, options)?;
        let this = event_loop.get();
        let server = options.server.to_string();
        let client = py.detach(|| Client::new(&this.handle, options)).or_raise(py)?;
        let place = Place { posts: this.posts.clone(), event_loop: this.handle.downgrade(), last: Mutex::default() };
        Ok(Self {
            way: Mutex::new(Some(Arc::new(Detached::new(Way::Shared(client))))),
            text: Text { is_decoded: decode },
            place: Arc::new(place),
            server,
        })
    }

    /// Makes the call of these words: a name, which may be of two words, and what comes after it. With `timeout` seconds for it, else the
    /// client's.
    ///
    /// Words are bytes, str, int or float. What it answers is converted as for the method of that name.
    #[pyo3(signature = (*args, timeout = None))]
    fn execute_command(&self, args: &Bound<'_, PyTuple>, timeout: Option<f64>) -> PyResult<Py<PyAny>> {
        let limit = options::limit(timeout)?;
        let command = words::command(args)?;
        let plan = Plan::one(&command, self.text);
        self.ask(args.py(), &Ask::Command(command), plan, limit)
    }

    /// Makes the call of these words wherever that is, and answers a `libcoop.Future`, which the loop settles.
    #[pyo3(signature = (*args, timeout = None))]
    fn submit(&self, args: &Bound<'_, PyTuple>, timeout: Option<f64>) -> PyResult<Py<PyAny>> {
        let py = args.py();
        let limit = options::limit(timeout)?;
        let command = words::command(args)?;
        let plan = Plan::one(&command, self.text);
        self.future(py, &self.way(py)?, &Ask::Command(command), plan, limit)
    }

    /// Makes several calls in one piece.
    fn _many(
        &self,
        py: Python<'_>,
        commands: &Bound<'_, PyList>,
        is_transaction: bool,
        raises: bool,
    ) -> PyResult<Py<PyAny>> {
        let made: PyResult<Vec<Command>> =
            commands.iter().map(|command| words::command(command.cast::<PyTuple>()?)).collect();
        let commands = made?;
        let plan = Plan::many(&commands, self.text, raises);
        self.ask(py, &if is_transaction { Ask::Transaction(commands) } else { Ask::Pipeline(commands) }, plan, None)
    }

    /// Runs a script.
    fn _script(
        &self,
        script: &Bound<'_, RedisSource>,
        keys: &Bound<'_, PyTuple>,
        args: &Bound<'_, PyTuple>,
    ) -> PyResult<Py<PyAny>> {
        let ask = Ask::Script(script.get().0.clone(), words::all(keys)?, words::all(args)?);
        self.ask(script.py(), &ask, Plan::plain(self.text), None)
    }

    /// A connection of one's own.
    fn _own(&self, py: Python<'_>) -> PyResult<Self> {
        let way = self.way(py)?;
        let own = py.detach(|| way.own()).or_raise(py)?;
        Ok(Self {
            way: Mutex::new(Some(Arc::new(Detached::new(Way::Own(own))))),
            text: self.text,
            place: self.place.clone(),
            server: self.server.clone(),
        })
    }

    /// Gives a connection of one's own back.
    fn _give_back(&self) {
        let way = self.lock().take();
        drop(way);
    }

    /// What messages come by, of which up to `most` wait.
    fn _subscriber(&self, py: Python<'_>, most: i64) -> PyResult<NativeSubscriber> {
        let way = self.way(py)?;
        let most = usize::try_from(most)
            .map_err(|_| pyo3::exceptions::PyValueError::new_err(format!("most must be at least 1, not {most}")))?;
        let subscriber = py.detach(|| way.subscriber(most)).or_raise(py)?;
        Ok(NativeSubscriber::new(subscriber, way, self.place.clone(), self.text))
    }

    /// Ends it: calls that wait end with Closed.
    fn _close(&self, py: Python<'_>) -> PyResult<()> {
        match self.lock().clone() {
            Some(way) => py.detach(|| way.close()).or_raise(py),
            None => Ok(()),
        }
    }

    /// Whether it was closed, or its loop has ended.
    #[getter]
    fn closed(&self) -> bool {
        self.lock().as_ref().is_none_or(|way| way.is_closed())
    }

    /// Its figures, by name.
    fn _stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.way(py)?.stats().or_raise(py)?;
        let dict = PyDict::new(py);
        for (name, figure) in [
            ("calls", stats.calls),
            ("refused", stats.refused),
            ("answered", stats.answered),
            ("server_errors", stats.server_errors),
            ("timed_out", stats.timed_out),
            ("cancelled", stats.cancelled),
            ("lost", stats.lost),
            ("pushes", stats.pushes),
            ("connects", stats.connects),
            ("connect_failures", stats.connect_failures),
            ("disconnects", stats.disconnects),
            ("writes", stats.writes),
            ("reads", stats.reads),
            ("bytes_out", stats.bytes_out),
            ("bytes_in", stats.bytes_in),
            ("queued", stats.queued),
            ("in_flight", stats.in_flight),
            ("connected", stats.connected),
        ] {
            dict.set_item(name, figure)?;
        }
        Ok(dict)
    }

    /// Where its server is: host and port, or a path.
    #[getter]
    fn server(&self) -> &str {
        &self.server
    }
}

/// A script's source and its digest.
#[pyclass(frozen, module = "libcoop._libcoop")]
pub(crate) struct RedisSource(Script);

#[pymethods]
impl RedisSource {
    #[new]
    fn new(source: &Bound<'_, PyAny>) -> PyResult<Self> {
        let command = words::all(&PyTuple::new(source.py(), [source])?)?;
        Ok(Self(Script::new(coop_core::net::redis::Words::word(&command, 0))))
    }

    /// Its SHA-1 digest in hex.
    #[getter]
    fn sha(&self) -> &str {
        self.0.digest()
    }
}
