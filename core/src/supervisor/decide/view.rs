//! What can be asked: `which_children`, `count_children`, `get_childspec`.

#![forbid(unsafe_code)]

use super::{
    Rules, State,
    child::{Child, Next, Run},
};
use crate::supervisor::service::ServiceId;

/// How far a child is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChildState {
    Starting,
    Running,
    /// Its successor starts, or it is being stopped after that.
    HandingOver,
    Stopping,
    /// About to be started again.
    Restarting,
    /// The same, after a delay.
    Waiting,
    Parked,
    /// Terminated, ended for good, or never run.
    Stopped,
}

/// A child.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChildView<'a> {
    pub(crate) id: ServiceId,
    pub(crate) rules: &'a Rules,
    pub(crate) state: ChildState,
}

/// `count_children`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Specifications; one under `simple_one_for_one`.
    pub(crate) specs: usize,
    /// Children that have a run.
    pub(crate) active: usize,
    pub(crate) supervisors: usize,
    pub(crate) workers: usize,
}

impl State {
    /// In start order.
    pub(crate) fn children(&self) -> impl Iterator<Item = ChildView<'_>> {
        self.children.iter().filter(|child| !child.gone).map(view)
    }

    /// One of them; nothing if its specification is gone.
    pub(crate) fn child(&self, id: ServiceId) -> Option<ChildView<'_>> {
        self.children.get(id).filter(|child| !child.gone).map(view)
    }

    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts { specs: 0, active: 0, supervisors: 0, workers: 0 };
        for child in self.children.iter().filter(|child| !child.gone) {
            counts.specs += 1;
            counts.active += usize::from(child.runs());
            counts.supervisors += usize::from(child.rules.supervisor);
            counts.workers += usize::from(!child.rules.supervisor);
        }
        if self.simple() {
            counts.specs = 1;
        }
        counts
    }
}

fn view(child: &Child) -> ChildView<'_> {
    let state = match (child.run, child.next) {
        _ if child.old.is_some() && !child.halt => ChildState::HandingOver,
        (Some(Run::Starting), _) => ChildState::Starting,
        (Some(Run::Ready), _) => ChildState::Running,
        (Some(Run::Stopping), _) => ChildState::Stopping,
        (None, _) if child.old.is_some() => ChildState::Stopping,
        (None, Next::Start) => ChildState::Restarting,
        (None, Next::Wait { parked: false }) => ChildState::Waiting,
        (None, Next::Wait { parked: true }) => ChildState::Parked,
        (None, Next::Rest | Next::Forget) => ChildState::Stopped,
    };
    ChildView { id: child.id, rules: &child.rules, state }
}
