//! A run: how it is started, waited for and cancelled, and how it ends.
//!
//! # Invariant
//!
//! `End::result` is set once, under its lock, and `over` with it: by whoever settles the last node, or before that by a deadline, a
//! cancel, a failure of a run that fails fast, or a pool or loop that is closed. Whoever sets it tells those who wait, with no lock held. The nodes that have not settled
//! then do so without being run, as their turns come. So that a run ends once is the lock's doing, in whatever order they come: who finds a result leaves, and
//! only who has set it takes the waker, the callback and the timer out, under the same lock. A callback or a waker that is brought later finds the result
//! there. What has more than one step without a lock, who settles the last node, is [`block`](super::block)'s, with its models.

#![forbid(unsafe_code)]

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::PoisonError,
    task::{Context, Poll, Waker},
    time::Duration,
};

use slab::Slab;

use super::{
    block::{Block, Token},
    call::Control,
    graph::Graph,
    outcome::Outcome,
    trace::{self, Clock},
    value::{Failure, Value, named},
    work,
};
use crate::{
    error::{Error, Refused, Result},
    event_loop::{self, On, TimerId, TimerOptions},
    fork::Process,
    job::caught,
    pool::{self, SubmitOptions, Target},
    primitive::{AtomicBool, Condvar, Mutex, MutexGuard, Ordering},
    priority::Priority,
    runtime::Runtime,
    time::Deadline,
};

/// Where the nodes of a run are run: in a pool, and on a loop what waits.
#[derive(Debug, Clone)]
pub struct Engine {
    pool: pool::Handle,
    event_loop: Option<event_loop::Handle>,
}

impl Engine {
    /// A pool alone: enough for graphs of CPU nodes.
    pub fn new(pool: &pool::Handle) -> Self {
        Self { pool: pool.clone(), event_loop: None }
    }

    /// With a loop, for I/O nodes and deadlines.
    #[must_use]
    pub fn with_event_loop(mut self, event_loop: &event_loop::Handle) -> Self {
        self.event_loop = Some(event_loop.clone());
        self
    }
}

impl From<&Runtime> for Engine {
    fn from(runtime: &Runtime) -> Self {
        Self::new(runtime.pool()).with_event_loop(runtime.event_loop())
    }
}

/// What becomes of the rest of a run when a node fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(i32)]
pub enum OnFailure {
    /// What depends on that node is cancelled, and the rest runs. The run then ends with the first failure.
    #[default]
    CancelDependents = 0,
    /// The run ends with that failure at once, as if it were cancelled.
    FailFast = 1,
}

impl TryFrom<i32> for OnFailure {
    type Error = Error;

    fn try_from(number: i32) -> Result<Self> {
        match number {
            0 => Ok(Self::CancelDependents),
            1 => Ok(Self::FailFast),
            _ => Err(Error::Invalid(format!(
                "on_failure {number} is out of range: CANCEL_DEPENDENTS is 0, FAIL_FAST is 1"
            ))),
        }
    }
}

/// How a graph is run.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// The run ends with [`Error::Timeout`] if it takes longer. Needs a loop.
    pub timeout: Option<Duration>,
    /// What becomes of the rest when a node fails.
    pub on_failure: OnFailure,
    /// Takes the time of each node: see [`Outcome::trace`].
    pub trace: bool,
    /// What its nodes' functions may ask for: see [`Call::data`](super::Call::data). It lives as long as the run's memory.
    pub data: Option<Value>,
}

/// Values for the inputs of a graph, by name.
#[derive(Debug, Clone, Default)]
pub struct Inputs(pub Vec<(String, Value)>);

impl Inputs {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// These, and a value for this one.
    #[must_use]
    pub fn with<T: Send + Sync + 'static>(mut self, name: &str, value: T) -> Self {
        self.0.push((name.to_owned(), Value::new(value)));
        self
    }
}

/// What is known about the end of a run.
#[derive(Default)]
pub(super) struct End {
    result: Option<Result<()>>,
    pub(super) failures: BTreeMap<u32, Failure>,
    first: Option<u32>,
    waker: Option<Waker>,
    then: Option<Box<dyn FnOnce(Outcome) + Send>>,
    timer: Option<TimerId>,
    /// Of I/O nodes that wait.
    wakers: Slab<Waker>,
}

