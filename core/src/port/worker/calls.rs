//! What calls the handler: datagrams, messages and timers that have come.

#![forbid(unsafe_code)]

use std::{
    sync::{Arc, Mutex, OnceLock, atomic::Ordering},
    time::Duration,
};

use super::{
    super::{
        Mode,
        batch::Batch,
        context::Context,
        handler::{Fault, Handler, Incoming, Message, Outcome},
    },
    Worker, lock,
    waiting::Place,
};
use crate::{
    error::{Error, Refused, Result},
    event_loop::{
        On, TimerId, TimerOptions,
        udp::{Receiver, UdpSocket},
    },
    job, thread,
};

/// Batches read in a row before other sources of the loop have their turn.
const READS_PER_TURN: usize = 16;

impl Worker {
    /// Runs one callback of the handler, then sends what it queued. False if it was a fault.
    pub(in super::super) fn call(
        self: &Arc<Self>,
        what: &str,
        f: impl FnOnce(&mut dyn Handler, &Context) -> Outcome,
    ) -> bool {
        let outcome = {
            let mut slot = lock(&self.handler);
            let Some(handler) = slot.as_mut() else { return true };
            let ctx = Context { worker: self.clone() };
            self.attempt(|| f(&mut **handler, &ctx))
        };
        self.flush();
        let fine = self.count_fault(what, outcome);
        if self.ending.load(Ordering::SeqCst) {
            self.finish();
        }
        fine
    }

    /// Runs foreign code of this port; a panic, which is reported by itself, is a fault.
    pub(super) fn attempt(&self, f: impl FnOnce() -> Outcome) -> Outcome {
        let mut outcome = Err(Fault::reported());
        let outer = self.current.swap(thread::number(), Ordering::SeqCst);
        job::caught("port", || outcome = f());
        self.current.store(outer, Ordering::SeqCst);
        outcome
    }

    /// Counts and reports a fault, with no lock held; true if there is none.
    pub(super) fn count_fault(&self, what: &str, outcome: Outcome) -> bool {
        let Err(fault) = outcome else { return true };
        self.counters.errors().add(1);
        if let Some(message) = &fault.message {
            tracing::error!(target: "coop", "port {}: {what}: {message}", self.name);
        }
        false
    }

    /// On the receiving thread (THREAD, PROCESS) or the main loop (SINGLE): drains the socket into the inbox.
    pub(super) fn read(self: &Arc<Self>, socket: &UdpSocket, scratch: &mut Receiver) {
        for _ in 0..READS_PER_TURN {
            let (received, announce) = match self.inbox.read(socket, scratch) {
                Ok(read) => read,
                Err(error) => {
                    tracing::error!(target: "coop", "port {}: {error}", self.name);
                    return;
                }
            };
            self.counters.received().add(received.datagrams);
            self.counters.received_bytes().add(received.bytes);
            self.counters.dropped().add(received.dropped);
            self.counters.truncated().add(received.truncated);
            self.counters.peer_errors().add(received.errors);
            if announce && self.mode != Mode::Single {
                let worker = self.clone();
                // Refused only when the port is at its end.
                let _ = self.handle.post(move || worker.deliver());
            }
            if received.would_block {
                break;
            }
        }
        if self.mode == Mode::Single {
            self.deliver();
        }
    }

    /// On the handler's loop: gives the handler all that has come.
    pub(super) fn deliver(self: &Arc<Self>) {
        let datagrams = self.inbox.take();
        let held = datagrams.held();
        let mut batch = Batch::new(datagrams);
        while !batch.is_empty() && !self.is_finished() {
            if self.call("on_batch", |handler, ctx| handler.on_batch(ctx, &mut batch)) {
                break;
            }
            batch = batch.after_fault();
        }
        if let Some(emptied) = batch.recycle() {
            self.inbox.give_back(emptied, held);
        }
    }

    /// From any thread: queues a message for the handler.
    pub(in super::super) fn take_message(
        self: &Arc<Self>,
        sender: &str,
        message: Message,
    ) -> Result<(), Refused<Message>> {
        if let Err(error) = self.fork.check() {
            return Err(Refused::new(error, message));
        }
        if self.is_finished() {
            return Err(Refused::new(Error::Closed("port set"), message));
        }
        let place = match self.waiting.place(sender, &message) {
            Ok(place) => place,
            Err(error) => return Err(Refused::new(error, message)),
        };
        let (worker, sender) = (self.clone(), sender.to_owned());
        // In a slot beside the job, so that a refused message comes back whole.
        let slot = Arc::new(Mutex::new(Some((message, place))));
        let inside = slot.clone();
        let posted = self.handle.post(move || {
            let Some((message, place)) = lock(&inside).take() else { return };
            worker.hear(sender, message, Some(place));
        });
        match posted {
            Ok(()) => Ok(()),
            Err(_) => match lock(&slot).take() {
                Some((message, _)) => Err(Refused::new(Error::Closed("port set"), message)),
                None => unreachable!("a refused post has not run"),
            },
        }
    }

    /// On the handler's loop: gives the handler a message, or keeps it until the handler has started. Its place is another one's when it is given.
    pub(super) fn hear(self: &Arc<Self>, sender: String, message: Message, place: Option<Place>) {
        if let Some(early) = &mut *lock(&self.early) {
            return early.push((sender, message, place));
        }
        drop(place);
        self.call("on_message", |handler, ctx| {
            self.counters.messages().add(1);
            handler.on_message(ctx, &sender, message)
        });
    }

    /// As [`Worker::hear`], of a message of another process.
    pub(in super::super) fn hear_incoming(self: &Arc<Self>, sender: &str, incoming: Incoming<'_>) {
        if let Some(early) = &mut *lock(&self.early) {
            return early.push((sender.to_owned(), incoming.into_message(), None));
        }
        self.call("on_message", |handler, ctx| {
            self.counters.messages().add(1);
            handler.on_incoming(ctx, sender, incoming)
        });
    }

    /// On the handler's loop: what has several callbacks made in a row.
    pub(in super::super) fn turn(&self, row: &mut dyn FnMut()) {
        match self.turns.get() {
            Some(turns) => turns(row),
            None => row(),
        }
    }

    pub(in super::super) fn set_timer(self: &Arc<Self>, after: Duration, every: Option<Duration>) -> Result<TimerId> {
        self.fork.check()?;
        if self.is_finished() {
            return Err(Error::Closed("port"));
        }
        let (worker, id) = (Arc::downgrade(self), Arc::new(OnceLock::new()));
        let own_id = id.clone();
        // Held until the id is known, so that the callback, perhaps on another thread already, finds it.
        let mut timers = lock(&self.timers);
        let timer =
            self.handle.timer(TimerOptions { after, every, on: On::Loop, ..TimerOptions::default() }, move |_| {
                let Some(worker) = worker.upgrade() else { return };
                let id = {
                    let mut timers = lock(&worker.timers);
                    let Some(id) = own_id.get().copied() else { return };
                    if every.is_none() {
                        timers.remove(&id);
                    }
                    id
                };
                worker.call("on_timer", |handler, ctx| handler.on_timer(ctx, id));
            })?;
        let _ = id.set(timer);
        timers.insert(timer);
        Ok(timer)
    }

    pub(in super::super) fn cancel_timer(&self, timer: TimerId) -> Result<()> {
        self.fork.check()?;
        if !lock(&self.timers).remove(&timer) {
            return Err(Error::Stale("timer"));
        }
        self.handle.cancel_timer(timer)
    }
}
