//! Services in processes that another program makes by forking itself: a zygote, which has loaded once what all of them need.
//!
//! # What holds
//!
//! * A worker is the host's own child (`CLONE_PARENT`), so the host waits for it and ends it as any other, whatever becomes of the zygote.
//! * A zygote is started when the first worker is needed, by the host's thread, which it dies with, and with the last [`Zygote`] that names
//!   it. One that ends is replaced at the next start; workers that run are not touched.
//! * No worker runs anything of a service before the host knows of it, and none stays behind: one that dies before its word is reaped.
//! * The host's thread never waits for a zygote. A request that no worker came of is sent again, [`AGAIN`] times, to the zygote of that
//!   moment; then it is a start that failed. A run that is to be stopped, and whose zygote does not answer, takes the zygote with it.
//!
//! # The protocol
//!
//! The zygote finds one end of a pair of sockets (`SOCK_SEQPACKET`) under the number that `COOP_ZYGOTE` names, 3. It ends when that is
//! closed. A request is the byte `F` with the descriptors `[control, request, payload, report, …]`:
//!
//! | descriptor | is |
//! |---|---|
//! | control | what the answer is sent to, a `SOCK_SEQPACKET` socket |
//! | request | a file, read from its beginning without moving its position: an object of JSON, see `request.rs` |
//! | payload | the same, of what is to be run: it is the service's, and opaque here |
//! | report | an empty file: what is written there is the `details` of the event of the run's end, up to 64 KiB |
//!
//! The zygote makes a process with `CLONE_PARENT`. The worker
//!
//! 1. sends `here` at once; until then it stays in the zygote's process group. Not needed: one that ends in between is a request that no
//!    worker came of;
//! 2. makes itself what the request says, and sends `hello`. Unless it is to have a session of its own, the host gives it a group of its own
//!    when it hears from it, which the worker may do too;
//! 3. waits for the byte `g`, and exits if it gets the end of the stream instead: the run was stopped. Then it runs the service.
//!
//! In the place of any of these, whoever could not do it sends `error: ` and the reason, of one or more lines. Whose process a message is of
//! is told by the system (`SCM_CREDENTIALS`), not by the message.
//!
//! # Where things are
//!
//! `forked.rs` the executor, `nest.rs` the zygote of one host, `birth.rs` a run from its request to its end, `request.rs` what is asked for,
//! `wire.rs` the sockets, `stray.rs` workers that said nothing.

#![forbid(unsafe_code)]

mod birth;
mod forked;
mod nest;
mod request;
mod stray;
mod wire;

use std::{
    os::fd::RawFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub use self::forked::Forked;
use self::nest::Nest;
pub(crate) use self::wire::sealed;
use super::process::Command;
use crate::{error::Result, event_loop::Handle, fork::ForkGuard};

/// Names the zygote's end of the socket.
const VARIABLE: &str = "COOP_ZYGOTE";
/// Its number.
const SOCKET: RawFd = 3;
/// How often a request is sent again.
pub const AGAIN: u32 = 3;

/// A program that makes workers by forking itself; see the module's text. There is one process of it for each host that uses it.
#[derive(Debug)]
pub struct Zygote {
    command: Command,
    nests: Mutex<Vec<Arc<Nest>>>,
    fork: ForkGuard,
}

impl Zygote {
    /// Of this command. Nothing is run yet.
    pub fn new(command: Command) -> Arc<Self> {
        let command = command.env(VARIABLE, SOCKET.to_string());
        Arc::new(Self { command, nests: Mutex::default(), fork: ForkGuard::new("zygote") })
    }

    /// Whether its command can be run.
    ///
    /// # Errors
    /// As [`Command::validate`], also for a command that has a descriptor of the number 3 already.
    pub fn validate(&self) -> Result<()> {
        nest::with_socket(&self.command, wire::placeholder()?).validate()
    }

    /// Ends its processes; the next start makes a new one. From any thread.
    pub fn stop(&self) {
        if !self.fork.is_forked() {
            let nests = self.nests().clone();
            nests.iter().for_each(|nest| nest.stop());
        }
    }

    /// Its process, of the host that has begun one last; none before the first start, and after an end that the host has seen.
    pub fn pid(&self) -> Option<i32> {
        if self.fork.is_forked() {
            return None;
        }
        self.nests().iter().rev().find_map(|nest| nest.pid())
    }

    fn nests(&self) -> MutexGuard<'_, Vec<Arc<Nest>>> {
        self.nests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// That of the host whose loop this is.
    fn nest(&self, event_loop: &Handle) -> Result<Arc<Nest>> {
        self.fork.check()?;
        let mut nests = self.nests();
        nests.retain(|nest| nest.is_open());
        if let Some(nest) = nests.iter().find(|nest| nest.is_of(event_loop)) {
            return Ok(nest.clone());
        }
        let nest = Nest::new(self.command.clone(), event_loop);
        nests.push(nest.clone());
        Ok(nest)
    }
}

impl Drop for Zygote {
    fn drop(&mut self) {
        if !self.fork.is_forked() {
            let nests = std::mem::take(&mut *self.nests());
            nests.iter().for_each(|nest| nest.close());
        }
    }
}
