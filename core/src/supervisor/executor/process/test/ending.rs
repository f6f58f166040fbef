//! Ends, wanted and not, and what becomes of the rest of a group.

use super::*;

#[test]
fn every_way_to_end_is_told() {
    let how = |script: &str| ended(&silent(shell(script))).unwrap().0;
    assert_eq!(how("exit 0"), Ended::Exited(0));
    assert_eq!(how("exit 255"), Ended::Exited(255));
    assert_eq!(how("kill -9 $$"), Ended::Signaled { signal: 9, core_dumped: false });
    assert_eq!(how("kill -47 $$"), Ended::Signaled { signal: 47, core_dumped: false });
    assert_eq!(how("ulimit -c 0; kill -SEGV $$"), Ended::Signaled { signal: libc::SIGSEGV, core_dumped: false });
    // Whether there is a core dump is the machine's business; what is told is what waitpid says.
    let scratch = Scratch::new("core");
    let crash = "ulimit -c unlimited; kill -SEGV $$";
    let theirs = process::Command::new("/bin/sh").args(["-c", crash]).current_dir(&scratch.0).status().unwrap();
    let core_dumped = std::os::unix::process::ExitStatusExt::core_dumped(&theirs);
    let ours = ended(&silent(shell(crash).directory(&scratch.0))).unwrap().0;
    assert_eq!(ours, Ended::Signaled { signal: libc::SIGSEGV, core_dumped });
}

/// Both ways to wait for a child.
fn both(command: Command) -> [Process; 2] {
    [silent(command.clone()), silent(command.no_pidfd())]
}

#[test]
fn it_is_asked_by_its_signal_and_ended_by_another() {
    let ready = |run: &Run, scratch: &Scratch| run.until(|| scratch.0.join("ready").exists().then_some(()));
    for (signal, process) in [(libc::SIGTERM, 0), (libc::SIGUSR1, 0), (libc::SIGTERM, 1), (libc::SIGRTMAX(), 1)] {
        let scratch = Scratch::new(&format!("asked-{signal}-{process}"));
        let script = format!("trap 'echo asked; exit 3' {signal}; : >ready; while :; do sleep 0.01; done");
        let mut run = begin(&both(shell(&script).stop_signal(signal).directory(&scratch.0))[process]).unwrap();
        ready(&run, &scratch);
        run.running.ask();
        let (how, tail) = run.end();
        assert_eq!((how, tail.last().map(String::as_str)), (Ended::Exited(3), Some("asked")));
        // It has ended: nobody else is signalled, whoever has the number now.
        assert_eq!(run.running.kill(Because::Asked), Stopped::Ends);
    }
    for process in [0, 1] {
        let scratch = Scratch::new(&format!("ignores-{process}"));
        let script = "trap '' TERM; : >ready; while :; do sleep 0.01; done";
        let mut run = begin(&both(shell(script).directory(&scratch.0))[process]).unwrap();
        ready(&run, &scratch);
        run.running.ask();
        for _ in 0..20 {
            run.event_loop.call_later(Duration::from_millis(1), || {}).unwrap();
            run.event_loop.run(RunMode::Once).unwrap();
        }
        assert!(is_alive(run.pid()) && run.reports.try_recv().is_err(), "it ignores being asked");
        run.running.kill(Because::ShutdownDeadline);
        assert_eq!(run.end().0, Ended::Signaled { signal: libc::SIGKILL, core_dumped: false });
    }
}

#[test]
fn a_stopped_process_hears_that_it_is_asked() {
    let mut run = begin(&silent(shell("kill -STOP $$; sleep 1000"))).unwrap();
    let stat = format!("/proc/{}/stat", run.pid());
    wait_until(|| fs::read_to_string(&stat).unwrap().contains(") T "));
    run.running.ask();
    assert_eq!(run.end().0, Ended::Signaled { signal: libc::SIGTERM, core_dumped: false });
}

#[test]
fn nothing_of_the_group_outlives_it() {
    for end in ["exit 0", "kill -SEGV $$", "wait"] {
        let scratch = Scratch::new("group");
        let script = format!(
            "trap '' TERM; (trap '' TERM HUP; sleep 1000 & echo $!; exec sleep 1001) & echo $!; while [ ! -e go ]; do sleep 0.01; done; {end}"
        );
        for process in both(shell(&script).directory(&scratch.0)) {
            let _ = fs::remove_file(scratch.0.join("go"));
            let (sink, kept) = keeping();
            let process = Process { output: Output { stdout: sink, ..process.output }, ..process };
            let mut run = begin(&process).unwrap();
            let pids = || kept.lock().unwrap().iter().map(|line| line.text.parse().unwrap()).collect::<Vec<i32>>();
            run.until(|| (pids().len() == 2).then_some(()));
            scratch.file("go", "", 0o600);
            if end == "wait" {
                assert!(pids().iter().all(|pid| is_alive(*pid)));
                run.running.ask();
                run.running.kill(Because::ShutdownDeadline);
            }
            run.end();
            // Killed before the end was told; dying takes its time.
            wait_until(|| !pids().iter().any(|pid| is_alive(*pid)));
        }
    }
}