impl End {
    /// The first node that has failed, and why.
    pub(super) fn first(&self) -> Option<(u32, Failure)> {
        self.first.and_then(|node| Some((node, self.failures.get(&node)?.clone())))
    }
}

/// What a run is.
pub(super) struct Head {
    pub(super) graph: Graph,
    pub(super) pool: pool::Handle,
    pub(super) event_loop: Option<event_loop::Handle>,
    plain: [Target; 3],
    narrow: Box<[Target]>,
    pub(super) born: Process,
    fail_fast: bool,
    /// If the run keeps its nodes' times.
    pub(super) clock: Option<Clock>,
    pub(super) data: Option<Value>,
    over: AtomicBool,
    end: Mutex<End>,
    changed: Condvar,
}

impl Head {
    pub(super) fn lock(&self) -> MutexGuard<'_, End> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the run has ended.
    #[inline]
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Where nodes of this class run.
    pub(super) fn target(&self, class: u32) -> &Target {
        match class.checked_sub(3) {
            None => &self.plain[class as usize],
            Some(narrow) => &self.narrow[narrow as usize],
        }
    }

    /// Ends the run, unless it has ended. `block` is this run's.
    pub(super) fn end(&self, block: &Block<Self>, result: Result<()>) -> bool {
        let mut end = self.lock();
        if end.result.is_some() {
            return false;
        }
        // Before anybody is told, so that who was told finds it.
        trace::sum_up(block);
        end.result = Some(result);
        self.over.store(true, Ordering::Release);
        let (waker, then, timer) = (end.waker.take(), end.then.take(), end.timer.take());
        let wakers = std::mem::take(&mut end.wakers);
        drop(end);
        self.changed.notify_all();
        if let (Some(timer), Some(event_loop)) = (timer, &self.event_loop) {
            // Stale if it is what ends the run.
            let _ = event_loop.cancel_timer(timer);
        }
        for (_, waiting) in wakers {
            waiting.wake();
        }
        if let Some(waker) = waker {
            caught("waker", || waker.wake());
        }
        if let Some(then) = then {
            caught("dag", || then(Outcome::new(block.clone())));
        }
        true
    }

    /// The last node has settled.
    pub(super) fn complete(block: &Block<Self>) {
        let first = block.lock().first();
        block.end(block, first.map_or(Ok(()), |(node, failure)| Err(block.named(node, &failure))));
    }

    /// Keeps why a node has failed.
    pub(super) fn failed(&self, block: &Block<Self>, node: u32, failure: Failure) {
        let closed = match failure.error() {
            Some(Error::Closed(what)) if self.is_closing() => Some(Error::Closed(what)),
            // What waits on a loop that has stopped is given up, whatever its function makes of that.
            _ if self.graph.waits_on_loop(node)
                && self.event_loop.as_ref().is_some_and(event_loop::Handle::is_stopped) =>
            {
                Some(Error::Closed("event loop"))
            }
            _ => None,
        };
        let error = closed.or_else(|| self.fail_fast.then(|| self.named(node, &failure)));
        {
            let mut end = self.lock();
            end.first.get_or_insert(node);
            end.failures.insert(node, failure);
        }
        if let Some(error) = error {
            self.end(block, Err(error));
        }
    }

    /// Whether what a node says to be closed is what the run needs.
    fn is_closing(&self) -> bool {
        self.pool.is_closed() || self.event_loop.as_ref().is_some_and(|event_loop| event_loop.is_stopped())
    }

    pub(super) fn named(&self, node: u32, failure: &Failure) -> Error {
        let error = failure.error().cloned().unwrap_or(Error::Cancelled("node"));
        named(self.graph.name(node).unwrap_or_default(), error)
    }

    /// Has an I/O node woken when the run ends.
    pub(super) fn keep_waker(&self, waker: Waker) -> usize {
        self.lock().wakers.insert(waker)
    }

    pub(super) fn drop_waker(&self, key: usize) {
        let waker = self.lock().wakers.try_remove(key);
        drop(waker);
    }

    pub(super) fn result(&self) -> Option<Result<()>> {
        self.lock().result.clone()
    }
}

