//! Specifications, and a tree.

use super::*;

#[test]
fn child_adm() {
    let mut world = started(flags(Strategy::OneForOne, 2), []);
    assert_eq!(world.counts(), [0, 0, 0, 0]);
    world.start_child(permanent("a")).unwrap();
    assert_eq!(world.counts(), [1, 1, 0, 1]);
    let taken = world.start_child(permanent("a")).unwrap_err();
    assert_eq!(taken, Error::Exists("service \"a\" is there already, and runs".into()));
    let first = ServiceId(1);
    let running = world.call(Verb::RestartChild(first)).unwrap_err();
    assert!(matches!(&running, Error::Invalid(text) if text.contains("service \"a\" runs")), "{running}");
    let running = world.call(Verb::DeleteChild(first)).unwrap_err();
    assert!(matches!(&running, Error::Invalid(text) if text.contains("service \"a\" runs")), "{running}");

    world.call(Verb::TerminateChild(first)).unwrap();
    assert_eq!(world.counts(), [1, 0, 0, 1]);
    world.call(Verb::TerminateChild(first)).unwrap();
    let present = world.start_child(permanent("a")).unwrap_err();
    assert_eq!(present, Error::Exists("service \"a\" is there already, and is stopped".into()));

    world.call(Verb::RestartChild(first)).unwrap();
    assert_eq!(world.counts(), [1, 1, 0, 1]);
    world.call(Verb::TerminateChild(first)).unwrap();
    world.call(Verb::DeleteChild(first)).unwrap();
    assert_eq!(world.counts(), [0, 0, 0, 0]);
    for verb in [Verb::TerminateChild(first), Verb::RestartChild(first), Verb::DeleteChild(first), Verb::Replace(first)]
    {
        assert_eq!(world.call(verb), Err(Error::Stale("service")));
    }
    world.saw("start a, stop a, start a, stop a, forget a");
}

/// A start that fails leaves no specification; a restart that fails leaves it as it was.
#[test]
fn a_start_by_a_verb_that_fails() {
    for strategy in [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne] {
        let mut world = started(flags(strategy, 0), [permanent("a"), permanent("b")]);
        let id = world.new_id("c");
        world.script("c", &[Begin::Fail]);
        let failed = world.call(Verb::StartChild(id, permanent("c"))).unwrap_err();
        assert_eq!(failed, Error::Failed("service \"c\" did not start: no luck".into()));
        assert_eq!(world.state_of("c"), None);
        world.terminate("b").unwrap();
        world.script("b", &[Begin::Fail]);
        assert!(matches!(world.restart("b"), Err(Error::Failed(_))));
        assert_eq!(world.state_of("b"), Some(ChildState::Stopped));
        world.restart("b").unwrap();
        world.saw("start c, forget c, stop b, start b, start b");
    }
}

#[test]
fn child_specs() {
    let mut world = World::new(flags(Strategy::OneForOne, 2));
    world.add(permanent("a")).unwrap();
    assert!(matches!(world.add(permanent("a")), Err(Error::Exists(_))));
    world.add(transient("b")).unwrap();
    // Before the start there is nothing that could be done with a child.
    let id = world.id("a");
    assert_eq!(world.call(Verb::RestartChild(id)), Err(Error::Closed("supervisor")));
    assert_eq!(world.start_child(permanent("c")), Err(Error::Closed("supervisor")));
    world.delete("b").unwrap();
    world.add(transient("b")).unwrap();
    let specs: Vec<_> = world.state.children().map(|child| (child.rules.id.clone(), child.rules.restart)).collect();
    assert_eq!(specs.len(), 2);
    assert_eq!(specs[1], ("b".into(), Restart::Transient));
    world.start();
    world.add(temporary("d")).unwrap();
    world.running("a b d");
}

/// In start order, whatever happens to them.
#[test]
fn order_of_children() {
    let mut world = started(flags(Strategy::RestForOne, 5), [permanent("a"), permanent("b")]);
    world.start_child(permanent("c")).unwrap();
    world.crash("a");
    world.terminate("b").unwrap();
    world.restart("b").unwrap();
    world.running("a b c");
    world.take_log();
    world.stop();
    world.saw("stop c, stop b, stop a, forget c, end");
}

#[test]
fn count_children() {
    let mut world = started(flags(Strategy::SimpleOneForOne, 2), []);
    for _ in 0..1000 {
        world.start_child(temporary("child")).unwrap();
    }
    assert_eq!(world.counts(), [1, 1000, 0, 1000]);
    for id in 1..=1000 {
        world.end_life(ServiceId(id), 0, false);
    }
    world.settle();
    assert_eq!(world.counts(), [1, 0, 0, 0]);
}

#[test]
fn count_children_supervisor() {
    let mut world = started(
        flags(Strategy::OneForOne, 2),
        [Rules { supervisor: true, ..permanent("s") }, permanent("w"), Rules { supervisor: true, ..permanent("t") }],
    );
    world.terminate("t").unwrap();
    assert_eq!(world.counts(), [3, 2, 2, 1]);
}

/// One that waits for its next try is there, and not active.
#[test]
fn count_restarting_children() {
    let slow = Backoff { delay: SECOND, growth: Default::default(), cap: SECOND, jitter: 0.0, calm: SECOND, burst: 0 };
    let mut world =
        started(flags(Strategy::OneForOne, None), [Rules { backoff: Some(slow), ..permanent("a") }, permanent("b")]);
    world.crash("a");
    assert_eq!(world.counts(), [2, 1, 0, 2]);
    assert_eq!(world.state_of("a"), Some(ChildState::Waiting));
    world.pass(SECOND);
    assert_eq!(world.counts(), [2, 2, 0, 2]);
}

#[test]
fn which_children() {
    let mut world = started(flags(Strategy::OneForOne, 2), [permanent("a"), transient("b"), permanent("c")]);
    world.stubborn("c");
    world.ends("b", true);
    world.post(Verb::TerminateChild(world.id("c")));
    world.settle();
    let seen: Vec<_> = world.state.children().map(|child| (child.rules.id.as_str(), child.state)).collect();
    let expected = [("a", ChildState::Running), ("b", ChildState::Stopped), ("c", ChildState::Stopping)];
    assert_eq!(seen, expected);
}

/// Two floors: what one supervisor does is to the other the life of a child.
#[test]
fn tree() {
    let inner = Rules { supervisor: true, ..permanent("inner") };
    let mut top = started(flags(Strategy::OneForAll, 4), [inner, Rules { supervisor: true, ..permanent("other") }]);
    assert_eq!(top.counts(), [2, 2, 2, 0]);
    let mut below = started(flags(Strategy::OneForOne, 4), [permanent("a")]);
    below.start_child(permanent("b")).unwrap();
    below.start_child(permanent("c")).unwrap();
    below.take_log();
    // Only the one that dies is restarted.
    below.crash("c");
    below.saw("start c");
    top.saw("");
    // One that cannot be restarted ends its supervisor, by a normal end, which a permanent one is restarted after.
    below.always("c", Begin::Fail);
    below.crash("c");
    assert!(below.ended);
    top.ends("inner", true);
    top.saw("stop other, start inner, start other");
    below.take_log();
    below.start();
    // Without what was brought by start_child.
    below.saw("start a, started");
}
