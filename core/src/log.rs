//! The library's messages: written with `tracing`, handed to one sink for programs that have no subscriber of their own.
//!
//! A Rust program may set any `tracing` subscriber and gets events of target `coop`. C and Python set a [`Sink`] here, which
//! installs the subscriber below. A message is written and handed over with no lock of the library held, so a sink may
//! call the library; messages of calls made inside it are not told.

#![forbid(unsafe_code)]

use std::{
    cell::Cell,
    fmt::{self, Write},
    sync::{
        Arc, OnceLock, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
    subscriber::{Interest, set_global_default},
};

pub use tracing::Level;

use crate::error::{Error, Result};

/// Called with each message, from any thread, perhaps from several at once.
pub type Sink = Arc<dyn Fn(Level, &str) + Send + Sync>;

static SINK: RwLock<Option<Sink>> = RwLock::new(None);
/// 0 is off, else as in [`severity`].
static MOST: AtomicUsize = AtomicUsize::new(0);

thread_local!(static INSIDE: Cell<bool> = const { Cell::new(false) });

/// Has the sink called with each message of this level or a more severe one, instead of the one set before; `None` ends it.
/// A sink that was replaced is dropped when its last call has returned.
///
/// # Errors
/// [`Error::Exists`] if the program has set a `tracing` subscriber of its own.
pub fn set_sink(sink: Option<(Level, Sink)>) -> Result<()> {
    if sink.is_some() {
        claim()?;
    }
    let before = {
        let mut place = SINK.write().unwrap_or_else(PoisonError::into_inner);
        MOST.store(sink.as_ref().map_or(0, |(level, _)| severity(*level)), Ordering::Relaxed);
        std::mem::replace(&mut *place, sink.map(|(_, sink)| sink))
    };
    // With no lock held: its drop may be the last.
    drop(before);
    Ok(())
}

/// Installs the subscriber that a sink needs, if it is not there yet.
///
/// # Errors
/// As [`set_sink`].
pub fn claim() -> Result<()> {
    static IS_OURS: OnceLock<bool> = OnceLock::new();
    if *IS_OURS.get_or_init(|| set_global_default(Messages).is_ok()) {
        return Ok(());
    }
    Err(Error::Exists("this program has a tracing subscriber of its own, which gets libcoop's messages".into()))
}

/// The subscriber.
struct Messages;

impl Subscriber for Messages {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        // The level may change later.
        if is_ours(metadata) { Interest::sometimes() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        is_ours(metadata) && severity(*metadata.level()) <= MOST.load(Ordering::Relaxed)
    }

    fn event(&self, event: &Event<'_>) {
        if INSIDE.try_with(|inside| inside.replace(true)).unwrap_or(true) {
            return;
        }
        // Not waited for: in a forked child nobody may be there to release it.
        let sink = SINK.try_read().ok().and_then(|place| place.clone());
        if let Some(sink) = sink {
            let mut text = Text(String::new());
            event.record(&mut text);
            sink(*event.metadata().level(), &text.0);
        }
        INSIDE.set(false);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.is_event() && metadata.target() == "coop"
}

/// 1 for an error to 5 for a trace.
pub fn severity(level: Level) -> usize {
    match level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}

/// The message, and other fields as `name=value` after it.
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String does not fail.
        let _ = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}
