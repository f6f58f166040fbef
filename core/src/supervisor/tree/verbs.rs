//! The program's calls and questions.

#![forbid(unsafe_code)]

use std::sync::Arc;

use super::{
    Tree,
    node::{Kind, Node, Sup},
};
use crate::{
    error::{Error, Result},
    event_loop::news::Teller,
    supervisor::{
        decide::{self, Input, Token},
        service::{Args, Ready, Service, ServiceId, Strategy},
        supervisor::{Child, ChildCounts, ChildInfo, ChildSpec, ChildState, Flags, SUPERVISOR, Verb},
    },
};

/// Who waits for the answer to a verb.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) teller: Teller<Result<ServiceId>>,
    pub(super) child: ServiceId,
    /// The verb brought it: it is forgotten if the verb is refused.
    pub(super) added: bool,
}

impl Tree {
    /// A verb for the supervisor `id`. `caller`, a service of this host, waits for the answer.
    pub(in crate::supervisor) fn verb(
        &mut self,
        id: ServiceId,
        verb: Verb,
        caller: Option<ServiceId>,
        teller: Teller<Result<ServiceId>>,
    ) {
        let added = matches!(
            verb,
            Verb::Add(_)
                | Verb::AddSupervisor(..)
                | Verb::StartSupervisor(..)
                | Verb::StartChild(_)
                | Verb::StartChildWith(_)
        );
        match self.prepare(id, verb, caller) {
            Ok((child, verb)) => {
                let token = Token(self.waiting.insert(Waiting { teller, child, added }));
                self.input(id, Input::Verb(token, verb));
            }
            Err(error) => {
                teller.tell(Err(error));
            }
        }
    }

    fn prepare(&mut self, id: ServiceId, verb: Verb, caller: Option<ServiceId>) -> Result<(ServiceId, decide::Verb)> {
        if self.is_over() {
            return Err(Error::Closed("host"));
        }
        self.check_supervisor(id)?;
        match verb {
            Verb::Add(service) => {
                let child = self.add_node(id, service.id.clone(), Kind::Service(Arc::new(service)), Args::None)?;
                Ok((child, decide::Verb::Add(child, self.rules(child)?)))
            }
            Verb::AddSupervisor(name, options) => {
                let child = self.add_node(id, name, Kind::Supervisor(Box::new(Sup::new(options))), Args::None)?;
                Ok((child, decide::Verb::Add(child, self.rules(child)?)))
            }
            Verb::StartSupervisor(name, options) => {
                let child = self.add_node(id, name, Kind::Supervisor(Box::new(Sup::new(options))), Args::None)?;
                Ok((child, decide::Verb::StartChild(child, self.rules(child)?)))
            }
            Verb::StartChild(service) => {
                if self.strategy(id)? == Strategy::SimpleOneForOne {
                    return Err(Error::Invalid(format!(
                        "service {:?}: the children of a simple_one_for_one supervisor are made of its template: start_child_with",
                        service.id
                    )));
                }
                let child = self.add_node(id, service.id.clone(), Kind::Service(Arc::new(service)), Args::None)?;
                Ok((child, decide::Verb::StartChild(child, self.rules(child)?)))
            }
            Verb::StartChildWith(args) => {
                let strategy = self.strategy(id)?;
                let sup = self.sup_mut(id).ok_or(Error::Stale("supervisor"))?;
                if strategy != Strategy::SimpleOneForOne {
                    return Err(Error::Invalid("start_child_with is for simple_one_for_one supervisors".into()));
                }
                let Some(template) = sup.template.clone() else {
                    return Err(Error::Invalid("the supervisor has no template to start a child of".into()));
                };
                sup.made += 1;
                let name = format!("{}-{}", template.id, sup.made);
                let child = self.add_node(id, name, Kind::Service(template), args)?;
                Ok((child, decide::Verb::StartChild(child, self.rules(child)?)))
            }
            Verb::TerminateChild(child) => {
                let child = self.child(id, &child)??;
                self.check_caller(child, caller)?;
                Ok((child, decide::Verb::TerminateChild(child)))
            }
            Verb::RestartChild(child) => {
                let child = self.child(id, &child)??;
                Ok((child, decide::Verb::RestartChild(child)))
            }
            Verb::DeleteChild(child) => {
                let child = self.child(id, &child)??;
                Ok((child, decide::Verb::DeleteChild(child)))
            }
            Verb::ReplaceChild(child) => {
                let child = self.child(id, &child)??;
                self.check_caller(child, caller)?;
                if self.sup_mut(child).is_some() {
                    return Err(Error::Invalid("a supervisor is not replaced by hand-over: its services are".into()));
                }
                Ok((child, decide::Verb::Replace(child)))
            }
        }
    }

    fn add_node(&mut self, parent: ServiceId, name: String, kind: Kind, args: Args) -> Result<ServiceId> {
        let above = self.node(parent).ok_or(Error::Stale("supervisor"))?;
        let path = Arc::from(format!("{}/{name}", above.path));
        let mut node = Node::new(name, path, Some(parent), kind);
        node.args = args;
        let sup = self.sup_mut(parent).ok_or(Error::Stale("supervisor"))?;
        sup.options.check_child(&node.name, node.rules().significant)?;
        Ok(ServiceId(self.nodes.insert(node)))
    }

