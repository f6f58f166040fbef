//! A port that is served by this process, and how another one takes it over.
//!
//! # What holds
//!
//! * All of it is on the loop's thread, between the handler's callbacks.
//! * What was sent to the port and not taken yet is the successor's; what was taken has been delivered here.
//! * From when it has let go until it has ended it receives and sends no messages, and saves nothing; if it is to stay after all it does again, as
//!   if nothing had been. What its handler serves goes on all the time.

#![forbid(unsafe_code)]

use std::{
    fmt,
    os::fd::{AsRawFd, OwnedFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{
    super::{Incoming, members::Members},
    baton::{Baton, Order},
    mail::{Mail, Mailbox},
    memory::Memory,
};
use crate::{
    error::{Error, Result},
    event_loop::{Handle, Interest, On, WatchId, WatchOptions},
    time::Deadline,
};

/// What it is made of.
pub(super) struct Place {
    pub(super) members: Arc<Members>,
    pub(super) event_loop: Handle,
    pub(super) memory: Memory,
    pub(super) ports: Vec<String>,
    pub(super) index: usize,
    pub(super) run: u64,
    pub(super) mail: Arc<Mail>,
    /// The port's own.
    pub(super) bell: OwnedFd,
    pub(super) baton: Baton,
    /// Rung when this worker has left, and when it is done.
    pub(super) done: OwnedFd,
}

struct Inner {
    place: Place,
    /// Out of it while messages are delivered, and while another worker has it.
    mailbox: Mutex<Option<Mailbox>>,
    /// Of the port's bell; there while this worker has the place.
    hears: Mutex<Option<WatchId>>,
    has_left: AtomicBool,
    /// It does what is wanted of it: a callback that runs the loop in the middle of that has it look again, at its end.
    obeys: AtomicBool,
    again: AtomicBool,
}

/// A port that is served by this process; dropped, it ends.
pub struct Serving {
    inner: Arc<Inner>,
    orders: Option<WatchId>,
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serving").finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn copy(fd: &OwnedFd) -> Result<OwnedFd> {
    fd.try_clone().map_err(|error| Error::os("eventfd", &error))
}

impl Place {
    fn mailbox(&self) -> Result<Mailbox> {
        Mailbox::new(&self.memory, &self.ports, self.index, copy(&self.bell)?)
    }
}

impl Inner {
    /// Has the handler have what has come, or at the end all of it.
    fn deliver(&self, at_the_end: bool) {
        let Some(mut mailbox) = lock(&self.mailbox).take() else { return };
        for worker in &self.place.members.workers {
            let mut heard = Ok(());
            worker.turn(&mut || {
                let hear = |sender: &str, incoming: Incoming<'_>| worker.hear_incoming(sender, incoming);
                heard = if at_the_end { mailbox.answer_all(hear) } else { mailbox.answer(hear).map(drop) };
            });
            if let Err(error) = heard {
                tracing::error!(target: "coop", "port {}: {error}", worker.name);
            }
        }
        *lock(&self.mailbox) = Some(mailbox);
    }

    /// From here on messages are delivered; those that lie there first.
    fn hear(self: &Arc<Self>) -> Result<()> {
        let mailbox = self.place.mailbox()?;
        let fd = mailbox.fd();
        mailbox.wake();
        *lock(&self.mailbox) = Some(mailbox);
        let options = WatchOptions { on: On::Loop, ..WatchOptions::new(Interest::READ) };
        let this = Arc::downgrade(self);
        let watch = self.place.event_loop.watch(fd, options, move |_| {
            if let Some(this) = this.upgrade() {
                this.deliver(false);
            }
        })?;
        *lock(&self.hears) = Some(watch);
        Ok(())
    }

    /// The mailbox, and with it the watch of its bell; `None` if it is not there, or just being emptied.
    fn deaf(&self) -> Option<Mailbox> {
        let mailbox = lock(&self.mailbox).take()?;
        let watch = lock(&self.hears).take();
        if let Some(watch) = watch {
            let _ = self.place.event_loop.cancel_watch(watch);
        }
        Some(mailbox)
    }

    /// Does what is wanted of this worker.
    fn obey(self: &Arc<Self>) {
        if self.obeys.swap(true, Ordering::SeqCst) {
            return self.again.store(true, Ordering::SeqCst);
        }
        loop {
            self.again.store(false, Ordering::SeqCst);
            self.obey_once();
            if !self.again.load(Ordering::SeqCst) {
                break;
            }
        }
        self.obeys.store(false, Ordering::SeqCst);
    }

    fn obey_once(self: &Arc<Self>) {
        if self.has_left.load(Ordering::SeqCst) {
            return;
        }
        let hears = lock(&self.hears).is_some();
        match self.place.baton.order(self.place.run) {
            Order::Leave => self.leave(),
            // The place may be its own again; if somebody wants it anew, it lets go of it anew.
            Order::Stay | Order::LetGo if !hears => self.take_back(),
            Order::Stay => {}
            Order::LetGo => self.let_go(),
        }
    }

    fn let_go(self: &Arc<Self>) {
        let Some(mailbox) = self.deaf() else {
            // A callback of the handler runs the loop.
            let this = self.clone();
            return self.place.event_loop.post(move || this.obey()).unwrap_or_default();
        };
        for worker in &self.place.members.workers {
            worker.hand_over(true);
        }
        drop(mailbox);
        self.place.mail.let_go();
        self.place.baton.let_go(self.place.run);
    }

    /// Its successor is no more.
    fn take_back(self: &Arc<Self>) {
        let Place { baton, mail, memory, index, run, members, .. } = &self.place;
        if !baton.take_back(*run) {
            return;
        }
        mail.take_back(memory, *index);
        for worker in &members.workers {
            worker.hand_over(false);
        }
        if let Err(error) = self.hear() {
            tracing::error!(target: "coop", "port {}: it hears no messages: {error}", self.place.ports[*index]);
        }
        // Somebody may want it again by now.
        self.again.store(true, Ordering::SeqCst);
    }

    fn leave(self: &Arc<Self>) {
        self.has_left.store(true, Ordering::SeqCst);
        for worker in &self.place.members.workers {
            let this = self.clone();
            worker.leave(move || {
                this.place.baton.done(this.place.run);
                this.tell();
            });
        }
        self.place.baton.left(self.place.run);
        self.tell();
    }

    /// Has the set look.
    fn tell(&self) {
        // Full only if nobody has read it yet.
        let _ = rustix::io::write(&self.place.done, &1u64.to_ne_bytes());
    }
}

impl Serving {
    /// On the loop's thread, or while nobody runs it; the handler has started.
    pub(super) fn new(place: Place) -> Result<Self> {
        let inner = Arc::new(Inner {
            mailbox: Mutex::default(),
            hears: Mutex::default(),
            has_left: AtomicBool::new(false),
            obeys: AtomicBool::new(false),
            again: AtomicBool::new(false),
            place,
        });
        let mut serving = Self { inner: inner.clone(), orders: None };
        inner.hear()?;
        let fd = inner.place.baton.orders().as_raw_fd();
        let this: Weak<Inner> = Arc::downgrade(&inner);
        let options = WatchOptions { on: On::Loop, edge: true, ..WatchOptions::new(Interest::READ) };
        // What was wanted before is an edge too: it was written then.
        let orders = inner.place.event_loop.watch(fd, options, move |_| {
            if let Some(this) = this.upgrade() {
                this.obey();
            }
        })?;
        serving.orders = Some(orders);
        Ok(serving)
    }

    /// Ends the port, `on_stop` and all, on the loop's thread: at once if this is it, or nobody runs the loop. Any number of times.
    pub fn stop(&self) {
        if self.inner.place.event_loop.is_loop_thread() {
            // What was sent before is heard before.
            self.inner.deliver(true);
        }
        self.inner.place.members.request_stop(Deadline::after(Some(Duration::ZERO)));
    }

    /// Waits until the port has ended.
    ///
    /// # Errors
    /// [`Error::Timeout`].
    pub fn join(&self, timeout: Option<Duration>) -> Result<()> {
        self.inner.place.members.wait_ended(Deadline::after(timeout))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop();
        let hears = lock(&self.inner.hears).take();
        for watch in hears.into_iter().chain(self.orders.take()) {
            let _ = self.inner.place.event_loop.cancel_watch(watch);
        }
    }
}
