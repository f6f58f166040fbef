//! What two threads, or two callbacks of one turn, can do to each other.

use std::thread;

use super::*;

/// Far beyond what anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(60);

/// Answers within the deadline or the test fails, instead of hanging.
fn in_time<T: Send + 'static>(what: &str, f: impl FnOnce() -> T + Send + 'static) -> T {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || tell.send(f()));
    told.recv_timeout(LONG).unwrap_or_else(|_| panic!("{what} hangs"))
}

/// Keeps jobs until it is asked for them.
#[derive(Default)]
struct Later(Mutex<Vec<Job>>);
impl Later {
    fn run(&self) -> usize {
        let jobs = std::mem::take(&mut *self.0.lock().unwrap());
        jobs.into_iter().map(Job::run).count()
    }
}
impl Target for Later {
    fn dispatch(&self, job: Job) -> Result<(), Refused<Job>> {
        self.0.lock().unwrap().push(job);
        Ok(())
    }
}

/// A watch and a timer that end the loop, with timers and a post that would be next in the same turn.
#[test]
fn nothing_fires_after_an_end_in_the_same_turn() {
    for free in [false, true] {
        for from_watch in [false, true] {
            let event_loop = new_loop();
            let handle = event_loop.handle();
            let (fired, posted, (reader, mut writer)) = (counter(), counter(), UnixStream::pair().unwrap());
            let (mut owner, _kept) = if free { (Some(event_loop), None) } else { (None, Some(event_loop)) };
            let stopping = handle.clone();
            let mut end = move || {
                stopping.stop().unwrap();
                drop(owner.take());
            };
            let count = |fired: &Arc<AtomicUsize>| {
                let fired = fired.clone();
                move || {
                    fired.fetch_add(1, Ordering::SeqCst);
                }
            };
            if from_watch {
                writer.write_all(b"x").unwrap();
                handle.watch(reader.as_raw_fd(), WatchOptions::new(Interest::READ), move |_| end()).unwrap();
            } else {
                handle.call_later(MS, end).unwrap();
            }
            handle.call_later(MS, count(&fired)).unwrap();
            handle.post(count(&posted)).unwrap();
            thread::sleep(3 * MS);
            handle.run(RunMode::Default).unwrap();
            let ran = (fired.load(Ordering::SeqCst), posted.load(Ordering::SeqCst));
            assert_eq!(ran, (0, usize::from(!free)), "free: {free}, from a watch: {from_watch}");
        }
    }
}

#[test]
fn an_interrupted_turn_loses_no_timer() {
    let event_loop = new_loop();
    let handle = event_loop.handle();
    let fired = counter();
    for _ in 0..3 {
        let (handle, fired) = (handle.clone(), fired.clone());
        event_loop
            .call_later(MS, move || {
                fired.fetch_add(1, Ordering::SeqCst);
                handle.interrupt().unwrap();
            })
            .unwrap();
    }
    thread::sleep(3 * MS);
    for round in 1..=3 {
        event_loop.run(RunMode::Default).unwrap();
        assert_eq!(fired.load(Ordering::SeqCst), round, "a run returns after the callback at hand");
    }
}

/// A refused start must not swallow the wake-up of whoever waits for the loop's end.
#[test]
fn a_start_that_is_refused_leaves_nobody_waiting() {
    in_time("join", || {
        for _ in 0..4000 {
            let event_loop = new_loop();
            event_loop.stop().unwrap();
            let handle = event_loop.handle();
            thread::scope(|scope| {
                scope.spawn(|| handle.start().unwrap_err());
                event_loop.join(None).unwrap();
            });
        }
    });
}

#[test]
fn an_interrupt_right_after_the_start_is_heard() {
    in_time("an interrupted loop", || {
        for _ in 0..2000 {
            let event_loop = new_loop();
            event_loop.start().unwrap();
            event_loop.interrupt().unwrap();
            event_loop.join(None).unwrap();
        }
    });
}

#[test]
fn what_was_cancelled_in_the_pools_queue_does_not_begin() {
    let later = Arc::new(Later::default());
    let event_loop = loop_of(later.clone());
    let (reader, mut writer) = UnixStream::pair().unwrap();
    writer.write_all(b"x").unwrap();
    for edge in [false, true] {
        let (began, dropped) = (counter(), counter());
        let (count_1, count_2) = (began.clone(), began.clone());
        let owned = Counted(dropped.clone());
        let watch = event_loop
            .watch(reader.as_raw_fd(), WatchOptions { edge, ..WatchOptions::new(Interest::READ) }, move |_| {
                let _owned = &owned;
                count_1.fetch_add(1, Ordering::SeqCst);
            })
            .unwrap();
        let owned = Counted(dropped.clone());
        let timer = event_loop
            .timer(TimerOptions { every: Some(MS), ..Default::default() }, move |_| {
                let _owned = &owned;
                count_2.fetch_add(1, Ordering::SeqCst);
            })
            .unwrap();
        while later.0.lock().unwrap().len() < 2 {
            event_loop.run(RunMode::Once).unwrap();
        }
        event_loop.cancel_watch(watch).unwrap();
        event_loop.cancel_timer(timer).unwrap();
        assert_eq!(later.run(), 2);
        assert_eq!((began.load(Ordering::SeqCst), dropped.load(Ordering::SeqCst)), (0, 2), "edge: {edge}");
    }
}

/// The loop sleeps for the sake of a source that another thread then cancels.
#[test]
fn an_idle_run_hears_of_a_cancel() {
    for timer in [true, false] {
        let event_loop = new_loop();
        let handle = event_loop.handle();
        let (reader, _writer) = UnixStream::pair().unwrap();
        let cancel: Box<dyn FnOnce() + Send> = if timer {
            let id = event_loop.call_later(Duration::from_secs(3600), || ()).unwrap();
            Box::new(move || handle.cancel_timer(id).unwrap())
        } else {
            let id = event_loop.watch(reader.as_raw_fd(), WatchOptions::new(Interest::READ), |_| ()).unwrap();
            Box::new(move || handle.cancel_watch(id).unwrap())
        };
        let running = thread::spawn(move || {
            thread::sleep(50 * MS);
            cancel();
        });
        in_time("a run until idle", move || event_loop.run(RunMode::UntilIdle).unwrap());
        running.join().unwrap();
    }
}

#[test]
fn a_name_that_no_thread_can_have_is_refused() {
    let error = EventLoop::new(EventLoopOptions { name: "a\0b".into() }).unwrap_err();
    assert!(matches!(&error, Error::Invalid(text) if text.contains("NUL")), "{error}");
}
