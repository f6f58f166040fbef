//! What is heard of a run.

#![forbid(unsafe_code)]

use super::{
    Action, Phase, State,
    child::{Next, Run, Work},
    restart::Fault,
};
use crate::{error::Error, supervisor::service::ServiceId};

impl State {
    pub(super) fn ready(&mut self, id: ServiceId) {
        self.touched.push(id);
        let now = self.now;
        let Some(child) = self.children.get_mut(id) else { return };
        // One that was asked to stop meanwhile: its end follows.
        if child.run != Some(Run::Starting) {
            return;
        }
        child.run = Some(Run::Ready);
        child.since = now;
        child.fresh = false;
        child.parked = false;
        if child.old.is_some() {
            child.old = Some(Run::Stopping);
            return self.out.push(Action::StopPredecessor(id));
        }
        if let Some((token, _)) = child.work.take() {
            self.answer(token, Ok(()));
        }
    }

    pub(super) fn start_failed(&mut self, id: ServiceId, error: Error) {
        self.touched.push(id);
        let Some(child) = self.children.get_mut(id) else { return };
        match child.run {
            None | Some(Run::Ready) => return,
            Some(Run::Stopping) => return self.run_is_over(id),
            Some(Run::Starting) if child.halt => return self.run_is_over(id),
            Some(Run::Starting) => child.run = None,
        }
        let why = Error::Failed(format!("service \"{}\" did not start: {error}", child.rules.id));
        let park = child.rules.park_at_start;
        let fresh = child.fresh;
        if child.old.is_some() {
            // The successor failed: the predecessor stays.
            child.run = child.old.take();
            if let Some((token, _)) = child.work.take() {
                self.answer(token, Err(why));
            }
            return;
        }
        match child.work.take() {
            Some((token, Work::Add)) if park => {
                self.park(id);
                self.answer(token, Ok(()));
            }
            Some((token, Work::Add)) => {
                self.answer(token, Err(why));
                self.forget_for_good(id);
            }
            Some((token, Work::Replace { ended: Some(normal) })) => {
                self.answer(token, Err(why));
                self.ended_by_itself(id, normal);
            }
            Some((token, _)) => {
                child.next = Next::Rest;
                self.answer(token, Err(why));
            }
            None if fresh && park => self.park(id),
            None if fresh => {
                self.end(why);
            }
            None => self.fault(id, Fault::Start),
        }
    }

    pub(super) fn ignored(&mut self, id: ServiceId) {
        self.touched.push(id);
        let Some(child) = self.children.get_mut(id) else { return };
        match child.run {
            None | Some(Run::Ready) => return,
            Some(Run::Stopping) => return self.run_is_over(id),
            Some(Run::Starting) if child.halt => return self.run_is_over(id),
            Some(Run::Starting) => child.run = child.old.take(),
        }
        let why = Error::Failed(format!("service \"{}\": its successor asked not to be run", child.rules.id));
        let stays = child.run.is_some();
        let work = child.work.take();
        if !stays {
            self.rest(id);
        }
        match work {
            Some((token, Work::Replace { .. })) => self.answer(token, Err(why)),
            Some((token, _)) => self.answer(token, Ok(())),
            None => {}
        }
    }

    pub(super) fn ended(&mut self, id: ServiceId, normal: bool, successor: bool) {
        self.touched.push(id);
        let Some(child) = self.children.get_mut(id) else { return };
        if !successor && child.old.is_some() {
            return self.predecessor_ended(id, normal);
        }
        if child.disowned > 0 && (!successor || child.run.is_none()) {
            child.disowned -= 1;
            return;
        }
        match child.run {
            None => {}
            Some(Run::Starting) => {
                self.start_failed(id, Error::Failed("it ended before it was ready".into()));
            }
            Some(Run::Stopping) => self.run_is_over(id),
            // It is to be stopped, and only waited for its turn.
            Some(Run::Ready) if child.halt => self.run_is_over(id),
            Some(Run::Ready) => {
                child.run = None;
                if child.old.is_some() {
                    child.lost = Some(normal);
                } else {
                    self.ended_by_itself(id, normal);
                }
            }
        }
    }

    /// In a hand-over.
    fn predecessor_ended(&mut self, id: ServiceId, normal: bool) {
        let Some(child) = self.children.get_mut(id) else { return };
        let asked = child.old.take() == Some(Run::Stopping);
        if child.halt {
            return self.stopped(id);
        }
        if !asked {
            // By itself, while the successor starts, which takes its place.
            if let Some((_, Work::Replace { ended })) = &mut child.work {
                *ended = Some(normal);
            }
            return;
        }
        let lost = child.lost.take();
        if let Some((token, _)) = child.work.take() {
            self.answer(token, Ok(()));
        }
        if let Some(normal) = lost {
            self.ended_by_itself(id, normal);
        }
    }

    pub(super) fn unresponsive(&mut self, id: ServiceId, successor: bool) {
        self.touched.push(id);
        let Some(child) = self.children.get_mut(id) else { return };
        if !successor && child.old.is_some() {
            child.disowned += 1;
            // By itself, that is no normal end.
            return self.predecessor_ended(id, false);
        }
        let Some(run) = child.run else { return };
        child.disowned += 1;
        match run {
            Run::Stopping => self.run_is_over(id),
            Run::Starting => {
                self.start_failed(id, Error::Failed("it was not ready in time, and cannot be ended".into()));
            }
            Run::Ready if child.halt => self.run_is_over(id),
            Run::Ready => {
                child.run = None;
                if child.old.is_some() {
                    child.lost = Some(false);
                } else {
                    self.ended_by_itself(id, false);
                }
            }
        }
    }

    pub(super) fn elapsed(&mut self, id: ServiceId) {
        self.touched.push(id);
        if let Some(child) = self.children.get_mut(id)
            && matches!(child.next, Next::Wait { .. })
        {
            child.next = Next::Start;
        }
    }

    /// The run that was asked to stop, or was to be, is over.
    fn run_is_over(&mut self, id: ServiceId) {
        if let Some(child) = self.children.get_mut(id) {
            child.run = None;
        }
        self.stopped(id);
    }

    /// By its supervisor, which is no end that counts.
    fn stopped(&mut self, id: ServiceId) {
        let Some(child) = self.children.get_mut(id) else { return };
        if child.runs() {
            return;
        }
        child.halt = false;
        child.lost = None;
        let next = child.next;
        let work = child.work.take_if(|(_, work)| *work == Work::Terminate || next == Next::Forget);
        let name = child.rules.id.clone();
        let ending = matches!(self.phase, Phase::Ending(_));
        match work {
            Some((token, Work::Add)) => {
                let error = if ending {
                    Error::Closed("supervisor")
                } else {
                    let text =
                        format!("service \"{name}\" was stopped by a restart of its siblings before it was ready");
                    Error::Failed(text)
                };
                self.answer(token, Err(error));
                return self.forget_for_good(id);
            }
            Some((token, _)) => self.answer(token, Ok(())),
            None => {}
        }
        if matches!(next, Next::Forget | Next::Rest) {
            self.rest(id);
        }
    }
}
