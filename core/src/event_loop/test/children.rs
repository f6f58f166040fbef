//! Exits of real children.

#![allow(clippy::zombie_processes, reason = "the loop reaps them")]

use std::{
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
};

use super::*;
use crate::event_loop::ExitStatus;

fn shell(script: &str) -> Child {
    Command::new("/bin/sh").args(["-c", script]).stdin(Stdio::piped()).spawn().unwrap()
}

fn pid(child: &Child) -> i32 {
    i32::try_from(child.id()).unwrap()
}

/// Waits for it in a loop of its own.
fn end_of(child: &Child) -> Result<ExitStatus> {
    let event_loop = new_loop();
    let (sender, told) = mpsc::channel();
    event_loop.child(pid(child), On::Loop, move |status| sender.send(status).unwrap())?;
    event_loop.run(RunMode::UntilIdle).unwrap();
    told.try_recv().expect("told before the loop was idle")
}

#[test]
fn every_way_to_end_is_told() {
    let exited =
        |child: &Child, code| ExitStatus { pid: pid(child), code: Some(code), signal: None, core_dumped: false };
    for code in [0, 1, 77, 255] {
        let child = shell(&format!("exit {code}"));
        let status = end_of(&child).unwrap();
        assert_eq!((status, status.success()), (exited(&child, code), code == 0));
        assert_eq!(status.to_string(), format!("exited with {code}"));
    }
    // SIGKILL, and one that has no name.
    for signal in [libc::SIGKILL, libc::SIGRTMIN() + 3] {
        let child = shell("read line");
        kill(&child, signal);
        let status = end_of(&child).unwrap();
        assert_eq!(status, ExitStatus { pid: pid(&child), code: None, signal: Some(signal), core_dumped: false });
        assert!(!status.success());
    }
}

fn kill(child: &Child, signal: i32) {
    let kill = format!("kill -{signal} {}", pid(child));
    assert!(Command::new("/bin/sh").args(["-c", &kill]).status().unwrap().success());
}

#[test]
fn a_core_dump_is_told_as_the_system_tells_it() {
    // Whether there is one is the machine's business; what is told is what waitpid would have said.
    let crash = || {
        let mut crash = Command::new("/bin/sh");
        crash.args(["-c", "ulimit -c unlimited; kill -QUIT $$"]).current_dir(std::env::temp_dir());
        crash
    };
    let reference = {
        use std::os::unix::process::ExitStatusExt;
        let status = crash().status().unwrap();
        assert_eq!(status.signal(), Some(libc::SIGQUIT));
        status.core_dumped()
    };
    let child = crash().spawn().unwrap();
    let status = end_of(&child).unwrap();
    assert_eq!((status.signal, status.core_dumped), (Some(libc::SIGQUIT), reference));
    assert_eq!(status.to_string().contains("core dumped"), reference);
}

#[test]
fn one_that_has_ended_before_is_told_and_reaped_once() {
    let mut child = shell("exit 3");
    // A zombie now: nobody has reaped it.
    let state = format!("/proc/{}/stat", child.id());
    while !std::fs::read_to_string(&state).unwrap().contains(") Z ") {
        std::thread::yield_now();
    }
    assert_eq!(end_of(&child).unwrap().code, Some(3));
    assert!(!std::path::Path::new(&state).exists(), "it was reaped");
    assert_eq!(child.wait().unwrap_err().raw_os_error(), Some(libc::ECHILD));
}

#[test]
fn what_is_no_child_of_ours_is_refused_in_words() {
    let event_loop = new_loop();
    let refused = |pid| event_loop.child(pid, On::Loop, |_| panic!("called")).unwrap_err().error;
    for number in [0, -1, i32::MIN] {
        assert!(matches!(refused(number), Error::Invalid(text) if text.contains(&number.to_string())));
    }
    assert_eq!(refused(1).os_errno(), Some(libc::ECHILD), "{}", refused(1));
    assert!(refused(1).to_string().contains("process 1: it is not a child"), "{}", refused(1));
    // The highest number there can be, and far above what any system gives out.
    assert_eq!(refused(i32::MAX).os_errno(), Some(libc::ESRCH), "{}", refused(i32::MAX));
    let mut child = shell("exit 0");
    child.wait().unwrap();
    assert!(refused(pid(&child)).to_string().contains("there is none"));
    event_loop.stop().unwrap();
    let mut child = shell("exit 0");
    assert_eq!(refused(pid(&child)), Error::Closed("event loop"));
    child.wait().unwrap();
}

