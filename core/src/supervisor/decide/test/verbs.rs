//! Verbs on a child that is busy wait, and are answered in order.

use super::*;

const STRATEGIES: [Strategy; 3] = [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne];

#[test]
fn a_verb_waits_for_a_restart() {
    for strategy in STRATEGIES {
        let mut world = started(flags(strategy, 5), [permanent("a"), permanent("b")]);
        world.script("a", &[Begin::Hang]);
        world.crash("a");
        let id = world.id("a");
        let verbs = [Verb::DeleteChild(id), Verb::TerminateChild(id), Verb::DeleteChild(id), Verb::RestartChild(id)];
        let tokens = verbs.map(|verb| world.post(verb));
        world.settle();
        assert!(tokens.iter().all(|token| world.answers_none(*token)));
        world.begins("a", Begin::Ready);
        let answers = tokens.map(|token| world.answer(token).unwrap());
        assert!(matches!(&answers[0], Err(Error::Invalid(text)) if text.contains("runs")));
        assert_eq!(answers[1..], [Ok(()), Ok(()), Err(Error::Stale("service"))]);
        world.running("b");
    }
}

/// Between two tries it has its turn.
#[test]
fn a_verb_comes_before_the_next_try() {
    for strategy in STRATEGIES {
        let mut world = started(flags(strategy, 5), [permanent("a")]);
        world.script("a", &[Begin::Hang]);
        world.crash("a");
        let token = world.post(Verb::TerminateChild(world.id("a")));
        world.settle();
        world.begins("a", Begin::Fail);
        assert_eq!(world.answer(token), Some(Ok(())));
        world.saw("start a, delay a 0ns, cancel a");
    }
}

/// The name is free once the one before it has gone.
#[test]
fn start_child_waits_for_a_busy_namesake() {
    for strategy in STRATEGIES {
        let mut world = started(flags(strategy, 5), []);
        world.start_child(temporary("a")).unwrap();
        world.stubborn("a");
        let terminate = world.post(Verb::TerminateChild(world.id("a")));
        let start = world.post_child(temporary("a"));
        world.settle();
        assert_eq!((world.answer(terminate), world.answer(start)), (None, None));
        world.end_life(ServiceId(1), 0, true);
        world.settle();
        assert_eq!((world.answer(terminate), world.answer(start)), (Some(Ok(())), Some(Ok(()))));
        world.saw("start a, stop a, forget a, start a");
        // And stays taken if it does not go.
        let id = world.new_id("b");
        world.script("b", &[Begin::Hang]);
        let first = world.post(Verb::StartChild(id, permanent("b")));
        let second = world.post_child(permanent("b"));
        world.settle();
        world.inbox.push_back(Input::Ready(id));
        world.settle();
        assert_eq!(world.answer(first), Some(Ok(())));
        assert!(matches!(world.answer(second), Some(Err(Error::Exists(_)))));
    }
}

#[test]
fn stop_answers_every_verb() {
    for strategy in STRATEGIES {
        let mut world = started(flags(strategy, 5), [permanent("a"), permanent("b")]);
        world.stubborn("b");
        let id = world.id("b");
        let first = world.post(Verb::TerminateChild(id));
        let waits = [world.post(Verb::RestartChild(id)), world.post(Verb::DeleteChild(id))];
        let hanging = world.new_id("c");
        world.script("c", &[Begin::Hang]);
        let starts = world.post(Verb::StartChild(hanging, permanent("c")));
        world.settle();
        world.stop();
        // The one that is under way ends as it was to.
        assert_eq!(world.answer(first), None);
        for token in waits.into_iter().chain([starts]) {
            assert_eq!(world.answer(token), Some(Err(Error::Closed("supervisor"))));
        }
        let late = world.terminate("a");
        assert_eq!(late, Err(Error::Closed("supervisor")));
        world.ends("b", true);
        assert_eq!(world.answer(first), Some(Ok(())));
        assert!(world.ended);
    }
}

/// What is started by a verb is started again with its siblings, and answers when it is ready.
#[test]
fn a_restart_while_a_verb_starts_a_child() {
    let mut world = started(flags(Strategy::OneForAll, 5), [permanent("a")]);
    let id = world.new_id("b");
    world.script("b", &[Begin::Hang, Begin::Hang]);
    let token = world.post(Verb::StartChild(id, permanent("b")));
    world.settle();
    world.crash("a");
    world.saw("start b, stop b, start a, start b");
    assert_eq!(world.answer(token), None);
    world.begins("b", Begin::Ready);
    assert_eq!(world.answer(token), Some(Ok(())));

    // A temporary one is gone by then.
    let id = world.new_id("c");
    world.script("c", &[Begin::Hang]);
    let token = world.post(Verb::StartChild(id, temporary("c")));
    world.settle();
    world.crash("a");
    world.saw("start c, stop c, forget c, stop b, start a, start b");
    assert!(matches!(world.answer(token), Some(Err(Error::Failed(text))) if text.contains("service \"c\"")));
}

/// Where children depend on one another they are started one at a time, also by verbs.
#[test]
fn starts_by_verbs_come_one_after_the_other() {
    for (strategy, log) in [(Strategy::OneForOne, "start a, start b"), (Strategy::RestForOne, "start a")] {
        let mut world = started(flags(strategy, 5), []);
        let id = world.new_id("a");
        world.script("a", &[Begin::Hang]);
        let first = world.post(Verb::StartChild(id, permanent("a")));
        let second = world.post_child(permanent("b"));
        world.settle();
        world.saw(log);
        world.begins("a", Begin::Ready);
        assert_eq!((world.answer(first), world.answer(second)), (Some(Ok(())), Some(Ok(()))));
        world.running("a b");
    }
}

#[test]
fn add_while_it_stops_is_there_when_it_is_started_again() {
    let mut world = started(flags(Strategy::OneForOne, 5), [permanent("a")]);
    world.stubborn("a");
    world.stop();
    world.add(permanent("b")).unwrap();
    assert!(matches!(world.add(permanent("b")), Err(Error::Exists(_))));
    world.ends("a", true);
    world.start();
    world.saw("stop a, end, start a, start b, started");
}

/// One that is started when its supervisor is stopped is there, whether it was ready before its turn to stop came or after.
#[test]
fn what_is_being_added_when_the_stop_comes_is_there() {
    for ready_first in [true, false] {
        let mut world = started(flags(Strategy::OneForOne, 5), []);
        let id = world.new_id("a");
        world.script("a", &[Begin::Hang]);
        let added = world.post(Verb::Add(id, permanent("a")));
        world.post_child(permanent("b"));
        world.stubborn("b");
        world.settle();
        world.stop();
        world.saw("start a, start b, stop b");
        if ready_first {
            world.begins("a", Begin::Ready);
            assert_eq!(world.answer(added), Some(Ok(())));
        }
        world.heal();
        assert!(world.ended);
        world.start();
        world.running("a");
    }
}
