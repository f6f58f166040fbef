//! What supervises the ports of a set: a host of its own, or a supervisor below one that was given.

#![forbid(unsafe_code)]

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};

use crate::{
    error::{Error, Result},
    supervisor::{ChildInfo, ChildState, Host, Observer, Supervisor, Verb},
    task::signal::Signal,
    time::Deadline,
};

/// How often whoever waits looks whether the set's supervisor is still there, if nothing is told of it.
const LOOK: Duration = Duration::from_millis(50);

/// What supervises the ports; gone when all have ended.
#[derive(Clone)]
pub(super) enum Owner {
    Host(Arc<Host>),
    /// The set's own supervisor, below one that was given, and what is told of it.
    Under {
        parent: Supervisor,
        own: Supervisor,
        news: Arc<Observer>,
    },
}

impl Owner {
    /// Asks all to stop, and does not wait.
    pub(super) fn stop(&self) {
        let asked = match self {
            Self::Host(host) => host.stop(),
            Self::Under { parent, own, .. } => parent.ask(Verb::TerminateChild(own.id().into())).map(drop),
        };
        if let Err(error) = asked {
            tracing::debug!(target: "coop", "a port set that is to stop has gone: {error}");
        }
    }

    /// Waits until all have ended. False at the deadline.
    pub(super) fn wait(&self, deadline: Deadline) -> Result<bool> {
        match self {
            Self::Host(host) => Ok(ended(host, deadline)),
            Self::Under { parent, own, news } => loop {
                let left = deadline.remaining().map_or(LOOK, |left| left.min(LOOK));
                let told = news.next(Some(left));
                let ends = |child: &ChildInfo| child.id == own.id() && child.state != ChildState::Terminated;
                match parent.which_children() {
                    Ok(children) if children.iter().any(ends) => {}
                    // It has gone, or its supervisor, or the host.
                    Ok(_) | Err(Error::Stale(_) | Error::Closed(_)) => return Ok(true),
                    Err(error) => return Err(error),
                }
                match told {
                    Ok(_) | Err(Error::Timeout(_) | Error::Closed(_)) if !deadline.is_over() => {}
                    Ok(_) | Err(Error::Timeout(_) | Error::Closed(_)) => return Ok(false),
                    Err(error) => return Err(error),
                }
            },
        }
    }
}

/// Waits for a host's end, also of one that was never started. False at the deadline.
fn ended(host: &Host, deadline: Deadline) -> bool {
    let signal = Arc::new(Signal::default());
    let waker = Waker::from(signal.clone());
    let mut ended = pin!(host.ended());
    loop {
        if ended.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            return true;
        }
        if !signal.wait(deadline) {
            return false;
        }
    }
}
