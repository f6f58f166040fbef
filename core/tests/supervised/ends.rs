//! How workers begin and end.

use std::time::Duration;

use coop_core::supervisor::{Args, AsyncProcess, Because, Ended, Kind, Ready, Service, Shutdown, What};

use super::{
    Case,
    world::{LONG, is_gone, kill, service, temporary, world},
};

pub(crate) const CASES: &[Case] = &[
    ("a_worker_is_ready_when_it_says_so_and_stops_when_asked", ready_and_stop),
    ("a_worker_that_need_not_say_so_is_ready_when_its_entry_has_begun", ready_at_once),
    ("a_worker_knows_its_run", knows_its_run),
    ("an_entry_on_a_thread", thread_entry),
    ("an_error_before_ready_is_a_start_that_failed", fails_before_ready),
    ("an_entry_that_is_not_there_is_a_start_that_failed", unknown_entry),
    ("what_is_never_ready_fails_at_its_deadline", never_ready),
    ("more_time_to_get_ready", extends),
    ("a_start_that_is_not_wanted", ignored),
    ("a_panic_is_told_with_its_text", panics),
    ("an_exit_while_it_stops_is_a_stop", exits_in_stop),
    ("what_does_not_look_out_is_cancelled", cancelled),
    ("what_ignores_its_stop_is_killed_at_the_deadline", stubborn),
    ("what_is_killed_comes_back_as_another_process", killed),
    ("workers_stop_last_first", stops_in_order),
    ("text_only_is_given_to_a_process", only_text),
];

fn ready_and_stop() {
    let world = world([service("steady")]).started();
    let pid = world.pid("steady");
    world.until_kind("root/steady", Kind::Ready);
    let rest = world.stop();
    assert!(is_gone(pid));
    let ended = rest.iter().find(|event| event.path == "root/steady" && event.what.kind() == Kind::Ended).unwrap();
    let What::Ended { how, normal, because, .. } = &ended.what else { unreachable!() };
    assert_eq!((how, *normal, *because), (&Ended::Exited(0), true, Some(Because::Asked)));
}

fn ready_at_once() {
    let world = world([Service { ready: Ready::AtOnce, ..service("steady") }]).started();
    world.until_kind("root/steady", Kind::Ready);
    world.stop();
}

fn knows_its_run() {
    let world = world([]).started();
    let template = service("says");
    let pool = world.host.supervisor(
        "pool",
        coop_core::supervisor::SupervisorOptions {
            strategy: coop_core::supervisor::Strategy::SimpleOneForOne,
            ..Default::default()
        },
    );
    let pool = pool.unwrap();
    pool.template(template).unwrap();
    let args = vec!["a b".to_owned(), "\"ä\"\n".to_owned(), String::new()];
    let id = pool.start_child_with(Args::Strings(args.clone())).unwrap();
    let child = pool.which_children().unwrap().remove(0);
    // What would be another message is a space.
    let args = format!("{args:?}");
    let said = format!("id={} name=says path={} run=1 args={args}", id.0, child.path);
    world.until_status(&child.path, &said);
    kill(child.pid.unwrap());
    world.until_status(&child.path, "run=2");
    world.stop();
}

fn thread_entry() {
    let world = world([service("thread")]).started();
    world.until_kind("root/thread", Kind::Ready);
    let rest = world.stop();
    assert!(rest.iter().any(|event| matches!(&event.what, What::Ended { how: Ended::Exited(0), .. })));
}

fn fails_before_ready() {
    let world = world([service("no_start")]);
    let error = world.host.start().unwrap_err().to_string();
    assert!(error.contains("exited with 1 before it was ready") && error.contains("no configuration"), "{error}");
    let event = world.until_kind("root/no_start", Kind::StartFailed);
    let What::StartFailed { reason, tail, .. } = &event.what else { unreachable!() };
    assert!(reason.contains("no configuration"), "{reason}");
    assert_eq!(tail.last().unwrap(), "service \"no_start\": no configuration");
}

