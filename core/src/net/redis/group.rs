//! Calls of several replies: pipelines, transactions, subscriptions.

#![forbid(unsafe_code)]

use super::reply::{Reply, ServerError};

/// What becomes of the replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    /// All of them, as an array.
    All,
    /// The last one, which is that of EXEC, or of DISCARD.
    Exec,
    /// The last one: each is the confirmation of a channel.
    Confirm,
}

/// The replies so far.
#[derive(Debug)]
pub(super) struct Group {
    finish: Finish,
    missing: usize,
    parts: Vec<Reply>,
    /// Of [`Finish::Exec`]: up to which of the link's WATCH and MULTI it ends them.
    closes: u64,
}

impl Group {
    pub(super) fn new(finish: Finish, replies: usize) -> Self {
        Self { finish, missing: replies, parts: Vec::new(), closes: 0 }
    }

    /// What ends a transaction that was begun, or keys that were watched, up to this one.
    pub(super) fn exec(replies: usize, opened: u64) -> Self {
        Self { closes: opened, ..Self::new(Finish::Exec, replies) }
    }

    /// What it has ended, by this reply. After an error that is not EXEC's own, all may be as it was.
    pub(super) fn closed(&self, last: &Reply) -> u64 {
        if last.as_error().is_none_or(|error| error.code() == "EXECABORT") { self.closes } else { 0 }
    }

    pub(super) fn finish(&self) -> Finish {
        self.finish
    }

    /// Takes a reply; what the call ends with, if it was the last one.
    pub(super) fn take(&mut self, reply: Reply) -> Option<Reply> {
        self.missing = self.missing.saturating_sub(1);
        if self.finish == Finish::Confirm {
            // An error is about all of them: no confirmation follows.
            return (self.missing == 0 || reply.as_error().is_some()).then_some(reply);
        }
        self.parts.push(reply);
        if self.missing > 0 {
            return None;
        }
        let mut parts = std::mem::take(&mut self.parts);
        match self.finish {
            Finish::All => Some(Reply::Array(parts)),
            _ => {
                let last = parts.pop().unwrap_or(Reply::Null);
                Some(with_cause(last, &parts))
            }
        }
    }
}

/// EXEC says only that something before it has failed: with what.
fn with_cause(exec: Reply, before: &[Reply]) -> Reply {
    match (exec.as_error(), before.iter().find_map(Reply::as_error)) {
        (Some(aborted), Some(cause)) => {
            Reply::Error(ServerError::new(format!("{} ({})", aborted.text(), cause.text())))
        }
        _ => exec,
    }
}
