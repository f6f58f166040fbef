//! Who goes with whom, and when it is too much.

use super::*;

fn three(strategy: Strategy, intensity: u32) -> World {
    started(flags(strategy, intensity), [permanent("a"), permanent("b"), permanent("c")])
}

#[test]
fn multiple_restarts() {
    let mut world = started(Flags { period: SECOND, ..flags(Strategy::OneForOne, 3) }, [permanent("a")]);
    for _ in 0..3 {
        world.crash("a");
    }
    // The first three are out of sight.
    world.pass(SECOND + Duration::from_nanos(1));
    for _ in 0..3 {
        world.crash("a");
    }
    world.saw("start a, start a, start a, start a, start a, start a");
    world.crash("a");
    world.saw("gave up, end");
}

/// A restart that lies just the period back counts.
#[test]
fn the_period_includes_both_its_ends() {
    for (time, outcome) in [(SECOND, "start a, gave up, end"), (SECOND + Duration::from_nanos(1), "start a, start a")] {
        let mut world = started(Flags { period: SECOND, ..flags(Strategy::OneForOne, 1) }, [permanent("a")]);
        world.crash("a");
        world.pass(time);
        world.crash("a");
        world.saw(outcome);
    }
}

#[test]
fn no_intensity_is_no_limit() {
    let mut world = started(flags(Strategy::OneForOne, None), [permanent("a")]);
    for _ in 0..1000 {
        world.crash("a");
    }
    world.running("a");
}

#[test]
fn one_for_one() {
    let mut world = three(Strategy::OneForOne, 2);
    world.crash("b");
    world.saw("start b");
    world.crash("a");
    world.saw("start a");
    world.crash("c");
    world.saw("gave up, stop b, stop a, end");
}

/// A child that takes its time to get ready holds up no sibling.
#[test]
fn one_for_one_restarts_are_independent() {
    let mut world = three(Strategy::OneForOne, 10);
    world.script("a", &[Begin::Hang]);
    world.crash("a");
    world.crash("b");
    world.crash("c");
    world.saw("start a, start b, start c");
    world.running("b c");
    world.begins("a", Begin::Ready);
    world.running("a b c");
}

#[test]
fn one_for_one_escalation() {
    let mut world = three(Strategy::OneForOne, 4);
    world.always("a", Begin::Fail);
    world.crash("a");
    // The end, and three starts that failed; the fourth is one too many.
    world
        .saw("start a, delay a 0ns, start a, delay a 0ns, start a, delay a 0ns, start a, gave up, stop c, stop b, end");
}

#[test]
fn one_for_all() {
    let mut world = three(Strategy::OneForAll, 2);
    world.crash("b");
    world.saw("stop c, stop a, start a, start b, start c");
    world.crash("c");
    world.saw("stop b, stop a, start a, start b, start c");
    world.crash("a");
    world.saw("gave up, stop c, stop b, end");
}

#[test]
fn one_for_all_escalation() {
    let mut world = started(flags(Strategy::OneForAll, 4), [permanent("a"), permanent("b")]);
    world.always("b", Begin::Fail);
    world.crash("a");
    let again = "start a, start b, delay b 0ns, stop a, ";
    world.saw(&format!("stop b, {again}{again}{again}start a, start b, gave up, stop a, end"));
}

#[test]
fn one_for_all_other_child_fails_restart() {
    let mut world = started(flags(Strategy::OneForAll, 3), [permanent("a"), permanent("b")]);
    world.script("b", &[Begin::Fail]);
    world.crash("a");
    // The one that was already back goes again.
    world.saw("stop b, start a, start b, delay b 0ns, stop a, start a, start b");
    world.crash("a");
    world.crash("a");
    world.saw("stop b, start a, start b, gave up, stop b, end");
}

/// A crash in the middle of a restart counts, and the restart is begun anew.
#[test]
fn one_for_all_other_child_crashes_during_restart() {
    let mut world = three(Strategy::OneForAll, 2);
    world.script("b", &[Begin::Hang]);
    world.crash("c");
    world.saw("stop b, stop a, start a, start b");
    world.crash("a");
    world.saw("stop b, start a, start b, start c");
    world.crash("a");
    world.saw("gave up, stop c, stop b, end");
}

/// So does the end of one that was on its way.
#[test]
fn a_crash_while_a_sibling_is_stopped() {
    let mut world = three(Strategy::RestForOne, 2);
    world.stubborn("c");
    world.crash("b");
    world.saw("stop c");
    world.crash("a");
    world.saw("");
    world.ends("c", true);
    world.saw("start a, start b, start c");
    world.crash("c");
    world.saw("gave up, stop b, stop a, end");
}

