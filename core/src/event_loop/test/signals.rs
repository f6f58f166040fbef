//! Real signals, each test in a process of its own: what a process does with a signal is for all of its threads.

use std::process::Command;

use super::*;
use crate::event_loop::Signals;

const USR1: i32 = libc::SIGUSR1;

/// Runs the test of this name again in a process of its own, and `body` there.
fn alone(name: &str, body: impl FnOnce()) {
    const INSIDE: &str = "COOP_TEST_ALONE";
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let test = format!("event_loop::test::signals::{name}");
    let mut again = Command::new(std::env::current_exe().unwrap());
    let output = again.args(["--exact", &test, "--nocapture"]).env(INSIDE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

/// Sends this process a signal.
fn raise(signal: i32) {
    let kill = format!("kill -{signal} {}", std::process::id());
    assert!(Command::new("/bin/sh").args(["-c", &kill]).status().unwrap().success());
}

/// Sends this thread one, which is handled when this returns: so none is joined with another that is pending.
#[allow(unsafe_code, reason = "raise")]
fn raise_here(signal: i32) {
    // SAFETY: raise has no preconditions; the signal is handled.
    assert_eq!(unsafe { libc::raise(signal) }, 0);
}

/// Whether the process handles it: the mask in the system's own words.
fn is_handled(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:\t")).unwrap();
    u64::from_str_radix(mask, 16).unwrap() & 1 << (signal - 1) != 0
}

fn send(sender: &mpsc::Sender<(i32, u64)>) -> impl FnMut(i32, u64) + Send + 'static {
    let sender = sender.clone();
    move |signal, times| sender.send((signal, times)).unwrap()
}

const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_signal_is_told_with_its_number_and_how_often() {
    alone("a_signal_is_told_with_its_number_and_how_often", || {
        let event_loop = new_loop();
        let (sender, told) = mpsc::channel();
        assert!(!is_handled(USR1));
        for signal in [USR1, libc::SIGTERM, libc::SIGRTMIN() + 1] {
            event_loop.signal(signal, On::Loop, send(&sender)).unwrap();
            for _ in 0..3 {
                raise(signal);
                event_loop.run(RunMode::Once).unwrap();
                assert_eq!(told.try_iter().collect::<Vec<_>>(), [(signal, 1)]);
            }
            // Nobody runs the loop meanwhile.
            (0..5).for_each(|_| raise_here(signal));
            event_loop.run(RunMode::Once).unwrap();
            assert_eq!(told.try_iter().collect::<Vec<_>>(), [(signal, 5)]);
        }
        event_loop.run(RunMode::NoWait).unwrap();
        assert!(told.try_recv().is_err(), "each is told once");
    });
}

/// Whether the process handles it, in the time of one system call.
#[allow(unsafe_code, reason = "sigaction")]
fn is_handled_now(signal: i32) -> bool {
    // SAFETY: a C structure of numbers and a function, for which zero bytes are a value.
    let mut now: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: asks only, into a place for the answer.
    assert_eq!(unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut now) }, 0);
    now.sa_sigaction != libc::SIG_DFL
}

#[test]
fn one_that_comes_at_the_moment_that_it_is_first_handled_is_told() {
    alone("one_that_comes_at_the_moment_that_it_is_first_handled_is_told", || {
        const ROUNDS: usize = 5_000;
        let event_loop = new_loop();
        let (sender, told) = mpsc::channel();
        let (begin, begun) = mpsc::sync_channel(0);
        let raiser = std::thread::spawn(move || {
            while begun.recv().is_ok() {
                while !is_handled_now(USR1) {}
                raise_here(USR1);
            }
        });
        // Ends a wait for one that was lost.
        let deadline = event_loop.call_later(LONG, || ()).unwrap();
        for _ in 0..ROUNDS {
            begin.send(()).unwrap();
            let id = event_loop.signal(USR1, On::Loop, send(&sender)).unwrap();
            while told.try_recv().is_err() {
                event_loop.run(RunMode::Once).unwrap();
                assert!(event_loop.now() < LONG, "a signal was lost");
            }
            event_loop.cancel_signal(id).unwrap();
        }
        event_loop.cancel_timer(deadline).unwrap();
        drop(begin);
        raiser.join().unwrap();
    });
}

