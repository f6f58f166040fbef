//! A successor is ready before its predecessor is asked to stop.

use super::*;

const STRATEGIES: [Strategy; 3] = [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne];

fn world(strategy: Strategy, intensity: u32) -> World {
    started(flags(strategy, intensity), [permanent("a"), permanent("b")])
}

/// Begun: the predecessor runs, the successor starts.
fn begun(strategy: Strategy, intensity: u32) -> (World, u64) {
    let mut world = world(strategy, intensity);
    world.script("a", &[Begin::Hang]);
    let token = world.post(Verb::Replace(world.id("a")));
    world.settle();
    world.saw("start a");
    assert_eq!(world.state_of("a"), Some(ChildState::HandingOver));
    (world, token)
}

/// The successor runs, the predecessor is being stopped.
fn handed(strategy: Strategy, intensity: u32) -> (World, u64) {
    let (mut world, token) = begun(strategy, intensity);
    world.stubborn("a");
    world.begins("a", Begin::Ready);
    world.saw("stop old a");
    assert_eq!(world.answer(token), None);
    (world, token)
}

#[test]
fn a_hand_over() {
    for strategy in STRATEGIES {
        let (mut world, token) = handed(strategy, 0);
        world.ends("a", false);
        assert_eq!(world.answer(token), Some(Ok(())));
        world.running("a b");
        world.call(Verb::TerminateChild(world.id("b"))).unwrap();
        let refused = world.call(Verb::Replace(world.id("b"))).unwrap_err();
        assert!(matches!(&refused, Error::Invalid(text) if text.contains("is stopped")), "{refused}");
        assert_eq!(world.counts(), [2, 1, 0, 2]);
    }
}

#[test]
fn the_successor_fails() {
    for (begin, text) in [(Begin::Fail, "did not start: no luck"), (Begin::Ignore, "asked not to be run")] {
        let (mut world, token) = begun(Strategy::OneForAll, 0);
        world.begins("a", begin);
        let answer = world.answer(token).unwrap().unwrap_err();
        assert!(matches!(&answer, Error::Failed(why) if why.contains(text)), "{answer}");
        // The old one stays, and nothing was counted.
        world.saw("");
        world.running("a b");
    }
}

/// The successor takes its place, and nothing is counted.
#[test]
fn the_predecessor_ends_first() {
    for strategy in STRATEGIES {
        let (mut world, token) = begun(strategy, 0);
        world.crash("a");
        world.saw("");
        assert_eq!(world.state_of("a"), Some(ChildState::Starting));
        world.begins("a", Begin::Ready);
        assert_eq!(world.answer(token), Some(Ok(())));
        world.saw("");
        world.running("a b");
    }
}

/// Then the child has ended as the predecessor did.
#[test]
fn both_fail() {
    let (mut world, token) = begun(Strategy::OneForAll, 1);
    world.crash("a");
    world.begins("a", Begin::Fail);
    assert!(matches!(world.answer(token), Some(Err(Error::Failed(_)))));
    world.saw("stop b, start a, start b");
    world.crash("a");
    world.saw("gave up, stop b, end");

    let mut world = started(flags(Strategy::OneForOne, 0), [transient("a")]);
    world.script("a", &[Begin::Hang]);
    let token = world.post(Verb::Replace(world.id("a")));
    world.settle();
    world.ends("a", true);
    world.begins("a", Begin::Fail);
    assert!(matches!(world.answer(token), Some(Err(Error::Failed(_)))));
    assert_eq!(world.state_of("a"), Some(ChildState::Stopped));
}

#[test]
fn the_successor_ends_while_the_predecessor_stops() {
    let (mut world, token) = handed(Strategy::OneForOne, 1);
    world.successor_crashes("a");
    // Nothing is started beside the old one.
    world.saw("");
    world.ends("a", true);
    assert_eq!(world.answer(token), Some(Ok(())));
    world.saw("start a");
    world.crash("a");
    world.saw("gave up, stop b, end");
}

#[test]
fn the_predecessor_ignores_its_deadline() {
    let (mut world, token) = handed(Strategy::OneForOne, 5);
    world.ignores_deadline("a", 0);
    assert_eq!(world.answer(token), Some(Ok(())));
    world.running("a b");
    // Until it has ended, no further one, and no restart.
    assert!(matches!(world.call(Verb::Replace(world.id("a"))), Err(Error::Invalid(_))));
    world.successor_crashes("a");
    world.saw("");
    assert_eq!(world.state_of("a"), Some(ChildState::Restarting));
    world.ends("a", true);
    world.saw("start a");
    // Later ends are those of the run that is there.
    world.crash("a");
    world.saw("start a");
}

#[test]
fn the_end_of_an_unresponsive_predecessor_is_not_that_of_the_child() {
    let (mut world, _) = handed(Strategy::OneForOne, 0);
    world.ignores_deadline("a", 0);
    world.ends("a", false);
    world.running("a b");
    world.crash("a");
    world.saw("gave up, stop b, end");
}

#[test]
fn stop_during_a_hand_over() {
    let (mut world, token) = begun(Strategy::OneForOne, 0);
    world.stop();
    assert_eq!(world.answer(token), Some(Err(Error::Closed("supervisor"))));
    world.saw("stop b, stop old a, stop a, end");
    let (mut world, token) = handed(Strategy::OneForOne, 0);
    world.stop();
    assert_eq!(world.answer(token), Some(Err(Error::Closed("supervisor"))));
    world.saw("stop b, stop a");
    world.successor_crashes("a");
    world.saw("");
    world.ends("a", true);
    world.saw("end");
}

/// A restart of its siblings takes both.
#[test]
fn a_restart_during_a_hand_over() {
    for (world, token) in [begun(Strategy::OneForAll, 1), handed(Strategy::OneForAll, 1)] {
        let mut world = world;
        world.crash("b");
        let answer = world.answer(token).unwrap().unwrap_err();
        assert!(matches!(&answer, Error::Failed(text) if text.contains("service \"a\"")), "{answer}");
        // Where it does not end when asked, it is told to.
        while world.lives_of(world.id("a")) > 0 && world.state_of("a") != Some(ChildState::Running) {
            world.ends("a", true);
        }
        assert!(world.take_log().ends_with(&["start a".into(), "start b".into()]));
        world.running("a b");
    }
}

#[test]
fn a_verb_waits_for_the_hand_over() {
    let (mut world, token) = begun(Strategy::OneForOne, 0);
    let terminate = world.post(Verb::TerminateChild(world.id("a")));
    world.settle();
    assert_eq!(world.answer(terminate), None);
    world.begins("a", Begin::Ready);
    assert_eq!(world.answer(token), Some(Ok(())));
    assert_eq!(world.answer(terminate), Some(Ok(())));
    world.saw("stop old a, stop a");
}
