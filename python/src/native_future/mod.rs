//! The native half of `libcoop.Future`: a `concurrent.futures.Future` whose condition is made when somebody asks for it.
//!
//! # What it guarantees
//!
//! * The outcome is set once; callbacks run once each, in their order, with no lock held.
//! * `concurrent.futures.wait` and `as_completed` reach into `_condition`, `_state` and `_waiters`. From the moment on that
//!   the condition was asked for, every change of state that ends the future is made while it is held.
//! * Who waits by `result` or `exception` waits without the interpreter, and needs no condition. On the thread of the loop that would end the
//!   future a wait without a timeout would be for ever, and is refused.
//!
//! # Invariants
//!
//! `state` is changed only under the lock of `inner`, but for the bit that says that somebody waits. The lock is held by attached
//! threads only, and nothing is made, dropped or called under it: a collection finds it free, and so does a forked child.

mod alloc;
mod methods;
mod waiting;

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU8, Ordering},
};

use coop_core::{
    Error,
    event_loop::{Handle, WeakHandle},
    fork::Process,
};
use pyo3::{
    PyTraverseError, PyVisit,
    exceptions::PyException,
    intern,
    prelude::*,
    sync::PyOnceLock,
    types::{PyDict, PyList, PyTuple, PyType},
};

pub(crate) use self::alloc::make;
use crate::{errors::to_py, process_pool::Far, report};

/// How far a future is. The numbers go up: whoever is done is `Cancelled` or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
enum State {
    Pending,
    Running,
    Cancelled,
    /// As `Cancelled`, and who waits in `concurrent.futures.wait` was told.
    Notified,
    Returned,
    Raised,
}

/// The bit of `state` beside a `State`: some thread has gone to wait.
const WAITED_FOR: u8 = 0x80;

impl State {
    fn of(bits: u8) -> Self {
        match bits & !WAITED_FOR {
            0 => Self::Pending,
            1 => Self::Running,
            2 => Self::Cancelled,
            3 => Self::Notified,
            4 => Self::Returned,
            _ => Self::Raised,
        }
    }

    fn is_done(self) -> bool {
        self >= Self::Cancelled
    }

    /// As `concurrent.futures` calls it.
    fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Cancelled => "CANCELLED",
            Self::Notified => "CANCELLED_AND_NOTIFIED",
            Self::Returned | Self::Raised => "FINISHED",
        }
    }
}

/// What ends a future.
enum End {
    Cancel,
    /// Whoever waits in `concurrent.futures.wait` is told that it was cancelled.
    Notify,
    Return(Py<PyAny>),
    Raise(Py<PyAny>),
}

/// A call that a pool has accepted.
pub(crate) struct Call {
    /// The pool: it is there as long as it has work, and exit finds it.
    pub(crate) owner: Py<PyAny>,
    /// The `contextvars.Context` that it runs in.
    pub(crate) context: Py<PyAny>,
    /// The function, and what it is called with.
    pub(crate) args: Py<PyTuple>,
    pub(crate) kwargs: Option<Py<PyDict>>,
}

#[derive(Default)]
struct Inner {
    /// The result, or the exception.
    outcome: Option<Py<PyAny>>,
    /// Until it begins.
    call: Option<Call>,
    /// For a call that another process runs: it is pending here until it is over there.
    far: Option<Far>,
    /// For an operation of a loop: who ends it.
    home: Option<WeakHandle>,
    extras: Option<Box<Extras>>,
}

/// What most futures never need.
#[derive(Default)]
struct Extras {
    /// The `threading.Condition`, and the list of those who wait in `concurrent.futures.wait`; both or none.
    shown: Option<(Py<PyAny>, Py<PyList>)>,
    callbacks: Vec<Py<PyAny>>,
}

/// What `libcoop.Future` is made of: its state, and how it is waited for.
#[pyclass(frozen, subclass, generic, module = "libcoop._libcoop")]
pub(crate) struct Future {
    state: AtomicU8,
    born: Process,
    inner: Mutex<Inner>,
}

impl Future {
    fn new_pending() -> Self {
        Self { state: AtomicU8::new(State::Pending as u8), born: Process::current(), inner: Mutex::default() }
    }

    fn state(&self) -> State {
        State::of(self.state.load(Ordering::Acquire))
    }

