//! What children say by the notification protocol.

use super::*;

fn texts(reports: &[Report]) -> Vec<String> {
    let text = |report: &Report| match report {
        Report::Ready => "ready".to_owned(),
        Report::Beat => "beat".to_owned(),
        Report::Extend(time) => format!("extend {time:?}"),
        Report::Status(text) => text.clone(),
        report => format!("{report:?}"),
    };
    reports.iter().map(text).collect()
}

#[test]
fn all_that_a_child_says_is_told_in_its_order_before_its_end() {
    let observed = Arc::new(Mutex::new(Vec::new()));
    let observes = observed.clone();
    let hand_over: OnObserver = Arc::new(move |id, filter, to| {
        File::from(to).write_all(b"an event").unwrap();
        observes.lock().unwrap().push((id, filter));
    });
    let process = silent(role("tells")).on_observer(hand_over);
    let run = begin_service(&process, |service| {
        service.ready = Ready::Notify(LONG);
        service.watchdog = Some(Duration::from_secs(7));
    });
    let (before, (how, tail)) = run.unwrap().to_the_end();
    assert_eq!(how, Ended::Exited(0), "{tail:?}");
    assert_eq!(texts(&before), ["starting", "extend 9s", "ready", "beat", "observed", "last words"]);
    assert_eq!(*observed.lock().unwrap(), [(ServiceId(1), "{\"of\":\"me\"}".to_owned())]);
}

#[test]
fn ready_and_at_once_the_end_come_in_that_order() {
    for _ in 0..20 {
        let run = begin_service(&silent(role("tells-a-stranger")), |service| service.ready = Ready::Notify(LONG));
        let (before, (how, _)) = run.unwrap().to_the_end();
        assert_eq!((texts(&before), how), (vec!["ready".into()], Ended::Exited(0)));
    }
}

#[test]
fn nonsense_is_ignored() {
    let run = begin_service(&silent(role("tells-nonsense")), |service| service.ready = Ready::Notify(LONG));
    let (before, (how, tail)) = run.unwrap().to_the_end();
    assert_eq!(how, Ended::Exited(0), "{tail:?}");
    assert_eq!(texts(&before), ["\u{fffd}\u{fffd}", "sane again"]);
}

#[test]
fn a_child_that_nobody_listens_to_has_no_address() {
    assert_eq!(line(shell("echo $NOTIFY_SOCKET$WATCHDOG_USEC")), "");
    let asked = Process { notify: true, ..silent(shell("echo $NOTIFY_SOCKET$WATCHDOG_USEC")) };
    let tail = ended(&asked).unwrap().1.join("\n");
    assert!(tail.starts_with("@coop-notify-") && tail.len() > 40, "{tail}");
}

#[test]
fn a_strangers_message_is_refused() {
    let (sender, heard) = mpsc::channel();
    let event_loop = new_loop();
    let tell = move |notice| drop(sender.send(notice));
    let notify = Notify::new("service", None, &event_loop, tell).unwrap();
    notify.begin().unwrap();
    let mut as_a_stranger = role("tells-a-stranger").env("NOTIFY_SOCKET", notify.address());
    if rustix::process::geteuid().is_root() {
        // The program must be readable for everybody: a copy of it is.
        let scratch = Scratch::new("stranger");
        fs::set_permissions(&scratch.0, fs::Permissions::from_mode(0o755)).unwrap();
        let program = scratch.0.join("program");
        fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        as_a_stranger = Command::new(&program).args(arguments()).env(ROLE, "tells-a-stranger");
        as_a_stranger = as_a_stranger.env("NOTIFY_SOCKET", notify.address()).uid(65_534).gid(65_534);
        assert_eq!(ended(&silent(as_a_stranger.clone())).unwrap().0, Ended::Exited(0));
        notify.finish();
        assert!(heard.try_recv().is_err(), "another user was heard");
        // Unless the child is that user's.
        let (sender, heard) = mpsc::channel();
        let theirs =
            Notify::new("service", Some(65_534), &event_loop, move |notice| drop(sender.send(notice))).unwrap();
        let as_itself = as_a_stranger.env("NOTIFY_SOCKET", theirs.address());
        assert_eq!(ended(&silent(as_itself)).unwrap().0, Ended::Exited(0));
        theirs.finish();
        assert!(matches!(heard.try_recv(), Ok(Notice::Ready)));
    } else {
        // Nobody else's process can be made here; one's own is heard.
        assert_eq!(ended(&silent(as_a_stranger)).unwrap().0, Ended::Exited(0));
        notify.finish();
        assert!(matches!(heard.try_recv(), Ok(Notice::Ready)));
    }
}

/// Of a process that says so, and then exits as one that has failed.
#[test]
fn the_error_that_it_ends_with_is_how_it_ended() {
    for (status, how) in [(3, Ended::Failed("ValueError: 7".into())), (0, Ended::Exited(0))] {
        let told = Process { notify: true, ..silent(role("says-how-it-fails").env("STATUS", status.to_string())) };
        assert_eq!(ended(&told).unwrap().0, how);
    }
}
