//! Permanent, transient and temporary.

use super::*;

const STRATEGIES: [Strategy; 3] = [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne];

fn one(child: Rules) -> World {
    started(flags(Strategy::OneForOne, 2), [child])
}

#[test]
fn permanent_normal() {
    let mut world = one(permanent("a"));
    world.ends("a", true);
    world.saw("start a");
    assert_eq!(world.counts(), [1, 1, 0, 1]);
}

#[test]
fn transient_normal() {
    let mut world = one(transient("a"));
    world.ends("a", true);
    world.saw("");
    assert_eq!(world.counts(), [1, 0, 0, 1]);
}

#[test]
fn temporary_normal() {
    let mut world = one(temporary("a"));
    world.ends("a", true);
    assert_eq!(world.counts(), [0, 0, 0, 0]);
}

/// The reason `shutdown` is a normal end: that of a supervisor that gave up, say.
#[test]
fn permanent_shutdown() {
    let mut world = one(Rules { supervisor: true, ..permanent("inner") });
    world.ends("inner", true);
    world.saw("start inner");
    assert_eq!(world.counts(), [1, 1, 1, 0]);
}

#[test]
fn transient_shutdown() {
    let mut world = one(Rules { supervisor: true, ..transient("inner") });
    world.ends("inner", true);
    world.saw("");
    assert_eq!(world.counts(), [1, 0, 1, 0]);
}

#[test]
fn temporary_shutdown() {
    let mut world = one(Rules { supervisor: true, ..temporary("inner") });
    world.ends("inner", true);
    world.saw("");
    assert_eq!(world.counts(), [0, 0, 0, 0]);
}

#[test]
fn permanent_abnormal() {
    let mut world = one(permanent("a"));
    world.crash("a");
    world.saw("start a");
}

#[test]
fn transient_abnormal() {
    let mut world = one(transient("a"));
    world.crash("a");
    world.saw("start a");
}

#[test]
fn temporary_abnormal() {
    let mut world = started(flags(Strategy::OneForOne, 2), []);
    world.start_child(temporary("a")).unwrap();
    world.crash("a");
    world.saw("start a, forget a");
    assert_eq!(world.counts(), [0, 0, 0, 0]);
}

/// A temporary child stopped by a restart of its siblings does not come back.
#[test]
fn temporary_bystander() {
    let mut world = started(flags(Strategy::OneForAll, 2), [permanent("a"), temporary("b")]);
    world.crash("a");
    world.saw("stop b, start a");
    world.running("a");
    let mut world = started(flags(Strategy::RestForOne, 2), [permanent("a"), temporary("b")]);
    world.crash("a");
    world.saw("stop b, start a");
    assert_eq!(world.counts(), [1, 1, 0, 1]);
}

#[test]
fn an_end_that_asks_for_no_restart_touches_no_sibling() {
    for strategy in STRATEGIES {
        let mut world = started(flags(strategy, 0), [temporary("a"), transient("b"), permanent("c")]);
        world.crash("a");
        world.ends("b", true);
        world.saw("");
        world.running("c");
        assert_eq!(world.state_of("b"), Some(ChildState::Stopped));
    }
}

/// It races with the stop, which it was about to be asked for.
#[test]
fn an_end_while_others_are_stopped_first_counts_nothing() {
    let mut world = started(flags(Strategy::OneForAll, 1), [permanent("a"), transient("b"), permanent("c")]);
    world.stubborn("c");
    world.crash("a");
    world.saw("stop c");
    world.crash("b");
    world.ends("c", false);
    world.saw("start a, start b, start c");
    world.crash("b");
    world.saw("gave up, stop c");
}
