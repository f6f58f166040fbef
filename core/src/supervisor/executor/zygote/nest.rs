//! The zygote of one host: its process, what waits for it, and what it is replaced by.
//!
//! # What holds
//!
//! * All of it but [`Nest::stop`], [`Nest::close`] and [`Nest::pid`] is called on the loop's thread.
//! * So many requests are on their way at once that their descriptors stay far below what a user may send; the others wait here, and can be
//!   taken back.
//! * Nothing foreign is called under the lock.

#![forbid(unsafe_code)]

use std::{
    collections::{HashSet, VecDeque},
    fmt,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use super::{
    super::process::{
        Command,
        child::Child,
        plan::{Extras, Plan},
    },
    SOCKET,
    birth::{Asked, Birth},
    stray, wire,
};
use crate::{
    error::{Error, Result},
    event_loop::{ExitStatus, Handle, On, TimerOptions, WeakHandle},
    fork::ForkGuard,
    supervisor::reap,
};

/// How many requests are on their way at once.
const WINDOW: usize = 8;
/// When a socket that had no room is tried again.
const FULL: Duration = Duration::from_millis(10);
/// How long a request may stay without an end when its zygote has one: somebody holds a copy of the socket.
const WITHOUT_END: Duration = Duration::from_secs(5);
/// While a request is on its way, how often it is looked whether somebody has stopped its zygote.
const LOOK: Duration = Duration::from_secs(2);

/// See the module's text.
pub(super) struct Nest {
    command: Command,
    event_loop: WeakHandle,
    fork: ForkGuard,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// It is no more: no other zygote is made.
    closed: bool,
    zygote: Option<Arc<Live>>,
    made: u64,
    waiting: VecDeque<Arc<Birth>>,
    /// On their way, by the number of their zygote.
    sent: Vec<(u64, Weak<Birth>)>,
    /// It will be looked whether the zygote is stopped.
    looks: bool,
    /// Workers that are known.
    workers: HashSet<i32>,
    /// How the last zygote ended.
    last_end: Option<String>,
}

/// A zygote's process.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) number: u64,
    child: Arc<Child>,
    pub(super) socket: OwnedFd,
}

impl Live {
    pub(super) fn pid(&self) -> i32 {
        self.child.pid()
    }
}

impl fmt::Debug for Nest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nest").field("pid", &self.pid()).finish_non_exhaustive()
    }
}

/// The command with the zygote's end of the socket.
pub(super) fn with_socket(command: &Command, socket: OwnedFd) -> Command {
    command.clone().descriptor(SOCKET, socket)
}

