//! Reading what a child writes, on the loop.

#![forbid(unsafe_code)]

use std::{
    fmt,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rustix::{
    fs::{OFlags, fcntl_setfl},
    io::Errno,
    pipe::{PipeFlags, fcntl_setpipe_size, pipe_with},
};

use super::{
    Output, Sink, Stream,
    delivery::Outlet,
    lines::{Cutter, Tail},
};
use crate::{
    error::{Error, Result},
    event_loop::{Handle, Interest, On, WatchId, WatchOptions},
};

/// What a pipe is to hold, where that is allowed: a child that writes in bursts does not wait for the loop. A user may have 64 MiB of them before
/// the system gives out small ones only, to every program of that user: so others than root have a quarter of it.
const PIPE: usize = 1 << 20;
/// What is read at once, and in one turn of the loop.
const PIECE: usize = 32 * 1024;
const PIECES: usize = 8;

/// See the module's text. Dropped, it reads no more.
pub(in super::super) struct Capture {
    shared: Arc<Mutex<State>>,
    event_loop: Handle,
}

/// The child's ends, until it has them.
#[derive(Debug, Default)]
pub(in super::super::super) struct Writers([Option<OwnedFd>; 2]);

impl Writers {
    /// What a child is to write to; `None` for what is inherited.
    pub(in super::super::super) fn of(&self, stream: Stream) -> Option<BorrowedFd<'_>> {
        self.0[stream as usize].as_ref().map(|fd| fd.as_fd())
    }
}

impl fmt::Debug for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capture").finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct State {
    streams: [Option<Reader>; 2],
    tail: Tail,
}

#[derive(Debug)]
struct Reader {
    pipe: OwnedFd,
    watch: Option<WatchId>,
    lines: Lines,
}

/// What is made of the bytes.
#[derive(Debug)]
struct Lines {
    cutter: Cutter,
    /// Where there is somebody to hand lines to.
    outlet: Option<Arc<Outlet>>,
}

impl Capture {
    /// Pipes for what is captured.
    ///
    /// # Errors
    /// [`Error::Os`] without a descriptor or a thread left.
    pub(in super::super) fn new(output: &Output, service: &str, event_loop: &Handle) -> Result<(Self, Writers)> {
        let service: Arc<str> = service.into();
        let mut state = State { streams: [None, None], tail: Tail::new(output.tail) };
        let mut writers = Writers::default();
        for (index, stream) in [Stream::Stdout, Stream::Stderr].into_iter().enumerate() {
            let outlet = match output.of(stream) {
                Sink::Inherit => continue,
                Sink::Null => None,
                sink => Some(Outlet::new(sink, &service, stream)?),
            };
            let (pipe, writer) = pipe()?;
            writers.0[index] = Some(writer);
            state.streams[index] =
                Some(Reader { pipe, watch: None, lines: Lines { cutter: Cutter::default(), outlet } });
        }
        Ok((Self { shared: Arc::new(Mutex::new(state)), event_loop: event_loop.clone() }, writers))
    }

    /// The child is there, and has its ends, which nobody else has any more.
    ///
    /// # Errors
    /// What the loop answers.
    pub(in super::super) fn begin(&self, pid: i32, _: Writers) -> Result<()> {
        // Held for so long that no callback finds its watch without its id.
        let mut state = lock(&self.shared);
        for (index, reader) in state.streams.iter_mut().enumerate() {
            let Some(reader) = reader else { continue };
            if let Some(outlet) = &reader.lines.outlet {
                outlet.set_pid(pid);
            }
            let (shared, event_loop) = (Arc::downgrade(&self.shared), self.event_loop.clone());
            let options = WatchOptions { on: On::Loop, ..WatchOptions::new(Interest::READ) };
            let watch = self.event_loop.watch(reader.pipe.as_raw_fd(), options, move |_| {
                if let Some(shared) = shared.upgrade() {
                    lock(&shared).turn(index, &event_loop);
                }
            })?;
            reader.watch = Some(watch);
        }
        Ok(())
    }

    /// The child has ended: reads what is there, and answers the last lines.
    pub(in super::super) fn finish(&self) -> Vec<String> {
        let mut state = lock(&self.shared);
        for index in 0..state.streams.len() {
            state.rest(index);
            state.close(index, &self.event_loop);
        }
        state.tail.take()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let mut state = lock(&self.shared);
        for index in 0..state.streams.len() {
            state.close(index, &self.event_loop);
        }
    }
}

fn lock(shared: &Mutex<State>) -> MutexGuard<'_, State> {
    // Nothing foreign runs under it.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    let failed = |errno: Errno| Error::Os { context: "make a pipe for a child".into(), errno: errno.raw_os_error() };
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).map_err(failed)?;
    // The child's end blocks, as programs expect.
    fcntl_setfl(&reader, OFlags::NONBLOCK).map_err(failed)?;
    // More than this user may have is no reason not to run a child.
    let size = if rustix::process::geteuid().is_root() { PIPE } else { PIPE / 4 };
    let _ = fcntl_setpipe_size(&reader, size);
    Ok((reader, writer))
}

impl State {
    /// Some of what is there; the watch tells again.
    fn turn(&mut self, index: usize, event_loop: &Handle) {
        for _ in 0..PIECES {
            match self.read(index, PIECE) {
                Some(0) => return self.close(index, event_loop),
                Some(PIECE) => {}
                // A short read, or none: nothing more for now.
                _ => return,
            }
        }
    }

    /// What is there now, and not what somebody adds meanwhile.
    fn rest(&mut self, index: usize) {
        let Some(reader) = &self.streams[index] else { return };
        let there = rustix::io::ioctl_fionread(&reader.pipe).unwrap_or(0);
        let mut left = usize::try_from(there).unwrap_or(usize::MAX);
        while left > 0 {
            match self.read(index, left) {
                None | Some(0) => break,
                Some(count) => left = left.saturating_sub(count),
            }
        }
    }

    /// Reads once. 0 is the end, `None` that there is nothing.
    fn read(&mut self, index: usize, most: usize) -> Option<usize> {
        let Self { streams, tail } = self;
        let reader = streams[index].as_mut()?;
        let mut piece = [0; PIECE];
        let most = most.min(PIECE);
        let count = loop {
            match rustix::io::read(&reader.pipe, &mut piece[..most]) {
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return None,
                Err(_) => break 0,
                Ok(count) => break count,
            }
        };
        reader.lines.feed(&piece[..count], tail);
        Some(count)
    }

    /// Reads no more.
    fn close(&mut self, index: usize, event_loop: &Handle) {
        let Some(mut reader) = self.streams[index].take() else { return };
        if let Some(watch) = reader.watch.take() {
            // Stale when the loop has finished; ended before its descriptor is closed.
            let _ = event_loop.cancel_watch(watch);
        }
        reader.lines.end(&mut self.tail);
    }
}

impl Lines {
    fn feed(&mut self, piece: &[u8], tail: &mut Tail) {
        let Self { cutter, outlet } = self;
        match outlet {
            None => cutter.feed(piece, |line, _| tail.push(line)),
            Some(outlet) => outlet.push(|queue| {
                cutter.feed(piece, |line, goes_on| {
                    tail.push(line);
                    queue(line, goes_on);
                });
            }),
        }
    }

    fn end(&mut self, tail: &mut Tail) {
        let Self { cutter, outlet } = self;
        cutter.end(|line| {
            tail.push(line);
            if let Some(outlet) = outlet {
                outlet.push(|queue| queue(line, false));
            }
        });
    }
}
