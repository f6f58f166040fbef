//! What is known of a service or a supervisor.

#![forbid(unsafe_code)]

use std::{sync::Arc, time::Duration};

use super::{Tree, run::Run};
use crate::{
    event_loop::TimerId,
    supervisor::{
        decide::{Flags, Rules, State},
        service::{Args, Service, ServiceId, Shutdown, SupervisorOptions},
    },
};

#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) path: Arc<str>,
    /// The root has none.
    pub(super) parent: Option<ServiceId>,
    pub(super) kind: Kind,
    pub(super) args: Args,
    /// Its specification was told of.
    pub(super) announced: bool,
    /// How many there have been.
    pub(super) runs: u64,
    pub(super) current: Option<Run>,
    /// In a hand-over, the successor.
    pub(super) next: Option<Run>,
    /// Until it is started again.
    pub(super) delay: Option<TimerId>,
}

#[derive(Debug)]
pub(super) enum Kind {
    Service(Arc<Service>),
    Supervisor(Box<Sup>),
}

#[derive(Debug)]
pub(super) struct Sup {
    pub(super) options: SupervisorOptions,
    pub(super) state: State,
    pub(super) template: Option<Arc<Service>>,
    /// How many children were made of the template: their names.
    pub(super) made: u64,
    /// What ended last, in words: why it gives up.
    pub(super) last: Option<String>,
    /// Why its start failed.
    pub(super) failed: Option<crate::error::Error>,
}

/// How long a service may take to stop, unless told.
pub(super) const SHUTDOWN: Duration = Duration::from_secs(5);

impl Sup {
    pub(super) fn new(options: SupervisorOptions) -> Self {
        let flags = Flags {
            strategy: options.strategy,
            intensity: options.intensity,
            period: options.period,
            auto_shutdown: options.auto_shutdown,
        };
        Self { options, state: State::new(flags), template: None, made: 0, last: None, failed: None }
    }
}

impl Node {
    pub(super) fn new(name: String, path: Arc<str>, parent: Option<ServiceId>, kind: Kind) -> Self {
        let (args, announced, runs) = (Args::None, parent.is_none(), 0);
        Self { name, path, parent, kind, args, announced, runs, current: None, next: None, delay: None }
    }

    pub(super) fn rules(&self) -> Rules {
        let id = self.name.clone();
        match &self.kind {
            Kind::Service(service) => Rules {
                id,
                restart: service.restart,
                significant: service.significant,
                backoff: service.backoff,
                park: service.park,
                park_at_start: service.park_at_start,
                supervisor: false,
            },
            Kind::Supervisor(sup) => Rules {
                id,
                restart: sup.options.restart,
                significant: sup.options.significant,
                backoff: None,
                park: false,
                park_at_start: false,
                supervisor: true,
            },
        }
    }

    pub(super) fn shutdown(&self) -> Shutdown {
        match &self.kind {
            Kind::Service(service) => service.shutdown.unwrap_or(Shutdown::After(SHUTDOWN)),
            Kind::Supervisor(sup) => sup.options.shutdown.unwrap_or(Shutdown::Infinity),
        }
    }

    pub(super) fn run_mut(&mut self, number: u64) -> Option<&mut Run> {
        self.current.iter_mut().chain(self.next.iter_mut()).find(|run| run.number == number)
    }

    /// The run that was last started.
    pub(super) fn last_run(&mut self) -> Option<&mut Run> {
        self.next.as_mut().or(self.current.as_mut())
    }
}

impl Tree {
    /// Forgets a service, or a supervisor and all that is below it.
    pub(super) fn remove(&mut self, id: ServiceId) {
        if let Some(sup) = self.sup_mut(id) {
            let below: Vec<_> = sup.state.children().map(|child| child.id).collect();
            below.into_iter().for_each(|child| self.forget(child));
        }
        if let Some(node) = self.nodes.remove(id.0) {
            self.cancel(node.delay);
        }
    }

    /// The services below, at any depth.
    pub(super) fn below(&mut self, id: ServiceId) -> Vec<ServiceId> {
        let mut all = vec![id];
        let mut at = 0;
        while at < all.len() {
            if let Some(sup) = self.sup_mut(all[at]) {
                all.extend(sup.state.children().map(|child| child.id));
            }
            at += 1;
        }
        all.remove(0);
        all
    }

    /// Whether `id` is this one or above it.
    pub(super) fn is_at_or_above(&mut self, id: ServiceId, mut below: ServiceId) -> bool {
        loop {
            if below == id {
                return true;
            }
            match self.node(below).and_then(|node| node.parent) {
                Some(parent) => below = parent,
                None => return false,
            }
        }
    }
}
