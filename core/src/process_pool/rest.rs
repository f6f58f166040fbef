//! A run that only waits: it stands for the start of a worker that is not to be tried again at once. Nothing of it is a worker's.

#![forbid(unsafe_code)]

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::{
    error::Result,
    event_loop::{Handle, TimerId},
    supervisor::{
        Reporter, Running, Start, Stopped,
        event::{Because, Ended},
    },
};

/// Ends once: by itself, or when it is asked to.
struct End {
    reporter: Reporter,
    told: AtomicBool,
}

impl End {
    fn tell(&self, how: Ended) {
        if !self.told.swap(true, Ordering::AcqRel) {
            self.reporter.ended(how);
        }
    }
}

/// See the module's text.
pub(super) struct Rest {
    end: Arc<End>,
    event_loop: Handle,
    timer: TimerId,
}

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rest")
    }
}

impl Rest {
    pub(super) fn begin(start: Start<'_>, lasts: Duration) -> Result<Self> {
        let event_loop = start.event_loop.clone();
        let end = Arc::new(End { reporter: start.reporter, told: AtomicBool::new(false) });
        let its = end.clone();
        let over = move || {
            its.tell(Ended::Failed(format!("workers do not get ready: the next start was put off for {lasts:?}")));
        };
        let timer = event_loop.call_later(lasts, over)?;
        Ok(Self { end, event_loop, timer })
    }
}

impl Running for Rest {
    fn ask(&mut self) {
        self.end.tell(Ended::Returned);
    }

    fn kill(&mut self, _: Because) -> Stopped {
        self.end.tell(Ended::Returned);
        Stopped::Ends
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        // It may have fired.
        let _ = self.event_loop.cancel_timer(self.timer);
    }
}
