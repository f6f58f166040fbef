//! Corners, where one rule meets another.

use super::*;
use crate::supervisor::service::Growth;

fn slow(seconds: u64, growth: Growth) -> Option<Backoff> {
    let delay = SECOND * seconds as u32;
    Some(Backoff { delay, growth, cap: delay * 8, jitter: 0.0, calm: SECOND * 100_000, burst: 0 })
}

/// In a hand-over of `a` the predecessor is being stopped, and the successor has died meanwhile.
fn lost() -> (World, u64) {
    let mut world = started(flags(Strategy::OneForAll, 9), [permanent("a"), permanent("b")]);
    world.stubborn("a");
    let token = world.post(Verb::Replace(world.id("a")));
    world.settle();
    world.successor_crashes("a");
    world.saw("start a, stop old a");
    (world, token)
}

/// A fault that is known and not yet dealt with holds up a start, which it would only undo.
#[test]
fn a_successor_that_has_died_holds_up_a_start() {
    let (mut world, token) = lost();
    world.terminate("b").unwrap();
    let restart = world.post(Verb::RestartChild(world.id("b")));
    world.settle();
    world.saw("stop b");
    world.ends("a", true);
    assert_eq!((world.answer(token), world.answer(restart)), (Some(Ok(())), Some(Ok(()))));
    world.saw("start a, start b");
}

/// It is not held up by what has been overtaken.
#[test]
fn a_restart_overtakes_a_successor_that_has_died() {
    let (mut world, token) = lost();
    world.crash("b");
    assert!(matches!(world.answer(token), Some(Err(Error::Failed(_)))));
    world.ends("a", true);
    world.saw("start a, start b");
    world.crash("b");
    world.ends("a", true);
    world.saw("stop a, start a, start b");
}

/// It is to be stopped, waits for its turn, and is over by itself: that is a stop, and nobody's fault.
#[test]
fn a_start_that_is_over_before_it_is_stopped() {
    for begin in [Begin::Fail, Begin::Ignore] {
        let mut world = started(flags(Strategy::OneForAll, 1), [permanent("a"), permanent("b"), permanent("c")]);
        world.terminate("a").unwrap();
        world.script("a", &[Begin::Hang]);
        let restart = world.post(Verb::RestartChild(world.id("a")));
        world.settle();
        world.stubborn("c");
        world.crash("b");
        world.saw("stop a, start a, stop c");
        world.begins("a", begin);
        assert_eq!(world.answer(restart), None);
        world.saw("");
        world.ends("c", true);
        world.saw("start a, start b, start c");
        assert_eq!(world.answer(restart), Some(Ok(())));
    }
}

/// A try that got ready is no try any more: its next end counts and restarts as any other.
#[test]
fn what_was_parked_and_got_ready_is_restarted_again() {
    let flags = Flags { period: SECOND * 10, ..flags(Strategy::OneForOne, 1) };
    let mut world = started(flags, [Rules { park: true, ..permanent("a") }]);
    world.crash("a");
    world.crash("a");
    world.pass(SECOND * 60);
    world.saw("start a, park a 60s, start a");
    world.crash("a");
    world.saw("start a");
}

/// One that rested, and was terminated then, is restarted with its siblings as any other: that it fails is a fault.
#[test]
fn what_was_parked_and_terminated_is_not_parked_for_its_next_failure() {
    let flags = Flags { period: SECOND, ..flags(Strategy::OneForAll, 2) };
    let mut world = started(flags, [Rules { park: true, ..permanent("a") }, permanent("b")]);
    for _ in 0..3 {
        world.crash("a");
    }
    world.terminate("a").unwrap();
    world.pass(SECOND * 2);
    assert_eq!(world.take_log().last().unwrap(), "cancel a");
    world.script("a", &[Begin::Fail]);
    world.crash("b");
    world.saw("start a, delay a 0ns, start a, start b");
}

#[test]
fn nothing_is_remembered_from_one_life_to_the_next() {
    let child = Rules { backoff: slow(1, Growth::Exponential), ..permanent("a") };
    let mut world = started(flags(Strategy::OneForOne, 1), [child]);
    for _ in 0..3 {
        world.crash("a");
        world.pass(SECOND);
        // Neither how often it was restarted, nor how often it may be.
        world.saw("delay a 1s, start a");
        world.stop();
        world.start();
        world.saw("stop a, end, start a, started");
    }
}

/// Each restart counts for its own period.
#[test]
fn a_restart_that_is_long_ago_takes_no_other_with_it() {
    let mut world = started(Flags { period: SECOND * 10, ..flags(Strategy::OneForOne, 2) }, [permanent("a")]);
    for pause in [0, 9, 2] {
        world.pass(SECOND * pause);
        world.crash("a");
        world.saw("start a");
    }
    world.pass(SECOND);
    world.crash("a");
    world.saw("gave up, end");
}

