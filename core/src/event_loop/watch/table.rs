//! What a loop watches, and what the system knows of it.
//!
//! Nothing foreign runs under the table's lock: callbacks are dropped, and messages written, when it was given back. A message also waits
//! until its call has left the loop's gate ([`Watches::report`]), as the program's log may stop the loop.

#![forbid(unsafe_code)]

use std::{
    fmt, mem,
    os::fd::RawFd,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use mio::{Token, unix::SourceFd};

use super::{Callback, Interest, KIND, Readiness, WatchId, WatchOptions};
use crate::{
    error::{Error, Result},
    event_loop::{dispatch::Place, readiness::Record},
    job,
    slots::Slots,
};

pub(super) struct Watch {
    /// What its owner knows it as.
    kind: &'static str,
    fd: RawFd,
    /// The fd is known to have been closed under it: it is silent until it is cancelled, and nobody waits for it.
    pub(super) lost: bool,
    interest: mio::Interest,
    pub(super) edge: bool,
    unref: bool,
    pub(super) place: Place,
    /// Out while it runs.
    pub(super) callback: Option<Callback>,
    /// What happened meanwhile.
    pub(super) missed: Option<Readiness>,
}

/// What is told of an fd's readiness.
pub(super) enum Entry {
    Watch(Watch),
    Socket(RawFd, Arc<Record>),
}

impl Entry {
    fn fd(&self) -> RawFd {
        match self {
            Self::Watch(watch) => watch.fd,
            Self::Socket(fd, _) => *fd,
        }
    }
}

#[derive(Default)]
pub(super) struct Table {
    pub(super) entries: Slots<Entry>,
    /// For each fd the entry that the system knows it by, or 0. One that was closed under its watch may have been watched anew since:
    /// then the first watch has nothing registered any more.
    by_fd: Vec<u64>,
    /// Found closed under their watches, and not reported yet.
    lost: Vec<RawFd>,
}

impl Table {
    pub(super) fn watch(&mut self, id: u64) -> Option<&mut Watch> {
        match self.entries.get_mut(id) {
            Some(Entry::Watch(watch)) => Some(watch),
            _ => None,
        }
    }

    fn registered(&mut self, fd: RawFd) -> &mut u64 {
        // Not negative: checked when it was added.
        let index = usize::try_from(fd).unwrap_or(0);
        if self.by_fd.len() <= index {
            self.by_fd.resize(index + 1, 0);
        }
        &mut self.by_fd[index]
    }
}

pub(in super::super) struct Watches {
    registry: mio::Registry,
    table: Mutex<Table>,
    /// How many there are that a loop waits for before it is idle.
    referenced: Arc<AtomicUsize>,
    /// There is something to report.
    found_lost: AtomicBool,
}

impl fmt::Debug for Watches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watches").field("active", &self.referenced()).finish()
    }
}

impl Watches {
    pub(in super::super) fn new(registry: mio::Registry) -> Self {
        Self { registry, table: Mutex::default(), referenced: Arc::default(), found_lost: AtomicBool::new(false) }
    }

    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing under the lock runs foreign code, so a poisoned lock guards a whole table.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many a loop waits for before it is idle: watches, but for those that are unref, and sockets that somebody waits for.
    pub(in super::super) fn referenced(&self) -> usize {
        self.referenced.load(Ordering::Relaxed)
    }

    pub(in super::super) fn len(&self) -> usize {
        self.table().entries.len()
    }

    /// [`Watches::referenced`], for other things that it waits for.
    pub(in super::super) fn referenced_by(&self) -> Arc<AtomicUsize> {
        self.referenced.clone()
    }

    /// Registers the fd. The callback is asked for only when nothing can be refused any more.
    pub(in super::super) fn add(
        &self,
        kind: &'static str,
        fd: RawFd,
        options: &WatchOptions,
        place: Place,
        callback: impl FnOnce() -> Callback,
    ) -> Result<u64> {
        let interest = options.interest.to_mio()?;
        let watch = Watch {
            kind,
            fd,
            lost: false,
            interest,
            edge: options.edge,
            unref: options.unref,
            place,
            callback: None,
            missed: None,
        };
        let mut table = self.table();
        // An event that comes before the callback is in place waits for the lock.
        let id = self.register(&mut table, Entry::Watch(watch), interest)?;
        if let Some(watch) = table.watch(id) {
            watch.callback = Some(callback());
            self.referenced.fetch_add(usize::from(!watch.unref), Ordering::Relaxed);
        }
        Ok(id)
    }

    /// Registers a socket: edge-triggered, both directions.
    pub(in super::super) fn add_socket(&self, fd: RawFd) -> Result<(u64, Arc<Record>)> {
        let record = Arc::new(Record::new(self.referenced.clone()));
        let interest = mio::Interest::READABLE | mio::Interest::WRITABLE;
        #[cfg(target_os = "linux")]
        let interest = interest | mio::Interest::PRIORITY;
        let id = self.register(&mut self.table(), Entry::Socket(fd, record.clone()), interest)?;
        Ok((id, record))
    }

    fn register(&self, table: &mut Table, entry: Entry, interest: mio::Interest) -> Result<u64> {
        let fd = entry.fd();
        if fd < 0 {
            return Err(Error::Invalid(format!("file descriptor {fd} is negative")));
        }
        let id = table.entries.insert(entry);
        if let Err(error) = self.registry.register(&mut SourceFd(&fd), Token(id as usize), interest) {
            table.entries.remove(id);
            return Err(match error.raw_os_error() {
                Some(libc::EEXIST) => {
                    Error::Exists(format!("fd {fd} has a watch already: one watch covers both directions"))
                }
                Some(libc::EPERM) => Error::Os {
                    context: format!("watch fd {fd}: files and directories are always ready and cannot be watched"),
                    errno: libc::EPERM,
                },
                _ => Error::os(format!("watch fd {fd}"), &error),
            });
        }
        // The system knows another file by this number now: whoever watched the number before has lost its own.
        let before = mem::replace(table.registered(fd), id);
        self.lose(table, before);
        Ok(id)
    }

