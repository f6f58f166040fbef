//! What a worker tells its host: the notification protocol, from the service's side.
//!
//! # What holds
//!
//! * What must arrive (READY, the status, the need of more time) waits for room in the host's queue, for some seconds at most. A beat
//!   waits for nothing: if it finds no room, others are on their way.
//! * Beats closer together than a hundredth of the watchdog's time are one, so a service may beat as often as it likes.
//! * Where nobody listens nothing is told, and that is said once in the log.

#![forbid(unsafe_code)]

use std::{
    os::unix::net::UnixDatagram,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::super::{executor::Report, systemd::Systemd};
use crate::{
    error::{Error, Result},
    thread,
};

/// The longest status: with its name it fits into a message.
const STATUS: usize = 4096;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Voice {
    manager: Option<Systemd>,
    beats: Option<UnixDatagram>,
    /// Beats that come within this of the last one are not told.
    throttle: Duration,
    began: Instant,
    /// Nanoseconds from then to the last beat that was told; 0: none was.
    last: AtomicU64,
}

impl Voice {
    /// To the host that the environment names, if there is one.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an address that is none, [`Error::Os`] if nobody listens there.
    pub(super) fn new(watchdog: Option<Duration>) -> Result<Self> {
        let manager = Systemd::from_environment()?;
        let beats = manager.as_ref().map(Systemd::connect).transpose()?;
        if let Some(beats) = &beats {
            beats.set_nonblocking(true).map_err(|error| Error::os("notification socket", &error))?;
        }
        let throttle = watchdog.map_or(Duration::from_millis(1), |every| every / 100);
        Ok(Self { manager, beats, throttle, began: Instant::now(), last: AtomicU64::new(0) })
    }

    /// Tells a report that is not the end.
    pub(super) fn tell(&self, report: Report) {
        let Some(manager) = &self.manager else { return };
        let told = match report {
            Report::Beat => return self.beat(),
            Report::Ready => manager.ready(),
            Report::Extend(time) => manager.extend(time),
            Report::Status(text) => manager.status(&one_line(&text)),
            Report::Watchdog(every) => manager.custom(&format!("WATCHDOG_USEC={}", every.as_micros())),
            Report::Trigger => manager.custom("WATCHDOG=trigger"),
            Report::Ignore => manager.custom("X_COOP_IGNORE=1"),
            Report::Alive | Report::Spawned { .. } | Report::Ended { .. } => Ok(()),
        };
        complain(told);
    }

    /// It has begun to stop.
    pub(super) fn stopping(&self) {
        if let Some(manager) = &self.manager {
            complain(manager.stopping());
        }
    }

    /// It is about to end with this error.
    pub(super) fn failed(&self, text: &str) {
        if let Some(manager) = &self.manager {
            complain(manager.custom(&format!("X_COOP_FAILED={}", one_line(text))));
        }
    }

    fn beat(&self) {
        let Some(beats) = &self.beats else { return };
        let now = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1);
        let last = self.last.load(Ordering::Relaxed);
        if last > 0 && Duration::from_nanos(now.saturating_sub(last)) < self.throttle {
            return;
        }
        // One that finds no room does not count: the next one is told.
        if beats.send(b"WATCHDOG=1").is_ok() {
            self.last.store(now, Ordering::Relaxed);
        }
    }

    /// Tells every `half` that this process runs, on a thread of its own, until what is answered is dropped.
    ///
    /// # Errors
    /// [`Error::Os`] if the system has no thread left.
    pub(super) fn keep_alive(self: &Arc<Self>, half: Duration) -> Result<Alive> {
        let (end, ended) = mpsc::channel::<()>();
        let voice = self.clone();
        let thread = thread::spawn("coop-beat", move || {
            let Some(socket) = &voice.beats else { return };
            loop {
                let _ = socket.send(b"X_COOP_ALIVE=1");
                if ended.recv_timeout(half) != Err(mpsc::RecvTimeoutError::Timeout) {
                    return;
                }
            }
        })?;
        Ok(Alive { end: Some(end), thread: Some(thread) })
    }
}

/// Tells that this process runs; made by [`Voice::keep_alive`].
#[derive(Debug)]
pub(super) struct Alive {
    end: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.end.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn complain(told: Result<()>) {
    if let Err(error) = told {
        tracing::warn!(target: "coop", "the host was not told: {error}");
    }
}

/// What others would read as other messages is a space; cut where it is too long.
pub(super) fn one_line(text: &str) -> String {
    let mut line: String = text.trim().chars().map(|each| if each.is_control() { ' ' } else { each }).collect();
    if line.len() > STATUS {
        let mut end = STATUS;
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        line.truncate(end);
        line.push('…');
    }
    line
}