/// Ends the run when its deadline comes; and when the loop goes, which would have to tell that.
struct Watch {
    block: Block<Head>,
    timeout: Option<Duration>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !self.block.born.is_forked() {
            self.block.end(&self.block, Err(Error::Closed("event loop")));
        }
    }
}

/// A run of a graph. It ends once, with all that its nodes have made or with an error; whoever awaits it or joins it is told the [`Outcome`].
///
/// Dropping it lets the run go on, unobserved.
pub struct Run(Block<Head>);

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("is_ended", &self.is_ended()).finish_non_exhaustive()
    }
}

const IN_ITSELF: &str = "a node cannot wait for its own run";
const ON_LOOP: &str = "a callback of an event loop cannot wait for a run that needs the loop: await it instead";
const ON_WORKER: &str = "the only worker of a pool cannot wait for a run in that pool: await it instead";

impl Graph {
    /// Starts a run, with a value for each input.
    ///
    /// In a bounded pool it counts as one task when it starts; what goes on then is never refused for want of room.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an input that is missing, unknown or given twice, and for a graph or a deadline that needs a loop where none is; those of a
    /// [submission](pool::Handle::submit_with): [`Error::Affinity`] for a node's CPU set, [`Error::QueueFull`], [`Error::Closed`];
    /// [`Error::Forked`]. The inputs come back, and nothing has run.
    pub fn run(&self, engine: &Engine, inputs: Inputs, options: &RunOptions) -> Result<Run, Refused<Inputs>> {
        let made = self.check(&inputs, engine, options).and_then(|()| self.head(engine, options));
        let (block, start) = match made {
            Ok(made) => made,
            Err(error) => return Err(Refused::new(error, inputs)),
        };
        if let Err(error) = watch(&block, options.timeout) {
            work::abandon(start, &error);
            return Err(Refused::new(error, inputs));
        }
        match work::start(start, inputs) {
            Ok(()) => Ok(Run(block)),
            Err(refused) => Err(refused),
        }
    }

    fn check(&self, inputs: &Inputs, engine: &Engine, options: &RunOptions) -> Result<()> {
        let needs = match (self.needs_event_loop(), options.timeout) {
            (true, _) => Some("the graph has nodes that wait"),
            (_, Some(_)) => Some("the run has a deadline"),
            _ => None,
        };
        if let (Some(needs), None) = (needs, &engine.event_loop) {
            return Err(Error::Invalid(format!("{needs}: an event loop is needed, and the engine has none")));
        }
        for (place, (name, _)) in inputs.0.iter().enumerate() {
            if self.index(name).is_none_or(|node| self.0.inputs.binary_search(&node).is_err()) {
                return Err(Error::Invalid(format!("input {name:?}: the graph has none of this name")));
            }
            if inputs.0[..place].iter().any(|(before, _)| before == name) {
                return Err(Error::Invalid(format!("input {name:?} is given twice")));
            }
        }
        match self.inputs().find(|name| !inputs.0.iter().any(|(given, _)| given == name)) {
            Some(missing) => Err(Error::Invalid(format!("input {missing:?} is not given"))),
            None => Ok(()),
        }
    }

    fn head(&self, engine: &Engine, options: &RunOptions) -> Result<(Block<Head>, Token<Head>)> {
        let plain = |priority| engine.pool.target(&SubmitOptions { priority, ..SubmitOptions::default() });
        let head = Head {
            graph: self.clone(),
            plain: [plain(Priority::High)?, plain(Priority::Normal)?, plain(Priority::Low)?],
            narrow: self.0.narrow.iter().map(|place| engine.pool.target(place)).collect::<Result<_>>()?,
            pool: engine.pool.clone(),
            event_loop: engine.event_loop.clone(),
            born: Process::current(),
            fail_fast: options.on_failure == OnFailure::FailFast,
            clock: options.trace.then(|| Clock::new(self.len())),
            data: options.data.clone(),
            over: AtomicBool::new(false),
            end: Mutex::new(End::default()),
            changed: Condvar::new(),
        };
        Block::new(self.0.links.clone(), head)
    }
}

