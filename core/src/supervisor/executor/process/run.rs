//! What hears a run of a process until its end: its output, its notifications, and what it leaves to explain its end.

#![forbid(unsafe_code)]

use std::{
    os::fd::OwnedFd,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    OnObserver,
    notify::{Notice, Notify},
    output::{Capture, Output, Stream, Writers},
    plan::Extras,
};
use crate::{
    error::Result,
    event_loop::ExitStatus,
    supervisor::{
        Supervisor,
        event::{DETAILS, Ended, cut},
        executor::{Report, Reporter, Start},
        service::{Ready, Service, ServiceId},
    },
};

/// What hears a run until its end.
#[derive(Debug)]
pub(in super::super) struct Run {
    capture: Capture,
    notify: Option<Notify>,
    pub(in super::super) reporter: Reporter,
    failed: Failed,
    /// What its process writes details of its end to.
    details: Option<Arc<OwnedFd>>,
}

/// The error that a process says that it ends with.
type Failed = Arc<Mutex<Option<String>>>;

/// What is heard of a run.
pub(in super::super) struct Ears<'a> {
    pub(in super::super) output: &'a Output,
    /// It has a notification socket whether anybody waits for its word or not.
    pub(in super::super) notify: bool,
    /// Who it runs as.
    pub(in super::super) uid: Option<u32>,
    pub(in super::super) on_observer: Option<OnObserver>,
    pub(in super::super) details: Option<Arc<OwnedFd>>,
}

impl Run {
    /// Makes what hears it, and the ends that it writes to.
    ///
    /// # Errors
    /// [`Error::Os`](crate::Error::Os) without a descriptor or a thread left.
    pub(in super::super) fn new(start: &Start<'_>, ears: Ears<'_>) -> Result<(Arc<Self>, Writers)> {
        let Start { service, id, path, event_loop, supervisor, reporter, .. } = start;
        let Ears { output, notify, uid, on_observer, details } = ears;
        let (capture, writers) = Capture::new(output, path, event_loop)?;
        // Below a host, also for observers in it and in what it starts.
        let notifies = notify || supervisor.is_some() || service.ready != Ready::AtOnce || service.watchdog.is_some();
        let failed = Failed::default();
        let notify = notifies.then(|| {
            let hears = Hears {
                id: *id,
                reporter: reporter.clone(),
                failed: failed.clone(),
                on_observer: on_observer.or_else(|| to_host((*supervisor)?, path)),
            };
            Notify::new(path, uid, event_loop, move |notice| hears.tell(notice))
        });
        let run = Self { capture, notify: notify.transpose()?, reporter: reporter.clone(), failed, details };
        Ok((Arc::new(run), writers))
    }

    /// What its environment says of its watchdog and its notification socket, and what it writes to.
    pub(in super::super) fn say<'a>(&self, service: &Service, writers: &'a Writers) -> Extras<'a> {
        let (stdout, stderr) = (writers.of(Stream::Stdout), writers.of(Stream::Stderr));
        let mut extras = Extras { stdout, stderr, ..Extras::default() };
        if let Some(notify) = &self.notify {
            extras.env.push(("NOTIFY_SOCKET", notify.address()));
            if let Some(every) = service.watchdog {
                extras.env.push(("WATCHDOG_USEC", every.as_micros().to_string().into()));
                extras.pid_env.push("WATCHDOG_PID");
            }
        }
        extras
    }

    /// Its process is there, and has its ends, which nobody else has any more: hears it from now on.
    ///
    /// # Errors
    /// What the loop answers.
    pub(in super::super) fn begin(&self, pid: i32, writers: Writers) -> Result<()> {
        let begun = self.capture.begin(pid, writers);
        begun.and_then(|()| self.notify.as_ref().map_or(Ok(()), Notify::begin))
    }

    /// Reaped, and its group gone: what it sent, what it wrote, and that.
    pub(in super::super) fn ended(&self, how: Result<ExitStatus>) {
        self.finish(|failed| match (how, failed) {
            (Ok(ExitStatus { signal: Some(signal), core_dumped, .. }), _) => Ended::Signaled { signal, core_dumped },
            (Ok(ExitStatus { code: Some(1..), .. }), Some(failed)) => Ended::Failed(failed),
            (Ok(ExitStatus { code, .. }), _) => Ended::Exited(code.unwrap_or(0)),
            (Err(error), _) => Ended::Lost(error.to_string()),
        });
    }

    /// The same for one that ended in another way, as far as it can be said.
    pub(in super::super) fn over(&self, how: Ended) {
        self.finish(|_| how);
    }

    fn finish(&self, how: impl FnOnce(Option<String>) -> Ended) {
        if let Some(notify) = &self.notify {
            notify.finish();
        }
        let tail = self.capture.finish();
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (how, more) = how(failed).and_details();
        let details = self.details.as_deref().and_then(details).or(more);
        self.reporter.tell(Report::Ended { how, tail, details });
    }
}

/// The first part of what was written there.
fn details(written: &OwnedFd) -> Option<String> {
    let mut bytes = Vec::new();
    // Whoever wrote it has moved the position.
    let mut read = 0;
    let mut piece = [0; 4096];
    while bytes.len() < DETAILS {
        let count = rustix::io::pread(written, &mut piece, read).ok().filter(|count| *count > 0);
        let Some(count) = count else { break };
        read += count as u64;
        bytes.extend_from_slice(&piece[..count]);
    }
    let text = String::from_utf8_lossy(&bytes);
    let text = cut(&text, DETAILS).trim_end();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Hands observers over to the host.
fn to_host(supervisor: &Supervisor, path: &str) -> Option<OnObserver> {
    let (host, path) = (Arc::downgrade(&supervisor.shared), path.to_owned());
    Some(Arc::new(move |_, request, socket| {
        if let Some(host) = host.upgrade() {
            host.hub.serve(&host.journal, &path, &request, socket);
        }
    }))
}

/// What becomes of a notice.
struct Hears {
    id: ServiceId,
    reporter: Reporter,
    failed: Failed,
    on_observer: Option<OnObserver>,
}

impl Hears {
    fn tell(&self, notice: Notice) {
        match notice {
            Notice::Ready => self.reporter.tell(Report::Ready),
            Notice::Alive => self.reporter.tell(Report::Alive),
            Notice::Ignore => self.reporter.tell(Report::Ignore),
            Notice::Beat => self.reporter.tell(Report::Beat),
            Notice::Extend(time) => self.reporter.tell(Report::Extend(time)),
            Notice::Status(text) => self.reporter.tell(Report::Status(text)),
            Notice::Errno(errno) => {
                let text = std::io::Error::from_raw_os_error(errno);
                self.reporter.tell(Report::Status(format!("{text} (errno {errno})")));
            }
            Notice::Failed(text) => {
                self.failed.lock().unwrap_or_else(PoisonError::into_inner).replace(text);
            }
            Notice::Trigger => self.reporter.tell(Report::Trigger),
            Notice::Watchdog(every) => self.reporter.tell(Report::Watchdog(every)),
            Notice::Observe { filter, to } => {
                if let Some(hand_over) = &self.on_observer {
                    hand_over(self.id, filter, to);
                }
            }
            // Nothing depends on it.
            Notice::Stopping | Notice::Reloading => {}
        }
    }
}
