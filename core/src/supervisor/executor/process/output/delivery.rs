//! The thread that hands lines to their sinks, which may take their time.
//!
//! # What holds
//!
//! * One thread for all children of a host: made when the first of them has a sink that needs it, by the thread that makes the children,
//!   and ended with that.
//! * Each child has a queue of its own, of so many lines and bytes: one that writes without end loses its own lines only. The thread
//!   takes all that is queued of one child, then turns to the next.
//! * A callback is called with no lock held. A descriptor that takes nothing holds up this thread only; lines are dropped and counted meanwhile.
//! * When the host's thread ends, what is queued is written, for up to [`LAST`].

#![forbid(unsafe_code)]

use std::{
    cell::RefCell,
    collections::VecDeque,
    mem,
    os::fd::{AsFd, BorrowedFd},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, SystemTime},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use super::{Line, Sink, Stream, format};
use crate::{error::Result, fork::ForkGuard, job, thread, time::Deadline};

/// What a child may have queued.
const LINES: usize = 4096;
const BYTES: usize = 1 << 20;
/// What a pipe that is ready takes at once, by POSIX; a line of this length is not torn by other writers.
const PIECE: usize = 4096;
/// How long the end of a host waits for what is queued.
const LAST: Duration = Duration::from_secs(1);
/// How often a descriptor that takes nothing is left, to look whether that is worth it still.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

thread_local! {
    /// Of the thread that makes children.
    static MINE: RefCell<Option<Delivery>> = const { RefCell::new(None) };
}

