//! The supervisor's own start and end.

#![forbid(unsafe_code)]

use std::mem;

use super::{
    Action, Phase, State,
    child::{Next, Work},
};
use crate::{error::Error, supervisor::service::AutoShutdown};

impl State {
    pub(super) fn start(&mut self) {
        if !matches!(self.phase, Phase::Down { .. }) {
            return;
        }
        self.phase = Phase::Starting;
        self.place = 0;
        for child in self.children.iter_mut() {
            child.fresh = true;
            child.next = Next::Start;
        }
    }

    pub(super) fn stop(&mut self) {
        match self.phase {
            Phase::Down { ended: false } => {
                self.phase = Phase::Down { ended: true };
                self.out.push(Action::End);
            }
            Phase::Starting | Phase::Up => self.end(Error::Closed("supervisor")),
            Phase::Ending(_) | Phase::Down { ended: true } => {}
        }
    }

    /// A child of its own accord has ended for good.
    pub(super) fn auto_shutdown(&mut self, significant: bool) {
        let due = significant
            && match self.flags.auto_shutdown {
                AutoShutdown::Never => false,
                AutoShutdown::AnySignificant => true,
                AutoShutdown::AllSignificant => {
                    !self.children.iter().any(|child| child.rules.significant && child.active())
                }
            };
        if due {
            self.out.push(Action::AutoShutdown);
            self.end(Error::Failed("the supervisor shut itself down: its significant services have ended".into()));
        }
    }

    /// Stops the children; then `End`. `why` is for those who wait for the start.
    pub(super) fn end(&mut self, why: Error) {
        self.phase = Phase::Ending(matches!(self.phase, Phase::Starting).then_some(why));
        self.place = u64::MAX;
        let mut refused: Vec<_> = mem::take(&mut self.waiting).into_iter().map(|(token, _)| token).collect();
        let mut unborn = Vec::new();
        for child in self.children.iter_mut() {
            if matches!(child.next, Next::Wait { .. }) {
                self.out.push(Action::CancelDelay(child.id));
            }
            child.next = Next::Rest;
            match child.work {
                // Answered by its end.
                Some((_, Work::Terminate)) => {}
                Some((_, Work::Add)) if child.runs() => child.next = Next::Forget,
                Some((token, work)) => {
                    child.work = None;
                    refused.push(token);
                    if work == Work::Add {
                        unborn.push(child.id);
                    }
                }
                None => {}
            }
            refused.extend(mem::take(&mut child.verbs).into_iter().map(|(token, _)| token));
            child.halt = child.runs();
        }
        for token in refused {
            self.answer(token, Err(Error::Closed("supervisor")));
        }
        for id in unborn {
            self.forget_for_good(id);
        }
    }

    /// All have stopped.
    pub(super) fn finish(&mut self) {
        let Phase::Ending(failed) = mem::replace(&mut self.phase, Phase::Down { ended: true }) else { return };
        let dynamic: Vec<_> = self.children.iter().filter(|child| !child.kept).map(|child| child.id).collect();
        for id in dynamic {
            self.forget_for_good(id);
        }
        for child in self.children.iter_mut() {
            child.gone = false;
            child.attempts = 0;
        }
        self.counted.clear();
        if let Some(error) = failed {
            self.out.push(Action::Started(Err(error)));
        }
        self.out.push(Action::End);
    }
}
