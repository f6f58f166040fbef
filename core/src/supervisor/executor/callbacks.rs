//! Services as pairs of callbacks on a loop: one begins a run, one asks it to stop, and the service itself says when it has ended.
//!
//! For bindings, and for code that is no coroutine: an asynchronous stop is all that they need.
//!
//! # What holds
//!
//! * Both callbacks run on the loop's thread, the second one after the first has returned, at most once for a run.
//! * A run ends when its [`End`] is used or dropped; a first callback that answers an error has used it.
//! * One that ignores its deadline cannot be ended: it goes on until it says that it has ended.

#![forbid(unsafe_code)]

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use super::{Executor, Running, Start, Stopped, async_::loop_of, thread::outcome};
use crate::{
    error::Result,
    event_loop::{Handle, WeakHandle},
    job,
    supervisor::{
        context::Context,
        event::{Because, Ended},
        service::Service,
    },
};

type Begin = dyn Fn(Context, End) -> Result<(), String> + Send + Sync;
type Stop = dyn Fn(&Context) + Send + Sync;

/// See the module's text.
#[derive(Clone)]
pub struct Callbacks {
    event_loop: Option<WeakHandle>,
    begin: Arc<Begin>,
    stop: Arc<Stop>,
}

impl fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callbacks").finish_non_exhaustive()
    }
}

impl Callbacks {
    /// Of these, on the main loop that the host was given.
    pub fn new(
        begin: impl Fn(Context, End) -> Result<(), String> + Send + Sync + 'static,
        stop: impl Fn(&Context) + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { event_loop: None, begin: Arc::new(begin), stop: Arc::new(stop) })
    }

    /// The same, on this loop.
    pub fn on(&self, event_loop: &Handle) -> Arc<Self> {
        let event_loop = Some(event_loop.downgrade());
        Arc::new(Self { event_loop, begin: self.begin.clone(), stop: self.stop.clone() })
    }
}

/// The right to say that a run has ended; dropped unused, it says that the service forgot to.
#[derive(Debug)]
pub struct End {
    context: Context,
    begun: Arc<Begun>,
}

impl End {
    /// Says so.
    pub fn tell(self, how: Ended) {
        self.context.ended(how);
    }
}

impl Drop for End {
    fn drop(&mut self) {
        // While the first callback runs, its answer may be an error, which says more.
        if self.begun.0.compare_exchange(BEGINS, DROPPED, Ordering::AcqRel, Ordering::Acquire).is_err() {
            forgotten(&self.context);
        }
    }
}

/// Nothing if the end was told.
fn forgotten(context: &Context) {
    context.ended(Ended::Lost("it was let go of without a word".into()));
}

const BEGINS: u8 = 0;
const DROPPED: u8 = 1;
const HAS_BEGUN: u8 = 2;

/// How far the first callback is, and whether the [`End`] was dropped meanwhile.
#[derive(Debug)]
struct Begun(AtomicU8);

/// The first callback on its way; dropped when it has returned, or will never run.
struct Beginning {
    context: Context,
    begun: Arc<Begun>,
}

impl Drop for Beginning {
    fn drop(&mut self) {
        if self.begun.0.swap(HAS_BEGUN, Ordering::AcqRel) == DROPPED {
            forgotten(&self.context);
        }
    }
}

impl Executor for Callbacks {
    fn name(&self) -> &'static str {
        "async"
    }

    fn check(&self, _: &Service) -> Result<()> {
        Ok(())
    }

    fn start(&self, start: Start<'_>) -> Result<Box<dyn Running>> {
        let event_loop = loop_of(self.event_loop.as_ref(), &start)?;
        let context = Context::new(&start);
        let begun = Arc::new(Begun(AtomicU8::new(BEGINS)));
        let end = End { context: context.clone(), begun: begun.clone() };
        let (begin, beginning) = (self.begin.clone(), Beginning { context: context.clone(), begun });
        let posted = event_loop.post(move || {
            let beginning = beginning;
            let inside = beginning.context.clone();
            let begun = inside.clone().enter(|| catch_unwind(AssertUnwindSafe(|| begin(inside, end))));
            if !matches!(begun, Ok(Ok(()))) {
                beginning.context.ended(outcome(begun));
            }
        });
        posted.inspect_err(|_| context.silence())?;
        Ok(Box::new(Called { context, event_loop: event_loop.downgrade(), stop: self.stop.clone() }))
    }
}

struct Called {
    context: Context,
    event_loop: WeakHandle,
    stop: Arc<Stop>,
}

impl fmt::Debug for Called {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Called").finish_non_exhaustive()
    }
}

impl Called {
    /// False if the loop has gone.
    fn ask_once(&self) -> bool {
        if self.context.is_stopping() {
            return self.event_loop.upgrade().is_some_and(|event_loop| !event_loop.is_stopped());
        }
        self.context.ask();
        let (stop, context) = (self.stop.clone(), self.context.clone());
        let ask = move || {
            context.enter(|| job::caught("service", || stop(&context)));
        };
        self.event_loop.upgrade().is_some_and(|event_loop| event_loop.post(ask).is_ok())
    }
}

impl Running for Called {
    fn ask(&mut self) {
        if !self.ask_once() {
            self.context.ended(Ended::Lost("its event loop has ended".into()));
        }
    }

    fn kill(&mut self, _: Because) -> Stopped {
        if self.ask_once() {
            return Stopped::GoesOn;
        }
        self.context.ended(Ended::Lost("its event loop has ended".into()));
        Stopped::Ends
    }
}
