//! The program's calls.

#![forbid(unsafe_code)]

use std::collections::VecDeque;

use super::{
    Action, Phase, Rules, State, Token, Verb,
    child::{Child, Next, Run, Work},
    order::ask,
};
use crate::{error::Error, supervisor::service::ServiceId};

type Verbs = VecDeque<(Token, Verb)>;

impl State {
    pub(super) fn verb(&mut self, token: Token, verb: Verb) {
        match self.phase {
            Phase::Starting => self.waiting.push_back((token, verb)),
            Phase::Up => self.dispatch(token, verb),
            Phase::Down { .. } | Phase::Ending(_) => self.verb_while_down(token, verb),
        }
    }

    /// Verbs whose time has come; true if there was one.
    pub(super) fn serve(&mut self) -> bool {
        if !matches!(self.phase, Phase::Up) {
            return false;
        }
        if let Some((token, verb)) = self.waiting.pop_front() {
            self.dispatch(token, verb);
            return true;
        }
        let settled = |child: &&mut Child| !child.busy() && !child.verbs.is_empty();
        let due = if self.free() {
            let touched = std::mem::take(&mut self.touched);
            let due = touched.iter().find_map(|id| self.children.get_mut(*id).filter(settled)?.verbs.pop_front());
            self.touched = touched;
            due
        } else {
            self.children.iter_mut().find(settled).and_then(|child| child.verbs.pop_front())
        };
        match due {
            Some((token, verb)) => {
                self.dispatch(token, verb);
                true
            }
            None => false,
        }
    }

    pub(super) fn dispatch_all(&mut self, verbs: Verbs) {
        for (token, verb) in verbs {
            self.verb(token, verb);
        }
    }

    fn dispatch(&mut self, token: Token, verb: Verb) {
        match verb {
            Verb::Add(_, rules) if self.simple() => self.answer(token, Err(no_add(&rules))),
            Verb::Add(id, rules) => self.add(token, id, rules, true),
            Verb::StartChild(id, rules) => self.add(token, id, rules, false),
            Verb::TerminateChild(id) | Verb::RestartChild(id) | Verb::DeleteChild(id) | Verb::Replace(id) => {
                if let Some(call) = self.no_simple(&verb) {
                    return self.answer(token, Err(Error::Invalid(call)));
                }
                self.touched.push(id);
                let Some(child) = self.children.get_mut(id).filter(|child| !child.gone) else {
                    return self.answer(token, Err(Error::Stale("service")));
                };
                if child.busy() {
                    return child.verbs.push_back((token, verb));
                }
                match verb {
                    Verb::TerminateChild(_) => self.terminate_child(token, id),
                    Verb::RestartChild(_) => self.restart_child(token, id),
                    Verb::DeleteChild(_) => self.delete_child(token, id),
                    _ => self.replace(token, id),
                }
            }
        }
    }

    fn no_simple(&self, verb: &Verb) -> Option<String> {
        let call = match verb {
            Verb::RestartChild(_) => "restart_child",
            Verb::DeleteChild(_) => "delete_child",
            _ => return None,
        };
        self.simple()
            .then(|| format!("{call} is refused under simple_one_for_one: start_child and terminate_child are allowed"))
    }

    /// A used name is refused; while its owner is busy it may become free. The names of a template's children are made up, and do not matter.
    fn name_taken(&mut self, rules: &Rules) -> Option<&mut Child> {
        let simple = self.simple();
        let named = |rules: &Rules| !simple || rules.supervisor;
        if !named(rules) {
            return None;
        }
        self.children.iter_mut().find(|child| !child.gone && named(&child.rules) && child.rules.id == rules.id)
    }

