//! A pool under test, and what is seen of it.

use std::{
    collections::HashMap,
    fs,
    io::Write,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use coop_core::{
    Error,
    process_pool::{CallId, CallOptions, Options, Outcome, ProcessPool, Shutdown},
    supervisor::executor::process::output::{Output, Sink},
};

use super::memories::memories_of;
pub(crate) use super::processes::{LONG, children_of, eventually, is_gone, signal};

/// In what memory of pools is called.
pub(crate) const MEMORY: &str = "memfd:coop-";

/// What workers write is of no use here, but for their last lines.
pub(crate) fn options(workers: usize) -> Options {
    let output = Output { stdout: Sink::Null, stderr: Sink::Null, ..Output::default() };
    Options { workers, output: Some(output), ..Options::default() }
}

#[derive(Default)]
struct Told {
    outcomes: Mutex<HashMap<u64, Vec<Outcome>>>,
    news: Condvar,
}

/// A pool whose calls are numbers.
pub(crate) struct Pool {
    pub(crate) pool: ProcessPool<u64>,
    told: Arc<Told>,
    next: Mutex<u64>,
    ids: Mutex<HashMap<u64, CallId>>,
}

impl Pool {
    pub(crate) fn new(options: Options) -> Self {
        let told = Arc::new(Told::default());
        let tell = told.clone();
        let pool = ProcessPool::new(options, move |batch| {
            let mut outcomes = tell.outcomes.lock().unwrap();
            for completion in batch {
                outcomes.entry(completion.context).or_default().push(completion.outcome);
            }
            tell.news.notify_all();
        });
        Self { pool: pool.unwrap(), told, next: Mutex::new(0), ids: Mutex::default() }
    }

    /// Submits a call; answers its number.
    pub(crate) fn submit(&self, parts: &[&[u8]]) -> u64 {
        self.submit_with(parts, &CallOptions::default())
    }

    pub(crate) fn submit_with(&self, parts: &[&[u8]], options: &CallOptions) -> u64 {
        self.try_submit_with(parts, options).unwrap()
    }

    pub(crate) fn try_submit(&self, parts: &[&[u8]]) -> Result<u64, Error> {
        self.try_submit_with(parts, &CallOptions::default())
    }

    fn try_submit_with(&self, parts: &[&[u8]], options: &CallOptions) -> Result<u64, Error> {
        let number = {
            let mut next = self.next.lock().unwrap();
            *next += 1;
            *next
        };
        let id = self.pool.submit(number, parts, options)?;
        self.ids.lock().unwrap().insert(number, id);
        Ok(number)
    }

    pub(crate) fn id(&self, call: u64) -> CallId {
        self.ids.lock().unwrap()[&call]
    }

    /// Waits for its outcome, which comes once.
    pub(crate) fn outcome(&self, call: u64) -> Outcome {
        let until = Instant::now() + LONG;
        let mut outcomes = self.told.outcomes.lock().unwrap();
        loop {
            if let Some(mut told) = outcomes.remove(&call) {
                assert_eq!(told.len(), 1, "{told:?}");
                return told.remove(0);
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "call {call} has not ended: {:?}", self.pool.stats());
            outcomes = self.told.news.wait_timeout(outcomes, left).unwrap().0;
        }
    }

    /// Waits for its result.
    pub(crate) fn result(&self, call: u64) -> Vec<Vec<u8>> {
        match self.outcome(call) {
            Outcome::Done { status: super::functions::OK, result } => {
                result.parts().map(|part| part.to_vec()).collect()
            }
            other => panic!("call {call}: {other:?}"),
        }
    }

    pub(crate) fn text(&self, parts: &[&[u8]]) -> String {
        String::from_utf8(self.result(self.submit(parts)).remove(0)).unwrap()
    }

    /// Waits until a worker has begun it.
    pub(crate) fn wait_running(&self, call: u64) {
        let id = self.id(call);
        eventually("it runs", || self.pool.is_running(id).unwrap());
    }

    /// The processes of so many workers: one may run before its own is known.
    pub(crate) fn pids(&self, workers: usize) -> Vec<(usize, i32)> {
        eventually("the processes are known", || self.pool.pids().unwrap().len() == workers);
        self.pool.pids().unwrap()
    }

    /// Nothing was told that nobody waited for.
    pub(crate) fn end(self) {
        self.pool.shutdown(Shutdown::Drain).unwrap();
        self.pool.join(Some(LONG)).unwrap();
        let outcomes = self.told.outcomes.lock().unwrap();
        assert!(outcomes.is_empty(), "{outcomes:?}");
    }
}

/// What calls of "until" wait for; gone with it.
pub(crate) struct Gate(PathBuf);

impl Gate {
    pub(crate) fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("coop-process-pool-{name}-{}", std::process::id())))
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.to_str().unwrap().as_bytes().to_vec()
    }

    pub(crate) fn open(&self) {
        fs::write(&self.0, b"").unwrap();
    }

    pub(crate) fn close(&self) {
        fs::remove_file(&self.0).unwrap();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// No process and no memory, when what nobody waits for has ended.
pub(crate) fn nothing_is_left() -> bool {
    let until = Instant::now() + LONG;
    loop {
        let (children, memories) = (children_of(std::process::id()), memories_of("self", MEMORY));
        if children.is_empty() && memories == 0 {
            return true;
        }
        if Instant::now() > until {
            let _ = writeln!(std::io::stderr(), "left are the processes {children:?} and {memories} memories");
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}
