//! Services in processes of their own, for which a program enters itself once more.
//!
//! ```no_run
//! use coop_core::supervisor::{AsyncProcess, Context, Host, HostOptions, Service, Workers};
//!
//! async fn echo(context: Context) -> Result<(), String> {
//!     context.ready();
//!     context.stopping().await;
//!     Ok(())
//! }
//!
//! // First of all in main: in a worker this runs the service and does not return.
//! Workers::new().service("echo", echo).run_if_asked();
//!
//! let host = Host::new(HostOptions::default())?;
//! host.add(Service::new("echo", AsyncProcess::new("echo")))?;
//! host.start()?;
//! # Ok::<(), coop_core::Error>(())
//! ```
//!
//! # What holds
//!
//! * An entry runs on an event loop of its own, on the thread that called [`Workers::run`]: the main thread, which is the one that gets
//!   signals. SIGTERM and SIGINT ask it to stop, once; how long it may take is its host's matter.
//! * When it has ended, its loop is freed with all that was on it; then the status is 0 for an end as asked or without an error, 1 for an error, 101 for
//!   a panic, with the text on stderr, and 78 for an entry that is not there.
//! * What an entry is told by its [`Context`](super::Context) and tells by it is the same as in the host's own process, but for the supervisor's
//!   verbs.
//!
//! `about.rs` what the environment says of the run, `voice.rs` what the host is told, `run.rs` a run for those who lead the main thread
//! themselves.

#![forbid(unsafe_code)]

pub(super) mod about;
mod run;
mod voice;

