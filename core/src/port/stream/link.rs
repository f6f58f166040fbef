//! One connection: what waits to be sent, and what is wanted of it.

#![forbid(unsafe_code)]

use std::{
    net::Shutdown,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use super::{Closed, room::Room};
use crate::{
    error::{Error, Result},
    event_loop::stream::{Address, Stream},
};

/// A queue whose sent part is longer than this is moved to its front, when that is the greater part.
const MOVE: usize = 64 << 10;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) peer: Address,
    flow: Mutex<Flow>,
    /// What it and the port's others share.
    room: Arc<Room>,
}

#[derive(Debug)]
struct Flow {
    /// Gone when it is closed.
    stream: Option<Stream>,
    /// What is to be sent, from `sent` on.
    out: Vec<u8>,
    sent: usize,
    paused: bool,
    /// The peer has ended its side.
    ended: bool,
    /// Nothing more is to be written, and whether the peer was told.
    finishes: bool,
    finished: bool,
    /// To be closed when all is sent; at once if it is not [`Closed::Asked`] or [`Closed::Ended`].
    closing: Option<Closed>,
    /// What is told when there is room again.
    wants_room: Option<Wanted>,
    /// In a list of those with something to send.
    listed: bool,
    /// Its end has been told, or is being.
    told: bool,
    /// What serves it.
    waker: Option<Waker>,
}

/// When a connection has room again.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    /// No more than this waits to be sent to it.
    at: usize,
    /// The port's others are in the way, too, until all of them have room.
    of_all: bool,
}

/// What is next.
pub(super) enum Turn {
    /// So many bytes have come.
    Data(usize),
    /// The peer has ended its side.
    End,
    /// It has room again.
    Drained,
    Close(Closed),
    /// It was closed by somebody else.
    Gone,
}

impl Flow {
    fn waits(&self) -> usize {
        self.out.len() - self.sent
    }

    /// Sends what the system takes; answers how much that was, of one that has failed too.
    fn send(&mut self) -> (usize, Result<()>) {
        let before = self.waits();
        let sent = self.try_send();
        (before - self.waits(), sent)
    }

    fn try_send(&mut self) -> Result<()> {
        let Some(stream) = &self.stream else { return Ok(()) };
        while self.sent < self.out.len() {
            match stream.try_write(&self.out[self.sent..]) {
                Ok(more) => self.sent += more,
                Err(Error::WouldBlock(_)) => break,
                Err(error) => return Err(error),
            }
        }
        if self.sent == self.out.len() {
            self.out.clear();
            // What one burst needed is not kept for good.
            self.out.shrink_to(MOVE);
            self.sent = 0;
        } else if self.sent > MOVE && self.sent > self.out.len() / 2 {
            self.out.drain(..self.sent);
            self.sent = 0;
        }
        if self.finishes && !self.finished && self.out.is_empty() {
            self.finished = true;
            stream.shutdown(Shutdown::Write)?;
        }
        Ok(())
    }

    /// Whether it is to be told now that it has room again. What is written to no more is told nothing.
    fn has_room_again(&self) -> bool {
        let writes = self.closing.is_none() && !self.finishes;
        writes && self.wants_room.is_some_and(|wanted| self.waits() <= wanted.at && !wanted.of_all)
    }

    /// The system does not take what was sent to it as fast as that came.
    fn look_whether_it_lags(&mut self, room: &Room) {
        if self.waits() > room.low_of_one {
            self.wants_room.get_or_insert(Wanted { at: room.low_of_one, of_all: false });
        }
    }

    fn is_at_once(&self) -> bool {
        self.closing.as_ref().is_some_and(|why| !matches!(why, Closed::Asked | Closed::Ended))
    }
}

impl Link {
    pub(super) fn new(stream: Stream, room: Arc<Room>) -> Self {
        let flow = Flow {
            out: Vec::new(),
            sent: 0,
            paused: false,
            ended: false,
            finishes: false,
            finished: false,
            closing: None,
            wants_room: None,
            listed: false,
            told: false,
            waker: None,
            stream: None,
        };
        let peer = stream.peer_addr().clone();
        Self { peer, flow: Mutex::new(Flow { stream: Some(stream), ..flow }), room }
    }

    fn flow(&self) -> MutexGuard<'_, Flow> {
        self.flow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that wait to be sent.
    pub(super) fn waits(&self) -> usize {
        self.flow().waits()
    }

    /// Queues bytes; answers how many wait now, and whether it is to be listed.
    pub(super) fn push(self: &Arc<Self>, bytes: &[u8]) -> Result<(usize, bool)> {
        let full = |capacity: usize, whose: &str| Error::QueueFull {
            what: "send queue",
            capacity: format!("{capacity} bytes for {whose}"),
        };
        let (most, most_of_all) = (self.room.most_of_one, self.room.most_of_all);
        let mut flow = self.flow();
        if flow.stream.is_none() || flow.finishes || flow.closing.is_some() {
            return Err(Error::Closed("connection"));
        }
        if bytes.len() > most {
            let text = format!("a write of {} bytes: at most {most} may wait for one connection", bytes.len());
            return Err(Error::Invalid(format!("{text}, an eighth of the set's buffer_bytes")));
        }
        let waits = flow.waits();
        if waits + bytes.len() > most {
            // Less has to wait than now, also if that is less than the mark.
            let at = waits.saturating_sub(1).min(self.room.low_of_one);
            let before = flow.wants_room.map_or(at, |wanted| wanted.at.min(at));
            flow.wants_room = Some(Wanted { at: before, of_all: flow.wants_room.is_some_and(|before| before.of_all) });
            return Err(full(most, "one connection"));
        }
        if !self.room.take(bytes.len()) {
            let at = flow.wants_room.map_or(self.room.low_of_one, |wanted| wanted.at);
            flow.wants_room = Some(Wanted { at, of_all: true });
            drop(flow);
            self.room.wait(Arc::downgrade(self));
            return Err(full(most_of_all, "all connections of a port"));
        }
        flow.out.extend_from_slice(bytes);
        Ok((flow.waits(), !std::mem::replace(&mut flow.listed, true)))
    }

