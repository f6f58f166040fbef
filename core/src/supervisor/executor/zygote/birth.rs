//! A run from its request to its end.
//!
//! # What holds
//!
//! * The end is told once, by whoever sets [`At::Over`].
//! * Asked to stop before its worker began, it never begins: a request that waits is taken back, a worker that comes gets the end of the stream in
//!   the place of its `g`.
//! * What is told, closed or called is so without the lock.

#![forbid(unsafe_code)]

use std::{
    ffi::OsString,
    fmt,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    super::{
        Report, Stopped,
        process::{Command, child::Child, output::Writers, run::Run},
    },
    AGAIN,
    nest::{Live, Nest},
    request::{self, For},
    stray,
    wire::{self, Sent, Word},
};
use crate::{
    error::{Error, Result},
    event_loop::{ExitStatus, Interest, On, WatchId, WatchOptions},
    supervisor::{
        event::{Because, Ended},
        service::Service,
    },
};

/// How long a zygote may take to make the worker of a run that is to stop.
const ASKED: Duration = Duration::from_secs(5);
/// And of one whose time is over.
const KILLED: Duration = Duration::from_secs(1);
/// When a request that came to nothing is sent again, times how often it was.
const PAUSE: Duration = Duration::from_millis(10);
/// How many words are taken in one turn of the loop.
const WORDS: u32 = 4;

/// What a run is made of.
pub(super) struct Birth {
    pub(super) nest: Arc<Nest>,
    pub(super) run: Arc<Run>,
    pub(super) command: Command,
    pub(super) path: String,
    pub(super) service: Service,
    /// What its environment says beside, and the names that have its process id as their value.
    pub(super) env: Vec<(&'static str, OsString)>,
    pub(super) pid_env: Vec<&'static str>,
    pub(super) payload: Arc<OwnedFd>,
    pub(super) report: Arc<OwnedFd>,
    pub(super) state: Mutex<State>,
}

#[derive(Debug)]
pub(super) struct State {
    at: At,
    /// How often its request was sent.
    sent: u32,
    wish: Wish,
    /// Until there is a worker that has them.
    writers: Option<Writers>,
    /// Why the worker could not begin, in its own words.
    fault: Option<String>,
}

#[derive(Debug)]
enum At {
    /// Its request waits to be sent, the first time or again.
    Waiting,
    /// To the zygote of this number.
    Sent { number: u64, control: Control },
    /// Its worker is known; with its control, until it may begin.
    Here { child: Arc<Child>, control: Option<Control> },
    /// The end was told.
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    None,
    Ask,
    Kill,
}

/// Where the answer comes.
#[derive(Debug)]
struct Control {
    socket: Arc<OwnedFd>,
    watch: WatchId,
    zygote: i32,
}

/// What came of a request that was to be sent.
#[derive(Debug)]
pub(super) enum Asked {
    OnItsWay,
    /// The run was stopped meanwhile.
    NotWanted,
    /// There is no room now.
    Full,
    /// The zygote is gone.
    Gone,
}

impl fmt::Debug for Birth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Birth").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Told when the loop goes away with what it was to do for a run.
struct OrLost(Arc<Birth>);

impl Drop for OrLost {
    fn drop(&mut self) {
        if self.0.nest.event_loop().is_none() {
            self.0.lost();
        }
    }
}

impl State {
    pub(super) fn new(writers: Writers) -> Self {
        Self { at: At::Waiting, sent: 0, wish: Wish::None, writers: Some(writers), fault: None }
    }
}

impl Birth {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn pid(&self) -> Option<i32> {
        match &self.state().at {
            At::Here { child, .. } => Some(child.pid()),
            _ => None,
        }
    }

