//! Timers and watches, on the loop and in a pool.

use super::*;

/// A dispatcher of one thread per job.
pub(super) struct Threads;
impl Target for Threads {
    fn dispatch(&self, job: Job) -> Result<(), Refused<Job>> {
        std::thread::spawn(move || job.run());
        Ok(())
    }
}

#[test]
fn a_chain_of_posts_starves_neither_timers_nor_watches() {
    fn forever(handle: Handle) {
        let next = handle.clone();
        let _ = handle.post(move || forever(next));
    }
    let event_loop = new_loop();
    forever(event_loop.handle());
    let (reader, mut writer) = UnixStream::pair().unwrap();
    writer.write_all(b"x").unwrap();
    let (both, handle) = (counter(), event_loop.handle());
    let seen = both.clone();
    event_loop
        .watch(reader.as_raw_fd(), WatchOptions::new(Interest::READ), move |_| {
            if seen.fetch_max(1, Ordering::SeqCst) == 0 {
                let handle = handle.clone();
                handle.clone().call_later(MS, move || handle.stop().unwrap()).unwrap();
            }
        })
        .unwrap();
    event_loop.run(RunMode::Default).unwrap();
    assert_eq!(both.load(Ordering::SeqCst), 1);
}

#[test]
fn timers_fire_in_order_and_never_early() {
    let event_loop = new_loop();
    let (sender, fired) = mpsc::channel();
    for after in [20u32, 5, 0, 10, 1] {
        let (sender, due) = (sender.clone(), Instant::now() + after * MS);
        event_loop
            .call_later(after * MS, move || {
                assert!(Instant::now() >= due, "fired early");
                sender.send(after).unwrap();
            })
            .unwrap();
    }
    event_loop.run(RunMode::UntilIdle).unwrap();
    assert_eq!(fired.try_iter().collect::<Vec<_>>(), [0, 1, 5, 10, 20]);
}

#[test]
fn a_repeating_timer_counts_what_it_missed_and_does_not_drift() {
    let event_loop = new_loop();
    let (sender, times) = mpsc::channel();
    let handle = event_loop.handle();
    let start = Instant::now();
    let options = TimerOptions { after: 5 * MS, every: Some(5 * MS), on: On::Loop, ..TimerOptions::default() };
    let mut total = 0;
    event_loop
        .timer(options, move |expirations| {
            total += expirations;
            // The n-th time is never before start + n periods.
            assert!(start.elapsed() >= u32::try_from(total).unwrap() * 5 * MS);
            sender.send(expirations).unwrap();
            if total == expirations {
                // The first call: the times that pass meanwhile are one call.
                std::thread::sleep(23 * MS);
            }
            // Not in the first one, which a busy machine may have come to late.
            if total >= 10 && total > expirations {
                handle.stop().unwrap();
            }
        })
        .unwrap();
    event_loop.run(RunMode::Default).unwrap();
    let times: Vec<_> = times.try_iter().collect();
    assert!(times[1] >= 4, "23 ms hold at least four periods: {times:?}");
}

#[test]
fn cancel_is_answered_once() {
    let event_loop = new_loop();
    let (dropped, owned) = (counter(), Counted(counter()));
    let owned = Counted({
        drop(owned);
        dropped.clone()
    });
    let id = event_loop.call_later(MS, move || drop(owned)).unwrap();
    event_loop.cancel_timer(id).unwrap();
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
    assert_eq!(event_loop.cancel_timer(id), Err(Error::Stale("timer")));
    assert_eq!(event_loop.cancel_timer(TimerId(0)), Err(Error::Stale("timer")));
    assert_eq!(event_loop.cancel_watch(WatchId(77)), Err(Error::Stale("io_watch")));
    event_loop.run(RunMode::UntilIdle).unwrap();
}