    /// Refuses to wait in a forked child: who would end it is in the parent.
    fn check_fork(&self, py: Python<'_>) -> PyResult<()> {
        if self.born.is_forked() && !self.state().is_done() {
            return Err(to_py(py, &Error::Forked("future")));
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Under the lock. True if somebody waits.
    fn set_state(&self, state: State) -> bool {
        let mut waited_for = false;
        let _ = self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, |bits| {
            waited_for = bits & WAITED_FOR != 0;
            Some(state as u8 | bits & WAITED_FOR)
        });
        waited_for
    }

    /// Gives a new future its call.
    pub(crate) fn set_call(&self, call: Call) {
        self.lock().call = Some(call);
    }

    /// Says whose thread ends a new future.
    pub(crate) fn set_home(&self, event_loop: &Handle) {
        self.lock().home = Some(event_loop.downgrade());
    }

    /// Refuses to wait for ever on the thread that would end it.
    fn check_thread(&self, py: Python<'_>) -> PyResult<()> {
        const TEXT: &str =
            "a callback of an event loop cannot wait for what that loop is to end: await it, or use add_done_callback";
        let home = self.lock().home.clone();
        match home.and_then(|home| home.upgrade()) {
            Some(event_loop) if event_loop.is_loop_thread() => Err(to_py(py, &Error::WouldDeadlock(TEXT))),
            _ => Ok(()),
        }
    }

    /// Gives a new future its call in another process.
    pub(crate) fn set_far(&self, far: Far) {
        self.lock().far = Some(far);
    }

    pub(crate) fn far(&self) -> Option<Far> {
        self.lock().far.clone()
    }

    pub(crate) fn is_done(&self) -> bool {
        self.state().is_done()
    }

    /// Its state, as whoever runs the call knows it.
    fn state_there(&self) -> State {
        match self.state() {
            State::Pending if self.far().is_some_and(|far| far.is_running()) => State::Running,
            state => state,
        }
    }

    /// Ends a future with what became of its call, if it has not ended.
    pub(crate) fn settle(future: &Bound<'_, Self>, outcome: Result<Py<PyAny>, Py<PyAny>>) -> PyResult<()> {
        let end = outcome.map_or_else(End::Raise, End::Return);
        Self::end(future, end).map(drop)
    }

    fn shown<'py>(&self, py: Python<'py>) -> Option<(Bound<'py, PyAny>, Bound<'py, PyList>)> {
        let inner = self.lock();
        let (condition, waiters) = inner.extras.as_ref()?.shown.as_ref()?;
        Some((condition.bind(py).clone(), waiters.bind(py).clone()))
    }

    /// Makes the change if `end` is one of this state, and hands out the callbacks; `Err` is the state it is in. With
    /// `shown`, the caller holds the condition; without, `Ok(None)` says that there is one now, which it must hold first.
    fn try_end(&self, end: &mut Option<End>, shown: bool) -> Result<Option<Vec<Py<PyAny>>>, State> {
        let mut inner = self.lock();
        if !shown && inner.extras.as_ref().is_some_and(|extras| extras.shown.is_some()) {
            return Ok(None);
        }
        let now = self.state();
        let next = match (&*end, now) {
            (Some(End::Cancel), State::Pending) => State::Cancelled,
            (Some(End::Notify), State::Cancelled) => State::Notified,
            (Some(End::Return(_)), State::Pending | State::Running) => State::Returned,
            (Some(End::Raise(_)), State::Pending | State::Running) => State::Raised,
            _ => return Err(now),
        };
        if let Some(End::Return(outcome) | End::Raise(outcome)) = end.take() {
            inner.outcome = Some(outcome);
        }
        let callbacks = if next == State::Notified { None } else { inner.extras.as_mut() };
        let callbacks = callbacks.map(|extras| std::mem::take(&mut extras.callbacks)).unwrap_or_default();
        let waited_for = self.set_state(next);
        drop(inner);
        if waited_for {
            waiting::wake(self);
        }
        Ok(Some(callbacks))
    }

    /// Ends `future`, tells who waits, and runs the callbacks. `Err` of the inner result is the state it was in already.
    fn end(future: &Bound<'_, Self>, end: End) -> PyResult<Result<(), State>> {
        let this = future.get();
        let mut end = Some(end);
        let tell = match &end {
            Some(End::Return(_)) => Some(intern!(future.py(), "add_result")),
            Some(End::Raise(_)) => Some(intern!(future.py(), "add_exception")),
            Some(End::Notify) => Some(intern!(future.py(), "add_cancelled")),
            _ => None,
        };
        let callbacks = loop {
            match this.try_end(&mut end, false) {
                Err(state) => return Ok(Err(state)),
                Ok(Some(callbacks)) => break callbacks,
                Ok(None) => {}
            }
            let Some((condition, waiters)) = this.shown(future.py()) else { continue };
            condition.call_method0(intern!(future.py(), "acquire"))?;
            let ended = this.try_end(&mut end, true);
            let told = match (&ended, tell) {
                (Ok(_), Some(tell)) => {
                    waiters.iter().try_for_each(|waiter| waiter.call_method1(tell, (future,)).map(drop))
                }
                _ => Ok(()),
            };
            let told = told.and_then(|()| match ended {
                Ok(_) => condition.call_method0(intern!(future.py(), "notify_all")).map(drop),
                Err(_) => Ok(()),
            });
            condition.call_method0(intern!(future.py(), "release"))?;
            told?;
            match ended {
                Err(state) => return Ok(Err(state)),
                Ok(callbacks) => break callbacks.unwrap_or_default(),
            }
        };
        for callback in callbacks {
            Self::call_back(future, callback.bind(future.py()))?;
        }
        Ok(Ok(()))
    }