    fn rules(&mut self, id: ServiceId) -> Result<decide::Rules> {
        self.node(id).map(|node| node.rules()).ok_or(Error::Stale("service"))
    }

    fn strategy(&mut self, id: ServiceId) -> Result<Strategy> {
        self.sup_mut(id).map(|sup| sup.options.strategy).ok_or(Error::Stale("supervisor"))
    }

    /// Refuses a wait for the caller's own end.
    fn check_caller(&mut self, child: ServiceId, caller: Option<ServiceId>) -> Result<()> {
        if caller.is_some_and(|caller| self.is_at_or_above(child, caller)) {
            return Err(Error::WouldDeadlock(
                "a service cannot wait for its own end: it may return, or ask and not wait",
            ));
        }
        Ok(())
    }

    pub(in crate::supervisor) fn check_supervisor(&mut self, id: ServiceId) -> Result<()> {
        self.sup_mut(id).map(drop).ok_or(Error::Stale("supervisor"))
    }

    pub(in crate::supervisor) fn path(&mut self, id: ServiceId) -> Result<String> {
        self.check_supervisor(id)?;
        self.nodes.get_mut(id.0).map(|node| node.path.to_string()).ok_or(Error::Stale("supervisor"))
    }

    pub(in crate::supervisor) fn set_template(&mut self, id: ServiceId, service: Service) -> Result<()> {
        let sup = self.sup_mut(id).ok_or(Error::Stale("supervisor"))?;
        if sup.options.strategy != Strategy::SimpleOneForOne {
            return Err(Error::Invalid(format!(
                "service {:?}: a template is for simple_one_for_one supervisors",
                service.id
            )));
        }
        sup.template = Some(Arc::new(service));
        Ok(())
    }

    /// The child that is meant; the outer error is the supervisor's.
    pub(in crate::supervisor) fn child(&mut self, id: ServiceId, child: &Child) -> Result<Result<ServiceId>> {
        let sup = self.sup_mut(id).ok_or(Error::Stale("supervisor"))?;
        let found = match child {
            Child::Id(child) => sup.state.child(*child).map(|view| view.id),
            Child::Name(name) => sup.state.children().find(|view| view.rules.id == *name).map(|view| view.id),
        };
        Ok(found.ok_or(Error::Stale("service")))
    }

    pub(in crate::supervisor) fn which_children(&mut self, id: ServiceId) -> Result<Vec<ChildInfo>> {
        let sup = self.sup_mut(id).ok_or(Error::Stale("supervisor"))?;
        let views: Vec<_> = sup.state.children().map(|view| (view.id, view.state)).collect();
        let disowned: Vec<ServiceId> = self.disowned.keys().map(|(id, _)| *id).collect();
        let info = |(id, state): (ServiceId, decide::ChildState)| {
            let node = self.node(id)?;
            let executor = node.executor();
            let pid = node.current.as_ref().and_then(super::Run::pid);
            let state = match state {
                decide::ChildState::Starting => ChildState::Starting,
                decide::ChildState::Running | decide::ChildState::HandingOver => ChildState::Running,
                decide::ChildState::Stopping => ChildState::Stopping,
                _ if disowned.contains(&id) => ChildState::Unresponsive,
                decide::ChildState::Restarting | decide::ChildState::Waiting => ChildState::Restarting,
                decide::ChildState::Parked => ChildState::Parked,
                decide::ChildState::Stopped => ChildState::Terminated,
            };
            let (name, path) = (node.name.clone(), node.path.to_string());
            Some(ChildInfo { id, name, path, executor, state, run: node.runs, pid })
        };
        Ok(views.into_iter().filter_map(info).collect())
    }

    pub(in crate::supervisor) fn count_children(&mut self, id: ServiceId) -> Result<ChildCounts> {
        let sup = self.sup_mut(id).ok_or(Error::Stale("supervisor"))?;
        let decide::Counts { specs, active, supervisors, workers } = sup.state.counts();
        Ok(ChildCounts { specs, active, supervisors, workers })
    }

    pub(in crate::supervisor) fn childspec(&mut self, id: ServiceId, child: &Child) -> Result<ChildSpec> {
        let child = self.child(id, child)??;
        let node = self.node(child).ok_or(Error::Stale("service"))?;
        let (name, executor, shutdown, rules) = (node.name.clone(), node.executor(), node.shutdown(), node.rules());
        let (ready, watchdog, liveness, normal_exits, supervisor) = match &node.kind {
            Kind::Service(service) => {
                (service.ready, service.watchdog, service.liveness, service.normal_exits.clone(), None)
            }
            Kind::Supervisor(sup) => {
                let options = &sup.options;
                let flags = Flags {
                    strategy: options.strategy,
                    intensity: options.intensity,
                    period: options.period,
                    auto_shutdown: options.auto_shutdown,
                };
                (Ready::AtOnce, None, None, Vec::new(), Some(flags))
            }
        };
        Ok(ChildSpec {
            name,
            executor,
            restart: rules.restart,
            shutdown,
            significant: rules.significant,
            ready,
            watchdog,
            liveness,
            backoff: rules.backoff,
            park: rules.park,
            park_at_start: rules.park_at_start,
            normal_exits,
            supervisor,
        })
    }
}

impl Node {
    fn executor(&self) -> &'static str {
        match &self.kind {
            Kind::Service(service) => service.executor.name(),
            Kind::Supervisor(_) => SUPERVISOR,
        }
    }
}