#[test]
fn without_descriptors_it_is_a_process_like_any_other() {
    let mut run = begin(&silent(shell("exec <&- >&- 2>&-; while :; do sleep 0.01; done"))).unwrap();
    let fd = format!("/proc/{}/fd/1", run.pid());
    run.until(|| (fs::read_link(&fd).is_err()).then_some(()));
    assert!(is_alive(run.pid()));
    run.running.ask();
    assert_eq!(run.end().0, Ended::Signaled { signal: libc::SIGTERM, core_dumped: false });
}

#[test]
fn dropped_it_is_ended() {
    for process in both(shell("sleep 1000")) {
        let Run { running, reports, event_loop } = begin(&process).unwrap();
        let pid = running.pid().unwrap();
        assert!(is_alive(pid));
        drop(running);
        let end = until(&event_loop, || reports.try_recv().ok());
        assert!(matches!(end, Report::Ended { how: Ended::Signaled { signal: libc::SIGKILL, .. }, .. }), "{end:?}");
        assert!(!Path::new(&format!("/proc/{pid}")).exists(), "reaped");
    }
}

#[test]
fn a_loop_that_is_freed_takes_its_children_with_it() {
    let Run { running, reports, event_loop } = begin(&silent(shell("sleep 1000"))).unwrap();
    let pid = running.pid().unwrap();
    drop(event_loop);
    let end = reports.recv_timeout(LONG).unwrap();
    assert!(matches!(end, Report::Ended { how: Ended::Signaled { signal: libc::SIGKILL, .. }, .. }), "{end:?}");
    assert!(!Path::new(&format!("/proc/{pid}")).exists(), "reaped");
    drop(running);
}

#[test]
fn a_loop_that_was_stopped_runs_nothing() {
    let event_loop = new_loop();
    event_loop.stop().unwrap();
    let refused = begin_on(&event_loop, &silent(shell("sleep 1000")), |_| {}).unwrap_err();
    assert_eq!(refused, Error::Closed("event loop"));
}

#[test]
fn children_of_a_loop_with_a_thread_of_its_own_may_be_made_by_its_callbacks() {
    let event_loop = Arc::new(new_loop());
    event_loop.start().unwrap();
    let (sender, made) = mpsc::channel();
    let its = event_loop.clone();
    event_loop
        .post(move || {
            let begun = begin_on(&its, &silent(shell("echo hello; exit 4")), |_| {});
            drop(its);
            sender.send(begun).unwrap();
        })
        .unwrap();
    let (running, reports) = made.recv_timeout(LONG).unwrap().unwrap();
    let Report::Ended { how, tail, .. } = reports.recv_timeout(LONG).unwrap() else { panic!("only its end") };
    assert_eq!((how, tail), (Ended::Exited(4), vec!["hello".into()]));
    drop(running);
}

/// A role that has a child says which, and waits for ever: it is killed, and its child goes with it.
fn killed_with_its_parent(name: &str) {
    let mut parent = again(name).stdout(process::Stdio::piped()).spawn().unwrap();
    let mut text = String::new();
    let mut output = std::io::BufReader::new(parent.stdout.take().unwrap());
    while !text.contains(RESULT) {
        assert_ne!(std::io::BufRead::read_line(&mut output, &mut text).unwrap(), 0, "{name}: {text}");
    }
    let pid: i32 = text.split_once(RESULT).unwrap().1.trim().parse().unwrap();
    assert!(is_alive(pid));
    parent.kill().unwrap();
    parent.wait().unwrap();
    wait_until(|| !is_alive(pid));
}

#[test]
fn it_dies_with_its_parent() {
    killed_with_its_parent("a-parent");
    if rustix::process::geteuid().is_root() {
        // A change of identity takes the signal away: it is asked for after that.
        killed_with_its_parent("a-parent-of-another-users");
    } else {
        // Where no identity can be changed, the same step with one's own.
        killed_with_its_parent("a-parent-of-its-own-users");
    }
}

#[test]
fn where_sigchld_is_ignored_the_end_is_told_without_its_status() {
    assert_eq!(play("ignores-sigchld"), "lost, and its group gone");
}