    /// Sends its request to this zygote.
    pub(super) fn send(self: &Arc<Self>, live: &Live) -> Result<Asked> {
        if !matches!(self.state().at, At::Waiting) {
            return Ok(Asked::NotWanted);
        }
        let event_loop = self.nest.event_loop().ok_or(Error::Closed("event loop"))?;
        let (ours, theirs) = wire::pair()?;
        let ours = Arc::new(ours);
        let (socket, birth) = (ours.clone(), OrLost(self.clone()));
        let options = WatchOptions { on: On::Loop, ..WatchOptions::new(Interest::READ) };
        let watch = event_loop.watch(ours.as_raw_fd(), options, move |_| {
            // All of it belongs to the callback: that it is dropped is told.
            let OrLost(birth) = &birth;
            birth.hear(&socket);
        })?;
        // Before anything can be answered, which is heard in a later turn.
        {
            let mut state = self.state();
            state.at = At::Sent { number: live.number, control: Control { socket: ours, watch, zygote: live.pid() } };
            state.sent += 1;
        }
        let asked = self.request(live, &theirs);
        if !matches!(asked, Ok(Asked::OnItsWay)) {
            let before = {
                let mut state = self.state();
                state.sent -= u32::from(matches!(asked, Ok(Asked::Full)));
                std::mem::replace(&mut state.at, At::Waiting)
            };
            self.close(before.into_control());
        }
        asked
    }

    fn request(&self, live: &Live, theirs: &OwnedFd) -> Result<Asked> {
        let state = self.state();
        let Some(writers) = &state.writers else { return Ok(Asked::NotWanted) };
        let mut extras = self.run.say(&self.service, writers);
        extras.env.extend(self.env.iter().cloned());
        extras.pid_env.extend(&self.pid_env);
        let of = For {
            control: theirs.as_fd(),
            payload: self.payload.as_fd(),
            report: self.report.as_fd(),
            path: &self.path,
        };
        Ok(match request::send(&live.socket, &of, &self.command, &extras)? {
            Sent::Yes => Asked::OnItsWay,
            Sent::Full => Asked::Full,
            Sent::Gone => Asked::Gone,
        })
    }

    /// Hears no more of it, and closes it.
    fn close(&self, control: Option<Control>) {
        if let Some(control) = control
            && let Some(event_loop) = self.nest.event_loop()
        {
            // Ended before its descriptor is closed; stale when the loop has finished.
            let _ = event_loop.cancel_watch(control.watch);
        }
    }

    /// Something has come.
    fn hear(self: &Arc<Self>, socket: &OwnedFd) {
        for _ in 0..WORDS {
            let Some((word, sender)) = wire::answer(socket) else { return };
            let Some(zygote) = self.zygote() else { return };
            let by_worker = sender > 0 && sender != zygote;
            match word {
                Word::End => return self.no_more(),
                Word::Here | Word::Hello if !by_worker => {
                    return self
                        .refused("it is the zygote's own process that says that it is the worker".into(), false);
                }
                Word::Here => self.here(sender),
                Word::Hello => {
                    self.here(sender);
                    return self.begin();
                }
                Word::Error(why) => {
                    if by_worker {
                        self.here(sender);
                    }
                    return self.refused(why, by_worker);
                }
                Word::Unknown(text) => {
                    if by_worker {
                        self.here(sender);
                    }
                    let text: String = text.chars().take(100).collect();
                    return self.refused(format!("the zygote's answer is {text:?}"), by_worker);
                }
            }
        }
    }

    /// The process that its request was sent to, while an answer is waited for.
    fn zygote(&self) -> Option<i32> {
        match &self.state().at {
            At::Sent { control, .. } | At::Here { control: Some(control), .. } => Some(control.zygote),
            _ => None,
        }
    }

