//! What is said of a service and of a supervisor, with OTP's words and defaults.

#![forbid(unsafe_code)]

mod check;
mod names;

use std::{any::Any, fmt, sync::Arc, time::Duration};

use super::executor::Executor;

pub use self::check::check_id;

/// Names a service, or a supervisor, of one host: slot and generation, never 0, and never used again for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceId(pub u64);

/// When a service that has ended is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Restart {
    /// Always, after a normal end too.
    #[default]
    Permanent,
    /// After an end that was not normal.
    Transient,
    /// Never; its specification goes with it.
    Temporary,
}

/// How long a service that was asked to stop may take before it is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// It is not asked: ended at once (`brutal_kill`).
    Kill,
    /// So long, then it is ended.
    After(Duration),
    /// As long as it takes.
    Infinity,
}

/// Which siblings go with a service that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// None.
    #[default]
    OneForOne,
    /// All.
    OneForAll,
    /// Those started after it.
    RestForOne,
    /// None; all children are made of one template, or are supervisors that bring theirs, and they stop in parallel.
    SimpleOneForOne,
}

/// Whether a supervisor ends by itself when significant children have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AutoShutdown {
    /// It does not.
    #[default]
    Never,
    /// When any significant child has ended by itself.
    AnySignificant,
    /// When the last significant child that was active has.
    AllSignificant,
}

/// When a service counts as started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ready {
    /// As soon as it runs.
    #[default]
    AtOnce,
    /// When it says so; one that has not within this time has failed to start.
    Notify(Duration),
}

impl Ready {
    /// How long a service may take to be ready, unless told.
    pub const WITHIN: Duration = Duration::from_secs(60);
}

/// How a delay grows from restart to restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Growth {
    /// The same each time.
    #[default]
    Fixed,
    /// One more `delay` each time.
    Linear,
    /// Twice as long each time.
    Exponential,
}

/// A delay before a restart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// Before the first restart.
    pub delay: Duration,
    /// How it grows.
    pub growth: Growth,
    /// At most so long.
    pub cap: Duration,
    /// Each delay is shortened by a random part of itself, up to this share: 0.0 to 1.0.
    pub jitter: f64,
    /// After so long without an end, the first delay again.
    pub calm: Duration,
    /// As long as fewer ends than this have come within `calm`, restarts are not delayed. Up to 1, each is.
    pub burst: u32,
}

/// What a supervisor knows of a child: `child_spec` in OTP.
#[derive(Debug, Clone)]
pub struct Service {
    /// Its name among its siblings.
    pub id: String,
    /// What is run, and how.
    pub executor: Arc<dyn Executor>,
    /// Whether it is restarted.
    pub restart: Restart,
    /// How long it may take to stop; `None` is 5 s, and infinity for a supervisor.
    pub shutdown: Option<Shutdown>,
    /// Its end counts for [`AutoShutdown`].
    pub significant: bool,
    /// When it counts as started.
    pub ready: Ready,
    /// It must beat at least so often, or is ended: a service that makes no progress.
    pub watchdog: Option<Duration>,
    /// The library must beat for it at least so often, or it is ended: a process that does not run. For executors that can
    /// tell this apart from a service that is busy.
    pub liveness: Option<Duration>,
    /// How its restarts are delayed.
    pub backoff: Option<Backoff>,
    /// Where its supervisor would give up, it rests for its longest backoff and is tried again.
    pub park: bool,
    /// A first start that fails parks it too.
    pub park_at_start: bool,
    /// Exit statuses beside 0 that are a normal end.
    pub normal_exits: Vec<i32>,
}

impl Service {
    /// A permanent service of this name, with the defaults.
    pub fn new(id: impl Into<String>, executor: Arc<dyn Executor>) -> Self {
        Self {
            id: id.into(),
            executor,
            restart: Restart::default(),
            shutdown: None,
            significant: false,
            ready: Ready::default(),
            watchdog: None,
            liveness: None,
            backoff: None,
            park: false,
            park_at_start: false,
            normal_exits: Vec::new(),
        }
    }
}

/// What a child of a `simple_one_for_one` supervisor is given, each its own.
#[derive(Clone, Default)]
pub enum Args {
    /// Nothing.
    #[default]
    None,
    /// Text: a process has it behind its own arguments.
    Strings(Vec<String>),
    /// Anything, for what runs in this process.
    Value(Arc<dyn Any + Send + Sync>),
}

impl fmt::Debug for Args {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Strings(strings) => f.debug_tuple("Strings").field(strings).finish(),
            Self::Value(_) => f.write_str("Value"),
        }
    }
}

/// What a supervisor is: `sup_flags` in OTP.
#[derive(Debug, Clone)]
pub struct SupervisorOptions {
    /// Which siblings go with a child that has ended.
    pub strategy: Strategy,
    /// More restarts than this within `period` are too many; `None` is no limit.
    pub intensity: Option<u32>,
    /// See `intensity`.
    pub period: Duration,
    /// Whether it ends with its significant children.
    pub auto_shutdown: AutoShutdown,
    /// Whether it is itself restarted by its own supervisor.
    pub restart: Restart,
    /// How long it may take to stop; `None` is infinity.
    pub shutdown: Option<Shutdown>,
    /// Its end counts for its own supervisor's [`AutoShutdown`].
    pub significant: bool,
}

impl Default for SupervisorOptions {
    fn default() -> Self {
        Self {
            strategy: Strategy::default(),
            intensity: Some(1),
            period: Duration::from_secs(5),
            auto_shutdown: AutoShutdown::default(),
            restart: Restart::default(),
            shutdown: None,
            significant: false,
        }
    }
}