/// What waits for its turn to be started was never there when the supervisor ends first.
#[test]
fn an_addition_that_is_refused_by_the_end_is_not_there_afterwards() {
    let mut world = started(flags(Strategy::OneForAll, 1), [permanent("a")]);
    world.script("a", &[Begin::Hang]);
    world.crash("a");
    let id = world.new_id("b");
    let add = world.post(Verb::Add(id, permanent("b")));
    world.settle();
    world.stop();
    assert_eq!(world.answer(add), Some(Err(Error::Closed("supervisor"))));
    world.start();
    world.saw("start a, forget b, stop a, end, start a, started");
}

/// A sibling that waits for its own delay is not started before that is over.
#[test]
fn a_delay_outlasts_a_restart_of_the_siblings() {
    let children = [permanent("a"), Rules { backoff: slow(10, Growth::Fixed), ..permanent("b") }];
    let mut world = started(flags(Strategy::RestForOne, 5), children);
    world.crash("b");
    world.pass(SECOND * 5);
    world.crash("a");
    world.saw("delay b 10s, start a");
    world.pass(SECOND * 5);
    world.saw("start b");
}

/// One that had not been started yet is not forgotten by a restart: it was not stopped.
#[test]
fn a_temporary_child_whose_turn_has_not_come_is_started_after_a_restart() {
    let mut world = World::new(flags(Strategy::OneForAll, 1));
    for child in [permanent("a"), permanent("b"), temporary("c")] {
        world.add(child).unwrap();
    }
    world.script("b", &[Begin::Hang]);
    world.start();
    world.crash("a");
    world.saw("start a, start b, stop b, start a, start b, start c, started");
}

/// One that cannot be ended has not ended normally.
#[test]
fn a_predecessor_that_is_unresponsive_by_itself_is_a_fault() {
    let mut world = started(flags(Strategy::OneForOne, 1), [transient("a")]);
    world.script("a", &[Begin::Hang]);
    let token = world.post(Verb::Replace(world.id("a")));
    world.settle();
    world.is_unresponsive("a", 0);
    world.begins("a", Begin::Fail);
    assert!(matches!(world.answer(token), Some(Err(Error::Failed(_)))));
    assert_eq!(world.state_of("a"), Some(ChildState::Restarting));
    world.ends("a", true);
    world.saw("start a, start a");
}

/// A temporary child that has ended leaves its name free; what takes the name for good takes its place.
#[test]
fn the_name_of_a_temporary_child_that_has_ended() {
    for kept in [false, true] {
        let mut world = started(flags(Strategy::OneForOne, 1), [temporary("a")]);
        world.ends("a", true);
        if kept {
            world.add(permanent("a")).unwrap();
        } else {
            world.start_child(permanent("a")).unwrap();
        }
        assert_eq!(world.counts(), [1, 1, 0, 1]);
        world.take_log();
        world.stop();
        world.start();
        // One of this name, whichever it is.
        world.running("a");
        assert_eq!(world.counts(), [1, 1, 0, 1]);
    }
    // Also while it stops.
    let mut world = started(flags(Strategy::OneForOne, 1), [temporary("a"), permanent("b")]);
    world.ends("a", true);
    world.stubborn("b");
    world.stop();
    world.add(permanent("a")).unwrap();
    world.ends("b", true);
    world.start();
    world.running("b a");
}

/// Looked at once for each child, not once for each pair of them: this would take minutes.
#[test]
fn twenty_thousand_children_start_and_stop() {
    let mut state = State::new(flags(Strategy::OneForOne, 1));
    let ids: Vec<_> = (1..=20_000).map(ServiceId).collect();
    for id in &ids {
        // Past the check of names, which is one for each pair.
        assert!(state.children.push(child::Child::new(*id, permanent(""), true)));
    }
    let (now, mut begun, mut asked) = (Duration::ZERO, 0, 0);
    let mut actions = state.apply(now, Input::Start, 0.0);
    while let Some(Action::Start(id)) = actions.first() {
        begun += 1;
        actions = state.apply(now, Input::Ready(*id), 0.0);
    }
    assert!(matches!(actions[..], [Action::Started(Ok(()))]));
    let mut actions = state.apply(now, Input::Stop, 0.0);
    while let Some(Action::Stop(id)) = actions.first() {
        asked += 1;
        actions = state.apply(now, Input::Ended { child: *id, normal: true, successor: false }, 0.0);
    }
    assert!(matches!(actions[..], [Action::End]));
    assert_eq!((begun, asked), (ids.len(), ids.len()));

    let mut state = State::new(flags(Strategy::SimpleOneForOne, 1));
    state.apply(now, Input::Start, 0.0);
    for id in &ids {
        state.apply(now, Input::Verb(Token(id.0), Verb::StartChild(*id, permanent(""))), 0.0);
        state.apply(now, Input::Ready(*id), 0.0);
    }
    assert_eq!(state.apply(now, Input::Stop, 0.0).len(), ids.len());
    let (last, others) = ids.split_last().unwrap();
    for id in others {
        assert!(state.apply(now, Input::Ended { child: *id, normal: true, successor: false }, 0.0).is_empty());
    }
    let end = state.apply(now, Input::Ended { child: *last, normal: true, successor: false }, 0.0);
    assert!(matches!(end.last(), Some(Action::End)));
}