use std::{
    collections::BTreeMap,
    ffi::CString,
    fmt,
    future::Future,
    io::{self, Write},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

pub use self::run::Run;
use self::{
    about::About,
    voice::{Voice, one_line},
};
use super::{
    Context,
    event::Ended,
    executor::{Executor, Report, Reporter, Start, async_::Async},
    service::{Args, Ready, Service, ServiceId},
};
use crate::{
    error::Result,
    event_loop::{EventLoop, EventLoopOptions, Handle, On, RunMode},
};

/// The status of a process that was asked for an entry that it does not have: `EX_CONFIG`.
pub const NO_SUCH_ENTRY: i32 = 78;
/// What the names of the library's own entries begin with: programs that have not listed them leave them to whoever runs them.
const OWN: &str = "coop.";
/// The status of one whose entry answered an error, or could not be begun.
pub const FAILED: i32 = 1;
/// The status of one whose entry panicked.
pub const PANICKED: i32 = 101;

/// The entries of a program: what it runs when it is started as a worker. See the module's text.
#[derive(Debug, Clone, Default)]
pub struct Workers {
    entries: BTreeMap<String, Arc<dyn Executor>>,
}

impl Workers {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// An asynchronous function under this name; of two under one name the later one holds.
    #[must_use]
    pub fn service<F, E>(self, name: impl Into<String>, entry: impl Fn(Context) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display,
    {
        self.executor(name, Async::new(entry))
    }

    /// Anything that an executor runs, under this name: a function on a thread, a pair of callbacks. The worker's loop is its main loop.
    #[must_use]
    pub fn executor(mut self, name: impl Into<String>, executor: Arc<dyn Executor>) -> Self {
        self.entries.insert(name.into(), executor);
        self
    }

    /// Runs the entry that this process was started for, and answers the status that the process is to exit with; `None` at once if it is no
    /// worker. To be called on the main thread, before the program has threads of its own.
    pub fn run(&self) -> Option<i32> {
        let (entry, about) = match About::from_environment() {
            Ok(None) => return None,
            Ok(Some(asked)) => asked,
            Err(error) => return Some(failed("worker", FAILED, &error.to_string())),
        };
        let Some(executor) = self.entries.get(&entry) else {
            if entry.starts_with(OWN) {
                return None;
            }
            let names: Vec<_> = self.entries.keys().map(|name| format!("{name:?}")).collect();
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            return Some(failed(&entry, NO_SUCH_ENTRY, &format!("this program has no such entry; it has {names}")));
        };
        // The system shows the program as "exe" otherwise. Nothing depends on it.
        if let Ok(name) = CString::new(entry.as_str()) {
            let _ = nix::sys::prctl::set_name(&name);
        }
        Some(match serve(&entry, executor, &about) {
            Ok(Ended::Returned | Ended::Shutdown) => 0,
            Ok(Ended::Exited(status)) => status,
            Ok(Ended::Panicked(text)) => failed(&entry, PANICKED, &format!("panicked: {text}")),
            Ok(Ended::Failed(text)) => failed(&entry, FAILED, &text),
            Ok(how) => failed(&entry, FAILED, &how.to_string()),
            Err(error) => failed(&entry, FAILED, &error.to_string()),
        })
    }

    /// [`Workers::run`], and exits: returns only in a process that is no worker.
    pub fn run_if_asked(&self) {
        if let Some(status) = self.run() {
            std::process::exit(status);
        }
    }
}

/// Says why, where the host's event of the end has it from.
fn failed(entry: &str, status: i32, text: &str) -> i32 {
    let _ = writeln!(io::stderr(), "service {entry:?}: {}", one_line(text));
    status
}

/// Runs an entry to its end.
fn serve(entry: &str, executor: &Arc<dyn Executor>, about: &About) -> Result<Ended> {
    let service = service(entry, executor, about);
    service.check()?;
    let event_loop = EventLoop::new(EventLoopOptions::default())?;
    let voice = Arc::new(Voice::new(service.watchdog)?);
    // Before anything of the program's runs, so that nothing of it can keep this from beating.
    let alive = about.half_liveness().map(|half| voice.keep_alive(half)).transpose()?;

    let ended = Arc::new(OnceLock::new());
    let reporter = reporter(&voice, &ended, &event_loop);
    let running = Arc::new(Mutex::new(None));
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let (running, voice, mut asked) = (running.clone(), voice.clone(), false);
        event_loop.signal(signal, On::Loop, move |_, _| {
            if !std::mem::replace(&mut asked, true) {
                voice.stopping();
                ask(&running);
            }
        })?;
    }
    let args = about.args.clone().map_or(Args::None, Args::Strings);
    *lock(&running) = Some(executor.start(Start {
        service: &service,
        id: ServiceId(about.id),
        path: about.path.as_deref().unwrap_or(&service.id),
        run: about.run,
        args: &args,
        event_loop: &event_loop,
        main_loop: Some(&event_loop),
        supervisor: None,
        reporter,
    })?);
    if service.ready == Ready::AtOnce {
        // Behind the beginning of the entry.
        let posted = event_loop.post({
            let voice = voice.clone();
            move || voice.tell(Report::Ready)
        });
        // One on a thread may have ended, and stopped the loop: that is what is told then.
        if ended.get().is_none() {
            posted?;
        }
    }
    // Until the end is told.
    let ran = event_loop.run(RunMode::Default);
    let life = lock(&running).take();
    drop(life);
    drop(event_loop);
    drop(alive);
    match ended.get() {
        Some(how) => Ok(how.clone()),
        None => ran.and(Ok(Ended::Lost("its event loop was stopped".into()))),
    }
}

/// Whether this process was started as a worker: not what a worker has started itself.
///
/// # Errors
/// [`Error::Invalid`](crate::Error::Invalid) for variables that cannot be read.
pub(crate) fn is_meant() -> Result<bool> {
    Ok(About::from_environment()?.is_some())
}

type Life = Option<Box<dyn super::Running>>;

fn lock(running: &Mutex<Life>) -> std::sync::MutexGuard<'_, Life> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks the run to stop, with no lock held while it is.
fn ask(running: &Mutex<Life>) {
    let life = lock(running).take();
    if let Some(mut life) = life {
        life.ask();
        *lock(running) = Some(life);
    }
}

fn service(entry: &str, executor: &Arc<dyn Executor>, about: &About) -> Service {
    let mut service = Service::new(about.name.as_deref().unwrap_or(entry), executor.clone());
    service.ready = about.ready();
    service.watchdog = about.watchdog();
    service
}

fn reporter(voice: &Arc<Voice>, ended: &Arc<OnceLock<Ended>>, event_loop: &Handle) -> Reporter {
    let (voice, ended, event_loop) = (voice.clone(), ended.clone(), event_loop.downgrade());
    Reporter::new(move |report| match report {
        Report::Ended { how, .. } => {
            let text = match &how {
                Ended::Returned | Ended::Shutdown | Ended::Exited(0) => None,
                Ended::Failed(text) => Some(text.clone()),
                how => Some(how.to_string()),
            };
            if let Some(text) = text {
                voice.tell(Report::Status(text));
            }
            let _ = ended.set(how);
            if let Some(event_loop) = event_loop.upgrade() {
                let _ = event_loop.stop();
            }
        }
        report => voice.tell(report),
    })
}