#[test]
fn every_watcher_in_every_loop_is_told_and_the_last_one_gives_the_signal_back() {
    alone("every_watcher_in_every_loop_is_told_and_the_last_one_gives_the_signal_back", || {
        let loops = [new_loop(), new_loop()];
        let (sender, told) = mpsc::channel();
        let mut ids = Vec::new();
        for (index, event_loop) in loops.iter().enumerate() {
            event_loop.start().unwrap();
            for _ in 0..2 {
                ids.push((index, event_loop.signal(USR1, On::Loop, send(&sender)).unwrap()));
            }
        }
        raise(USR1);
        for _ in 0..4 {
            assert_eq!(told.recv_timeout(LONG), Ok((USR1, 1)));
        }
        for (left, (index, id)) in ids.into_iter().enumerate() {
            assert!(is_handled(USR1), "{left}");
            if left == 3 {
                // Also the end of its loop ends a watcher.
                continue;
            }
            assert_eq!(loops[index].cancel_watch(WatchId(id.0)), Err(Error::Stale("io_watch")), "it is no watch");
            loops[index].cancel_signal(id).unwrap();
            assert_eq!(loops[index].cancel_signal(id), Err(Error::Stale("signal")));
            raise(USR1);
            for _ in 0..3 - left {
                assert_eq!(told.recv_timeout(LONG), Ok((USR1, 1)));
            }
        }
        drop(loops);
        assert!(!is_handled(USR1), "the last one has gone");
        assert!(told.try_recv().is_err());
        // And it is watched anew as at first, without what came before.
        let event_loop = new_loop();
        let id = event_loop.signal(USR1, On::Loop, send(&sender)).unwrap();
        event_loop.run(RunMode::NoWait).unwrap();
        assert!(told.try_recv().is_err() && is_handled(USR1));
        event_loop.cancel_signal(id).unwrap();
    });
}

#[test]
fn what_was_there_before_comes_back() {
    alone("what_was_there_before_comes_back", || {
        use nix::sys::signal::{SigHandler, Signal, signal};
        // A signal that is ignored, and ends the process if that is forgotten.
        // SAFETY: no handler.
        #[allow(unsafe_code, reason = "signal(2)")]
        let set = |handler| unsafe { signal(Signal::SIGUSR1, handler) }.unwrap();
        set(SigHandler::SigIgn);
        let event_loop = new_loop();
        let (sender, told) = mpsc::channel();
        let id = event_loop.signal(USR1, On::Loop, send(&sender)).unwrap();
        raise(USR1);
        event_loop.run(RunMode::Once).unwrap();
        assert_eq!(told.try_recv(), Ok((USR1, 1)));
        event_loop.cancel_signal(id).unwrap();
        raise(USR1);
        assert!(matches!(set(SigHandler::SigDfl), SigHandler::SigIgn));
        // What somebody else has put in meanwhile is left alone.
        let id = event_loop.signal(USR1, On::Loop, send(&sender)).unwrap();
        set(SigHandler::SigIgn);
        event_loop.cancel_signal(id).unwrap();
        assert!(matches!(set(SigHandler::SigDfl), SigHandler::SigIgn));
    });
}

#[test]
fn what_cannot_be_watched_is_refused_by_name() {
    let event_loop = new_loop();
    let refused = |signal| {
        let error = event_loop.signal(signal, On::Loop, |_, _| {}).unwrap_err().error;
        assert!(matches!(error, Error::Invalid(_)), "{error}");
        error.to_string()
    };
    let never = [
        (libc::SIGKILL, "SIGKILL"),
        (libc::SIGSTOP, "SIGSTOP"),
        (libc::SIGSEGV, "SIGSEGV"),
        (libc::SIGBUS, "SIGBUS"),
        (libc::SIGFPE, "SIGFPE"),
        (libc::SIGILL, "SIGILL"),
        (libc::SIGTRAP, "SIGTRAP"),
        (libc::SIGSYS, "SIGSYS"),
    ];
    for (signal, name) in never {
        assert!(refused(signal).contains(name), "{}", refused(signal));
    }
    assert!(refused(32).contains("the C library uses it"), "{}", refused(32));
    for signal in [0, -1, libc::SIGRTMAX() + 1, 1000, i32::MIN, i32::MAX] {
        assert!(
            refused(signal).contains(&format!("{signal} is no signal: allowed are 1 to 64")),
            "{}",
            refused(signal)
        );
    }
    event_loop.stop().unwrap();
    let refused = event_loop.signal(USR1, On::Loop, |_, _| {}).unwrap_err();
    assert_eq!(refused.error, Error::Closed("event loop"));
    assert!(!is_handled(USR1), "what was refused has changed nothing");
}

