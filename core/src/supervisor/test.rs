//! Hosts as programs see them. The names of OTP's own suite are kept where a case is one of its.

mod basic;
mod children;
mod escalation;
mod inside;
mod late;
mod observers;
mod places;
mod processes;
mod significant;
mod stopping;
mod verbs;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use super::*;
use crate::error::{Error, Result};

/// Far longer than anything takes; only a fault waits for it.
pub(super) const LONG: Duration = Duration::from_secs(60);

pub(super) fn host(root: SupervisorOptions) -> Host {
    Host::new(HostOptions { root, ..HostOptions::default() }).unwrap()
}

pub(super) fn strategy(strategy: Strategy) -> SupervisorOptions {
    SupervisorOptions { strategy, intensity: None, ..SupervisorOptions::default() }
}

/// A service that is told what to do: each run waits for a command, or to be asked to stop.
#[derive(Debug, Clone, Default)]
pub(super) struct Puppet {
    runs: Arc<Mutex<Vec<mpsc::Sender<Do>>>>,
    /// Starts that fail from now on.
    pub(super) fails: Arc<AtomicU64>,
    /// Runs that go on.
    pub(super) alive: Arc<AtomicU64>,
}

#[derive(Debug)]
pub(super) enum Do {
    Return,
    Fail,
    Panic,
    Call(fn(&Context)),
}

impl Puppet {
    pub(super) fn service(&self, id: &str) -> Service {
        let puppet = self.clone();
        let mut service = Service::new(id, Thread::new(move |context| puppet.run(&context)));
        service.ready = Ready::Notify(LONG);
        service
    }

    fn run(&self, context: &Context) -> Result<(), String> {
        let (tell, told) = mpsc::channel();
        self.runs.lock().unwrap().push(tell.clone());
        context.on_stop(move || {
            let _ = tell.send(Do::Return);
        });
        let failing = self.fails.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if failing.is_ok() {
            return Err("told to fail at the start".into());
        }
        self.alive.fetch_add(1, Ordering::SeqCst);
        context.ready();
        let result = loop {
            match told.recv().unwrap() {
                Do::Return => break Ok(()),
                Do::Fail => break Err("told to fail".into()),
                Do::Panic => {
                    self.alive.fetch_sub(1, Ordering::SeqCst);
                    panic!("told to panic")
                }
                Do::Call(f) => f(context),
            }
        };
        self.alive.fetch_sub(1, Ordering::SeqCst);
        result
    }

    pub(super) fn runs(&self) -> usize {
        self.runs.lock().unwrap().len()
    }

    /// To the last run.
    pub(super) fn tell(&self, what: Do) {
        let last = self.runs.lock().unwrap().last().unwrap().clone();
        let _ = last.send(what);
    }

    /// To the run of this number, from 0.
    pub(super) fn tell_run(&self, run: usize, what: Do) {
        let run = self.runs.lock().unwrap()[run].clone();
        let _ = run.send(what);
    }

    pub(super) fn alive(&self) -> u64 {
        self.alive.load(Ordering::SeqCst)
    }

    pub(super) fn wait_runs(&self, count: usize) {
        wait_until(&format!("{count} runs"), || self.runs() >= count && self.alive.load(Ordering::SeqCst) > 0);
    }
}

pub(super) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let until = Instant::now() + LONG;
    while !done() {
        assert!(Instant::now() < until, "never: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What each of these has done, in words, until `last` comes.
pub(super) fn events_until(observer: &Observer, mut last: impl FnMut(&Event) -> bool) -> Vec<Arc<Event>> {
    let mut seen = Vec::new();
    loop {
        match observer.next(Some(LONG)) {
            Ok(Item::Event(event)) => {
                let done = last(&event);
                seen.push(event);
                if done {
                    return seen;
                }
            }
            other => panic!("{other:?} after {seen:#?}"),
        }
    }
}

pub(super) fn state_of(supervisor: &Supervisor, name: &str) -> Option<ChildState> {
    supervisor.which_children().unwrap().into_iter().find(|child| child.name == name).map(|child| child.state)
}

/// Waits until the host has handled all that was told to it so far, and more.
pub(super) fn wait_state(supervisor: &Supervisor, name: &str, state: Option<ChildState>) {
    wait_until(&format!("{name} is {state:?}"), || state_of(supervisor, name) == state);
}

/// Three services, a to c, under this strategy, started; and what they are.
pub(super) fn three(root: SupervisorOptions) -> (Host, [Puppet; 3]) {
    let host = host(root);
    let puppets: [Puppet; 3] = Default::default();
    for (name, puppet) in ["a", "b", "c"].into_iter().zip(&puppets) {
        host.add(puppet.service(name)).unwrap();
    }
    host.start().unwrap();
    (host, puppets)
}

pub(super) fn runs(puppets: &[Puppet]) -> Vec<usize> {
    puppets.iter().map(Puppet::runs).collect()
}

pub(super) fn wait_all_run(supervisor: &Supervisor) {
    let all = || {
        let children = supervisor.which_children().unwrap();
        children.iter().all(|child| child.state == ChildState::Running)
    };
    wait_until("all run", all);
}

/// A service that ends only when it is let go of, whatever it is asked; the sender lets it.
pub(super) fn stubborn(id: &str, shutdown: Shutdown) -> (Service, mpsc::Sender<()>) {
    let (let_go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let entry = move |context: Context| {
        context.ready();
        let _ = wait.lock().unwrap().recv();
        Ok::<_, String>(())
    };
    let mut service = Service::new(id, Thread::new(entry));
    service.ready = Ready::Notify(LONG);
    service.shutdown = Some(shutdown);
    (service, let_go)
}

pub(super) fn invalid<T: std::fmt::Debug>(result: Result<T>, part: &str) {
    match result {
        Err(Error::Invalid(text)) => assert!(text.contains(part), "{text:?} says nothing of {part:?}"),
        other => panic!("{other:?}"),
    }
}
