//! The supervisor's own start and end.

use super::*;

#[test]
fn sup_start_normal() {
    let mut world = World::new(flags(Strategy::OneForOne, 2));
    for name in ["a", "b", "c"] {
        world.add(permanent(name)).unwrap();
    }
    world.start();
    world.saw("start a, start b, start c, started");
    world.stop();
    world.saw("stop c, stop b, stop a, end");
    assert_eq!(world.started, Some(Ok(())));
}

#[test]
fn each_is_ready_before_the_next_is_started() {
    for strategy in [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne] {
        let mut world = World::new(flags(strategy, 2));
        world.add(permanent("a")).unwrap();
        world.add(permanent("b")).unwrap();
        world.script("a", &[Begin::Hang]);
        world.start();
        world.saw("start a");
        world.begins("a", Begin::Ready);
        world.saw("start b, started");
    }
}

/// A supervisor whose start asks not to be run is to its own supervisor a child like any other.
#[test]
fn sup_start_ignore_init() {
    let mut world = World::new(flags(Strategy::OneForOne, 2));
    world.add(Rules { supervisor: true, ..permanent("inner") }).unwrap();
    world.script("inner", &[Begin::Ignore]);
    world.start();
    world.saw("start inner, started");
    assert_eq!(world.counts(), [1, 0, 1, 0]);
}

#[test]
fn sup_start_ignore_child() {
    let mut world = started(flags(Strategy::OneForOne, 2), []);
    let id = world.new_id("a");
    world.always("a", Begin::Ignore);
    world.call(Verb::StartChild(id, permanent("a"))).unwrap();
    world.start_child(permanent("b")).unwrap();
    assert_eq!(world.counts(), [2, 1, 0, 2]);
    assert_eq!(world.state_of("a"), Some(ChildState::Stopped));
    world.running("b");
}

#[test]
fn sup_start_ignore_temporary_child() {
    let mut world = World::new(flags(Strategy::OneForOne, 2));
    world.add(temporary("a")).unwrap();
    world.add(temporary("b")).unwrap();
    world.script("a", &[Begin::Ignore]);
    world.start();
    assert_eq!(world.counts(), [1, 1, 0, 1]);
    assert_eq!(world.state_of("a"), None);
}

#[test]
fn sup_start_ignore_temporary_child_start_child() {
    let mut world = started(flags(Strategy::OneForOne, 2), []);
    let id = world.new_id("a");
    world.script("a", &[Begin::Ignore]);
    world.call(Verb::StartChild(id, temporary("a"))).unwrap();
    world.start_child(temporary("b")).unwrap();
    assert_eq!(world.counts(), [1, 1, 0, 1]);
    world.saw("start a, forget a, start b");
}

#[test]
fn sup_start_error_return() {
    let mut world = World::new(flags(Strategy::OneForOne, 2));
    for name in ["a", "b", "c"] {
        world.add(permanent(name)).unwrap();
    }
    world.script("c", &[Begin::Fail]);
    world.start();
    world.saw("start a, start b, start c, stop b, stop a, start failed: service \"c\" did not start: no luck, end");
}

/// It can be started again afterwards, with what was added.
#[test]
fn sup_start_fail() {
    let mut world = World::new(flags(Strategy::OneForAll, 2));
    for name in ["a", "b"] {
        world.add(permanent(name)).unwrap();
    }
    world.script("a", &[Begin::Fail]);
    world.start();
    world.saw("start a, start failed: service \"a\" did not start: no luck, end");
    assert!(world.started.as_ref().unwrap().is_err());
    world.start();
    world.saw("start a, start b, started");
}

#[test]
fn a_verb_waits_for_the_start_and_is_refused_if_it_fails() {
    let mut world = World::new(flags(Strategy::OneForOne, 2));
    world.add(permanent("a")).unwrap();
    world.script("a", &[Begin::Hang, Begin::Hang]);
    world.start();
    let token = world.post_child(permanent("b"));
    world.settle();
    assert_eq!(world.answer(token), None);
    world.begins("a", Begin::Fail);
    assert_eq!(world.answer(token), Some(Err(Error::Closed("supervisor"))));
    world.start();
    let token = world.post_child(permanent("b"));
    world.settle();
    world.begins("a", Begin::Ready);
    assert_eq!(world.answer(token), Some(Ok(())));
    world.running("a b");
}

