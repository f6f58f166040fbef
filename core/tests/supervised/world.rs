//! A host under test, and what is seen of it.

use std::{collections::BTreeSet, fs, sync::Arc};

use coop_core::supervisor::{
    AsyncProcess, Ended, Event, Filter, Host, HostOptions, Item, Kind, Observer, ObserverOptions, Ready, Restart,
    Service, SupervisorOptions, What,
    executor::process::output::{Output, Sink},
};
use rustix::process::Signal;

pub(crate) use super::processes::{LONG, children_of, eventually, is_gone, signal};
use super::processes::{is_dead, pids, stat};

pub(crate) struct World {
    pub(crate) host: Host,
    pub(crate) observer: Observer,
}

/// A host without limits to restarts, started, with these services.
pub(crate) fn world(services: impl IntoIterator<Item = Service>) -> World {
    let root = SupervisorOptions { intensity: None, ..SupervisorOptions::default() };
    let host = Host::new(HostOptions { root, history: 100_000, ..HostOptions::default() }).unwrap();
    let options = ObserverOptions { queue: 1_000_000, ..ObserverOptions::default() };
    let observer = host.observe(Filter::default(), &options).unwrap();
    for service in services {
        host.add(service).unwrap();
    }
    World { host, observer }
}

/// An entry of this program.
pub(crate) fn service(entry: &str) -> Service {
    let output = Output { stdout: Sink::Null, stderr: Sink::Null, ..Output::default() };
    let mut service = Service::new(entry, AsyncProcess::new(entry).output(output));
    service.ready = Ready::Notify(LONG);
    service
}

/// One that is not restarted.
pub(crate) fn temporary(entry: &str) -> Service {
    Service { restart: Restart::Temporary, ..service(entry) }
}

impl World {
    pub(crate) fn started(self) -> Self {
        self.host.start().unwrap();
        self
    }

    /// Waits for an event.
    pub(crate) fn until(&self, what: &str, mut found: impl FnMut(&Event) -> bool) -> Arc<Event> {
        let mut seen = Vec::new();
        loop {
            match self.observer.next(Some(LONG)) {
                Ok(Item::Event(event)) if found(&event) => return event,
                Ok(Item::Event(event)) => seen.push(event.to_string()),
                other => panic!("{what} did not come: {other:?}; seen were:\n{}", seen.join("\n")),
            }
        }
    }

    pub(crate) fn until_kind(&self, path: &str, kind: Kind) -> Arc<Event> {
        self.until(&format!("{kind:?} of {path}"), |event| event.path == path && event.what.kind() == kind)
    }

    pub(crate) fn until_status(&self, path: &str, text: &str) -> Arc<Event> {
        self.until(&format!("{text:?} of {path}"), |event| {
            event.path == path && matches!(&event.what, What::Status(said) if said.contains(text))
        })
    }

    /// How a run ended, and whether that was normal; the event too.
    pub(crate) fn until_ended(&self, path: &str) -> (Ended, Arc<Event>) {
        let event = self.until_kind(path, Kind::Ended);
        match &event.what {
            What::Ended { how, .. } => (how.clone(), event),
            _ => unreachable!("an end was found"),
        }
    }

    pub(crate) fn pid(&self, name: &str) -> i32 {
        let children = self.host.which_children().unwrap();
        children.iter().find(|child| child.name == name).and_then(|child| child.pid).unwrap_or(0)
    }

    /// Stops it, and answers the events that have not been taken.
    pub(crate) fn stop(self) -> Vec<Arc<Event>> {
        self.host.shutdown(Some(LONG)).unwrap();
        drop(self.host);
        self.observer
            .iter()
            .map(|item| match item {
                Item::Event(event) => event,
                Item::Lost(count) => panic!("{count} events lost"),
            })
            .collect()
    }
}

pub(crate) fn kill(pid: i32) {
    signal(pid, Signal::KILL);
}

/// The groups that somebody alive is in.
pub(crate) fn groups_alive() -> BTreeSet<i32> {
    pids().filter_map(stat).filter(|(state, ..)| !is_dead(*state)).map(|(_, _, group)| group).collect()
}

pub(crate) fn no_child_is_left() -> bool {
    let left = children_of(std::process::id());
    if !left.is_empty() {
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), "children are left: {left:?}");
    }
    left.is_empty()
}

pub(crate) fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// A file of this test's own, removed with it.
pub(crate) struct Scratch(pub(crate) std::path::PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("coop-supervised-{}-{name}", std::process::id())))
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        fs::read_to_string(&self.0).unwrap_or_default().lines().map(str::to_owned).collect()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