    /// The fd was closed under this watch.
    fn lose(&self, table: &mut Table, id: u64) {
        if let Some(watch) = table.watch(id).filter(|watch| !watch.lost) {
            watch.lost = true;
            self.referenced.fetch_sub(usize::from(!watch.unref), Ordering::Relaxed);
            let fd = watch.fd;
            table.lost.push(fd);
            self.found_lost.store(true, Ordering::Relaxed);
        }
    }

    /// Tells the log what was found lost: for who has called something here, outside of every lock and of the gate.
    pub(in super::super) fn report(&self) {
        if !self.found_lost.load(Ordering::Relaxed) {
            return;
        }
        let lost = {
            let mut table = self.table();
            self.found_lost.store(false, Ordering::Relaxed);
            mem::take(&mut table.lost)
        };
        for fd in lost {
            tracing::warn!(target: "coop", "fd {fd} was closed under its watch");
        }
    }

    pub(in super::super) fn cancel(&self, kind: &'static str, id: u64) -> Result<()> {
        let callback = {
            let mut table = self.table();
            let watch = table.watch(id).filter(|watch| watch.kind == kind).ok_or(Error::Stale(kind))?;
            let callback = watch.callback.take();
            self.remove(&mut table, id);
            callback
        };
        drop_callback(callback);
        Ok(())
    }

    pub(in super::super) fn set_ref(&self, id: WatchId, referenced: bool) -> Result<()> {
        let mut table = self.table();
        let watch = table.watch(id.0).filter(|watch| watch.kind == KIND).ok_or(Error::Stale(KIND))?;
        match (mem::replace(&mut watch.unref, !referenced), referenced) {
            // Nobody waits for it whatever is asked for.
            _ if watch.lost => 0,
            (true, true) => self.referenced.fetch_add(1, Ordering::Relaxed),
            (false, false) => self.referenced.fetch_sub(1, Ordering::Relaxed),
            _ => 0,
        };
        Ok(())
    }

    /// Ends a watch from inside its callback, which is dropped when it returns. False: it was cancelled meanwhile.
    pub(in super::super) fn end(&self, id: u64) -> bool {
        // Its callback is out, so what is dropped here under the lock is no foreign code.
        self.remove(&mut self.table(), id).is_some()
    }

    /// Looks for other directions from now on.
    pub(in super::super) fn set_interest(&self, id: u64, interest: Interest) -> Result<()> {
        let interest = interest.to_mio()?;
        let mut table = self.table();
        let watch = table.watch(id).filter(|watch| watch.kind == KIND).ok_or(Error::Stale(KIND))?;
        watch.interest = interest;
        // A level-triggered one whose callback runs is looked at again when that returns, in the new directions.
        let (fd, later) = (watch.fd, watch.callback.is_none() && !watch.edge);
        if watch.lost || (!later && !self.rearm(&mut table, id)) {
            return Err(Error::Os {
                context: format!("watch fd {fd}: it was closed under its watch"),
                errno: libc::EBADF,
            });
        }
        Ok(())
    }

    pub(in super::super) fn remove_socket(&self, id: u64) {
        let removed = self.remove(&mut self.table(), id);
        drop(removed);
    }

    fn remove(&self, table: &mut Table, id: u64) -> Option<Entry> {
        let entry = table.entries.remove(id)?;
        self.deregister(table, id, &entry);
        Some(entry)
    }

    /// Drops every watch's callback, and tells every socket.
    pub(in super::super) fn clear(&self) {
        let entries = {
            let mut table = self.table();
            let entries = table.entries.take_all();
            entries.iter().for_each(|(id, entry)| self.deregister(&mut table, *id, entry));
            entries
        };
        for (_, entry) in entries {
            match entry {
                Entry::Watch(watch) => drop_callback(watch.callback),
                Entry::Socket(_, record) => record.tell_gone(),
            }
        }
    }

    fn deregister(&self, table: &mut Table, id: u64, entry: &Entry) {
        if let Entry::Watch(watch) = entry
            && !watch.lost
        {
            self.referenced.fetch_sub(usize::from(!watch.unref), Ordering::Relaxed);
        }
        let fd = entry.fd();
        // Under the table's lock: a moment later the number may be another file's, with a watch of its own. Refused for an
        // fd that was closed first; then there is nothing to undo.
        if *table.registered(fd) == id {
            *table.registered(fd) = 0;
            let _ = self.registry.deregister(&mut SourceFd(&fd));
        }
    }

    /// Makes the system look at the fd again. False if it was closed under its watch, which then stays, silent, until it is
    /// cancelled.
    pub(super) fn rearm(&self, table: &mut Table, id: u64) -> bool {
        let Some(Watch { fd, interest, .. }) = table.watch(id) else { return true };
        let (fd, interest) = (*fd, *interest);
        let armed = *table.registered(fd) == id
            && self.registry.reregister(&mut SourceFd(&fd), Token(id as usize), interest).is_ok();
        if !armed {
            self.lose(table, id);
        }
        armed
    }
}

pub(super) fn drop_callback(callback: Option<Callback>) {
    job::caught("watch", || drop(callback));
}
