//! One port at work: its socket, its handler and its loop.
//!
//! # Invariant
//!
//! The handler is built, called and dropped on the thread that runs `handle`'s loop (or, while nobody runs the main loop
//! of a SINGLE set, on the thread that starts or stops the set). The lock around it is therefore never waited
//! for; `current` names the thread inside a callback, so that a call that would wait for itself is refused instead.

#![forbid(unsafe_code)]

mod calls;
mod sending;
mod waiting;

use std::{
    collections::HashSet,
    os::fd::AsRawFd,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use self::{
    sending::Out,
    waiting::{Place, Waiting},
};
use super::{
    Mode,
    bind::Socket,
    context::Context,
    counters::{Counters, PortStats},
    handler::{Build, Handler, Message, Turns},
    inbox::Inbox,
    members::Members,
    saved::Saved,
    stream::Table,
};
use crate::{
    error::{Error, Result},
    event_loop::{
        EventLoop, Handle, Interest, On, TimerId, WatchId, WatchOptions,
        stream::Address,
        udp::{Outgoing, Receiver, UdpSocket},
    },
    fork::{ForkGuard, Private},
    job, thread,
};

pub(super) struct Worker {
    fork: ForkGuard,
    pub(super) name: String,
    pub(super) mode: Mode,
    pub(super) address: Address,
    /// The loop that the handler runs on.
    pub(super) handle: Handle,
    pub(super) counters: Counters,
    pub(super) saved: Saved,
    /// Which worker of the port this is, from 1.
    pub(super) run: u64,
    members: Weak<Members>,
    inbox: Inbox,
    handler: Mutex<Option<Box<dyn Handler>>>,
    /// What is called around a row of callbacks, if the handler wants that.
    turns: OnceLock<Turns>,
    /// The messages of this process that wait.
    waiting: Waiting,
    /// Messages with their senders that came before the handler had started; `None` from then on.
    early: Mutex<Option<Vec<Early>>>,
    /// The thread that is inside a callback; 0 is none.
    current: AtomicU64,
    out: Mutex<Out>,
    /// Those of a port that takes connections.
    pub(super) connections: Option<Table>,
    timers: Mutex<HashSet<TimerId>>,
    reading: Mutex<Option<WatchId>>,
    finished: AtomicBool,
    /// Another worker has its port: it takes nothing new.
    left: AtomicBool,
    /// Told, once it has left, when nothing is open or waits any more.
    done: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    /// To be finished when the callback at hand returns.
    ending: AtomicBool,
    loops: Mutex<Loops>,
    send_limit: usize,
}

/// A message with its sender, and its place among those that wait; one of another process has none any more.
type Early = (String, Message, Option<Place>);

/// The loops of one port alone.
#[derive(Default)]
pub(super) struct Loops {
    /// The handler's, in THREAD mode.
    pub(super) own: Option<EventLoop>,
    /// The one that only receives, in THREAD and PROCESS mode.
    pub(super) receiving: Option<EventLoop>,
}

/// What a worker is made of.
pub(super) struct Parts {
    pub(super) name: String,
    pub(super) mode: Mode,
    pub(super) socket: Socket,
    pub(super) connected: bool,
    pub(super) handle: Handle,
    pub(super) loops: Loops,
    pub(super) buffer_bytes: usize,
    pub(super) connections: usize,
    pub(super) message_bytes: usize,
    pub(super) counters: Counters,
    pub(super) saved: Saved,
    pub(super) run: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Worker {
    pub(super) fn new(parts: Parts, members: Weak<Members>) -> Result<Self> {
        let address = parts.socket.local_addr()?;
        let (socket, connections) = match parts.socket {
            Socket::Datagrams(socket) => (Some(Arc::new(Private::new(socket))), None),
            Socket::Listening(bound) => (None, Some(Table::new(bound, parts.connections, parts.buffer_bytes))),
        };
        Ok(Self {
            fork: ForkGuard::new("port set"),
            address,
            name: parts.name,
            mode: parts.mode,
            handle: parts.handle,
            counters: parts.counters,
            saved: parts.saved,
            run: parts.run,
            members,
            inbox: Inbox::new(parts.buffer_bytes),
            handler: Mutex::new(None),
            turns: OnceLock::new(),
            waiting: Waiting::new(parts.message_bytes),
            early: Mutex::new(Some(Vec::new())),
            current: AtomicU64::new(0),
            out: Mutex::new(Out {
                queue: Outgoing::new(),
                socket,
                connected: parts.connected,
                waits: false,
                writable: None,
            }),
            connections,
            timers: Mutex::default(),
            reading: Mutex::new(None),
            finished: AtomicBool::new(false),
            left: AtomicBool::new(false),
            done: Mutex::default(),
            ending: AtomicBool::new(false),
            loops: Mutex::new(parts.loops),
            send_limit: parts.buffer_bytes,
        })
    }

    pub(super) fn members(&self) -> Option<Arc<Members>> {
        self.members.upgrade()
    }

    /// Whether the caller is inside one of this port's callbacks.
    pub(super) fn is_current(&self) -> bool {
        self.current.load(Ordering::SeqCst) == thread::number()
    }

    pub(super) fn check_fork(&self) -> Result<()> {
        self.fork.check()
    }

    /// Whether its end has begun.
    pub(super) fn is_finished(&self) -> bool {
        self.finished.load(Ordering::SeqCst)
    }

    /// From inside a callback, when no post is taken any more: finishes when that returns.
    pub(super) fn finish_after_callback(&self) {
        self.ending.store(true, Ordering::SeqCst);
    }

    pub(super) fn stats(&self) -> PortStats {
        if let Some(socket) = &lock(&self.out).socket {
            self.count_kernel_dropped(socket);
        }
        self.counters.snapshot()
    }

    fn count_kernel_dropped(&self, socket: &UdpSocket) {
        if let Some(dropped) = socket.kernel_dropped() {
            self.counters.kernel_dropped().set(u64::from(dropped));
        }
    }

    // --- life ---------------------------------------------------------------------------------------------------------

    /// On the handler's loop: builds the handler, starts it, begins to read.
    pub(super) fn begin(self: &Arc<Self>, build: Build) -> Result<()> {
        if self.is_finished() {
            // Stopped before its turn to start came.
            job::caught("port", || drop(build));
            return Err(Error::Closed("port set"));
        }
        let ctx = Context { worker: self.clone() };
        let outcome = self.attempt(|| {
            let mut handler = build(&ctx)?;
            handler.on_start(&ctx)?;
            if let Some(turns) = handler.turns() {
                let _ = self.turns.set(turns);
            }
            *lock(&self.handler) = Some(handler);
            Ok(())
        });
        if let Err(fault) = outcome {
            self.counters.errors().add(1);
            // Not told to the log: `start` answers it.
            let why = fault.message.unwrap_or_else(|| "on_start failed".into());
            return Err(Error::Failed(format!("port {}: the start failed: {why}", self.name)));
        }
        self.flush();
        let early = lock(&self.early).take();
        for (sender, message, place) in early.into_iter().flatten() {
            self.hear(sender, message, place);
        }
        if self.is_finished() {
            // Nobody runs the loop, and another thread has stopped the set meanwhile.
            self.end_handler();
            return Err(Error::Closed("port set"));
        }
        self.read_from_now_on()
    }

    fn read_from_now_on(self: &Arc<Self>) -> Result<()> {
        if let Some(connections) = &self.connections {
            return connections.begin(self);
        }
        let Some(socket) = lock(&self.out).socket.clone() else { return Ok(()) };
        let (worker, mut scratch) = (self.clone(), Receiver::default());
        let fd = socket.as_raw_fd();
        let reader = match &lock(&self.loops).receiving {
            Some(receiving) => receiving.handle(),
            None => self.handle.clone(),
        };
        let options = WatchOptions { on: On::Loop, ..WatchOptions::new(Interest::READ) };
        let watch = reader.watch(fd, options, move |_| worker.read(&socket, &mut scratch))?;
        *lock(&self.reading) = Some(watch);
        Ok(())
    }

    /// On the handler's loop, once: the end of the port.
    pub(super) fn finish(self: &Arc<Self>) {
        if self.finished.swap(true, Ordering::SeqCst) {
            return;
        }
        if let Some(connections) = &self.connections {
            connections.end(self);
        }
        self.end_handler();
        let early = lock(&self.early).take();
        job::caught("port", || drop(early));
        for timer in lock(&self.timers).drain() {
            let _ = self.handle.cancel_timer(timer);
        }
        let (socket, writable) = {
            let mut out = lock(&self.out);
            self.counters.send_dropped().add(out.queue.len());
            out.queue.clear();
            if let Some(socket) = &out.socket {
                self.count_kernel_dropped(socket);
            }
            (out.socket.take(), out.writable.take())
        };
        self.end_watch(writable);
        self.stop_reading();
        // This thread's own loop ends when this callback returns.
        let own = lock(&self.loops).own.take();
        drop(own);
        drop(socket);
        let done = lock(&self.done).take();
        drop(done);
        if let Some(members) = self.members() {
            members.ended(&self.name);
        }
    }

    /// No datagram is taken from the socket any more.
    fn stop_reading(&self) {
        let receiving = lock(&self.loops).receiving.take();
        let watch = lock(&self.reading).take();
        if let (Some(watch), None) = (watch, &receiving) {
            let _ = self.handle.cancel_watch(watch);
        }
        // The receiving loop is joined here, and with it goes its hold on the socket.
        drop(receiving);
    }

    /// On the handler's loop: whether what the worker has in the set is another one's, or its own again.
    pub(super) fn hand_over(self: &Arc<Self>, handed_over: bool) {
        if handed_over {
            self.call("on_hand_over", |handler, ctx| handler.on_hand_over(ctx));
        }
        if let Err(error) = self.saved.hand_over(handed_over) {
            tracing::error!(target: "coop", "port {}: what another worker has saved stays there: {error}", self.name);
        }
        if let Some(connections) = &self.connections {
            self.count_open(connections.len());
        }
    }

    /// On the handler's loop, once: another worker has its port. It takes nothing new, and `done` is told when it has nothing to do any more.
    pub(super) fn leave(self: &Arc<Self>, done: impl FnOnce() + Send + 'static) {
        self.left.store(true, Ordering::SeqCst);
        *lock(&self.done) = Some(Box::new(done));
        match &self.connections {
            Some(connections) => connections.close(),
            None => {
                self.stop_reading();
                self.deliver();
            }
        }
        self.look_whether_done();
    }

    /// One that has left tells it, once.
    pub(super) fn look_whether_done(&self) {
        let left = self.left.load(Ordering::SeqCst) && !self.is_finished();
        let works = self.connections.as_ref().map_or_else(|| self.backlog() > 0, |connections| connections.len() > 0);
        if !left || works {
            return;
        }
        let done = lock(&self.done).take();
        if let Some(done) = done {
            done();
        }
    }

    /// Tells how many connections are open, unless another worker does.
    pub(super) fn count_open(&self, open: usize) {
        if !self.saved.is_handed_over() {
            self.counters.open().set(open as u64);
        }
    }

    /// Tells the handler, if there is one, that it ends, and drops it. Both are inside the port, so that a handler that owns
    /// its set does not wait for itself.
    fn end_handler(self: &Arc<Self>) {
        let Some(mut handler) = lock(&self.handler).take() else { return };
        let ctx = Context { worker: self.clone() };
        let outcome = self.attempt(|| handler.on_stop(&ctx));
        self.flush();
        self.count_fault("on_stop", outcome);
        let _ = self.attempt(|| {
            drop(handler);
            Ok(())
        });
    }
}