#[test]
fn a_timer_may_cancel_itself_and_its_neighbours() {
    let event_loop = new_loop();
    let ran = counter();
    let ids = Arc::new(Mutex::new(Vec::new()));
    for _ in 0..3 {
        let (handle, ids, ran) = (event_loop.handle(), ids.clone(), ran.clone());
        let every = TimerOptions { after: MS, every: Some(MS), on: On::Loop, ..TimerOptions::default() };
        let id = {
            let ids = ids.clone();
            event_loop
                .timer(every, move |_| {
                    ran.fetch_add(1, Ordering::SeqCst);
                    for id in ids.lock().unwrap().drain(..) {
                        handle.cancel_timer(id).unwrap();
                    }
                })
                .unwrap()
        };
        ids.lock().unwrap().push(id);
    }
    event_loop.run(RunMode::UntilIdle).unwrap();
    assert_eq!(ran.load(Ordering::SeqCst), 1, "the first one cancelled all three");
}

#[test]
fn a_timer_from_another_thread_shortens_the_sleep() {
    let event_loop = new_loop();
    event_loop.call_later(Duration::from_secs(3600), || {}).unwrap();
    event_loop.start().unwrap();
    let (sender, fired) = mpsc::channel();
    event_loop.call_later(MS, move || sender.send(()).unwrap()).unwrap();
    fired.recv_timeout(Duration::from_secs(60)).expect("the loop slept on");
}

#[test]
fn a_level_watch_is_told_until_the_fd_is_drained() {
    let event_loop = new_loop();
    let (mut reader, mut writer) = UnixStream::pair().unwrap();
    writer.write_all(b"abc").unwrap();
    let handle = event_loop.handle();
    let fd = reader.as_raw_fd();
    let (sender, bytes) = mpsc::channel();
    event_loop
        .watch(fd, WatchOptions::new(Interest::READ), move |readiness| {
            assert!(readiness.readable);
            let mut byte = [0];
            reader.read_exact(&mut byte).unwrap();
            sender.send(byte[0]).unwrap();
            if byte[0] == b'c' {
                handle.stop().unwrap();
            }
        })
        .unwrap();
    event_loop.run(RunMode::Default).unwrap();
    assert_eq!(bytes.try_iter().collect::<Vec<_>>(), b"abc");
}

#[test]
fn an_edge_watch_is_told_once_and_a_hang_up_is_told() {
    let event_loop = new_loop();
    let (reader, mut writer) = UnixStream::pair().unwrap();
    let (sender, told) = mpsc::channel();
    let edge = WatchOptions { edge: true, ..WatchOptions::new(Interest::READ) };
    event_loop.watch(reader.as_raw_fd(), edge, move |readiness| sender.send(readiness).unwrap()).unwrap();
    writer.write_all(b"x").unwrap();
    for _ in 0..3 {
        event_loop.run(RunMode::NoWait).unwrap();
    }
    assert_eq!(told.try_iter().count(), 1);
    drop(writer);
    event_loop.run(RunMode::Once).unwrap();
    assert!(told.try_iter().next().unwrap().hang_up);
}

#[test]
fn a_second_watch_and_what_cannot_be_watched_are_refused_in_words() {
    let event_loop = new_loop();
    let (reader, _writer) = UnixStream::pair().unwrap();
    let read = WatchOptions::new(Interest::READ);
    let fd = reader.as_raw_fd();
    let dropped = counter();
    let id = event_loop.watch(fd, read.clone(), |_| {}).unwrap();
    let owned = Counted(dropped.clone());
    let refused = event_loop
        .watch(fd, read.clone(), move |_| {
            let _owned = &owned;
        })
        .unwrap_err();
    assert!(matches!(&refused.error, Error::Exists(text) if text.contains(&format!("fd {fd}"))), "{}", refused.error);
    assert_eq!(dropped.load(Ordering::SeqCst), 0, "still the caller's");
    event_loop.cancel_watch(id).unwrap();
    let again = event_loop.watch(fd, read.clone(), |_| {}).unwrap();
    event_loop.cancel_watch(again).unwrap();

    let file = std::fs::File::open("/proc/self/status").unwrap();
    let file = (file.as_raw_fd(), libc::EPERM);
    for (fd, errno) in [file, (9999, libc::EBADF)] {
        assert_eq!(event_loop.watch(fd, read.clone(), |_| {}).unwrap_err().error.os_errno(), Some(errno));
    }
    let none = Interest { readable: false, writable: false };
    assert!(matches!(event_loop.watch(fd, WatchOptions::new(none), |_| {}).unwrap_err().error, Error::Invalid(_)));
    assert!(matches!(event_loop.watch(-1, read, |_| {}).unwrap_err().error, Error::Invalid(_)));
}

