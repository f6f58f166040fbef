//! Watches: callbacks when a file descriptor is ready.
//!
//! # What holds
//!
//! * One watch covers both directions of an fd; a second one on it is refused. Cancel a watch before closing its fd: the system
//!   forgets a closed fd by itself, and the number may soon be another file's.
//! * An fd that is closed under its watch all the same harms nobody else. The watch is silent, and no loop waits for it, from the moment
//!   that this shows: when the number is watched anew, or the system is to look at the fd again. The number may be watched anew at
//!   once, and only the new watch is told. While a duplicate keeps the old file open, though, the system goes on to tell of that file, and until the
//!   number is watched anew nothing shows that the fd was closed.
//! * A level-triggered watch (the default) is told again for as long as the fd is ready; an edge-triggered one once
//!   for each change, and must read or write until it would block.
//! * Callbacks of one watch never overlap. While one runs in the pool, the fd is not watched (level), or what happens is kept
//!   and told when it returns (edge).
//!
//! The table holds sockets too, whose futures wait at a [`Record`] each: what holds of one watch per fd holds of both kinds.
//!
//! The selector underneath is edge-triggered; a level-triggered watch is registered anew after each callback, which
//! makes the system look at the fd again.

#![forbid(unsafe_code)]

use std::{
    fmt, mem,
    os::fd::RawFd,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use mio::{Token, event::Event, unix::SourceFd};

use super::{
    dispatch::{On, Place},
    readiness::Record,
    shared::Shared,
};
use crate::{
    error::{Error, Result},
    job::{self, Job},
    slots::Slots,
};

/// Told which watch it is of, which it may [end](Watches::end).
pub(super) type Callback = Box<dyn FnMut(&Arc<Shared>, u64, Readiness) + Send>;

/// What a watch is called that is not made for another source.
pub(super) const KIND: &str = "io_watch";

/// Which directions to watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interest {
    /// Tell when a read would not block.
    pub readable: bool,
    /// Tell when a write would not block.
    pub writable: bool,
}

impl Interest {
    /// Reads only.
    pub const READ: Self = Self { readable: true, writable: false };
    /// Writes only.
    pub const WRITE: Self = Self { readable: false, writable: true };
    /// Both directions.
    pub const BOTH: Self = Self { readable: true, writable: true };

    fn to_mio(self) -> Result<mio::Interest> {
        match (self.readable, self.writable) {
            (true, true) => Ok(mio::Interest::READABLE | mio::Interest::WRITABLE),
            (true, false) => Ok(mio::Interest::READABLE),
            (false, true) => Ok(mio::Interest::WRITABLE),
            (false, false) => Err(Error::Invalid("a watch needs a direction: read, write or both".into())),
        }
    }
}

/// What an fd is ready for. Errors and hang-ups are told whatever was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Readiness {
    /// A read would not block.
    pub readable: bool,
    /// A write would not block.
    pub writable: bool,
    /// The fd has an error to fetch.
    pub error: bool,
    /// The other side has closed, or shut down its writing half.
    pub hang_up: bool,
}

impl Readiness {
    fn of(event: &Event) -> Self {
        Self {
            readable: event.is_readable(),
            writable: event.is_writable(),
            error: event.is_error(),
            hang_up: event.is_read_closed() || event.is_write_closed(),
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            readable: self.readable | other.readable,
            writable: self.writable | other.writable,
            error: self.error | other.error,
            hang_up: self.hang_up | other.hang_up,
        }
    }
}

/// How to watch an fd.
#[derive(Debug, Clone)]
pub struct WatchOptions {
    /// The directions.
    pub interest: Interest,
    /// Told once for each change, instead of for as long as the fd is ready.
    pub edge: bool,
    /// Where the callback runs.
    pub on: On,
    /// A loop that runs until it is idle does not wait for this watch.
    pub unref: bool,
}

impl WatchOptions {
    /// A level-triggered watch, with its callback at the loop's default place.
    pub const fn new(interest: Interest) -> Self {
        Self { interest, edge: false, on: On::Default, unref: false }
    }
}

/// Names a watch: slot and generation, never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WatchId(pub u64);

struct Watch {
    /// What its owner knows it as.
    kind: &'static str,
    fd: RawFd,
    /// The fd is known to have been closed under it: it is silent until it is cancelled, and nobody waits for it.
    lost: bool,
    interest: mio::Interest,
    edge: bool,
    unref: bool,
    place: Place,
    /// Out while it runs.
    callback: Option<Callback>,
    /// What happened meanwhile.
    missed: Option<Readiness>,
}

