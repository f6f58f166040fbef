//! One port at work: its socket, its handler and its loop.
//!
//! # Invariant
//!
//! The handler is built, called and dropped on the thread that runs `handle`'s loop (or, while nobody runs the main loop
//! of a SINGLE set, on the thread that starts or stops the set). The lock around it is therefore never waited
//! for; `current` names the thread inside a callback, so that a call that would wait for itself is refused instead.

#![forbid(unsafe_code)]

use std::{
    collections::HashSet,
    net::SocketAddr,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{
    Mode,
    batch::Batch,
    context::Context,
    counters::{Counters, PortStats},
    handler::{Build, Fault, Handler, Message, Outcome},
    inbox::Inbox,
    members::Members,
};
use crate::{
    error::{Error, Refused, Result},
    event_loop::{
        EventLoop, Handle, Interest, On, TimerId, TimerOptions, WatchId, WatchOptions,
        udp::{Outgoing, Receiver, UdpSocket},
    },
    fork::ForkGuard,
    job, thread,
};

/// Batches read in a row before other sources of the loop have their turn.
const READS_PER_TURN: usize = 16;
/// The longest datagram over IPv4.
const MAX_IPV4: usize = 65_507;
/// Datagrams that a callback may queue before they are sent while it still runs.
const SEND_AHEAD: usize = 256;

pub(super) struct Worker {
    fork: ForkGuard,
    pub(super) name: String,
    pub(super) mode: Mode,
    pub(super) address: SocketAddr,
    /// The loop that the handler runs on.
    pub(super) handle: Handle,
    counters: Counters,
    members: Weak<Members>,
    inbox: Inbox,
    handler: Mutex<Option<Box<dyn Handler>>>,
    /// Messages with their senders that came before the handler had started; `None` from then on.
    early: Mutex<Option<Vec<(String, Message)>>>,
    /// The thread that is inside a callback; 0 is none.
    current: AtomicU64,
    out: Mutex<Out>,
    timers: Mutex<HashSet<TimerId>>,
    reading: Mutex<Option<WatchId>>,
    finished: AtomicBool,
    /// To be finished when the callback at hand returns.
    ending: AtomicBool,
    /// In THREAD mode the loops of this port: the handler's and the receiving one.
    loops: Mutex<Option<(EventLoop, EventLoop)>>,
    send_limit: usize,
}

struct Out {
    queue: Outgoing,
    /// Gone when the port has ended.
    socket: Option<Arc<UdpSocket>>,
    connected: bool,
    /// The watch that waits for room in the kernel, on a descriptor of its own: the socket's has the reader's.
    writable: Option<(WatchId, OwnedFd)>,
}

/// What a worker is made of.
pub(super) struct Parts {
    pub(super) name: String,
    pub(super) mode: Mode,
    pub(super) socket: UdpSocket,
    pub(super) connected: bool,
    pub(super) handle: Handle,
    pub(super) loops: Option<(EventLoop, EventLoop)>,
    pub(super) buffer_bytes: usize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Worker {
    pub(super) fn new(parts: Parts, members: Weak<Members>) -> Result<Self> {
        Ok(Self {
            fork: ForkGuard::new("port set"),
            address: parts.socket.local_addr()?,
            name: parts.name,
            mode: parts.mode,
            handle: parts.handle,
            counters: Counters::default(),
            members,
            inbox: Inbox::new(parts.buffer_bytes),
            handler: Mutex::new(None),
            early: Mutex::new(Some(Vec::new())),
            current: AtomicU64::new(0),
            out: Mutex::new(Out {
                queue: Outgoing::new(),
                socket: Some(Arc::new(parts.socket)),
                connected: parts.connected,
                writable: None,
            }),
            timers: Mutex::default(),
            reading: Mutex::new(None),
            finished: AtomicBool::new(false),
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
            self.counters.kernel_dropped.set(u64::from(dropped));
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
            *lock(&self.handler) = Some(handler);
            Ok(())
        });
        if let Err(fault) = outcome {
            self.counters.errors.add(1);
            // Not told to the log: `start` answers it.
            let why = fault.message.unwrap_or_else(|| "on_start failed".into());
            return Err(Error::Failed(format!("port {}: the start failed: {why}", self.name)));
        }
        self.flush();
        let early = lock(&self.early).take();
        for (sender, message) in early.into_iter().flatten() {
            self.hear(sender, message);
        }
        if self.is_finished() {
            // Nobody runs the loop, and another thread has stopped the set meanwhile.
            self.end_handler();
            return Err(Error::Closed("port set"));
        }
        self.read_from_now_on()
    }

    fn read_from_now_on(self: &Arc<Self>) -> Result<()> {
        let Some(socket) = lock(&self.out).socket.clone() else { return Ok(()) };
        let (worker, mut scratch) = (self.clone(), Receiver::default());
        let fd = socket.as_raw_fd();
        let reader = match &*lock(&self.loops) {
            Some((_, receiving)) => receiving.handle(),
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
        self.end_handler();
        let early = lock(&self.early).take();
        job::caught("port", || drop(early));
        for timer in lock(&self.timers).drain() {
            let _ = self.handle.cancel_timer(timer);
        }
        let (socket, writable) = {
            let mut out = lock(&self.out);
            self.counters.send_dropped.add(out.queue.len());
            out.queue.clear();
            if let Some(socket) = &out.socket {
                self.count_kernel_dropped(socket);
            }
            (out.socket.take(), out.writable.take())
        };
        if let Some((watch, fd)) = writable {
            let _ = self.handle.cancel_watch(watch);
            drop(fd);
        }
        let loops = lock(&self.loops).take();
        if let (Some(watch), None) = (lock(&self.reading).take(), &loops) {
            let _ = self.handle.cancel_watch(watch);
        }
        // The receiving loop is joined here, and with it goes its hold on the socket. This thread's own loop ends when this
        // callback returns.
        if let Some((own, receiving)) = loops {
            drop(receiving);
            drop(own);
        }
        drop(socket);
        if let Some(members) = self.members() {
            members.ended(&self.name);
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

    // --- callbacks ----------------------------------------------------------------------------------------------------

    /// Runs one callback of the handler, then sends what it queued. False if it was a fault.
    fn call(self: &Arc<Self>, what: &str, f: impl FnOnce(&mut dyn Handler, &Context) -> Outcome) -> bool {
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
    fn attempt(&self, f: impl FnOnce() -> Outcome) -> Outcome {
        let mut outcome = Err(Fault::reported());
        let outer = self.current.swap(thread::number(), Ordering::SeqCst);
        job::caught("port", || outcome = f());
        self.current.store(outer, Ordering::SeqCst);
        outcome
    }

    /// Counts and reports a fault, with no lock held; true if there is none.
    fn count_fault(&self, what: &str, outcome: Outcome) -> bool {
        let Err(fault) = outcome else { return true };
        self.counters.errors.add(1);
        if let Some(message) = &fault.message {
            tracing::error!(target: "coop", "port {}: {what}: {message}", self.name);
        }
        false
    }

    /// On the receiving thread (THREAD) or the main loop (SINGLE): drains the socket into the inbox.
    fn read(self: &Arc<Self>, socket: &UdpSocket, scratch: &mut Receiver) {
        for _ in 0..READS_PER_TURN {
            let (received, announce) = match self.inbox.read(socket, scratch) {
                Ok(read) => read,
                Err(error) => {
                    tracing::error!(target: "coop", "port {}: {error}", self.name);
                    return;
                }
            };
            self.counters.received.add(received.datagrams);
            self.counters.received_bytes.add(received.bytes);
            self.counters.dropped.add(received.dropped);
            self.counters.truncated.add(received.truncated);
            self.counters.peer_errors.add(received.errors);
            if announce && self.mode == Mode::Thread {
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
    fn deliver(self: &Arc<Self>) {
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
    pub(super) fn take_message(self: &Arc<Self>, sender: &str, message: Message) -> Result<(), Refused<Message>> {
        if let Err(error) = self.fork.check() {
            return Err(Refused::new(error, message));
        }
        if self.is_finished() {
            return Err(Refused::new(Error::Closed("port set"), message));
        }
        let (worker, sender) = (self.clone(), sender.to_owned());
        // In a slot beside the job, so that a refused message comes back whole.
        let slot = Arc::new(Mutex::new(Some(message)));
        let inside = slot.clone();
        let posted = self.handle.post(move || {
            let Some(message) = lock(&inside).take() else { return };
            worker.hear(sender, message);
        });
        match posted {
            Ok(()) => Ok(()),
            Err(_) => match lock(&slot).take() {
                Some(message) => Err(Refused::new(Error::Closed("port set"), message)),
                None => unreachable!("a refused post has not run"),
            },
        }
    }

    /// On the handler's loop: gives the handler a message, or keeps it until the handler has started.
    fn hear(self: &Arc<Self>, sender: String, message: Message) {
        if let Some(early) = &mut *lock(&self.early) {
            return early.push((sender, message));
        }
        self.call("on_message", |handler, ctx| {
            self.counters.messages.add(1);
            handler.on_message(ctx, &sender, message)
        });
    }

    pub(super) fn set_timer(self: &Arc<Self>, after: Duration, every: Option<Duration>) -> Result<TimerId> {
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

    pub(super) fn cancel_timer(&self, timer: TimerId) -> Result<()> {
        self.fork.check()?;
        if !lock(&self.timers).remove(&timer) {
            return Err(Error::Stale("timer"));
        }
        self.handle.cancel_timer(timer)
    }

    // --- sending ------------------------------------------------------------------------------------------------------

    /// Queues datagrams; also answers whether they are to be flushed now: those of a callback leave when it returns, unless they
    /// are many, and those of other threads at once.
    pub(super) fn enqueue(&self, data: &[u8], to: Option<SocketAddr>, segment: Option<usize>) -> Result<(usize, bool)> {
        self.fork.check()?;
        let mut out = lock(&self.out);
        if out.socket.is_none() {
            return Err(Error::Closed("port"));
        }
        if to.is_none() && !out.connected {
            return Err(Error::Invalid(format!("port {} is not connected: an address is needed", self.name)));
        }
        let longest = segment.unwrap_or(data.len()).min(data.len());
        if self.address.is_ipv4() && longest > MAX_IPV4 {
            return Err(Error::Invalid(format!(
                "a datagram of {longest} bytes is too long: at most {MAX_IPV4} over IPv4"
            )));
        }
        if out.queue.bytes().saturating_add(data.len()) > self.send_limit {
            return Err(Error::QueueFull { what: "send queue", capacity: format!("{} bytes", self.send_limit) });
        }
        let count = match segment {
            None => out.queue.push(data, to).map(|()| 1)?,
            Some(size) => out.queue.push_segments(data, size, to)?,
        };
        let many = out.queue.len() >= SEND_AHEAD && out.writable.is_none();
        Ok((count, many || !self.is_current()))
    }

    pub(super) fn backlog(&self) -> usize {
        if self.fork.is_forked() { 0 } else { lock(&self.out).queue.len() }
    }

    /// Sends what is queued; what the kernel has no room for waits for a watch.
    pub(super) fn flush(self: &Arc<Self>) {
        if self.fork.is_forked() {
            return;
        }
        let flushed = self.try_flush(&mut lock(&self.out));
        if let Err(error) = flushed {
            tracing::error!(target: "coop", "port {}: {error}", self.name);
        }
    }

    fn try_flush(self: &Arc<Self>, out: &mut Out) -> Result<()> {
        let Out { queue, socket: Some(socket), writable, .. } = out else { return Ok(()) };
        if queue.is_empty() || writable.is_some() {
            return Ok(());
        }
        let sent = socket.send(queue).inspect_err(|_| {
            self.counters.send_dropped.add(queue.len());
            queue.clear();
        })?;
        self.counters.sent.add(sent.datagrams);
        self.counters.sent_bytes.add(sent.bytes);
        self.counters.send_dropped.add(sent.errors);
        if sent.would_block {
            let fd = socket.as_fd().try_clone_to_owned().map_err(|error| Error::os("wait to send", &error))?;
            let worker = Arc::downgrade(self);
            let options = WatchOptions { on: On::Loop, ..WatchOptions::new(Interest::WRITE) };
            let watch = self.handle.watch(fd.as_raw_fd(), options, move |_| {
                if let Some(worker) = worker.upgrade() {
                    worker.writable();
                }
            })?;
            *writable = Some((watch, fd));
        }
        Ok(())
    }

    /// The kernel has room again.
    fn writable(self: &Arc<Self>) {
        let waited = lock(&self.out).writable.take();
        if let Some((watch, fd)) = waited {
            let _ = self.handle.cancel_watch(watch);
            drop(fd);
        }
        self.flush();
    }
}