fn unknown_entry() {
    let world = world([Service { ready: Ready::AtOnce, ..service("nobody") }]);
    let error = world.host.start().unwrap_err().to_string();
    assert!(
        error.contains("exited with 78") && error.contains("service \"nobody\"") && error.contains("\"steady\""),
        "{error}"
    );
}

fn never_ready() {
    let world = world([Service { ready: Ready::Notify(Duration::from_millis(300)), ..service("never_ready") }]);
    let error = world.host.start().unwrap_err().to_string();
    assert!(error.contains("it was not ready in time"), "{error}");
}

fn extends() {
    let world = world([Service { ready: Ready::Notify(Duration::from_millis(700)), ..service("extends") }]);
    // On a machine so busy that it does not even begin in this time it is tried again.
    let until = std::time::Instant::now() + LONG;
    while let Err(error) = world.host.start() {
        assert!(std::time::Instant::now() < until, "{error}");
    }
    world.stop();
}

fn ignored() {
    let world = world([service("ignored")]).started();
    world.until_kind("root/ignored", Kind::Ignored);
    world.stop();
}

fn panics() {
    let world = world([]).started();
    let _ = world.host.start_child(temporary("panics"));
    let (how, event) = world.until_ended("root/panics");
    assert_eq!(how, Ended::Exited(101));
    let What::Ended { tail, .. } = &event.what else { unreachable!() };
    assert_eq!(tail.last().unwrap(), "service \"panics\": panicked: on purpose");
    world.stop();
}

fn exits_in_stop() {
    let world = world([service("exits_in_stop")]).started();
    let rest = world.stop();
    let normal = rest.iter().find_map(|event| match &event.what {
        What::Ended { how: Ended::Exited(3), normal, .. } => Some(*normal),
        _ => None,
    });
    assert_eq!(normal, Some(true));
}

fn cancelled() {
    let world = world([service("cancelled")]).started();
    let rest = world.stop();
    let said = |text: &str| rest.iter().any(|event| matches!(&event.what, What::Status(said) if said == text));
    assert!(said("dropped"));
    assert!(rest.iter().any(|event| matches!(&event.what, What::Ended { how: Ended::Exited(0), .. })));
}

fn stubborn() {
    let shutdown = Some(Shutdown::After(Duration::from_millis(200)));
    let world = world([Service { shutdown, ..service("stubborn") }]).started();
    let rest = world.stop();
    let ended = rest.iter().find_map(|event| match &event.what {
        What::Ended { how, because, .. } if event.path == "root/stubborn" => Some((how.clone(), *because)),
        _ => None,
    });
    let killed = Ended::Signaled { signal: 9, core_dumped: false };
    assert_eq!(ended, Some((killed, Some(Because::ShutdownDeadline))));
}

fn killed() {
    let world = world([service("steady")]).started();
    world.until_kind("root/steady", Kind::Ready);
    let before = world.pid("steady");
    kill(before);
    let (how, _) = world.until_ended("root/steady");
    assert_eq!(how, Ended::Signaled { signal: 9, core_dumped: false });
    world.until_kind("root/steady", Kind::Ready);
    let after = world.pid("steady");
    assert!(after > 0 && after != before, "{before} {after}");
    world.stop();
}

fn stops_in_order() {
    let names = ["first", "second", "third"];
    let world = world(names.map(|name| Service { id: name.into(), ..service("steady") })).started();
    let rest = world.stop();
    let ended: Vec<_> =
        rest.iter().filter(|event| event.what.kind() == Kind::Ended).map(|event| event.path.as_str()).collect();
    assert_eq!(ended, ["root/third", "root/second", "root/first", "root"]);
}

fn only_text() {
    let world = world([]).started();
    let mut bad = service("steady");
    bad.executor = AsyncProcess::new("");
    let error = world.host.start_child(bad).unwrap_err().to_string();
    assert!(error.contains("\"\" is no name of an entry"), "{error}");
    world.stop();
}
