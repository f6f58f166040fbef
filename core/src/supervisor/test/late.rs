//! Beats, and hosts that do not come to hearing them.

use std::{sync::atomic::AtomicBool, thread};

use super::{
    super::executor::{Executor, Report, Reporter, Running, Start, Stopped},
    *,
};

const LIVENESS: Duration = Duration::from_secs(2);

/// Runs that beat as processes do: what they tell is heard by the host's loop.
#[derive(Debug, Default)]
struct Far {
    /// The host's thread is held up by its start.
    holds_up: Duration,
    /// It takes so long to stop.
    stops_in: Duration,
    quiet: Arc<AtomicBool>,
    killed: Arc<Mutex<Vec<Because>>>,
}

#[derive(Debug)]
struct Life {
    reporter: Reporter,
    stops_in: Duration,
    over: Arc<AtomicBool>,
    killed: Arc<Mutex<Vec<Because>>>,
}

impl Executor for Far {
    fn name(&self) -> &'static str {
        "far"
    }

    fn check(&self, _: &Service) -> Result<()> {
        Ok(())
    }

    fn beats(&self) -> bool {
        true
    }

    fn start(&self, start: Start<'_>) -> Result<Box<dyn Running>> {
        thread::sleep(self.holds_up);
        let over = Arc::new(AtomicBool::new(false));
        let (reporter, event_loop) = (start.reporter.clone(), start.event_loop.clone());
        let (ends, quiet) = (over.clone(), self.quiet.clone());
        thread::spawn(move || {
            while !ends.load(Ordering::SeqCst) {
                if !quiet.load(Ordering::SeqCst) {
                    let reporter = reporter.clone();
                    let _ = event_loop.post(move || reporter.tell(Report::Alive));
                }
                thread::sleep(Duration::from_millis(20));
            }
        });
        let (stops_in, killed) = (self.stops_in, self.killed.clone());
        Ok(Box::new(Life { reporter: start.reporter, stops_in, over, killed }))
    }
}

impl Running for Life {
    fn ask(&mut self) {
        let (reporter, stops_in, over) = (self.reporter.clone(), self.stops_in, self.over.clone());
        thread::spawn(move || {
            thread::sleep(stops_in);
            over.store(true, Ordering::SeqCst);
            reporter.ended(Ended::Returned);
        });
    }

    fn kill(&mut self, because: Because) -> Stopped {
        self.killed.lock().unwrap().push(because);
        self.over.store(true, Ordering::SeqCst);
        self.reporter.ended(Ended::Signaled { signal: 6, core_dumped: false });
        Stopped::Ends
    }
}

fn lives(name: &str, executor: Far) -> Service {
    Service {
        liveness: Some(LIVENESS),
        shutdown: Some(Shutdown::After(LONG)),
        ..Service::new(name, Arc::new(executor))
    }
}

#[test]
fn a_host_that_did_not_run_itself_ends_nobody_for_that() {
    let host = host(strategy(Strategy::OneForOne));
    let executor = Far::default();
    let killed = executor.killed.clone();
    host.add(lives("beats", executor)).unwrap();
    // As a host that was stopped by a signal, with its beats unheard.
    host.add(lives("holds up", Far { holds_up: LIVENESS * 3 / 2, ..Far::default() })).unwrap();
    host.start().unwrap();
    for _ in 0..10 {
        assert_eq!(host.which_children().unwrap()[0].run, 1);
    }
    assert_eq!(*killed.lock().unwrap(), []);
    host.shutdown(Some(LONG)).unwrap();
}

#[test]
fn one_that_beats_no_more_is_ended_all_the_same() {
    let host = host(strategy(Strategy::OneForOne));
    let executor = Far::default();
    let (quiet, killed) = (executor.quiet.clone(), executor.killed.clone());
    host.add(lives("beats", executor)).unwrap();
    host.start().unwrap();
    quiet.store(true, Ordering::SeqCst);
    wait_until("its end", || *killed.lock().unwrap() == [Because::Liveness]);
    quiet.store(false, Ordering::SeqCst);
    host.shutdown(Some(LONG)).unwrap();
}

#[test]
fn nobody_is_ended_for_beats_who_is_about_to_be_asked_to_stop() {
    let host = host(strategy(Strategy::OneForOne));
    let executor = Far::default();
    let (quiet, killed) = (executor.quiet.clone(), executor.killed.clone());
    host.add(lives("first", executor)).unwrap();
    host.add(lives("last", Far { stops_in: LIVENESS * 3 / 2, ..Far::default() })).unwrap();
    host.start().unwrap();
    let observer = host.observe(Filter::default(), &ObserverOptions::default()).unwrap();
    host.stop().unwrap();
    events_until(&observer, |event| event.path == "root/last" && event.what.kind() == Kind::Stopping);
    // Somebody else has told it to end, which it is at, and the last goes first.
    quiet.store(true, Ordering::SeqCst);
    host.shutdown(Some(LONG)).unwrap();
    assert_eq!(*killed.lock().unwrap(), []);
}
