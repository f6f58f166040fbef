//! What OTP does not have: backoff, parking, runs that cannot be ended.

use super::*;
use crate::supervisor::service::Growth;

const MS: Duration = Duration::from_millis(1);

fn slow(delay: Duration) -> Option<Backoff> {
    Some(Backoff { delay, growth: Growth::Exponential, cap: delay * 4, jitter: 0.0, calm: SECOND * 10, burst: 0 })
}

#[test]
fn a_backoff_grows_and_calm_resets_it() {
    let mut world = started(flags(Strategy::OneForOne, None), [Rules { backoff: slow(SECOND), ..permanent("a") }]);
    for delay in [1, 2, 4, 4] {
        world.crash("a");
        world.saw(&format!("delay a {delay}s"));
        world.pass(SECOND * delay - MS);
        world.saw("");
        world.pass(MS);
        world.saw("start a");
    }
    world.pass(SECOND * 10 - MS);
    world.crash("a");
    world.saw("delay a 4s");
    world.pass(SECOND * 14);
    world.crash("a");
    world.saw("start a, delay a 1s");
}

#[test]
fn a_burst_is_restarted_at_once_and_what_goes_on_is_delayed() {
    let backoff = slow(SECOND / 20).map(|slow| Backoff { cap: SECOND, calm: SECOND * 2, burst: 5, ..slow });
    let mut world = started(flags(Strategy::OneForOne, None), [Rules { backoff, ..permanent("a") }]);
    // Four within any two seconds, for as long as it takes.
    for _ in 0..20 {
        world.crash("a");
        world.saw("start a");
        world.pass(SECOND / 2);
    }
    world.pass(SECOND * 2);
    for _ in 0..4 {
        world.crash("a");
        world.saw("start a");
    }
    for delay in ["50ms", "100ms", "200ms", "400ms", "800ms", "1s", "1s"] {
        world.crash("a");
        world.saw(&format!("delay a {delay}"));
        world.pass(SECOND);
        world.saw("start a");
    }
    // Calm for once.
    world.pass(SECOND * 2);
    world.crash("a");
    world.saw("start a");
}

#[test]
fn jitter_shortens() {
    let jitter = Backoff { delay: SECOND, growth: Growth::Fixed, cap: SECOND, jitter: 0.5, calm: SECOND, burst: 0 };
    let mut world = started(flags(Strategy::OneForOne, None), [Rules { backoff: Some(jitter), ..permanent("a") }]);
    world.random = 0.5;
    world.crash("a");
    world.saw("delay a 750ms");
}

/// The siblings stop at once, and come back after the delay.
#[test]
fn a_backoff_delays_the_siblings_restart() {
    let children = [permanent("a"), Rules { backoff: slow(SECOND), ..permanent("b") }, permanent("c")];
    let mut world = started(flags(Strategy::OneForAll, None), children.clone());
    world.crash("b");
    world.saw("delay b 1s, stop c, stop a, start a");
    world.pass(SECOND);
    world.saw("start b, start c");
    let mut world = started(flags(Strategy::RestForOne, None), children);
    world.crash("b");
    world.saw("delay b 1s, stop c");
    world.pass(SECOND);
    world.saw("start b, start c");
}

#[test]
fn terminate_child_during_a_backoff() {
    for strategy in [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne] {
        let children = [permanent("a"), Rules { backoff: slow(SECOND), ..permanent("b") }, permanent("c")];
        let mut world = started(flags(strategy, None), children);
        world.crash("b");
        world.take_log();
        let refused = world.restart("b").unwrap_err();
        assert!(matches!(&refused, Error::Invalid(text) if text.contains("waits to be restarted")), "{refused}");
        assert!(matches!(world.delete("b"), Err(Error::Invalid(_))));
        let refused = world.start_child(permanent("b")).unwrap_err();
        assert!(matches!(&refused, Error::Exists(text) if text.contains("waits to be restarted")), "{refused}");
        world.terminate("b").unwrap();
        assert_eq!(world.take_log()[0], "cancel b");
        world.running("a c");
        world.pass(SECOND * 2);
        world.running("a c");
        world.restart("b").unwrap();
        world.running("a b c");
    }
}

#[test]
fn stop_during_a_backoff() {
    for strategy in [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne] {
        let children = [permanent("a"), Rules { backoff: slow(SECOND), ..permanent("b") }];
        let mut world = started(flags(strategy, None), children);
        world.crash("b");
        world.take_log();
        world.stop();
        world.saw("cancel b, stop a, end");
    }
}

/// An `Elapsed` that was on its way when its delay was cancelled.
#[test]
fn a_late_elapsed_does_nothing() {
    let mut world = started(flags(Strategy::OneForOne, None), [Rules { backoff: slow(SECOND), ..permanent("a") }]);
    world.crash("a");
    world.terminate("a").unwrap();
    world.inbox.push_back(Input::Elapsed(world.id("a")));
    world.settle();
    world.saw("delay a 1s, cancel a");
}

#[test]
fn park_instead_of_giving_up() {
    let child = Rules { backoff: slow(SECOND), park: true, ..permanent("a") };
    let mut world = started(flags(Strategy::OneForOne, 1), [child, permanent("b")]);
    world.crash("a");
    world.pass(SECOND);
    world.saw("delay a 1s, start a");
    world.crash("a");
    world.saw("park a 4s");
    assert_eq!(world.state_of("a"), Some(ChildState::Parked));
    // Tries that fail count nothing, however many.
    world.script("a", &[Begin::Fail, Begin::Fail]);
    world.pass(SECOND * 8);
    world.saw("start a, park a 4s, start a, park a 4s");
    world.pass(SECOND * 4);
    world.saw("start a");
    // It was ready: a further end counts again, and is one too many again.
    world.crash("a");
    world.saw("park a 4s");
    // So would any other.
    world.crash("b");
    world.saw("gave up, cancel a, end");
}