impl Nest {
    pub(super) fn new(command: Command, event_loop: &Handle) -> Arc<Self> {
        let (event_loop, fork) = (event_loop.downgrade(), ForkGuard::new("zygote"));
        Arc::new(Self { command, event_loop, fork, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its loop, while that can still do something.
    pub(super) fn event_loop(&self) -> Option<Handle> {
        self.event_loop.upgrade().filter(|event_loop| !event_loop.is_stopped())
    }

    pub(super) fn is_forked(&self) -> bool {
        self.fork.is_forked()
    }

    pub(super) fn is_open(&self) -> bool {
        self.event_loop().is_some()
    }

    pub(super) fn is_of(&self, event_loop: &Handle) -> bool {
        self.event_loop.upgrade().is_some_and(|own| own.is(event_loop))
    }

    pub(super) fn pid(&self) -> Option<i32> {
        self.state().zygote.as_ref().map(|live| live.pid())
    }

    /// Ends its process.
    pub(super) fn stop(&self) {
        let live = self.state().zygote.take();
        if let Some(live) = live {
            live.child.kill();
        }
    }

    /// The same, and makes no other.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.stop();
    }

    /// Ends the zygote of this number, if it is still the one, since it is of no use.
    pub(super) fn retire(&self, number: u64, why: &str) {
        let live = self.state().zygote.take_if(|live| live.number == number);
        if let Some(live) = live {
            live.child.kill();
            tracing::warn!(target: "coop", "zygote {} (process {}) is replaced: {why}", self.name(), live.pid());
        }
    }

    fn name(&self) -> String {
        self.command.program.to_string_lossy().into_owned()
    }

    /// The zygote of this moment, made now if there is none.
    ///
    /// # Errors
    /// As [`Child::start`].
    pub(super) fn live(self: &Arc<Self>) -> Result<Arc<Live>> {
        let number = {
            let mut state = self.state();
            if let Some(live) = &state.zygote {
                return Ok(live.clone());
            }
            if state.closed {
                return Err(Error::Closed("zygote"));
            }
            state.made += 1;
            state.made
        };
        let event_loop = self.event_loop().ok_or(Error::Closed("event loop"))?;
        let (socket, theirs) = wire::pair()?;
        // It keeps the zygote's end open until there is a zygote.
        let command = with_socket(&self.command, theirs);
        let mut plan = Plan::new(&command, &Extras::default())?;
        let nest = Arc::downgrade(self);
        // Known to the end before it can come: that is told by a later turn of the loop.
        let group = Arc::new(Mutex::new(0));
        let its = group.clone();
        let told = Box::new(move |how| {
            let pid = *its.lock().unwrap_or_else(PoisonError::into_inner);
            match nest.upgrade() {
                Some(nest) => nest.zygote_ended(number, pid, &how),
                // No run is left that it could have been for.
                None => stray::reap_all(pid, &HashSet::new()),
            }
        });
        let child = Child::start(&mut plan, &event_loop, told)?;
        drop(command);
        *group.lock().unwrap_or_else(PoisonError::into_inner) = child.pid();
        let live = Arc::new(Live { number, child, socket });
        let closed = {
            let mut state = self.state();
            state.zygote = Some(live.clone());
            state.closed
        };
        if closed {
            // By another thread, meanwhile.
            self.stop();
            return Err(Error::Closed("zygote"));
        }
        Ok(live)
    }

    /// Has it born, some time.
    pub(super) fn add(self: &Arc<Self>, birth: Arc<Birth>) {
        self.state().waiting.push_back(birth);
        self.pump();
    }

    /// Sends what waits, as far as there is room.
    pub(super) fn pump(self: &Arc<Self>) {
        loop {
            let birth = {
                let mut state = self.state();
                if state.sent.len() >= WINDOW {
                    return;
                }
                match state.waiting.pop_front() {
                    Some(birth) => birth,
                    None => return,
                }
            };
            let sent = self.live().and_then(|live| {
                self.state().sent.push((live.number, Arc::downgrade(&birth)));
                Ok((birth.send(&live)?, live.number))
            });
            match sent {
                Ok((Asked::OnItsWay, _)) => self.look_later(),
                Ok((Asked::NotWanted, _)) => self.answered(&birth),
                Ok((Asked::Full, _)) => {
                    self.answered(&birth);
                    self.state().waiting.push_front(birth);
                    return self.later(FULL, Self::pump);
                }
                Ok((Asked::Gone, number)) => {
                    self.answered(&birth);
                    self.retire(number, "its socket is closed");
                    birth.came_to_nothing();
                }
                Err(error) => {
                    self.answered(&birth);
                    birth.fail(&error.to_string());
                }
            }
        }
    }

    /// One that is stopped by a signal answers nothing, and lives: every start would wait out its time.
    fn look_later(self: &Arc<Self>) {
        if !std::mem::replace(&mut self.state().looks, true) {
            self.later(LOOK, Self::look);
        }
    }

    fn look(self: &Arc<Self>) {
        let live = {
            let mut state = self.state();
            state.looks = false;
            state.zygote.clone().filter(|_| !state.sent.is_empty())
        };
        let Some(live) = live else { return };
        // It, or the worker to be, which is in its group.
        if reap::children().iter().any(|child| child.group == live.pid() && child.stopped) {
            self.retire(live.number, "it is stopped by a signal, and a run is to begin");
        } else {
            self.look_later();
        }
    }

    /// It is not on its way any more.
    pub(super) fn answered(&self, birth: &Arc<Birth>) {
        self.state().sent.retain(|(_, other)| !std::ptr::eq(other.as_ptr(), Arc::as_ptr(birth)));
    }

    /// A worker is known from now on.
    pub(super) fn worker(&self, pid: i32) {
        self.state().workers.insert(pid);
    }

    /// Its end has been told.
    pub(super) fn worker_ended(&self, pid: i32) {
        self.state().workers.remove(&pid);
    }

    pub(super) fn workers(&self) -> HashSet<i32> {
        self.state().workers.clone()
    }

    /// In words, for a start that came to nothing.
    pub(super) fn why(&self) -> String {
        match &self.state().last_end {
            Some(end) => format!("the last zygote {end}"),
            None => "its zygote goes on".into(),
        }
    }

    /// Calls it later, unless the loop ends first.
    pub(super) fn later(self: &Arc<Self>, after: Duration, f: impl FnOnce(&Arc<Self>) + Send + 'static) {
        let nest = Arc::downgrade(self);
        self.timer(after, move || {
            if let Some(nest) = nest.upgrade() {
                f(&nest);
            }
        });
    }

    /// Dropped uncalled if the loop ends first.
    pub(super) fn timer(&self, after: Duration, f: impl FnOnce() + Send + 'static) {
        let mut f = Some(f);
        let options = TimerOptions { after, on: On::Loop, ..TimerOptions::default() };
        if let Some(event_loop) = self.event_loop() {
            let _ = event_loop.timer(options, move |_| {
                if let Some(f) = f.take() {
                    f();
                }
            });
        }
    }

    /// Its process has ended, and its group with it.
    fn zygote_ended(self: &Arc<Self>, number: u64, pid: i32, how: &Result<ExitStatus>) {
        let how = how.as_ref().map_or_else(ToString::to_string, ToString::to_string);
        let (unexpected, sent) = {
            let mut state = self.state();
            let unexpected = state.zygote.take_if(|live| live.number == number).is_some();
            state.last_end = Some(how.clone());
            let sent = state.sent.iter().filter(|(of, _)| *of == number).filter_map(|(_, birth)| birth.upgrade());
            (unexpected, sent.collect::<Vec<_>>())
        };
        if self.fork.is_forked() {
            return;
        }
        if self.event_loop().is_none() {
            // The host has gone.
            let waiting = std::mem::take(&mut self.state().waiting);
            sent.iter().chain(&waiting).for_each(|birth| birth.lost());
            return stray::reap_all(pid, &self.workers());
        }
        if unexpected {
            tracing::warn!(
                target: "coop",
                "zygote {} (process {pid}) {how}: the next start makes another; workers that run go on",
                self.name()
            );
        }
        for birth in sent {
            let birth = Arc::downgrade(&birth);
            self.timer(WITHOUT_END, move || {
                if let Some(birth) = birth.upgrade() {
                    birth.without_end(number);
                }
            });
        }
        stray::reap_soon(self, pid);
    }
}