#[test]
fn rest_for_one() {
    let mut world = three(Strategy::RestForOne, 2);
    world.crash("b");
    world.saw("stop c, start b, start c");
    world.crash("c");
    world.saw("start c");
    world.crash("a");
    world.saw("gave up, stop c, stop b, end");
}

#[test]
fn rest_for_one_escalation() {
    let mut world = started(flags(Strategy::RestForOne, 4), [permanent("a"), permanent("b")]);
    world.always("b", Begin::Fail);
    world.crash("a");
    let again = "start b, delay b 0ns, ";
    world.saw(&format!("stop b, start a, {again}{again}{again}start b, gave up, stop a, end"));
}

#[test]
fn rest_for_one_other_child_fails_restart() {
    let mut world = started(flags(Strategy::RestForOne, 3), [permanent("a"), permanent("b")]);
    world.script("b", &[Begin::Fail]);
    world.crash("a");
    // The one before it stays.
    world.saw("stop b, start a, start b, delay b 0ns, start b");
}

#[test]
fn a_restart_takes_along_who_was_terminated() {
    for (strategy, outcome) in [
        (Strategy::OneForAll, "stop c, start a, start b, start c, start d"),
        (Strategy::RestForOne, "stop c, start b, start c, start d"),
    ] {
        let mut world = started(flags(strategy, 2), [permanent("a"), permanent("b"), permanent("c"), transient("d")]);
        world.terminate("a").unwrap();
        world.ends("d", true);
        world.take_log();
        world.crash("b");
        world.saw(outcome);
    }
}

#[test]
fn one_that_is_being_terminated_goes_along() {
    let mut world = three(Strategy::OneForAll, 2);
    world.stubborn("b");
    let token = world.post(Verb::TerminateChild(world.id("b")));
    world.settle();
    world.crash("a");
    world.saw("stop b, stop c");
    world.ends("b", true);
    assert_eq!(world.answer(token), Some(Ok(())));
    world.saw("start a, start b, start c");
}

/// A start that fails for ever, and no limit: each try is an input of its own, so everything else has its turn.
#[test]
fn hanging_restart_loop() {
    let mut world = started(flags(Strategy::OneForOne, None), [permanent("a"), permanent("b")]);
    world.always("a", Begin::Fail);
    let id = world.id("a");
    world.end_life(id, 0, false);
    assert!(!world.steps(1000), "it goes on for ever");
    let ask = world.post(Verb::DeleteChild(id));
    assert!(!world.steps(1000));
    assert!(matches!(world.answer(ask), Some(Err(Error::Invalid(_)))));
    // It ends it, and touches no sibling.
    world.terminate("a").unwrap();
    world.running("b");
    world.delete("a").unwrap();
    world.stop();
    assert!(world.ended);
}

#[test]
fn hanging_restart_loop_rest_for_one() {
    let mut world = started(flags(Strategy::RestForOne, None), [permanent("a"), permanent("b"), permanent("c")]);
    world.always("b", Begin::Fail);
    let id = world.id("a");
    world.end_life(id, 0, false);
    assert!(!world.steps(1000));
    world.running("a");
    world.terminate("b").unwrap();
    // Without it the restart goes on.
    world.running("a c");
    world.stop();
    assert!(world.ended);
}

#[test]
fn stop_ends_a_hanging_restart_loop() {
    for strategy in [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne] {
        let mut world = started(flags(strategy, None), [permanent("a"), permanent("b")]);
        world.always("b", Begin::Fail);
        let id = world.id("b");
        world.end_life(id, 0, false);
        assert!(!world.steps(1000));
        world.stop();
        assert!(world.ended);
    }
}

/// A temporary child that was terminated while it waited is gone: a restart of its siblings neither brings it back nor waits for it.
#[test]
fn a_temporary_child_terminated_between_two_tries_stays_away() {
    let mut world = World::new(flags(Strategy::OneForAll, 5));
    world.add(Rules { park: true, park_at_start: true, ..temporary("a") }).unwrap();
    world.add(permanent("b")).unwrap();
    world.script("a", &[Begin::Fail]);
    world.start();
    world.terminate("a").unwrap();
    world.take_log();
    world.crash("b");
    world.saw("start b");
    world.stop();
    world.start();
    world.running("a b");
}