    /// Sends what the system takes now; whoever serves it does the rest. Answers how much that was.
    pub(super) fn send(&self) -> usize {
        let (sent, waker) = {
            let mut flow = self.flow();
            flow.listed = false;
            match flow.send() {
                (sent, Ok(())) => {
                    flow.look_whether_it_lags(&self.room);
                    let goes_on = flow.waits() > 0 || flow.wants_room.is_some();
                    (sent, if goes_on { flow.waker.take() } else { None })
                }
                (sent, Err(error)) => {
                    flow.closing = Some(Closed::Lost(error));
                    (sent, flow.waker.take())
                }
            }
        };
        self.room.give_back(sent);
        wake(waker);
        sent
    }

    /// The port's others are not in the way any more.
    pub(super) fn look(&self) {
        self.want(|flow| {
            if let Some(wanted) = &mut flow.wants_room {
                wanted.of_all = false;
            }
        });
    }

    /// Whether its end is to be told now: it is once.
    pub(super) fn tell_end(&self) -> bool {
        !std::mem::replace(&mut self.flow().told, true)
    }

    /// Changes what is wanted of it, and has that be done.
    fn want(&self, want: impl FnOnce(&mut Flow)) {
        let waker = {
            let mut flow = self.flow();
            want(&mut flow);
            flow.waker.take()
        };
        wake(waker);
    }

    /// Closes it: when all is sent, or at once, by the reason.
    pub(super) fn close(&self, why: Closed) {
        self.want(|flow| {
            let why = if flow.ended && why == Closed::Asked { Closed::Ended } else { why };
            // What is at once overtakes what is not.
            if !flow.is_at_once() {
                flow.closing = Some(why);
            }
        });
    }

    /// The peer reads to the end, when all is sent.
    pub(super) fn finish(&self) {
        self.want(|flow| flow.finishes = true);
    }

    pub(super) fn pause(&self, paused: bool) {
        self.want(|flow| flow.paused = paused);
    }

    /// Sends, and reads into the buffer, as far as that goes; answers how much was sent too.
    pub(super) fn turn(&self, cx: &mut Context<'_>, buffer: &mut [u8], sent: &mut usize) -> Poll<Turn> {
        let mut flow = self.flow();
        let before = flow.waker.replace(cx.waker().clone());
        let mut freed = 0;
        let turn = loop {
            let (more, result) = flow.send();
            freed += more;
            if let Err(error) = result {
                break Poll::Ready(Turn::Close(Closed::Lost(error)));
            }
            match next(&mut flow, cx, buffer) {
                None => {}
                Some(turn) => break turn,
            }
        };
        drop(flow);
        drop(before);
        // May wake others, and this one.
        self.room.give_back(freed);
        *sent += freed;
        turn
    }

    /// Closes the socket; answers how much was sent before. What is left unsent is dropped.
    pub(super) fn end(&self, abort: bool) -> usize {
        let freed;
        let (stream, sent, waker) = {
            let mut flow = self.flow();
            let before = flow.waits();
            let sent = if abort { 0 } else { flow.send().0 };
            (flow.out, flow.sent) = (Vec::new(), 0);
            freed = before;
            (flow.stream.take(), sent, flow.waker.take())
        };
        self.room.give_back(freed);
        if let Some(stream) = stream {
            if abort {
                // A reset. Where there is none, it is closed as any.
                let _ = stream.set_linger(Some(Duration::ZERO));
            } else {
                // What was sent is not overtaken by the reset that unread bytes cause: they are read before it is closed.
                let _ = stream.shutdown(Shutdown::Write);
                let _ = stream.try_read(&mut [0; 4096]);
            }
        }
        wake(waker);
        sent
    }
}

/// What is next, once nothing more can be sent; `None`: there is room again.
fn next(flow: &mut Flow, cx: &mut Context<'_>, buffer: &mut [u8]) -> Option<Poll<Turn>> {
    let lost = |error| Some(Poll::Ready(Turn::Close(Closed::Lost(error))));
    let Some(stream) = &flow.stream else { return Some(Poll::Ready(Turn::Gone)) };
    let waits = flow.out.len() > flow.sent;
    if let Some(why) = &flow.closing
        && (!waits || flow.is_at_once())
    {
        return Some(Poll::Ready(Turn::Close(why.clone())));
    }
    if flow.has_room_again() {
        flow.wants_room = None;
        return Some(Poll::Ready(Turn::Drained));
    }
    if waits {
        match stream.poll_write_ready(cx) {
            Poll::Ready(Ok(())) => return None,
            Poll::Ready(Err(error)) => return lost(error),
            Poll::Pending => {}
        }
    }
    if flow.ended && flow.finished && flow.closing.is_none() {
        return Some(Poll::Ready(Turn::Close(Closed::Ended)));
    }
    if flow.closing.is_some() || flow.paused || flow.ended {
        return Some(Poll::Pending);
    }
    loop {
        match stream.poll_read_ready(cx) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => return lost(error),
            Poll::Pending => return Some(Poll::Pending),
        }
        match stream.try_read(buffer) {
            Ok(0) => {
                flow.ended = true;
                return Some(Poll::Ready(Turn::End));
            }
            Ok(read) => return Some(Poll::Ready(Turn::Data(read))),
            Err(Error::WouldBlock(_)) => {}
            Err(error) => return lost(error),
        }
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