    /// Its worker says that it is there.
    fn here(self: &Arc<Self>, pid: i32) {
        if !matches!(self.state().at, At::Sent { .. }) {
            return;
        }
        self.nest.answered(self);
        let its = self.clone();
        let told = Box::new(move |how| its.ended(pid, how));
        let adopted = match self.nest.event_loop() {
            Some(event_loop) => {
                // Before it can be asked for: an end that comes at once is told by a later turn.
                self.nest.worker(pid);
                Child::adopt(pid, &event_loop, told)
            }
            None => Err(Error::Closed("event loop")),
        };
        match adopted {
            Ok(child) => {
                if !self.command.new_session {
                    // Refused to one that leads a session already.
                    let pid = rustix::process::Pid::from_raw(pid);
                    let _ = rustix::process::setpgid(pid, pid);
                }
                let (wish, stopped) = {
                    let mut state = self.state();
                    let control = std::mem::replace(&mut state.at, At::Over).into_control();
                    let (wanted, stopped) = if state.wish == Wish::None { (control, None) } else { (None, control) };
                    state.at = At::Here { child: child.clone(), control: wanted };
                    (state.wish, stopped)
                };
                self.run.reporter.tell(Report::Spawned { pid });
                self.close(stopped);
                if wish == Wish::Kill {
                    child.kill();
                }
            }
            Err(error) => {
                self.nest.worker_ended(pid);
                if let Some(zygote) = self.zygote() {
                    stray::reap_soon(&self.nest, zygote);
                }
                self.fail(&format!("the worker of its zygote cannot be waited for: {error}"));
            }
        }
        self.nest.pump();
    }

    /// It is all that was asked for, and waits for its word.
    fn begin(self: &Arc<Self>) {
        let (control, writers, child) = {
            let mut state = self.state();
            let At::Here { child, control } = &mut state.at else { return };
            let (child, control) = (child.clone(), control.take());
            (control, state.writers.take(), child)
        };
        let (Some(control), Some(writers)) = (control, writers) else { return };
        match self.run.begin(child.pid(), writers) {
            Ok(()) => wire::go(&control.socket),
            Err(error) => {
                self.state().fault = Some(format!("it cannot be heard: {error}"));
                child.kill();
            }
        }
        self.close(Some(control));
    }

    /// The zygote, or the worker, says why there is nothing to run.
    fn refused(self: &Arc<Self>, why: String, by_worker: bool) {
        if !by_worker {
            self.nest.answered(self);
            self.fail(&why);
            return self.nest.pump();
        }
        let control = {
            let mut state = self.state();
            state.fault = Some(why);
            match &mut state.at {
                At::Here { control, .. } => control.take(),
                _ => None,
            }
        };
        // It ends by itself, which is told by its end.
        self.close(control);
    }

    /// The stream has ended, and nothing more comes.
    fn no_more(self: &Arc<Self>) {
        let (control, was_sent) = {
            let mut state = self.state();
            match std::mem::replace(&mut state.at, At::Over) {
                At::Sent { control, .. } => {
                    state.at = At::Waiting;
                    (Some(control), true)
                }
                At::Here { child, control } => {
                    // Its end is told by the system.
                    state.at = At::Here { child, control: None };
                    (control, false)
                }
                other => {
                    state.at = other;
                    (None, false)
                }
            }
        };
        let zygote = control.as_ref().map(|control| control.zygote);
        self.close(control);
        if was_sent {
            self.nest.answered(self);
            if let Some(zygote) = zygote {
                // One that died without a word is nobody's yet.
                stray::reap_soon(&self.nest, zygote);
            }
            self.came_to_nothing();
            self.nest.pump();
        }
    }

    /// The zygote of this number has ended a while ago: if nobody has said anything since, nobody will.
    pub(super) fn without_end(self: &Arc<Self>, number: u64) {
        let is_sent = matches!(&self.state().at, At::Sent { number: its, .. } if *its == number);
        if is_sent {
            self.no_more();
        }
    }

