//! The peers: each with two workers, pinned to the same two CPUs as the pool's.

use std::thread;

use coop_core::{
    cpu,
    pool::{Pool, PoolOptions},
};

/// As many as the figures in docs/benchmarks.md are for.
pub const WORKERS: usize = 2;

type Boxed = Box<dyn FnOnce() + Send>;

/// A task that is no closure: what a channel by value carries.
pub struct ByValue {
    call: fn(u64),
    arg: u64,
    /// A job of the pool is four words, so this is.
    _rest: [u64; 2],
}

impl ByValue {
    pub fn new(call: fn(u64), arg: u64) -> Self {
        Self { call, arg, _rest: [0; 2] }
    }
}

/// One of each.
pub struct Peers {
    pub coop: Pool,
    pub rayon: rayon::ThreadPool,
    pub tokio: tokio::runtime::Runtime,
    pub boxed: crossbeam_channel::Sender<Boxed>,
    pub by_value: crossbeam_channel::Sender<ByValue>,
    #[cfg(feature = "tbb")]
    pub tbb: super::tbb::Tbb,
}

fn pin(worker: usize) {
    cpu::pin_current_thread(cpu::placement(worker)).expect("pinned");
}

/// Threads that take from a channel until it is closed.
fn channel<T: Send + 'static>(run: impl Fn(T) + Copy + Send + 'static) -> crossbeam_channel::Sender<T> {
    let (sender, receiver) = crossbeam_channel::unbounded::<T>();
    for worker in 0..WORKERS {
        let receiver = receiver.clone();
        thread::spawn(move || {
            pin(worker);
            receiver.iter().for_each(run);
        });
    }
    sender
}

impl Peers {
    pub fn new() -> Self {
        let next = std::sync::atomic::AtomicUsize::new(0);
        Self {
            coop: Pool::new(PoolOptions { workers: Some(WORKERS), ..PoolOptions::default() }).expect("a pool"),
            rayon: rayon::ThreadPoolBuilder::new()
                .num_threads(WORKERS)
                .start_handler(pin)
                .build()
                .expect("a rayon pool"),
            tokio: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(WORKERS)
                .on_thread_start(move || pin(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % WORKERS))
                .build()
                .expect("a tokio runtime"),
            boxed: channel(|task: Boxed| task()),
            by_value: channel(|task: ByValue| (task.call)(task.arg)),
            #[cfg(feature = "tbb")]
            tbb: super::tbb::Tbb::new(),
        }
    }
}

/// One way to have `call(arg)` run by a worker.
pub type Submit<'a> = Box<dyn Fn(fn(u64), u64) + 'a>;

impl Peers {
    /// Everyone, by name; the pool first. The indirect call is the same for all.
    pub fn submitters(&self) -> Vec<(&'static str, Submit<'_>)> {
        let mut all: Vec<(&'static str, Submit<'_>)> = vec![
            ("coop", Box::new(|call, arg| self.coop.submit(move || call(arg)).expect("open"))),
            ("rayon", Box::new(|call, arg| self.rayon.spawn(move || call(arg)))),
            ("tokio", Box::new(|call, arg| drop(self.tokio.spawn(async move { call(arg) })))),
            (
                "crossbeam-channel, boxed",
                Box::new(|call, arg| self.boxed.send(Box::new(move || call(arg))).expect("open")),
            ),
            (
                "crossbeam-channel, by value",
                Box::new(|call, arg| self.by_value.send(ByValue::new(call, arg)).expect("open")),
            ),
        ];
        #[cfg(feature = "tbb")]
        all.push(("TBB", Box::new(|call, arg| self.tbb.submit(call, arg))));
        all
    }
}