    fn add(&mut self, token: Token, id: ServiceId, rules: Rules, kept: bool) {
        if let Some(owner) = self.name_taken(&rules) {
            if owner.busy() {
                let verb = if kept { Verb::Add(id, rules) } else { Verb::StartChild(id, rules) };
                return owner.verbs.push_back((token, verb));
            }
            let error = exists(owner);
            return self.answer(token, Err(error));
        }
        if kept {
            self.displace(&rules);
        }
        let mut child = Child::new(id, rules, kept);
        child.next = Next::Start;
        child.work = Some((token, Work::Add));
        self.touched.push(id);
        self.push(token, child);
    }

    /// One that is gone until the supervisor is started again does not come back beside a namesake.
    fn displace(&mut self, rules: &Rules) {
        let gone = self.children.iter().find(|child| child.gone && child.rules.id == rules.id).map(|child| child.id);
        if let Some(id) = gone {
            self.forget_for_good(id);
        }
    }

    fn push(&mut self, token: Token, child: Child) -> bool {
        let name = child.rules.id.clone();
        let new = self.children.push(child);
        if !new {
            self.answer(token, Err(Error::Exists(format!("service \"{name}\": its id is in use"))));
        }
        new
    }

    fn terminate_child(&mut self, token: Token, id: ServiceId) {
        let Some(child) = self.children.get_mut(id) else { return };
        if child.run == Some(Run::Ready) {
            child.work = Some((token, Work::Terminate));
            child.next = Next::Rest;
            return ask(child, &mut self.out);
        }
        if matches!(child.next, Next::Wait { .. }) {
            self.out.push(Action::CancelDelay(id));
        }
        self.rest(id);
        self.answer(token, Ok(()));
    }

    fn restart_child(&mut self, token: Token, id: ServiceId) {
        let Some(child) = self.children.get_mut(id) else { return };
        if child.run.is_some() || child.next != Next::Rest || child.disowned > 0 {
            let error = refused(child, "restart_child is for one that is stopped");
            return self.answer(token, Err(error));
        }
        child.next = Next::Start;
        child.work = Some((token, Work::Restart));
    }

    fn delete_child(&mut self, token: Token, id: ServiceId) {
        let Some(child) = self.children.get_mut(id) else { return };
        if child.run.is_some() || child.next != Next::Rest {
            let error = refused(child, "delete_child is for one that is stopped: terminate_child first");
            return self.answer(token, Err(error));
        }
        self.answer(token, Ok(()));
        self.forget_for_good(id);
    }

    fn replace(&mut self, token: Token, id: ServiceId) {
        let Some(child) = self.children.get_mut(id) else { return };
        if child.run != Some(Run::Ready) || child.disowned > 0 {
            let error = refused(child, "a hand-over is from one that runs, and whose former run has ended");
            return self.answer(token, Err(error));
        }
        child.old = Some(Run::Ready);
        child.work = Some((token, Work::Replace { ended: None }));
        self.start_run(id);
    }

    /// What is added is there when the supervisor is started; nothing else can be done.
    fn verb_while_down(&mut self, token: Token, verb: Verb) {
        match verb {
            Verb::Add(_, rules) if self.simple() => self.answer(token, Err(no_add(&rules))),
            Verb::Add(id, rules) => {
                if let Some(owner) = self.name_taken(&rules) {
                    let error = exists(owner);
                    return self.answer(token, Err(error));
                }
                self.displace(&rules);
                if self.push(token, Child::new(id, rules, true)) {
                    self.answer(token, Ok(()));
                }
            }
            Verb::DeleteChild(id) if matches!(self.phase, Phase::Down { .. }) && self.children.get(id).is_some() => {
                self.delete_child(token, id);
            }
            _ => self.answer(token, Err(Error::Closed("supervisor"))),
        }
    }
}

fn no_add(rules: &Rules) -> Error {
    Error::Invalid(format!("service \"{}\": simple_one_for_one takes children by start_child only", rules.id))
}

fn exists(owner: &Child) -> Error {
    Error::Exists(format!("service \"{}\" is there already, and {}", owner.rules.id, owner.words()))
}

fn refused(child: &Child, allowed: &str) -> Error {
    Error::Invalid(format!("service \"{}\" {}; {allowed}", child.rules.id, child.words()))
}