    /// No worker came of its request, which waits again.
    pub(super) fn came_to_nothing(self: &Arc<Self>) {
        let (sent, wish) = {
            let state = self.state();
            (state.sent, state.wish)
        };
        if wish != Wish::None {
            return self.over(Ended::Shutdown);
        }
        if sent > AGAIN {
            let why = self.nest.why();
            return self.fail(&format!("its zygote has made no process of it, {sent} times: {why}"));
        }
        let again = OrLost(self.clone());
        self.nest.timer(PAUSE * sent, move || {
            let OrLost(birth) = &again;
            if matches!(birth.state().at, At::Waiting) {
                birth.nest.add(birth.clone());
            }
        });
    }

    /// Asks it to stop.
    pub(super) fn ask(self: &Arc<Self>) {
        let (control, child) = {
            let mut state = self.state();
            state.wish = state.wish.or_ask();
            match &mut state.at {
                At::Here { child, control } => (control.take(), Some(child.clone())),
                _ => (None, None),
            }
        };
        // One that has not begun gets the end of the stream, and exits.
        self.close(control);
        match child {
            Some(child) => child.ask(self.command.stop_signal),
            None => self.await_worker(ASKED),
        }
    }

    /// Ends it.
    pub(super) fn kill(self: &Arc<Self>, because: Because) -> Stopped {
        let (control, child) = {
            let mut state = self.state();
            state.wish = Wish::Kill;
            match &mut state.at {
                At::Here { child, control } => (control.take(), Some(child.clone())),
                _ => (None, None),
            }
        };
        let begun = control.is_none();
        self.close(control);
        match child {
            Some(child) if begun => return child.end_since(because),
            Some(child) => child.kill(),
            None => self.await_worker(KILLED),
        }
        Stopped::Ends
    }

    /// It is to stop, and has no worker: it is over now, if none can come, or when one has come; with its zygote, if that does not answer.
    fn await_worker(self: &Arc<Self>, within: Duration) {
        let number = match &self.state().at {
            At::Sent { number, .. } => Some(*number),
            At::Waiting => None,
            At::Here { .. } | At::Over => return,
        };
        let Some(number) = number else { return self.over(Ended::Shutdown) };
        let birth = Arc::downgrade(self);
        self.nest.timer(within, move || {
            let Some(birth) = birth.upgrade() else { return };
            let is_sent = matches!(&birth.state().at, At::Sent { number: its, .. } if *its == number);
            if is_sent {
                birth.nest.retire(number, "it does not answer, and a run is to be stopped");
            }
        });
    }

    /// Its worker has been reaped, and its group is gone.
    fn ended(&self, pid: i32, how: Result<ExitStatus>) {
        self.nest.worker_ended(pid);
        let (before, fault) = {
            let mut state = self.state();
            (std::mem::replace(&mut state.at, At::Over), state.fault.take())
        };
        let was_over = matches!(before, At::Over);
        self.close(before.into_control());
        match fault {
            _ if was_over => {}
            Some(fault) => self.run.over(Ended::Failed(fault)),
            None => self.run.ended(how),
        }
    }

    /// It has not begun, and does not any more.
    pub(super) fn fail(&self, why: &str) {
        self.over(Ended::Failed(why.to_owned()));
    }

    /// Its host has gone.
    pub(super) fn lost(&self) {
        if !matches!(self.state().at, At::Here { .. }) {
            self.over(Ended::Lost("its host's event loop has ended".into()));
        }
    }

    fn over(&self, how: Ended) {
        let before = std::mem::replace(&mut self.state().at, At::Over);
        let was_over = matches!(before, At::Over);
        self.close(before.into_control());
        if !was_over {
            self.run.over(how);
        }
    }
}

impl At {
    fn into_control(self) -> Option<Control> {
        match self {
            Self::Sent { control, .. } => Some(control),
            Self::Here { control, .. } => control,
            Self::Waiting | Self::Over => None,
        }
    }
}

impl Wish {
    fn or_ask(self) -> Self {
        if self == Self::Kill { self } else { Self::Ask }
    }
}