/// What is told of an fd's readiness.
enum Entry {
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
struct Table {
    entries: Slots<Entry>,
    /// For each fd the entry that the system knows it by, or 0. One that was closed under its watch may have been watched anew since:
    /// then the first watch has nothing registered any more.
    by_fd: Vec<u64>,
}

impl Table {
    fn watch(&mut self, id: u64) -> Option<&mut Watch> {
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

pub(super) struct Watches {
    registry: mio::Registry,
    table: Mutex<Table>,
    /// How many there are that a loop waits for before it is idle.
    referenced: Arc<AtomicUsize>,
}

impl fmt::Debug for Watches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watches").field("active", &self.referenced()).finish()
    }
}

impl Watches {
    pub(super) fn new(registry: mio::Registry) -> Self {
        Self { registry, table: Mutex::default(), referenced: Arc::default() }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing under the lock runs foreign code, so a poisoned lock guards a whole table.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many a loop waits for before it is idle: watches, but for those that are unref, and sockets that somebody waits for.
    pub(super) fn referenced(&self) -> usize {
        self.referenced.load(Ordering::Relaxed)
    }

    pub(super) fn len(&self) -> usize {
        self.table().entries.len()
    }

    /// [`Watches::referenced`], for other things that it waits for.
    pub(super) fn referenced_by(&self) -> Arc<AtomicUsize> {
        self.referenced.clone()
    }

    /// Registers the fd. The callback is asked for only when nothing can be refused any more.
    pub(super) fn add(
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
    pub(super) fn add_socket(&self, fd: RawFd) -> Result<(u64, Arc<Record>)> {
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
            tracing::warn!(target: "coop", "fd {} was closed under its watch", watch.fd);
        }
    }

    pub(super) fn cancel(&self, kind: &'static str, id: u64) -> Result<()> {
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

    pub(super) fn set_ref(&self, id: WatchId, referenced: bool) -> Result<()> {
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
    pub(super) fn end(&self, id: u64) -> bool {
        // Its callback is out, so what is dropped here under the lock is no foreign code.
        self.remove(&mut self.table(), id).is_some()
    }

    /// Looks for other directions from now on.
    pub(super) fn set_interest(&self, id: u64, interest: Interest) -> Result<()> {
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

    pub(super) fn remove_socket(&self, id: u64) {
        let removed = self.remove(&mut self.table(), id);
        drop(removed);
    }

    fn remove(&self, table: &mut Table, id: u64) -> Option<Entry> {
        let entry = table.entries.remove(id)?;
        self.deregister(table, id, &entry);
        Some(entry)
    }

    /// Drops every watch's callback, and tells every socket.
    pub(super) fn clear(&self) {
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
    fn rearm(&self, table: &mut Table, id: u64) -> bool {
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

/// Runs the callback of a watch whose fd is ready, here or in the pool.
pub(super) fn ready(shared: &Arc<Shared>, event: &Event) {
    let id = event.token().0 as u64;
    let record = match shared.watches.table().entries.get_mut(id) {
        Some(Entry::Socket(_, record)) => Some(record.clone()),
        _ => None,
    };
    match record {
        Some(record) => record.tell_event(event),
        None => deliver(shared, id, Readiness::of(event)),
    }
}

fn deliver(shared: &Arc<Shared>, id: u64, readiness: Readiness) {
    let (ready, place) = {
        let mut table = shared.watches.table();
        // Cancelled by a callback that ran before it in the same turn; or told of a file that a duplicate keeps open, while the
        // number is another watch's.
        let Some(watch) = table.watch(id).filter(|watch| !watch.lost) else { return };
        let Some(callback) = watch.callback.take() else {
            watch.missed = Some(watch.missed.unwrap_or_default().and(readiness));
            return;
        };
        (Ready { shared: shared.clone(), id, readiness, callback: Some(callback) }, watch.place.clone())
    };
    match place {
        Place::Loop => ready.run(),
        Place::Pool(pool) => {
            let ready = Box::new(ready);
            if let Err(refused) = pool.dispatch(Job::new(move || ready.run())) {
                tracing::error!(target: "coop", "a watch's callback was dropped: {}", refused.error);
            }
        }
    }
}

/// A callback on its way: returns to its watch after it ran, or ends it if it never runs.
struct Ready {
    shared: Arc<Shared>,
    id: u64,
    readiness: Readiness,
    callback: Option<Callback>,
}

impl Ready {
    fn run(mut self) {
        // Cancelled while it was queued in the pool: `Drop` drops the callback. From this look on it has begun.
        if self.shared.watches.table().watch(self.id).is_none() {
            return;
        }
        let Some(mut callback) = self.callback.take() else { return };
        job::caught("watch", || callback(&self.shared, self.id, self.readiness));
        if self.shared.fork.is_forked() {
            // It forked, and this is the child: the lock may be held for ever.
            return mem::forget(callback);
        }
        let mut table = self.shared.watches.table();
        let Some(watch) = table.watch(self.id) else {
            drop(table);
            return drop_callback(Some(callback));
        };
        watch.callback = Some(callback);
        let missed = watch.missed.take();
        if !watch.edge {
            // What was missed shows again now if it still holds.
            let armed = self.shared.watches.rearm(&mut table, self.id);
            drop(table);
            if !armed {
                // It may have been the last one that a run until idle waited for.
                self.shared.wake_if_idle();
            }
            return;
        }
        drop(table);
        if let Some(missed) = missed {
            deliver(&self.shared, self.id, missed);
        }
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        if self.callback.is_some() {
            // Dropped unrun, with the pool that it was queued in; or cancelled there.
            drop_callback(self.callback.take());
            self.shared.watches.end(self.id);
            self.shared.wake_if_idle();
        }
    }
}

fn drop_callback(callback: Option<Callback>) {
    job::caught("watch", || drop(callback));
}
