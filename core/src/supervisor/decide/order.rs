//! Who is stopped and started next.

#![forbid(unsafe_code)]

use super::{
    Action, Phase, State,
    child::{Child, Next, Run},
};
use crate::supervisor::service::ServiceId;

impl State {
    /// Does what can be done now; true if there may be more.
    pub(super) fn proceed(&mut self) -> bool {
        let all_ready = matches!(self.phase, Phase::Starting) && self.first_fresh().is_none();
        match self.phase {
            Phase::Down { .. } => false,
            Phase::Ending(_) => self.stop_children(),
            Phase::Starting if all_ready => {
                self.phase = Phase::Up;
                self.out.push(Action::Started(Ok(())));
                true
            }
            Phase::Starting | Phase::Up if !self.free() => self.next_in_order(),
            Phase::Starting => self.start_fresh(),
            Phase::Up => {
                for index in 0..self.touched.len() {
                    let id = self.touched[index];
                    if self.children.get(id).is_some_and(startable) {
                        self.start_run(id);
                    }
                }
                false
            }
        }
    }

    /// With the supervisor: last first, or, where no child knows another, all at once.
    fn stop_children(&mut self) -> bool {
        // Nothing is started any more: those from here on have no run, and will not have one.
        let begins = self.place == u64::MAX;
        if self.simple() && begins {
            for child in self.children.iter_mut().rev() {
                ask(child, &mut self.out);
            }
        }
        match self.children.last_before(self.place, Child::runs) {
            Some((place, child)) => {
                self.place = place + 1;
                ask(child, &mut self.out);
            }
            None => self.finish(),
        }
        false
    }

    /// The first that has not been ready since the start began. None before it becomes one.
    fn first_fresh(&mut self) -> Option<&Child> {
        let (place, child) = self.children.first_from(self.place, |child| child.fresh)?;
        self.place = place;
        Some(child)
    }

    /// One at a time: first those that must stop, last first; then those to be started, each ready before the next.
    fn next_in_order(&mut self) -> bool {
        if let Some(child) = self.children.iter_mut().rev().find(|child| child.halt) {
            ask(child, &mut self.out);
            return false;
        }
        // One whose fault is known, and not yet dealt with, is like one that starts.
        if self.children.iter().any(|child| child.run == Some(Run::Starting) || child.lost.is_some()) {
            return false;
        }
        // Whoever is to be started before others holds them up, also by a delay or by a run that could not be ended.
        let first = self.children.iter().find(|child| matches!(child.next, Next::Start | Next::Wait { parked: false }));
        if let Some(id) = first.filter(|child| startable(child)).map(|child| child.id) {
            self.start_run(id);
        }
        false
    }

    /// The first start, where siblings are free: one after the other; whoever ends meanwhile is restarted without waiting.
    fn start_fresh(&mut self) -> bool {
        let next = self.first_fresh().map(|child| child.id);
        for index in 0..self.touched.len() {
            let id = self.touched[index];
            if self.children.get(id).is_some_and(|child| !child.fresh && startable(child)) {
                self.start_run(id);
            }
        }
        if let Some(id) = next.filter(|id| self.children.get(*id).is_some_and(startable)) {
            self.start_run(id);
        }
        false
    }

    pub(super) fn start_run(&mut self, id: ServiceId) {
        let Some(child) = self.children.get_mut(id) else { return };
        child.next = Next::Rest;
        child.run = Some(Run::Starting);
        self.out.push(Action::Start(id));
    }
}

fn startable(child: &Child) -> bool {
    child.next == Next::Start && !child.runs() && child.disowned == 0
}

/// Asks its runs to stop that have not been asked.
pub(super) fn ask(child: &mut Child, out: &mut Vec<Action>) {
    if matches!(child.old, Some(Run::Ready)) {
        child.old = Some(Run::Stopping);
        out.push(Action::StopPredecessor(child.id));
    }
    if matches!(child.run, Some(Run::Starting | Run::Ready)) {
        child.run = Some(Run::Stopping);
        out.push(Action::Stop(child.id));
    }
}