/// The owner of the thread.
#[derive(Debug)]
struct Delivery {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    fork: ForkGuard,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Those who have lines.
    ready: VecDeque<Arc<Outlet>>,
    closed: bool,
    ended: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing foreign runs under it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one stream of a child is handed to.
#[derive(Debug)]
pub(super) struct Outlet {
    sink: Sink,
    service: Arc<str>,
    stream: Stream,
    queue: Mutex<Queue>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Queue {
    pid: i32,
    lines: VecDeque<Line>,
    bytes: usize,
    dropped: u64,
    /// It is among those who are ready, or has its turn.
    scheduled: bool,
}

impl Outlet {
    /// For a sink that is handed lines.
    ///
    /// # Errors
    /// [`Error::Os`](crate::Error::Os) without a thread left.
    pub(super) fn new(sink: &Sink, service: &Arc<str>, stream: Stream) -> Result<Arc<Self>> {
        let shared = this_threads()?;
        Ok(Arc::new(Self { sink: sink.clone(), service: service.clone(), stream, queue: Mutex::default(), shared }))
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_pid(&self, pid: i32) {
        self.queue().pid = pid;
    }

    /// Queues what `feed` gives, or counts it.
    pub(super) fn push(self: &Arc<Self>, feed: impl FnOnce(&mut dyn FnMut(&[u8], bool))) {
        let time = SystemTime::now();
        let mut queue = self.queue();
        feed(&mut |line, goes_on| {
            // Room is made for all at once, when the thread takes them.
            if queue.dropped > 0 || queue.lines.len() >= LINES || queue.bytes + line.len() > BYTES {
                queue.dropped += 1;
                return;
            }
            queue.bytes += line.len();
            let (text, pid) = (String::from_utf8_lossy(line).into_owned(), queue.pid);
            queue.lines.push_back(self.line(time, pid, text, goes_on, 0));
        });
        if queue.lines.is_empty() || mem::replace(&mut queue.scheduled, true) {
            return;
        }
        drop(queue);
        let mut state = self.shared.state();
        state.ready.push_back(self.clone());
        drop(state);
        self.shared.changed.notify_all();
    }

    fn line(&self, time: SystemTime, pid: i32, text: String, goes_on: bool, dropped: u64) -> Line {
        Line { time, service: self.service.clone(), pid, stream: self.stream, text, goes_on, dropped }
    }

    /// All that is queued; nothing ends its turn.
    fn take(&self) -> Option<VecDeque<Line>> {
        let mut queue = self.queue();
        let mut lines = mem::take(&mut queue.lines);
        queue.bytes = 0;
        let dropped = mem::take(&mut queue.dropped);
        if dropped > 0 {
            let lost = if dropped == 1 { "line" } else { "lines" };
            lines.push_back(self.line(
                SystemTime::now(),
                queue.pid,
                format!("… {dropped} {lost} dropped"),
                false,
                dropped,
            ));
        }
        queue.scheduled = !lines.is_empty();
        (!lines.is_empty()).then_some(lines)
    }

    /// Hands over what was taken.
    fn deliver(&self, lines: VecDeque<Line>, said: &mut bool) {
        match &self.sink {
            Sink::Null | Sink::Inherit => {}
            Sink::Lines(call) => {
                for line in lines {
                    job::caught("output", || call(&line));
                }
            }
            Sink::Write { to, format } => {
                let mut text = String::new();
                lines.iter().for_each(|line| format::append(&mut text, line, *format));
                let written = match to {
                    Some(to) => self.write(to.as_fd(), text.as_bytes()),
                    None => self.write(std::io::stderr().as_fd(), text.as_bytes()),
                };
                if let Err(errno) = written
                    && !mem::replace(said, true)
                {
                    tracing::warn!(target: "coop", "the output of {} cannot be written: {errno}", self.service);
                }
            }
        }
    }

    /// Writes all of it, in pieces that a pipe which is ready takes without waiting; less once the host has ended.
    fn write(&self, to: BorrowedFd<'_>, mut text: &[u8]) -> std::result::Result<(), Errno> {
        let mut deadline = None;
        while !text.is_empty() {
            let mut polled = [PollFd::from_borrowed_fd(to, PollFlags::OUT)];
            match poll(&mut polled, Some(&LOOK)) {
                Ok(0) if self.shared.state().closed => {
                    if deadline.get_or_insert_with(|| Deadline::after(Some(LAST))).is_over() {
                        return Err(Errno::TIMEDOUT);
                    }
                }
                Ok(0) | Err(Errno::INTR) => {}
                // What cannot be polled is a file, and always ready.
                Ok(_) | Err(_) => {
                    let piece = whole_lines(text);
                    match rustix::io::write(to, piece) {
                        Ok(count) => text = text.get(count..).unwrap_or_default(),
                        Err(Errno::INTR | Errno::AGAIN) => {}
                        Err(errno) => return Err(errno),
                    }
                }
            }
        }
        Ok(())
    }
}

/// As many lines as are a piece together, or a piece of the first.
fn whole_lines(text: &[u8]) -> &[u8] {
    let piece = text.get(..PIECE).unwrap_or(text);
    match piece.iter().rposition(|byte| *byte == b'\n') {
        Some(last) => &piece[..=last],
        None => piece,
    }
}

fn this_threads() -> Result<Arc<Shared>> {
    MINE.with_borrow_mut(|mine| {
        if let Some(delivery) = mine.as_ref().filter(|delivery| !delivery.fork.is_forked()) {
            return Ok(delivery.shared.clone());
        }
        let shared = Arc::new(Shared::default());
        let its = shared.clone();
        let thread = Some(thread::spawn("coop-output", move || run(&its))?);
        *mine = Some(Delivery { shared: shared.clone(), thread, fork: ForkGuard::new("output") });
        Ok(shared)
    })
}

fn run(shared: &Shared) {
    let mut said = false;
    loop {
        let outlet = {
            let mut state = shared.state();
            loop {
                if let Some(outlet) = state.ready.pop_front() {
                    break outlet;
                }
                if state.closed {
                    state.ended = true;
                    shared.changed.notify_all();
                    return;
                }
                state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        };
        if let Some(lines) = outlet.take() {
            outlet.deliver(lines, &mut said);
            // Its next turn comes after everybody else's; without lines it is the end of its turns.
            shared.state().ready.push_back(outlet);
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if self.fork.is_forked() {
            return mem::forget((self.thread.take(), self.shared.clone()));
        }
        let deadline = Deadline::after(Some(LAST));
        let mut state = self.shared.state();
        state.closed = true;
        self.shared.changed.notify_all();
        while !state.ended {
            let left = deadline.remaining().unwrap_or_default();
            if left.is_zero() {
                // It goes on by itself, and ends when what holds it up does.
                return;
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(state);
        if let Some(thread) = self.thread.take() {
            // It has ended but for a moment.
            let _ = thread.join();
        }
    }
}