#[test]
fn a_status_that_somebody_else_took_is_told_as_lost() {
    let event_loop = new_loop();
    let mut child = shell("read line; exit 4");
    let (sender, told) = mpsc::channel();
    event_loop.child(pid(&child), On::Loop, move |status| sender.send(status).unwrap()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(4), "wait closes its input and takes the status");
    event_loop.run(RunMode::UntilIdle).unwrap();
    let lost = told.try_recv().unwrap().unwrap_err();
    assert_eq!(lost.os_errno(), Some(libc::ECHILD));
    assert!(lost.to_string().contains("its status is lost"), "{lost}");
}

#[test]
fn a_cancelled_one_is_the_callers_to_reap() {
    let event_loop = new_loop();
    let mut child = shell("read line; exit 5");
    let dropped = counter();
    let owned = Counted(dropped.clone());
    let id = event_loop
        .child(pid(&child), On::Loop, move |_| {
            let _owned = owned;
            panic!("cancelled");
        })
        .unwrap();
    assert_eq!(event_loop.cancel_watch(WatchId(id.0)), Err(Error::Stale("io_watch")), "it is no watch");
    event_loop.cancel_child(id).unwrap();
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
    assert_eq!(event_loop.cancel_child(id), Err(Error::Stale("child")));
    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().code(), Some(5));
    event_loop.run(RunMode::UntilIdle).unwrap();
}

#[test]
fn two_hundred_at_once_in_a_pool() {
    let event_loop = loop_of(Arc::new(sources::Threads));
    let (sender, told) = mpsc::channel();
    let mut children: Vec<_> = (0..200).map(|n| shell(&format!("read line; exit {n}"))).collect();
    for child in &children {
        let sender = sender.clone();
        event_loop.child(pid(child), On::Default, move |status| sender.send(status.unwrap()).unwrap()).unwrap();
    }
    event_loop.start().unwrap();
    children.iter_mut().for_each(|child| drop(child.stdin.take()));
    let mut codes: Vec<_> = (0..200)
        .map(|_| {
            let status = told.recv_timeout(Duration::from_secs(60)).unwrap();
            let child = children.iter().position(|child| pid(child) == status.pid).unwrap();
            assert_eq!(status.code, Some(i32::try_from(child).unwrap()));
            child
        })
        .collect();
    codes.sort_unstable();
    assert!(codes.into_iter().eq(0..200));
}

#[test]
fn other_children_and_grandchildren_are_not_touched() {
    let mut bystander = shell("exit 6");
    // Its group ends with the test: the grandchild outlives its parent.
    let mut parent = Command::new("/bin/sh");
    parent.args(["-c", "sleep 1000 & echo $!; exit 7"]).stdout(Stdio::piped()).process_group(0);
    let mut parent = parent.spawn().unwrap();
    assert_eq!(end_of(&parent).unwrap().code, Some(7));
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(parent.stdout.take().unwrap()), &mut line).unwrap();
    let grandchild = rustix::process::Pid::from_raw(line.trim().parse().unwrap()).unwrap();
    assert_eq!(rustix::process::test_kill_process(grandchild), Ok(()), "it lives on");
    rustix::process::kill_process(grandchild, rustix::process::Signal::KILL).unwrap();
    assert_eq!(bystander.wait().unwrap().code(), Some(6), "and this one is still there to be reaped");
}

#[test]
fn a_panic_in_the_callback_ends_the_wait_like_any_end() {
    let event_loop = new_loop();
    let child = shell("exit 0");
    let id = event_loop.child(pid(&child), On::Loop, |_| panic!("on purpose")).unwrap();
    event_loop.run(RunMode::UntilIdle).unwrap();
    assert_eq!(event_loop.cancel_child(id), Err(Error::Stale("child")));
}

#[test]
fn as_a_future() {
    let event_loop = new_loop();
    event_loop.start().unwrap();
    let handle = event_loop.handle();
    let mut ended = event_loop
        .spawn(async move {
            let (first, second) = (shell("exit 8"), shell("read line; exit 9"));
            let first = exited(&handle, pid(&first)).await?;
            let second = exited(&handle, pid(&second));
            drop(second);
            Ok::<_, Error>((first.code, exited(&handle, 1).await.unwrap_err().os_errno()))
        })
        .unwrap();
    assert_eq!(ended.join(Some(Duration::from_secs(60))).unwrap(), Ok((Some(8), Some(libc::ECHILD))));
}