/// Sets the run's timer on its loop, if it needs one.
fn watch(block: &Block<Head>, timeout: Option<Duration>) -> Result<()> {
    let Some(event_loop) = &block.event_loop else { return Ok(()) };
    if timeout.is_none() && !block.graph.needs_event_loop() {
        return Ok(());
    }
    let watch = Watch { block: block.clone(), timeout };
    let after = timeout.unwrap_or(Duration::MAX);
    let options = TimerOptions { after, on: On::Loop, unref: true, ..TimerOptions::default() };
    let timer = event_loop.timer(options, move |_| {
        let Watch { block, timeout } = &watch;
        if let Some(timeout) = timeout {
            block.end(block, Err(Error::Timeout(format!("the run has not ended within {timeout:?}"))));
        }
    })?;
    let mut end = block.lock();
    if end.result.is_none() {
        end.timer = Some(timer);
    }
    Ok(())
}

impl Run {
    /// Waits until the run has ended.
    ///
    /// # Errors
    /// Why it could not be waited for; how the run ended is the outcome's. [`Error::Timeout`] changes nothing, and it may be called again.
    /// [`Error::WouldDeadlock`] from one of the run's own nodes, from the only worker of its pool, and from the thread of the loop that it needs.
    /// [`Error::Forked`].
    pub fn join(&self, timeout: Option<Duration>) -> Result<Outcome> {
        let head = &*self.0;
        self.check()?;
        let deadline = Deadline::after(timeout);
        let mut end = head.lock();
        if end.result.is_none() {
            drop(end);
            if timeout != Some(Duration::ZERO) {
                self.may_block()?;
            }
            end = head.lock();
        }
        while end.result.is_none() {
            end = match deadline.remaining() {
                None => head.changed.wait(end).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => {
                    drop(end);
                    return Err(Error::Timeout("the run has not ended".into()));
                }
                Some(left) => head.changed.wait_timeout(end, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
        drop(end);
        Ok(Outcome::new(self.0.clone()))
    }

    fn may_block(&self) -> Result<()> {
        let head = &*self.0;
        if work::is_inside(&self.0) {
            return Err(Error::WouldDeadlock(IN_ITSELF));
        }
        if head.pool.is_worker_thread() && head.pool.workers() == 1 {
            return Err(Error::WouldDeadlock(ON_WORKER));
        }
        let needed = head.event_loop.as_ref().filter(|_| head.graph.needs_event_loop());
        if needed.is_some_and(event_loop::Handle::is_loop_thread) {
            return Err(Error::WouldDeadlock(ON_LOOP));
        }
        Ok(())
    }

    /// Ends the run with [`Error::Cancelled`]; see [`Control::cancel`].
    pub fn cancel(&self) -> bool {
        self.control().cancel()
    }

    /// Whether it has ended.
    pub fn is_ended(&self) -> bool {
        self.0.is_over()
    }

    /// A way to cancel it from elsewhere.
    pub fn control(&self) -> Control {
        Control(self.0.clone())
    }

    /// Has `f` told the outcome, once: by the thread that ends the run, or here and now if it has ended. Whoever joins or awaits the run is told too.
    ///
    /// # Errors
    /// [`Error::Exists`] if somebody else is to be told already, [`Error::Forked`]; `f` comes back.
    pub fn then<F: FnOnce(Outcome) + Send + 'static>(&self, f: F) -> Result<(), Refused<F>> {
        if let Err(error) = self.check() {
            return Err(Refused::new(error, f));
        }
        let mut end = self.0.lock();
        if end.result.is_some() {
            drop(end);
            f(Outcome::new(self.0.clone()));
            return Ok(());
        }
        if end.then.is_some() {
            drop(end);
            return Err(Refused::new(Error::Exists("the run has a callback for its end already".into()), f));
        }
        end.then = Some(Box::new(f));
        Ok(())
    }

    fn check(&self) -> Result<()> {
        if self.0.born.is_forked() { Err(Error::Forked("run")) } else { Ok(()) }
    }
}

/// How the run ended: as [`Run::join`], without a thread.
impl Future for Run {
    type Output = Result<Outcome>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Outcome>> {
        self.check()?;
        let new = cx.waker().clone();
        let mut end = self.0.lock();
        if end.result.is_some() {
            drop(end);
            drop(new);
            return Poll::Ready(Ok(Outcome::new(self.0.clone())));
        }
        let before = end.waker.replace(new);
        drop(end);
        drop(before);
        Poll::Pending
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.0.born.is_forked() {
            // What it holds is the parent's.
            std::mem::forget(self.0.clone());
        }
    }
}
