//! The run of a worker whose main thread is led by something else than a loop of this library's: an interpreter.

#![forbid(unsafe_code)]

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::{
    about::About,
    voice::{Alive, Voice},
};
use crate::{
    error::Result,
    event_loop::{EventLoop, EventLoopOptions, On},
    fork::ForkGuard,
    supervisor::{
        Context,
        executor::{Report, Reporter},
        service::Ready,
    },
};

/// The run that this process was started for. To be kept as long as the process lives.
///
/// # What holds
///
/// * The signals that ask it to stop are heard by a thread of the library's, whatever the main thread does: they are callbacks of
///   [`Context::on_stop`] there, and wake whoever waits. Only the first counts.
/// * That it runs is told from before [`Run::from_environment`] returns.
#[derive(Debug)]
pub struct Run {
    context: Context,
    voice: Arc<Voice>,
    at_once: bool,
    _alive: Option<Alive>,
    event_loop: EventLoop,
}

impl Run {
    /// What the environment says of this process's run; `None` if it is no worker. Each of these signals asks it to stop.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for variables that cannot be read and for numbers that are no signals,
    /// [`Error::Os`](crate::Error::Os) if the system has no thread or descriptor left.
    pub fn from_environment(signals: &[i32]) -> Result<Option<Self>> {
        let Some((entry, about)) = About::from_environment()? else { return Ok(None) };
        let event_loop = EventLoop::new(EventLoopOptions { name: "coop-worker".into() })?;
        let voice = Arc::new(Voice::new(about.watchdog())?);
        let alive = about.half_liveness().map(|half| voice.keep_alive(half)).transpose()?;
        let (told, guard) = (voice.clone(), ForkGuard::new("run"));
        let tell = move |report| {
            // What the service has forked is no run.
            if !guard.is_forked() {
                told.tell(report);
            }
        };
        let context = Context::in_worker(&entry, &about, Reporter::new(tell), &event_loop);
        let asked = Arc::new(AtomicBool::new(false));
        for signal in signals {
            let (context, voice, asked) = (context.clone(), voice.clone(), asked.clone());
            event_loop.signal(*signal, On::Loop, move |_, _| {
                if !asked.swap(true, Ordering::Relaxed) {
                    voice.stopping();
                    context.ask();
                }
            })?;
        }
        event_loop.start()?;
        let at_once = about.ready() == Ready::AtOnce;
        Ok(Some(Self { context, voice, at_once, _alive: alive, event_loop }))
    }

    /// What the entry is given.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Its entry is about to run: that is when a service that is ready at once is ready.
    pub fn begun(&self) {
        if self.at_once {
            self.voice.tell(Report::Ready);
        }
    }

    /// It is about to end with this error, of which the first line is told, and then with status 1.
    pub fn failed(&self, text: &str) {
        self.voice.failed(text);
    }

    /// The same, of a run that could not begin.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) and [`Error::Os`](crate::Error::Os) if the host cannot be told either.
    pub fn never_began(text: &str) -> Result<()> {
        Voice::new(None).map(|voice| voice.failed(text))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // Before the loop waits for its thread.
        let _ = self.event_loop.stop();
    }
}