    /// Calls a callback; what it raises is logged, if it is an `Exception`.
    fn call_back(future: &Bound<'_, Self>, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = future.py();
        let Err(error) = callback.call1((future,)) else { return Ok(()) };
        if !error.is_instance_of::<PyException>(py) {
            return Err(error);
        }
        let details = PyDict::new(py);
        details.set_item("exc_info", error.into_value(py))?;
        let logger = base(py)?.getattr("LOGGER")?;
        logger.call_method("error", ("exception calling callback for %r", future), Some(&details)).map(drop)
    }

    /// Pending to running: what is left to do then, which is nothing if the call was cancelled.
    fn begin(future: &Bound<'_, Self>) -> PyResult<Result<Option<Call>, State>> {
        let this = future.get();
        {
            let mut inner = this.lock();
            if this.state() == State::Pending {
                this.set_state(State::Running);
                return Ok(Ok(inner.call.take()));
            }
        }
        Ok(Self::end(future, End::Notify)?.map(|()| None))
    }

    /// Runs its call, on a worker of the pool: the outcome is the future's. A failure is one of a callback's.
    pub(crate) fn run(future: &Bound<'_, Self>) -> PyResult<()> {
        let py = future.py();
        let begun = Self::begin(future);
        let Ok(Ok(Some(call))) = begun else {
            // It was cancelled, or ended by another hand. Who keeps the future keeps neither the arguments nor the pool.
            Self::drop_call(future);
            return begun.map(drop);
        };
        let Call { owner: _owner, context, args, kwargs } = call;
        let run = context.bind(py).getattr(intern!(py, "run"));
        let result = run.and_then(|run| run.call(args.bind(py), kwargs.as_ref().map(|kwargs| kwargs.bind(py))));
        // The call's own objects go before the future is done, as its waiter may expect.
        drop((context, args, kwargs));
        let end = match result {
            Ok(result) => End::Return(result.unbind()),
            Err(error) => End::Raise(error.into_value(py).into_any()),
        };
        Self::end(future, end).map(drop)
    }

    /// It was dropped unrun, by a pool that was shut down: whoever waits for it is told.
    pub(crate) fn cancel_unrun(future: &Bound<'_, Self>) {
        let cancelled = Self::end(future, End::Cancel).and_then(|_| Self::end(future, End::Notify));
        if let Err(error) = cancelled {
            report::callback_raised(future.py(), error, "cancelling a future of the pool");
        }
        Self::drop_call(future);
    }

    /// Lets go of a call that will not run; not under the lock, for the arguments' own code runs.
    fn drop_call(future: &Bound<'_, Self>) {
        let call = future.get().lock().call.take();
        drop(call);
    }

    fn visit(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        // Nobody holds it during a collection: see the module's text.
        let Ok(inner) = self.inner.try_lock() else { return Ok(()) };
        visit.call(&inner.outcome)?;
        if let Some(Call { owner, context, args, kwargs }) = &inner.call {
            visit.call(owner)?;
            visit.call(context)?;
            visit.call(args)?;
            visit.call(kwargs)?;
        }
        if let Some(extras) = &inner.extras {
            if let Some((condition, waiters)) = &extras.shown {
                visit.call(condition)?;
                visit.call(waiters)?;
            }
            extras.callbacks.iter().try_for_each(|callback| visit.call(callback))?;
        }
        Ok(())
    }
}

/// `concurrent.futures._base`.
fn base(py: Python<'_>) -> PyResult<&Bound<'_, PyModule>> {
    static BASE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    Ok(BASE.get_or_try_init(py, || py.import("concurrent.futures._base").map(Bound::unbind))?.bind(py))
}

/// An exception of `concurrent.futures`.
fn raised<'py>(py: Python<'py>, name: &str, args: impl pyo3::call::PyCallArgs<'py>) -> PyErr {
    let made = base(py).and_then(|base| base.getattr(name)?.cast_into::<PyType>()?.call(args, None));
    made.map_or_else(|error| error, PyErr::from_value)
}