#[test]
fn the_count_that_parks_is_not_kept() {
    let child = Rules { park: true, ..permanent("a") };
    let mut world = started(Flags { period: SECOND, ..flags(Strategy::OneForOne, 1) }, [child, permanent("b")]);
    world.crash("a");
    world.pass(SECOND);
    world.crash("a");
    world.pass(MS);
    world.crash("b");
    world.saw("start a, park a 60s, start b");
}

#[test]
fn a_parked_child_stops_no_sibling() {
    for strategy in [Strategy::OneForAll, Strategy::RestForOne] {
        let mut world = started(flags(strategy, 0), [Rules { park: true, ..permanent("a") }, permanent("b")]);
        world.crash("a");
        world.saw("park a 60s");
        world.script("a", &[Begin::Fail]);
        world.pass(SECOND * 120);
        world.saw("start a, park a 60s, start a");
        world.running("a b");
    }
}

/// Also when what had been counted is out of sight by then: a try that fails is no restart.
#[test]
fn a_try_that_fails_counts_nothing() {
    let children = [Rules { park: true, ..permanent("a") }, permanent("b")];
    let mut world = started(Flags { period: SECOND, ..flags(Strategy::OneForAll, 1) }, children);
    world.crash("a");
    world.crash("a");
    world.saw("stop b, start a, start b, park a 60s");
    world.script("a", &[Begin::Fail]);
    world.pass(SECOND * 60);
    world.saw("start a, park a 60s");
    // So the next fault of another is within the intensity.
    world.crash("b");
    world.saw("start b");
}

/// It is in no restart of its siblings.
#[test]
fn a_parked_child_is_left_alone() {
    let child = Rules { park: true, ..permanent("b") };
    let mut world = started(Flags { period: SECOND, ..flags(Strategy::OneForAll, 1) }, [permanent("a"), child]);
    world.crash("b");
    world.crash("b");
    world.take_log();
    world.pass(SECOND * 2);
    world.crash("a");
    world.saw("start a");
    world.pass(SECOND * 60);
    world.saw("start b");
}

#[test]
fn verbs_on_a_parked_child() {
    let mut world = started(flags(Strategy::OneForOne, 0), [Rules { park: true, ..permanent("a") }]);
    world.crash("a");
    let refused = world.restart("a").unwrap_err();
    assert!(matches!(&refused, Error::Invalid(text) if text.contains("parked")), "{refused}");
    world.terminate("a").unwrap();
    world.restart("a").unwrap();
    world.saw("park a 60s, cancel a, start a");
    world.crash("a");
    world.stop();
    world.saw("park a 60s, cancel a, end");
}

#[test]
fn an_initial_failure_parks_only_if_asked() {
    let child = Rules { park: true, park_at_start: true, ..permanent("a") };
    let mut world = World::new(flags(Strategy::OneForAll, 0));
    world.add(child.clone()).unwrap();
    world.add(permanent("b")).unwrap();
    world.script("a", &[Begin::Fail]);
    world.start();
    world.saw("start a, park a 60s, start b, started");
    world.pass(SECOND * 60);
    world.saw("start a");
    // By a verb likewise.
    let id = world.new_id("c");
    world.script("c", &[Begin::Fail]);
    world.call(Verb::StartChild(id, Rules { id: "c".into(), ..child.clone() })).unwrap();
    assert_eq!(world.state_of("c"), Some(ChildState::Parked));

    let mut world = World::new(flags(Strategy::OneForAll, 0));
    world.add(Rules { park_at_start: false, ..child }).unwrap();
    world.script("a", &[Begin::Fail]);
    world.start();
    assert!(matches!(world.started, Some(Err(_))));
}

/// A run that cannot be ended is to its supervisor over, and its child is not started beside it.
#[test]
fn an_unresponsive_child_is_not_restarted_before_it_ends() {
    let mut world = started(flags(Strategy::OneForOne, 5), [permanent("a"), permanent("b")]);
    world.stubborn("a");
    let token = world.post(Verb::TerminateChild(world.id("a")));
    world.settle();
    world.ignores_deadline("a", 0);
    assert_eq!(world.answer(token), Some(Ok(())));
    let refused = world.restart("a").unwrap_err();
    assert!(matches!(&refused, Error::Invalid(text) if text.contains("still runs")), "{refused}");
    world.crash("b");
    world.ends("a", false);
    world.saw("stop a, start b");
    world.restart("a").unwrap();
    world.saw("start a");
}

/// In a restart it holds up who comes after it, for the order's sake; not a stop.
#[test]
fn an_unresponsive_sibling_holds_up_the_restart() {
    let mut world = started(flags(Strategy::OneForAll, 5), [permanent("a"), permanent("b"), permanent("c")]);
    world.stubborn("b");
    world.crash("a");
    world.ignores_deadline("b", 0);
    world.saw("stop c, stop b, start a");
    assert_eq!(world.state_of("b"), Some(ChildState::Restarting));
    world.ends("b", true);
    world.saw("start b, start c");
    world.crash("a");
    world.ignores_deadline("b", 0);
    world.take_log();
    world.stop();
    world.saw("stop a, end");
}

#[test]
fn a_forgotten_child_that_was_unresponsive() {
    let mut world = started(flags(Strategy::OneForOne, 5), []);
    world.start_child(temporary("a")).unwrap();
    world.stubborn("a");
    let token = world.post(Verb::TerminateChild(world.id("a")));
    world.settle();
    world.ignores_deadline("a", 0);
    assert_eq!(world.answer(token), Some(Ok(())));
    world.ends("a", true);
    world.saw("start a, stop a, forget a");
}
