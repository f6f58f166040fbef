//! The coroutine behind a link, on the loop's thread: connects, writes what waits, reads and answers, and connects again.
//!
//! # A turn
//!
//! What has ended otherwise is told; all commands that wait are written in one write; what has come is read and answered. Whoever was answered may
//! have called again by then, from its callback: this goes out in the same turn. A turn that goes on and on lets others of the loop go first.

#![forbid(unsafe_code)]

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use super::{
    connect::{Failure, Welcomed, Wire, ended, establish, garbage, lost},
    link::{Link, Moved, Use},
    parse::Parser,
    reply::Reply,
};
use crate::{
    error::{Error, Result},
    event_loop::{Sleep, sleep, timeout},
};

/// What is read at once, at the least.
const STEP: usize = 64 * 1024;
/// A buffer of more than so much is given back when it is empty.
const KEPT: usize = 1 << 20;
/// How often one turn writes and reads, at the most.
const STEPS: u32 = 16;

/// The one timer of a link: for the first of its deadlines. There is always one, so that the end of the loop is noticed.
struct Alarm {
    at: Option<Instant>,
    sleep: Sleep,
}

/// The link is to end.
struct Over;

impl Alarm {
    fn new(link: &Link) -> Self {
        Self { at: None, sleep: sleep(link.event_loop(), Duration::MAX) }
    }

    /// True if the time has come.
    fn poll(&mut self, link: &Link, earliest: Option<Instant>, cx: &mut Context<'_>) -> Result<bool, Over> {
        if let Some(earliest) = earliest
            && self.at.is_none_or(|at| earliest < at)
        {
            self.at = Some(earliest);
            let left = earliest.saturating_duration_since(Instant::now());
            self.sleep = sleep(link.event_loop(), left);
        }
        match Pin::new(&mut self.sleep).poll(cx) {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(())) => {
                *self = Self::new(link);
                Ok(true)
            }
            // The loop has finished.
            Poll::Ready(Err(_)) => Err(Over),
        }
    }
}

/// Tells everyone, however the driver ends.
struct Ends(Arc<Link>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Runs a link until it is closed, or its loop ends.
pub(super) fn drive(link: Arc<Link>) -> impl Future<Output = ()> + Send + use<> {
    // Made here: a future that is dropped before its first turn ends the link, too.
    let ends = Ends(link);
    async move {
        let _ = run(&ends.0).await;
    }
}

async fn run(link: &Link) -> Result<(), Over> {
    let (options, mut alarm, mut attempts) = (&*link.options, Alarm::new(link), 0);
    loop {
        let attempt = timeout(link.event_loop(), options.connect_timeout, establish(link));
        let made = match attend(link, &mut alarm, attempt).await? {
            Ok(made) => made,
            Err(Error::Timeout(late)) => {
                let text = format!("connect to redis at {}: {late}", options.server);
                Err(Error::Timeout(text).into())
            }
            Err(_) => return Err(Over),
        };
        match made {
            Ok(welcomed) => {
                let since = Instant::now();
                link.connected(super::pubsub::greeting(link));
                let mut connection = Connection::new(welcomed);
                let error = connection.run(link, &mut alarm).await?;
                tracing::debug!(target: "coop", "redis at {}: {error}", options.server);
                link.lost(&error, connection.written, connection.unwritten());
                if link.used_for == Use::Own {
                    return Err(Over);
                }
                if since.elapsed() >= options.backoff.calm {
                    attempts = 0;
                    continue;
                }
            }
            Err(Failure { error: Error::Closed(_) | Error::Forked(_), .. }) => return Err(Over),
            Err(Failure { error, for_good }) => {
                tracing::debug!(target: "coop", "{error}");
                link.failed(&error, for_good);
            }
        }
        let pause = options.backoff.before(attempts, random());
        attempts = attempts.saturating_add(1);
        match attend(link, &mut alarm, sleep(link.event_loop(), pause)).await? {
            Ok(()) => {}
            Err(_) => return Err(Over),
        }
    }
}

/// 0.0 to 1.0.
fn random() -> f64 {
    let mut bytes = [0; 2];
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::NONBLOCK);
    f64::from(u16::from_ne_bytes(bytes)) / f64::from(u16::MAX)
}

