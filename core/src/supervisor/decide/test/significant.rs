//! Supervisors that end with their significant children.

use super::*;

fn world(auto_shutdown: AutoShutdown, children: impl IntoIterator<Item = Rules>) -> World {
    started(Flags { auto_shutdown, ..flags(Strategy::OneForOne, 3) }, children)
}

fn significant(child: Rules) -> Rules {
    Rules { significant: true, ..child }
}

#[test]
fn nonsignificant_temporary() {
    for auto in [AutoShutdown::AnySignificant, AutoShutdown::AllSignificant] {
        let mut world = world(auto, [temporary("a"), temporary("b"), significant(temporary("c"))]);
        world.ends("a", true);
        world.crash("b");
        world.saw("");
        world.running("c");
    }
}

#[test]
fn nonsignificant_transient() {
    for auto in [AutoShutdown::AnySignificant, AutoShutdown::AllSignificant] {
        let mut world = world(auto, [transient("a"), transient("b"), significant(temporary("c"))]);
        world.ends("a", true);
        world.crash("b");
        world.saw("start b");
        world.running("b c");
    }
}

/// Normally or not.
#[test]
fn significant_temporary() {
    for normal in [true, false] {
        let mut any = world(AutoShutdown::AnySignificant, [significant(temporary("a")), significant(temporary("b"))]);
        any.ends("a", normal);
        any.saw("auto shutdown, stop b, end");

        let mut all = world(AutoShutdown::AllSignificant, [significant(temporary("a")), significant(temporary("b"))]);
        all.ends("a", normal);
        all.saw("");
        all.ends("b", normal);
        all.saw("auto shutdown, end");
    }
}

/// Normally only.
#[test]
fn significant_transient() {
    let children = || [significant(transient("a")), significant(transient("b")), permanent("c")];
    let mut any = world(AutoShutdown::AnySignificant, children());
    any.crash("a");
    any.saw("start a");
    any.ends("b", true);
    any.saw("auto shutdown, stop c, stop a, end");

    let mut all = world(AutoShutdown::AllSignificant, children());
    all.ends("a", true);
    all.crash("b");
    all.saw("start b");
    all.ends("b", true);
    all.saw("auto shutdown, stop c, end");
}

#[test]
fn significant_simple() {
    for (auto, first) in [(AutoShutdown::AnySignificant, true), (AutoShutdown::AllSignificant, false)] {
        let mut world = started(Flags { auto_shutdown: auto, ..flags(Strategy::SimpleOneForOne, 3) }, []);
        world.start_child(significant(temporary("1"))).unwrap();
        world.start_child(significant(temporary("2"))).unwrap();
        world.ends("1", true);
        assert_eq!(world.ended, first);
        if !first {
            world.crash("2");
            assert!(world.ended);
        }
    }
}

/// Stopped by a restart of its siblings, or by a verb: not its own end.
#[test]
fn significant_bystander() {
    for auto in [AutoShutdown::AnySignificant, AutoShutdown::AllSignificant] {
        for strategy in [Strategy::OneForAll, Strategy::RestForOne] {
            let children = [permanent("a"), significant(temporary("b")), significant(transient("c"))];
            let mut world = started(Flags { auto_shutdown: auto, ..flags(strategy, 3) }, children);
            world.crash("a");
            world.saw("stop c, stop b, start a, start c");
            world.terminate("c").unwrap();
            world.saw("stop c");
            world.running("a");
        }
    }
}

#[test]
fn auto_shutdown_not_by_terminate_child() {
    for auto in [AutoShutdown::AnySignificant, AutoShutdown::AllSignificant] {
        let mut world = world(auto, [significant(temporary("a")), significant(transient("b")), permanent("c")]);
        world.terminate("a").unwrap();
        world.terminate("b").unwrap();
        world.saw("stop a, stop b");
        world.running("c");
    }
}

/// A supervisor that shut itself down has ended normally: significant itself, it takes its own supervisor with it.
#[test]
fn significant_escalation() {
    let mut below = world(AutoShutdown::AnySignificant, [significant(temporary("a"))]);
    let inner = Rules { supervisor: true, ..significant(transient("inner")) };
    let mut top = world(AutoShutdown::AnySignificant, [permanent("other"), inner]);
    below.crash("a");
    below.saw("auto shutdown, end");
    top.ends("inner", true);
    top.saw("auto shutdown, stop other, end");
}

#[test]
fn auto_shutdown_never() {
    // Refused where a service is added; without effect here.
    let mut world = world(AutoShutdown::Never, [significant(temporary("a")), permanent("b")]);
    world.ends("a", true);
    world.saw("");
    world.running("b");
}

/// One that waits for its restart is still to come.
#[test]
fn auto_shutdown_all_counts_who_is_being_restarted() {
    let slow = Backoff { delay: SECOND, growth: Default::default(), cap: SECOND, jitter: 0.0, calm: SECOND, burst: 0 };
    let waits = Rules { backoff: Some(slow), ..significant(transient("a")) };
    let mut world = world(AutoShutdown::AllSignificant, [waits, significant(transient("b"))]);
    world.crash("a");
    world.ends("b", true);
    world.saw("delay a 1s");
    world.pass(SECOND);
    world.saw("start a");
    world.ends("a", true);
    world.saw("auto shutdown, end");
}

/// Whose verb came before the end of the last other one, and waits for its siblings.
#[test]
fn auto_shutdown_all_counts_who_is_about_to_be_started() {
    let mut world = started(
        Flags { auto_shutdown: AutoShutdown::AllSignificant, ..flags(Strategy::OneForAll, None) },
        [significant(transient("a"))],
    );
    world.post_child(permanent("slow"));
    world.script("slow", &[Begin::Hang]);
    world.post_child(significant(transient("b")));
    world.settle();
    world.saw("start slow");
    world.ends("a", true);
    world.saw("");
    world.begins("slow", Begin::Ready);
    world.saw("start b");
    world.ends("b", true);
    world.saw("auto shutdown, stop slow, forget slow, forget b, end");
}

/// What was terminated, or never ran, is nobody to wait for.
#[test]
fn auto_shutdown_all_does_not_wait_for_the_stopped() {
    let mut world = world(AutoShutdown::AllSignificant, [significant(transient("a")), significant(transient("b"))]);
    world.terminate("a").unwrap();
    world.ends("b", true);
    world.saw("stop a, auto shutdown, end");
}

#[test]
fn auto_shutdown_during_the_start() {
    let mut world = World::new(Flags { auto_shutdown: AutoShutdown::AnySignificant, ..flags(Strategy::OneForOne, 3) });
    world.add(significant(temporary("a"))).unwrap();
    world.add(permanent("b")).unwrap();
    world.script("b", &[Begin::Hang]);
    world.start();
    world.ends("a", true);
    assert_eq!(world.take_log()[2..4], ["auto shutdown", "stop b"]);
    assert!(matches!(&world.started, Some(Err(Error::Failed(text))) if text.contains("shut itself down")));
}
