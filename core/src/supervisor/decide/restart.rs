//! Restarts: who goes with whom, when it is too much, and parking.

#![forbid(unsafe_code)]

use super::{
    Action, Phase, State,
    child::{Child, Next, Work},
};
use crate::{
    error::{Error, Result},
    supervisor::service::{Backoff, Restart, ServiceId, Strategy},
};

/// What asks for a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    End,
    /// A restart's start.
    Start,
}

impl State {
    /// A child has ended by itself, and has no run any more.
    pub(super) fn ended_by_itself(&mut self, id: ServiceId, normal: bool) {
        let now = self.now;
        let Some(child) = self.children.get_mut(id) else { return };
        if let Some(backoff) = &child.rules.backoff
            && now.saturating_sub(child.since) >= backoff.calm
        {
            child.attempts = 0;
        }
        let again = match child.rules.restart {
            Restart::Permanent => true,
            Restart::Transient => !normal,
            Restart::Temporary => false,
        };
        if again {
            return self.fault(id, Fault::End);
        }
        let significant = child.rules.significant;
        self.rest(id);
        self.auto_shutdown(significant);
    }

    /// Counts, and restarts, parks or gives up.
    pub(super) fn fault(&mut self, id: ServiceId, fault: Fault) {
        let Some(child) = self.children.get(id) else { return };
        let (tried, park) = (child.parked, child.rules.park);
        if tried {
            return self.park(id);
        }
        if self.counted.count(self.now, self.flags.intensity, self.flags.period) {
            self.restart(id, fault);
        } else if park {
            self.park(id);
        } else {
            self.give_up(id);
        }
    }

    fn restart(&mut self, id: ServiceId, fault: Fault) {
        let Some(child) = self.children.get_mut(id) else { return };
        let delay = child.delay(self.now, self.random);
        if fault == Fault::End && delay.is_zero() {
            child.next = Next::Start;
        } else {
            child.next = Next::Wait { parked: false };
            self.out.push(Action::Delay { child: id, delay, parked: false });
        }
        let mut refused = Vec::new();
        match self.flags.strategy {
            Strategy::OneForOne | Strategy::SimpleOneForOne => {}
            Strategy::OneForAll => {
                for sibling in self.children.iter_mut().filter(|sibling| sibling.id != id) {
                    refused.extend(take_along(sibling));
                }
            }
            Strategy::RestForOne => {
                for sibling in self.children.after_mut(id) {
                    refused.extend(take_along(sibling));
                }
            }
        }
        for (token, result) in refused {
            self.answer(token, result);
        }
    }

    /// It rests, and is tried again; its siblings stay as they are.
    pub(super) fn park(&mut self, id: ServiceId) {
        let Some(child) = self.children.get_mut(id) else { return };
        child.parked = true;
        child.fresh = false;
        child.next = Next::Wait { parked: true };
        let delay = Backoff::longest(child.rules.backoff.as_ref());
        self.out.push(Action::Delay { child: id, delay, parked: true });
    }

    fn give_up(&mut self, id: ServiceId) {
        let Some(child) = self.children.get(id) else { return };
        let intensity = self.flags.intensity.unwrap_or(u32::MAX);
        let text = format!(
            "the supervisor gave up: more than {intensity} restarts within {:?}, the last one of service \"{}\"",
            self.flags.period, child.rules.id
        );
        self.out.push(Action::GaveUp);
        self.end(Error::Failed(text));
    }

    /// It has no run, and none is planned. Temporary ones go, and all where nobody could ask for a restart.
    pub(super) fn rest(&mut self, id: ServiceId) {
        let simple = self.simple();
        let Some(child) = self.children.get_mut(id) else { return };
        child.next = Next::Rest;
        child.fresh = false;
        child.parked = false;
        if (child.temporary() || simple) && !matches!(self.phase, Phase::Ending(_)) {
            self.forget(id);
        }
    }

    /// The specification goes; one that was added comes back with the supervisor.
    pub(super) fn forget(&mut self, id: ServiceId) {
        match self.children.get_mut(id) {
            Some(child) if child.kept => {
                child.gone = true;
                let verbs = std::mem::take(&mut child.verbs);
                self.dispatch_all(verbs);
            }
            Some(_) => self.forget_for_good(id),
            None => {}
        }
    }

    pub(super) fn forget_for_good(&mut self, id: ServiceId) {
        if let Some(child) = self.children.remove(id) {
            self.out.push(Action::Forget(id));
            self.dispatch_all(child.verbs);
        }
    }
}

/// A sibling goes with a restart: it stops, if it runs, and is started again, also if it was at rest. A verb is over with it.
fn take_along(sibling: &mut Child) -> Option<(super::Token, Result<()>)> {
    if sibling.gone || matches!(sibling.next, Next::Wait { .. }) {
        return None;
    }
    sibling.halt = sibling.runs();
    sibling.next = if sibling.halt && sibling.temporary() { Next::Forget } else { Next::Start };
    let (token, _) = sibling.work.take_if(|(_, work)| matches!(work, Work::Replace { .. }))?;
    let text =
        format!("service \"{}\": a restart of its siblings came before its hand-over was done", sibling.rules.id);
    Some((token, Err(Error::Failed(text))))
}