#[test]
fn a_storm_of_signals_breaks_no_call_and_loses_no_count() {
    alone("a_storm_of_signals_breaks_no_call_and_loses_no_count", || {
        const STORM: usize = 20_000;
        let event_loop = new_loop();
        let rt = libc::SIGRTMIN();
        let (total, ticks) = (counter(), Arc::new(AtomicUsize::new(0)));
        let count = total.clone();
        event_loop
            .signal(rt, On::Loop, move |_, times| {
                count.fetch_add(times as usize, Ordering::SeqCst);
            })
            .unwrap();
        // The waits of the thread that runs the loop are interrupted all the time, and its timer is called all the same.
        let (handle, count) = (event_loop.handle(), total.clone());
        let every = TimerOptions { after: MS, every: Some(MS), on: On::Loop, unref: false };
        event_loop
            .timer(every, move |times| {
                let ticks = ticks.fetch_add(times as usize, Ordering::SeqCst);
                if count.load(Ordering::SeqCst) >= STORM && ticks >= 5 {
                    handle.stop().unwrap();
                }
            })
            .unwrap();
        let raising = std::thread::spawn(move || {
            #[allow(unsafe_code, reason = "a signal that has no name")]
            // SAFETY: not one of the C library's own.
            let signal = unsafe { rustix::process::Signal::from_raw_unchecked(rt) };
            let (me, mut sent) = (rustix::process::getpid(), 0);
            while sent < STORM {
                // Refused while as many are queued as the system keeps.
                sent += usize::from(rustix::process::kill_process(me, signal).is_ok());
            }
        });
        event_loop.run(RunMode::Default).unwrap();
        raising.join().unwrap();
        assert_eq!(total.load(Ordering::SeqCst), STORM);
    });
}

#[test]
fn a_panic_is_caught_and_the_watcher_goes_on() {
    alone("a_panic_is_caught_and_the_watcher_goes_on", || {
        let event_loop = new_loop();
        let called = counter();
        let count = called.clone();
        event_loop
            .signal(USR1, On::Loop, move |_, _| {
                count.fetch_add(1, Ordering::SeqCst);
                panic!("on purpose");
            })
            .unwrap();
        for round in 1..3 {
            raise(USR1);
            event_loop.run(RunMode::Once).unwrap();
            assert_eq!(called.load(Ordering::SeqCst), round);
        }
    });
}

#[test]
fn as_a_future() {
    alone("as_a_future", || {
        let event_loop = new_loop();
        let mut usr1: Signals = event_loop.signals(USR1).unwrap();
        event_loop.start().unwrap();
        raise(USR1);
        let mut waits = event_loop
            .spawn(async move {
                assert_eq!(usr1.next().await, Ok(1), "it came before it was waited for");
                usr1
            })
            .unwrap();
        let mut usr1 = waits.join(Some(LONG)).unwrap();
        let mut waits = event_loop.spawn(async move { (usr1.next().await, usr1) }).unwrap();
        raise(USR1);
        let (next, mut usr1) = waits.join(Some(LONG)).unwrap();
        assert_eq!(next, Ok(1));
        let pool = crate::Pool::new(crate::PoolOptions { workers: Some(1), ..Default::default() }).unwrap();
        let mut waits = pool.spawn(async move { (usr1.next().await, usr1) }).unwrap();
        drop(event_loop);
        assert_eq!(waits.join(Some(LONG)).unwrap().0, Err(Error::Closed("event loop")));
        assert!(!is_handled(USR1));
    });
}

#[test]
fn a_forked_child_does_what_the_signal_did_before_and_may_watch_it_itself() {
    alone("a_forked_child_does_what_the_signal_did_before_and_may_watch_it_itself", || {
        let event_loop = new_loop();
        let (sender, told) = mpsc::channel();
        event_loop.signal(USR1, On::Loop, send(&sender)).unwrap();
        for watches_itself in [false, true] {
            #[allow(unsafe_code, reason = "fork")]
            // SAFETY: the child makes a loop, which takes no lock of the parent's, and ends by _exit.
            let child = unsafe { nix::unistd::fork() }.unwrap();
            if let nix::unistd::ForkResult::Parent { child } = child {
                let status = nix::sys::wait::waitpid(child, None).unwrap();
                let ended = match status {
                    nix::sys::wait::WaitStatus::Signaled(_, signal, _) => (signal as i32, 0),
                    nix::sys::wait::WaitStatus::Exited(_, code) => (0, code),
                    other => panic!("{other:?}"),
                };
                assert_eq!(ended, if watches_itself { (0, 33) } else { (USR1, 0) });
                continue;
            }
            let code = if watches_itself {
                let own = new_loop();
                let (sender, told) = mpsc::channel();
                let id = own.signal(USR1, On::Loop, send(&sender)).unwrap();
                nix::sys::signal::raise(nix::sys::signal::Signal::SIGUSR1).unwrap();
                own.run(RunMode::Once).unwrap();
                let right = told.try_recv() == Ok((USR1, 1));
                own.cancel_signal(id).unwrap();
                if right && !is_handled(USR1) { 33 } else { 1 }
            } else {
                // The end of this process, as if nobody had ever watched it.
                let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGUSR1);
                2
            };
            #[allow(unsafe_code, reason = "_exit")]
            // SAFETY: ends the child without running the parent's exit handlers.
            unsafe {
                libc::_exit(code)
            };
        }
        event_loop.run(RunMode::NoWait).unwrap();
        assert!(told.try_recv().is_err(), "the parent hears nothing of its children's signals");
        raise(USR1);
        event_loop.run(RunMode::Once).unwrap();
        assert_eq!(told.try_recv(), Ok((USR1, 1)), "and goes on");
    });
}