#[test]
fn an_fd_closed_under_its_watch_does_not_disturb_its_successor() {
    let event_loop = new_loop();
    let read = WatchOptions::new(Interest::READ);
    let (reader, _writer) = UnixStream::pair().unwrap();
    let fd = reader.as_raw_fd();
    let stale = event_loop.watch(fd, read.clone(), |_| panic!("told of a closed fd")).unwrap();
    drop(reader);
    let (successor, mut writer) = UnixStream::pair().unwrap();
    if successor.as_raw_fd() == fd {
        let (sender, told) = mpsc::channel();
        event_loop.watch(fd, read, move |_| sender.send(()).unwrap()).unwrap();
        writer.write_all(b"x").unwrap();
        event_loop.run(RunMode::Once).unwrap();
        assert_eq!(told.try_iter().count(), 1);
    }
    event_loop.cancel_watch(stale).unwrap();
}

#[test]
fn callbacks_in_a_pool_do_not_overlap_and_lose_nothing() {
    let event_loop = loop_of(Arc::new(Threads));
    let (inside, handle) = (counter(), event_loop.handle());
    let (reader, mut writer) = UnixStream::pair().unwrap();
    reader.set_nonblocking(true).unwrap();
    let mut got = 0;
    let (fd, mut source) = (reader.as_raw_fd(), reader);
    let overlap = inside.clone();
    event_loop
        .watch(fd, WatchOptions { edge: true, ..WatchOptions::new(Interest::READ) }, move |_| {
            assert_eq!(overlap.fetch_add(1, Ordering::SeqCst), 0, "callbacks of one source overlap");
            assert!(!handle.is_loop_thread());
            let mut buffer = [0; 64];
            while let Ok(count) = source.read(&mut buffer) {
                got += count;
                if count == 0 || got == 1000 {
                    handle.stop().unwrap();
                    break;
                }
            }
            overlap.fetch_sub(1, Ordering::SeqCst);
        })
        .unwrap();
    let writing = std::thread::spawn(move || {
        for _ in 0..1000 {
            writer.write_all(b"x").unwrap();
        }
        writer
    });
    event_loop.run(RunMode::Default).unwrap();
    drop(writing.join().unwrap());
}

#[test]
fn a_dropped_job_ends_its_source() {
    struct Nowhere;
    impl Target for Nowhere {
        fn dispatch(&self, job: Job) -> Result<(), Refused<Job>> {
            Err(Refused::new(Error::Closed("pool"), job))
        }
    }
    let event_loop = loop_of(Arc::new(Nowhere));
    let dropped = counter();
    let owned = Counted(dropped.clone());
    event_loop
        .timer(TimerOptions { after: MS, every: Some(MS), on: On::Default, ..TimerOptions::default() }, move |_| {
            let _ = &owned;
        })
        .unwrap();
    event_loop.run(RunMode::UntilIdle).unwrap();
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
    let bare = new_loop();
    let refused = bare.timer(TimerOptions { on: On::pool(Priority::High), ..Default::default() }, |_| {}).unwrap_err();
    assert!(matches!(refused.error, Error::Invalid(_)));
    let zero = TimerOptions { every: Some(Duration::ZERO), ..Default::default() };
    assert!(matches!(bare.timer(zero, |_| {}).unwrap_err().error, Error::Invalid(_)));
}
