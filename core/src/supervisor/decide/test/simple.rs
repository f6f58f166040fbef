//! Children of one template.

use super::*;

fn pool(intensity: u32, child: fn(&str) -> Rules) -> World {
    let mut world = started(flags(Strategy::SimpleOneForOne, intensity), []);
    for name in ["1", "2", "3"] {
        world.start_child(child(name)).unwrap();
    }
    world.take_log();
    world
}

#[test]
fn child_adm_simple() {
    let mut world = pool(2, permanent);
    assert_eq!(world.counts(), [1, 3, 0, 3]);
    for verb in [Verb::RestartChild(world.id("1")), Verb::DeleteChild(world.id("1"))] {
        let refused = world.call(verb).unwrap_err();
        assert!(matches!(&refused, Error::Invalid(text) if text.contains("simple_one_for_one")), "{refused}");
    }
    assert!(matches!(world.add(permanent("4")), Err(Error::Invalid(_))));
    world.terminate("2").unwrap();
    world.saw("stop 2, forget 2");
    assert_eq!(world.terminate("2"), Err(Error::Stale("service")));
    assert_eq!(world.counts(), [1, 2, 0, 2]);
}

/// What brings its own specification has a name of its own; names that are made up are not looked at.
#[test]
fn supervisors_have_names() {
    let mut world = pool(2, permanent);
    let set = |name| Rules { supervisor: true, ..temporary(name) };
    for name in ["1", "4"] {
        world.start_child(set(name)).unwrap();
    }
    assert!(matches!(world.start_child(set("4")), Err(Error::Exists(text)) if text.contains("\"4\"")));
    world.start_child(permanent("4")).unwrap();
    assert_eq!(world.counts(), [1, 6, 2, 4]);
}

#[test]
fn simple_one_for_one() {
    let mut world = pool(2, permanent);
    world.crash("1");
    world.saw("start 1");
    assert_eq!(world.counts(), [1, 3, 0, 3]);
    world.crash("2");
    world.crash("1");
    world.saw("start 2, gave up, stop 3, stop 2, forget 1, forget 2, forget 3, end");
}

#[test]
fn simple_one_for_one_escalation() {
    let mut world = pool(4, permanent);
    world.always("1", Begin::Fail);
    world.crash("1");
    assert_eq!(world.take_log()[7..], ["gave up", "stop 3", "stop 2", "forget 1", "forget 2", "forget 3", "end"]);
}

/// All are asked at once.
#[test]
fn simple_one_for_one_shutdown() {
    let mut world = pool(2, temporary);
    for name in ["1", "2", "3"] {
        world.stubborn(name);
    }
    world.stop();
    world.saw("stop 3, stop 2, stop 1");
    world.ends("2", true);
    world.ends("1", true);
    world.ignores_deadline("3", 0);
    world.saw("forget 1, forget 2, forget 3, end");
    world.ends("3", true);
    world.saw("");
}

/// Nobody could ask for one that has ended to be started again: it goes, whatever its restart.
#[test]
fn an_end_for_good_forgets() {
    for child in [transient, temporary] {
        let mut world = pool(0, child);
        world.ends("2", true);
        world.saw("forget 2");
        assert_eq!(world.counts(), [1, 2, 0, 2]);
    }
}

#[test]
fn sup_start_ignore_temporary_child_start_child_simple() {
    let mut world = pool(0, temporary);
    let id = world.new_id("4");
    world.script("4", &[Begin::Ignore]);
    world.call(Verb::StartChild(id, temporary("4"))).unwrap();
    world.saw("start 4, forget 4");
}

#[test]
fn sup_start_ignore_permanent_child_start_child_simple() {
    let mut world = pool(0, permanent);
    let id = world.new_id("4");
    world.script("4", &[Begin::Ignore]);
    world.call(Verb::StartChild(id, permanent("4"))).unwrap();
    world.saw("start 4, forget 4");
    world.stop();
    assert!(world.ended);
}

#[test]
fn simple_one_for_one_restart_ignore() {
    let mut world = pool(1, permanent);
    world.script("1", &[Begin::Ignore]);
    world.crash("1");
    world.saw("start 1, forget 1");
    assert_eq!(world.counts(), [1, 2, 0, 2]);
}

#[test]
fn hanging_restart_loop_simple() {
    let mut world = started(flags(Strategy::SimpleOneForOne, None), []);
    world.start_child(permanent("1")).unwrap();
    world.start_child(permanent("2")).unwrap();
    world.always("1", Begin::Fail);
    let id = world.id("1");
    world.end_life(id, 0, false);
    assert!(!world.steps(1000));
    world.terminate("1").unwrap();
    world.running("2");
    assert_eq!(world.counts(), [1, 1, 0, 1]);
}
