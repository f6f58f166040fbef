//! Programs as services of a host.

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::*;
use crate::fork::run_in_child;

fn sleeper(id: &str) -> Service {
    Service::new(id, Arc::new(Process::new(Command::new("sleep").arg("100000"))))
}

fn pid_of(supervisor: &Supervisor, name: &str) -> Option<Pid> {
    let child = supervisor.which_children().unwrap().into_iter().find(|child| child.name == name)?;
    Pid::from_raw(child.pid?)
}

#[test]
fn a_program_that_is_killed_comes_back() {
    for kind in [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne] {
        let host = host(strategy(kind));
        let observer = host.observe(Filter::default(), &ObserverOptions { queue: 10_000, replay: 0 }).unwrap();
        for name in ["a", "b", "c"] {
            host.add(sleeper(name)).unwrap();
        }
        host.start().unwrap();
        let mut seen = Vec::new();
        for round in 0..9 {
            let name = ["a", "b", "c"][round % 3];
            wait_all_run(&host);
            let before = pid_of(&host, name).unwrap();
            seen.push(before);
            kill_process(before, Signal::KILL).unwrap();
            wait_until("it is another one", || pid_of(&host, name).is_some_and(|pid| pid != before));
        }
        wait_all_run(&host);
        seen.extend(["a", "b", "c"].map(|name| pid_of(&host, name).unwrap()));
        host.shutdown(Some(LONG)).unwrap();
        // Reaped, and none is left.
        assert!(seen.iter().all(|pid| test_kill_process(*pid).is_err()));
        for (at, item) in observer.iter().enumerate() {
            assert!(matches!(&item, Item::Event(event) if event.number == at as u64 + 1), "{item:?}");
        }
    }
}

#[test]
fn a_program_that_is_not_there_fails_the_start() {
    let host = host(strategy(Strategy::OneForOne));
    host.add(sleeper("a")).unwrap();
    host.add(Service::new("b", Arc::new(Process::new(Command::new("/nowhere/at/all"))))).unwrap();
    let error = host.start().unwrap_err().to_string();
    assert!(error.contains("/nowhere/at/all") && error.contains("No such file"), "{error}");
    assert_eq!(pid_of(&host, "a"), None);
}

#[test]
fn a_child_of_a_template_has_its_own_arguments() {
    let host = host(strategy(Strategy::SimpleOneForOne));
    let shell = Command::new("sh").arg("-c").arg("exit $1").arg("sh");
    host.template(Service { restart: Restart::Temporary, ..Service::new("exits", Arc::new(Process::new(shell))) })
        .unwrap();
    host.start().unwrap();
    let observer = host.observe(Filter::kinds([Kind::Ended]), &ObserverOptions::default()).unwrap();
    host.start_child_with(Args::Strings(vec!["7".into()])).unwrap();
    let events = events_until(&observer, |_| true);
    assert!(matches!(&events[0].what, What::Ended { how: Ended::Exited(7), normal: false, .. }));
    assert!(host.start_child_with(Args::Value(Arc::new(7))).is_err());
}

#[test]
fn orphans_are_reaped_and_what_others_started_is_left() {
    assert!(run_in_child(|| {
        rustix::process::set_child_subreaper(Pid::from_raw(1)).unwrap();
        let root = strategy(Strategy::OneForOne);
        let host = Host::new(HostOptions { root, reap: true, ..HostOptions::default() }).unwrap();
        // Somebody else's, whose status is wanted later.
        let mut others = std::process::Command::new("sh").arg("-c").arg("exit 3").spawn().unwrap();
        // An orphan in the session of a service that is over, and in a group of nobody.
        let leaves = "set -m; sleep 0.3 & echo $! >&3; exit 0";
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let command = Command::new("sh").arg("-c").arg(leaves).new_session().descriptor(3, writer);
        let service = Service::new("leaves", Arc::new(Process::new(command)));
        host.start().unwrap();
        host.start_child(Service { restart: Restart::Temporary, ..service }).unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(std::fs::File::from(reader)), &mut line).unwrap();
        let orphan = Pid::from_raw(line.trim().parse().unwrap()).unwrap();
        wait_until("the orphan has been reaped", || test_kill_process(orphan).is_err());
        let code = others.wait().unwrap().code();
        host.shutdown(Some(LONG)).unwrap();
        code == Some(3)
    }));
}
