//! Names to addresses, without blocking the loop: the system's resolver blocks, so it is called on threads of the library's.
//!
//! A loop has up to [`THREADS`] of them, named `coop-resolve`; they are started when there is something to look up and end after
//! [`IDLE`] without, or with the loop. Nobody waits for them: one that is inside the system's resolver when the loop is freed ends when
//! it comes out of that. A wait that is dropped costs no look-up: its request is passed over, or nobody hears the answer.

#![forbid(unsafe_code)]

use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    pin::Pin,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, atomic::AtomicUsize, atomic::Ordering},
    task::{Context, Poll},
    time::Duration,
};

use super::{
    handle::Handle,
    news::{Listener, Teller, channel},
};
use crate::{
    error::{Error, Result},
    thread,
};

const THREADS: usize = 4;
const IDLE: Duration = Duration::from_secs(5);

type Addresses = Result<Vec<SocketAddr>>;

struct Request {
    host: String,
    port: u16,
    teller: Teller<Addresses>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Request>,
    threads: usize,
    idle: usize,
    /// At most so many in the queue are not waited for any more.
    unheard: usize,
    /// Threads that have nothing to do end.
    ended: bool,
}

/// What a loop and its threads share.
#[derive(Default)]
pub(super) struct Resolver {
    state: Mutex<State>,
    added: Condvar,
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").field("threads", &self.state().threads).finish_non_exhaustive()
    }
}

impl Resolver {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock panics halfway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(self: &Arc<Self>, request: Request) -> Result<()> {
        let mut state = self.state();
        state.queue.push_back(request);
        if state.idle >= state.queue.len() || state.threads == THREADS {
            drop(state);
            self.added.notify_one();
            return Ok(());
        }
        let resolver = self.clone();
        match thread::spawn("coop-resolve", move || resolver.work()) {
            Ok(_detached) => state.threads += 1,
            // The others come to it.
            Err(_) if state.threads > 0 => {}
            Err(error) => {
                let request = state.queue.pop_back();
                drop(state);
                drop(request);
                return Err(error);
            }
        }
        Ok(())
    }

    fn work(&self) {
        let mut state = self.state();
        loop {
            let Some(request) = state.queue.pop_front() else {
                state.unheard = 0;
                if state.ended {
                    state.threads -= 1;
                    return;
                }
                state.idle += 1;
                let (woken, waited) = self.added.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
                state = woken;
                state.idle -= 1;
                if waited.timed_out() && state.queue.is_empty() {
                    state.threads -= 1;
                    return;
                }
                continue;
            };
            drop(state);
            if request.teller.is_heard() {
                let addresses = look_up(&request.host, request.port);
                request.teller.tell(addresses);
            }
            drop(request);
            state = self.state();
        }
    }

    /// One wait less. When half of the queue is not waited for any more, that half is taken out: the threads may be long in coming to
    /// it, and a pass for each wait would be too many.
    fn forget_one(&self) {
        let mut state = self.state();
        state.unheard += 1;
        if 2 * state.unheard <= state.queue.len() {
            return;
        }
        state.unheard = 0;
        let (heard, unheard): (VecDeque<_>, VecDeque<_>) =
            state.queue.drain(..).partition(|request| request.teller.is_heard());
        state.queue = heard;
        drop(state);
        drop(unheard);
    }

    /// The loop has ended: its threads do, when nothing is left in the queue.
    pub(super) fn end(&self) {
        self.state().ended = true;
        self.added.notify_all();
    }
}

fn look_up(host: &str, port: u16) -> Addresses {
    let failed = |why: &dyn fmt::Display| Error::Resolve(format!("resolve {host:?}: {why}"));
    let mut addresses: Vec<_> = (host, port).to_socket_addrs().map_err(|error| failed(&error))?.collect();
    // A name in /etc/hosts twice.
    let mut index = 0;
    while index < addresses.len() {
        let is_new = !addresses[..index].contains(&addresses[index]);
        if is_new {
            index += 1;
        } else {
            addresses.remove(index);
        }
    }
    if addresses.is_empty() { Err(failed(&"the name has no address")) } else { Ok(addresses) }
}

/// A literal address, also as URLs have those of IPv6.
fn literal(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match bare {
        Some(bare) => bare.parse().ok().filter(IpAddr::is_ipv6),
        None => host.parse().ok(),
    }
}

/// Keeps a loop that runs until it is idle.
#[derive(Debug)]
struct Held(Arc<AtomicUsize>);

impl Held {
    fn new(referenced: Arc<AtomicUsize>) -> Self {
        referenced.fetch_add(1, Ordering::Relaxed);
        Self(referenced)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The addresses of a name; made by [`Handle::resolve`].
#[derive(Debug)]
#[must_use = "nothing is looked up until it is awaited"]
pub struct Resolve {
    event_loop: Handle,
    host: String,
    port: u16,
    waiting: Option<(Listener<Addresses>, Held)>,
}

impl Handle {
    /// Looks up a host's addresses, in the system's order of preference, each with this port. A literal address is answered at once. Dropped, it
    /// is given up.
    ///
    /// # Errors
    /// Awaited: [`Error::Resolve`], which names the host, [`Error::Os`] if the system has no thread left, [`Error::Forked`].
    pub fn resolve(&self, host: &str, port: u16) -> Resolve {
        Resolve { event_loop: self.clone(), host: host.to_owned(), port, waiting: None }
    }
}

impl Future for Resolve {
    type Output = Addresses;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Addresses> {
        let this = &mut *self;
        let shared = &this.event_loop.shared;
        shared.fork.check()?;
        if this.waiting.is_none() {
            if let Some(address) = literal(&this.host) {
                return Poll::Ready(Ok(vec![SocketAddr::new(address, this.port)]));
            }
            let (teller, listener) = channel();
            // Set before the request, which may be answered at once.
            let _ = listener.poll(cx);
            let held = Held::new(shared.watches.referenced_by());
            this.waiting = Some((listener, held));
            shared.resolver.add(Request { host: this.host.clone(), port: this.port, teller })?;
            return Poll::Pending;
        }
        match &this.waiting {
            Some((listener, _)) => listener.poll(cx).map(|answer| answer?),
            None => Poll::Pending,
        }
    }
}

impl Drop for Resolve {
    fn drop(&mut self) {
        let Some((listener, held)) = self.waiting.take() else { return };
        let shared = &self.event_loop.shared;
        if shared.fork.is_forked() {
            // A thread of the parent's may hold its lock.
            return std::mem::forget(listener);
        }
        let is_begun = listener.close().is_some();
        drop((listener, held));
        if !is_begun {
            shared.resolver.forget_one();
        }
        shared.wake_if_idle();
    }
}
