//! What the rules ask for.

#![forbid(unsafe_code)]

use super::{Tree, node::Kind};
use crate::{
    error::Result,
    supervisor::{
        decide::{Action, Input, Token},
        event::{Because, What},
        service::ServiceId,
        shared::{Finish, Phase},
    },
};

impl Tree {
    pub(super) fn act(&mut self, supervisor: ServiceId, action: Action) {
        match action {
            Action::Start(id) => self.start_child(id),
            Action::Stop(id) => self.stop_child(id),
            Action::StopPredecessor(id) => {
                if let Some(number) = self.node(id).and_then(|node| Some(node.current.as_ref()?.number)) {
                    self.stop_run(id, number, Because::HandOver);
                }
            }
            Action::Delay { child, delay, parked } => self.delay(child, delay, parked),
            Action::CancelDelay(id) => {
                let timer = self.node(id).and_then(|node| node.delay.take());
                self.cancel(timer);
            }
            Action::Forget(id) => self.forget(id),
            Action::Answer(token, result) => self.answer(token, result),
            Action::Started(started) => self.started(supervisor, started),
            Action::GaveUp => self.gave_up(supervisor),
            Action::AutoShutdown => {
                self.emit(supervisor, What::AutoShutdown);
                if supervisor == self.root {
                    self.finish = Finish::AutoShutdown;
                }
            }
            Action::End => self.end(supervisor),
        }
    }

    fn start_child(&mut self, id: ServiceId) {
        self.announce(id);
        let Some(node) = self.node(id) else { return };
        let timer = node.delay.take();
        match &node.kind {
            Kind::Service(service) => {
                let service = service.clone();
                self.cancel(timer);
                self.start_service(id, &service);
            }
            Kind::Supervisor(_) => self.begin_supervisor(id),
        }
    }

    /// Ends the run that was last started.
    pub(super) fn stop_child(&mut self, id: ServiceId) {
        if let Some(number) = self.node(id).and_then(|node| Some(node.last_run()?.number)) {
            self.stop_run(id, number, Because::Asked);
        }
    }

    fn delay(&mut self, child: ServiceId, delay: std::time::Duration, parked: bool) {
        match (parked, delay.is_zero()) {
            (true, _) => self.emit(child, What::Parked { delay }),
            (false, false) => self.emit(child, What::Backoff { delay }),
            (false, true) => {}
        }
        let timer = self.timer(delay, move |tree| tree.elapsed(child));
        if let Some(node) = self.node(child) {
            let before = std::mem::replace(&mut node.delay, timer);
            self.cancel(before);
        }
    }

    fn elapsed(&mut self, child: ServiceId) {
        if let Some(node) = self.node(child) {
            node.delay = None;
        }
        self.input_of(child, Input::Elapsed(child));
    }

    pub(super) fn announce(&mut self, id: ServiceId) {
        if let Some(node) = self.node(id)
            && !std::mem::replace(&mut node.announced, true)
        {
            self.emit(id, What::Added);
        }
    }

    pub(super) fn forget(&mut self, id: ServiceId) {
        if self.node(id).is_some_and(|node| node.announced) {
            self.emit(id, What::Removed);
        }
        self.remove(id);
    }

    fn answer(&mut self, token: Token, result: Result<()>) {
        let Some(waiting) = self.waiting.remove(token.0) else { return };
        match &result {
            Ok(()) if waiting.added => self.announce(waiting.child),
            // One that was told of is forgotten by the rules.
            Err(_) if waiting.added && self.node(waiting.child).is_some_and(|node| !node.announced) => {
                self.remove(waiting.child);
            }
            _ => {}
        }
        waiting.teller.tell(result.map(|()| waiting.child));
    }

    fn started(&mut self, supervisor: ServiceId, started: Result<()>) {
        if supervisor == self.root {
            let told = started.clone();
            self.supervisor_started(supervisor, started);
            if told.is_ok()
                && let Some(teller) = self.starting.take()
            {
                teller.tell(told);
            }
        } else {
            self.supervisor_started(supervisor, started);
        }
    }

    fn gave_up(&mut self, supervisor: ServiceId) {
        self.emit(supervisor, What::GaveUp);
        let Some(node) = self.node(supervisor) else { return };
        let path = node.path.clone();
        let Kind::Supervisor(sup) = &mut node.kind else { return };
        let intensity = sup.options.intensity.unwrap_or(u32::MAX);
        let last = sup.last.take().map(|last| format!("; the last fault: {last}")).unwrap_or_default();
        let text = format!("{path} gave up: more than {intensity} restarts within {:?}{last}", sup.options.period);
        if supervisor == self.root {
            self.finish = Finish::GaveUp(text);
        } else {
            self.note_fault(supervisor, &text);
        }
    }

    fn end(&mut self, supervisor: ServiceId) {
        if supervisor != self.root {
            return self.supervisor_ended(supervisor);
        }
        let failed = self.sup_mut(supervisor).and_then(|sup| sup.failed.clone());
        self.supervisor_ended(supervisor);
        // A host whose start has failed may be started again; one that was asked to stop meanwhile has ended.
        match (failed, self.link.upgrade()) {
            (Some(error), Some(shared)) if !self.stopped && !self.killing => {
                shared.set_phase(Phase::New);
                self.tell_start(Err(error));
            }
            (failed, _) => {
                self.set_ended();
                if let Some(error) = failed {
                    self.tell_start(Err(error));
                }
            }
        }
    }

    fn tell_start(&mut self, result: Result<()>) {
        if let Some(teller) = self.starting.take() {
            teller.tell(result);
        }
    }
}
