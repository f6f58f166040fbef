//! Services as coroutines of a loop.
//!
//! # What holds
//!
//! * The coroutine is polled, and its future dropped, on the loop's thread.
//! * One whose entry took [`Context::stopping`] is told, and has its `shutdown` to end; any other is cancelled when it is asked: its
//!   future is dropped. So is one whose time is over, as soon as it lets go of the thread.
//! * When its loop ends, it does.

#![forbid(unsafe_code)]

use std::{
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{self, Poll},
};

use super::{Executor, Running, Start, Stopped, thread::outcome};
use crate::{
    error::{Error, Result},
    event_loop::{Handle, WeakHandle},
    job,
    supervisor::{
        context::Context,
        event::{Because, Ended},
        service::Service,
    },
    task::JoinHandle,
};

type Boxed = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;
type Entry = dyn Fn(Context) -> Boxed + Send + Sync;

/// Runs an asynchronous function on a loop.
#[derive(Clone)]
pub struct Async {
    event_loop: Option<WeakHandle>,
    entry: Arc<Entry>,
}

impl fmt::Debug for Async {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Async").finish_non_exhaustive()
    }
}

impl Async {
    /// Of this function, on the main loop that the host was given. An error that it answers is an end that is not normal.
    pub fn new<F, E>(entry: impl Fn(Context) -> F + Send + Sync + 'static) -> Arc<Self>
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display,
    {
        let entry = move |context| -> Boxed {
            let future = entry(context);
            Box::pin(async move { future.await.map_err(|error| error.to_string()) })
        };
        Arc::new(Self { event_loop: None, entry: Arc::new(entry) })
    }

    /// The same, on this loop.
    pub fn on(&self, event_loop: &Handle) -> Arc<Self> {
        Arc::new(Self { event_loop: Some(event_loop.downgrade()), entry: self.entry.clone() })
    }
}

/// The loop that was named, or the host's main loop.
pub(super) fn loop_of(named: Option<&WeakHandle>, start: &Start<'_>) -> Result<Handle> {
    match (named, start.main_loop) {
        (Some(named), _) => named.upgrade().ok_or(Error::Closed("event loop")),
        (None, Some(main_loop)) => Ok(main_loop.clone()),
        (None, None) => {
            Err(Error::Invalid(format!("{}: the host was given no event loop to run async services on", start.path)))
        }
    }
}

impl Executor for Async {
    fn name(&self) -> &'static str {
        "async"
    }

    fn check(&self, _: &Service) -> Result<()> {
        Ok(())
    }

    fn start(&self, start: Start<'_>) -> Result<Box<dyn Running>> {
        let event_loop = loop_of(self.event_loop.as_ref(), &start)?;
        let context = Context::new(&start);
        let body = Body { context: context.clone(), entry: Some(self.entry.clone()), future: None };
        let handle = event_loop.spawn(body).inspect_err(|_| context.silence())?;
        Ok(Box::new(OnLoop { context, handle }))
    }
}

/// The coroutine: calls the entry on the loop's thread, and tells the end when the entry's future has gone.
struct Body {
    context: Context,
    entry: Option<Arc<Entry>>,
    future: Option<Boxed>,
}

impl Body {
    fn end(&mut self, how: Ended) {
        let (future, entry) = (self.future.take(), self.entry.take());
        self.context.enter(|| job::caught("service", || drop((future, entry))));
        self.context.ended(how);
    }
}

impl Future for Body {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let context = this.context.clone();
        let polled = context.enter(|| {
            catch_unwind(AssertUnwindSafe(|| {
                if let Some(entry) = this.entry.take() {
                    this.future = Some(entry(context.clone()));
                }
                match &mut this.future {
                    Some(future) => future.as_mut().poll(cx),
                    None => Poll::Ready(Ok(())),
                }
            }))
        });
        let ended = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(result)) => Ok(result),
            Err(payload) => Err(payload),
        };
        this.end(outcome(ended));
        Poll::Ready(())
    }
}

impl Drop for Body {
    /// Cancelled, or its loop has gone; nothing if it has ended.
    fn drop(&mut self) {
        let how =
            if self.context.is_stopping() { Ended::Shutdown } else { Ended::Lost("its event loop has ended".into()) };
        self.end(how);
    }
}

struct OnLoop {
    context: Context,
    handle: JoinHandle<()>,
}

impl fmt::Debug for OnLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnLoop").finish_non_exhaustive()
    }
}

impl Running for OnLoop {
    fn ask(&mut self) {
        self.context.ask();
        if !self.context.looks_out() {
            self.handle.cancel();
        }
    }

    fn kill(&mut self, _: Because) -> Stopped {
        self.context.ask();
        self.handle.cancel();
        Stopped::Ends
    }
}