/// Awaits something while there is no connection, and tends to the calls meanwhile.
async fn attend<F: Future>(link: &Link, alarm: &mut Alarm, future: F) -> Result<F::Output, Over> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        for _ in 0..STEPS {
            let tended = link.tend();
            if tended.is_over {
                return Poll::Ready(Err(Over));
            }
            if let Poll::Ready(done) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(done));
            }
            match alarm.poll(link, tended.earliest, cx) {
                Err(over) => return Poll::Ready(Err(over)),
                Ok(true) => continue,
                Ok(false) => {}
            }
            if link.rest(cx) {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

/// A connection that was made.
struct Connection {
    wire: Wire,
    parser: Parser,
    out: Vec<u8>,
    /// How much of `out` was written.
    sent: usize,
    /// How much was written since the connection was made.
    written: u64,
    is_flushed: bool,
    buffer: Vec<u8>,
    begin: usize,
    end: usize,
    replies: Vec<Reply>,
    moved: Moved,
}

impl Connection {
    fn new(welcomed: Welcomed) -> Self {
        let Welcomed { wire, parser, have } = welcomed;
        let (end, mut buffer) = (have.len(), have);
        buffer.resize(end.max(STEP), 0);
        Self {
            wire,
            parser,
            out: Vec::new(),
            sent: 0,
            written: 0,
            is_flushed: true,
            buffer,
            begin: 0,
            end,
            replies: Vec::new(),
            moved: Moved::default(),
        }
    }

    fn unwritten(&self) -> &[u8] {
        &self.out[self.sent..]
    }

    /// Until the connection is lost; why.
    async fn run(&mut self, link: &Link, alarm: &mut Alarm) -> Result<Error, Over> {
        // What has come behind the welcome.
        if let Err(error) = self.parse(link) {
            return Ok(error);
        }
        poll_fn(|cx| {
            for _ in 0..STEPS {
                let tended = link.tend();
                if tended.is_over {
                    return Poll::Ready(Err(Over));
                }
                if tended.is_stalled {
                    // What it has said while nobody looked, as when this process was stopped itself.
                    match self.read(link, cx) {
                        Ok(true) => continue,
                        Ok(false) => {}
                        Err(error) => return Poll::Ready(Ok(error)),
                    }
                    let limit = link.options.stalled_after.unwrap_or_default();
                    let text =
                        format!("redis at {}: it owes a reply and has said nothing for {limit:?}", link.options.server);
                    return Poll::Ready(Ok(Error::Timeout(text)));
                }
                match self.exchange(link, cx) {
                    Ok(true) => continue,
                    Ok(false) => {}
                    Err(error) => return Poll::Ready(Ok(error)),
                }
                match alarm.poll(link, tended.earliest, cx) {
                    Err(over) => return Poll::Ready(Err(over)),
                    Ok(true) => continue,
                    Ok(false) => {}
                }
                if link.rest(cx) {
                    return Poll::Pending;
                }
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await
    }

    /// Writes what waits and reads what has come, once each. False if there was nothing to read.
    fn exchange(&mut self, link: &Link, cx: &mut Context<'_>) -> Result<bool> {
        self.write(link, cx)?;
        self.read(link, cx)
    }

    #[inline]
    fn write(&mut self, link: &Link, cx: &mut Context<'_>) -> Result<()> {
        let was_stuck = !self.out.is_empty();
        if !was_stuck && !link.hand_over(&mut self.out) && self.is_flushed {
            return Ok(());
        }
        let failed = |error: &std::io::Error| lost(&link.options.server, "write", error);
        while self.sent < self.out.len() {
            match self.wire.poll_write(cx, &self.out[self.sent..]) {
                Poll::Pending => {
                    link.stuck_with(self.out.len() - self.sent);
                    return Ok(());
                }
                Poll::Ready(Ok(written)) => {
                    self.sent += written;
                    self.written += written as u64;
                    self.is_flushed = false;
                    self.moved.writes += 1;
                    self.moved.bytes_out += written as u64;
                }
                Poll::Ready(Err(error)) => {
                    // What the server said before it closed is still to be read.
                    self.read_rest(link, cx);
                    return Err(failed(&error));
                }
            }
        }
        self.sent = 0;
        self.out.clear();
        if self.out.capacity() > KEPT {
            self.out = Vec::new();
        }
        if was_stuck {
            link.stuck_with(0);
            // What was called meanwhile does not wait for a reply to what was stuck.
            return self.write(link, cx);
        }
        match self.wire.poll_flush(cx) {
            Poll::Pending => Ok(()),
            Poll::Ready(Ok(())) => {
                self.is_flushed = true;
                Ok(())
            }
            Poll::Ready(Err(error)) => Err(failed(&error)),
        }
    }

    fn read_rest(&mut self, link: &Link, cx: &mut Context<'_>) {
        while let Ok(true) = self.read(link, cx) {}
    }

    #[inline]
    fn read(&mut self, link: &Link, cx: &mut Context<'_>) -> Result<bool> {
        self.make_room();
        match self.wire.poll_read(cx, &mut self.buffer[self.end..]) {
            Poll::Pending => {
                // What was written is told with what was read, or here.
                if self.moved.writes >= 1024 {
                    link.count_moved(&std::mem::take(&mut self.moved));
                }
                Ok(false)
            }
            Poll::Ready(Ok(0)) => Err(ended(&link.options.server)),
            Poll::Ready(Ok(read)) => {
                self.end += read;
                self.moved.reads += 1;
                self.moved.bytes_in += read as u64;
                self.parse(link)?;
                Ok(true)
            }
            Poll::Ready(Err(error)) => Err(lost(&link.options.server, "read", &error)),
        }
    }

    /// Room for more behind what is there.
    #[inline]
    fn make_room(&mut self) {
        if self.begin == self.end {
            self.begin = 0;
            self.end = 0;
            if self.buffer.len() > KEPT {
                self.buffer = vec![0; STEP];
            }
        }
        if self.end == self.buffer.len() {
            self.buffer.copy_within(self.begin.., 0);
            self.end -= self.begin;
            self.begin = 0;
            if self.end > self.buffer.len() / 2 {
                let twice = self.buffer.len() * 2;
                self.buffer.resize(twice, 0);
            }
        }
    }

    #[inline]
    fn parse(&mut self, link: &Link) -> Result<()> {
        let mut broken = None;
        while self.end - self.begin >= self.parser.wants() {
            match self.parser.parse(&self.buffer[self.begin..self.end]) {
                Ok((used, reply)) => {
                    self.begin += used;
                    match reply {
                        Some(reply) => self.replies.push(reply),
                        None => break,
                    }
                }
                Err(what) => {
                    broken = Some(what);
                    break;
                }
            }
        }
        let moved = std::mem::take(&mut self.moved);
        let answered = link.answer(&mut self.replies, &moved);
        match broken.or(answered.err()) {
            Some(what) => Err(garbage(&link.options.server, &what)),
            None => Ok(()),
        }
    }
}