/// One that crashes while others still start is back without waiting for them, where they have nothing to do with one another.
#[test]
fn a_crash_during_the_start() {
    let mut world = World::new(flags(Strategy::OneForOne, 1));
    for name in ["a", "b", "c"] {
        world.add(permanent(name)).unwrap();
    }
    world.script("b", &[Begin::Hang]);
    world.start();
    world.saw("start a, start b");
    world.crash("a");
    world.saw("start a");
    world.begins("b", Begin::Ready);
    world.saw("start c, started");
}

#[test]
fn a_crash_during_the_start_under_one_for_all() {
    let mut world = World::new(flags(Strategy::OneForAll, 1));
    for name in ["a", "b", "c"] {
        world.add(permanent(name)).unwrap();
    }
    world.script("b", &[Begin::Hang]);
    world.start();
    world.saw("start a, start b");
    world.crash("a");
    world.saw("stop b, start a, start b, start c, started");
    // It counted.
    world.crash("a");
    world.saw("gave up, stop c, stop b, end");
}

#[test]
fn too_many_crashes_during_the_start_fail_it() {
    let mut world = World::new(flags(Strategy::OneForOne, 0));
    for name in ["a", "b"] {
        world.add(permanent(name)).unwrap();
    }
    world.script("b", &[Begin::Hang]);
    world.start();
    world.crash("a");
    assert_eq!(
        world.take_log(),
        [
            "start a",
            "start b",
            "gave up",
            "stop b",
            "start failed: the supervisor gave up: more than 0 restarts within 3600s, the last one of service \"a\"",
            "end"
        ]
    );
}

#[test]
fn stop_before_and_during_the_start() {
    let mut world = World::new(flags(Strategy::OneForOne, 0));
    world.stop();
    world.stop();
    world.saw("end");
    for name in ["a", "b", "c"] {
        world.add(permanent(name)).unwrap();
    }
    world.script("b", &[Begin::Hang]);
    world.start();
    world.stop();
    world.saw("start a, start b, stop b, stop a, start failed: the supervisor is closed, end");
}

#[test]
fn sup_stop_infinity() {
    let mut world = started(flags(Strategy::OneForOne, 2), [permanent("a"), permanent("b")]);
    world.stubborn("b");
    world.stop();
    world.pass(SECOND * 1_000_000);
    // The other is not asked before this one has ended.
    world.saw("stop b");
    world.stop();
    world.saw("");
    world.ends("b", true);
    world.saw("stop a, end");
}

#[test]
fn sup_stop_timeout() {
    let mut world = started(flags(Strategy::OneForOne, 2), [permanent("a"), permanent("b")]);
    world.stubborn("b");
    world.stop();
    world.ignores_deadline("b", 0);
    world.saw("stop b, stop a, end");
    // It is not started while the former run is there.
    world.start();
    world.saw("start a");
    world.ends("b", true);
    world.saw("start b, started");
}

#[test]
fn sup_stop_brutal_kill() {
    let mut world = started(flags(Strategy::OneForOne, 2), [permanent("a"), permanent("b")]);
    world.stubborn("b");
    world.stop();
    // Killed: not a normal end, and yet none that counts.
    world.ends("b", false);
    world.saw("stop b, stop a, end");
}

#[test]
fn what_is_restarted_with_its_supervisor() {
    let mut world = started(flags(Strategy::OneForOne, 2), [permanent("a"), temporary("b"), permanent("c")]);
    world.start_child(permanent("d")).unwrap();
    world.terminate("a").unwrap();
    world.ends("b", true);
    world.delete("a").unwrap();
    world.stop();
    world.saw("start d, stop a, forget a, stop d, stop c, forget d, end");
    // What was added, but for what was deleted: the temporary one, which is over, too.
    world.start();
    world.saw("start b, start c, started");
    assert_eq!(world.counts(), [2, 2, 0, 2]);
}
