//! A runtime: one event loop and one pool as one, so that what waits and what runs need not be brought together by hand.
//!
//! The loop's sources run their callbacks in the pool unless they say otherwise; posts run on the loop's thread. Each side
//! reaches the other: a task posts to [`Runtime::event_loop`], a callback submits to [`Runtime::pool`].
//!
//! # Lifetime
//!
//! 1. [`Runtime::start`] runs the loop, on this thread until it is stopped ([`StartMode::Wait`]) or on one of its own
//!    ([`StartMode::Return`]). A runtime that was stopped is not started again.
//! 2. [`Runtime::stop`] stops the loop first, so that no source brings new work, and then drains the pool.
//! 3. Dropping it discards what is queued in both and waits for what runs; from inside one of its own callbacks the drop
//!    returns at once.

#![forbid(unsafe_code)]

use std::{sync::Arc, time::Duration};

use crate::{
    cpu::{self, CpuSet},
    error::{Error, Refused, Result},
    event_loop::{Dispatcher, EventLoop, EventLoopOptions, Handle, RunMode, Target},
    job::Job,
    pool::{self, Pool, PoolOptions, ShutdownMode, SubmitOptions},
    priority::Priority,
    time::Deadline,
};

/// How to make a runtime.
#[derive(Debug, Clone, Default)]
pub struct RuntimeOptions {
    /// Its pool. `workers: None` is half of the usable CPUs, at least 4: the loop has a thread too.
    pub pool: PoolOptions,
    /// Its loop.
    pub event_loop: EventLoopOptions,
}

/// Which thread runs the loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(i32)]
pub enum StartMode {
    /// The caller's, until the runtime is stopped.
    #[default]
    Wait = 0,
    /// One of its own.
    Return = 1,
}

impl TryFrom<i32> for StartMode {
    type Error = Error;

    fn try_from(number: i32) -> Result<Self> {
        match number {
            0 => Ok(Self::Wait),
            1 => Ok(Self::Return),
            _ => Err(Error::Invalid(format!("start mode {number} is out of range: WAIT is 0, RETURN is 1"))),
        }
    }
}

/// An event loop and a pool; see the module's text.
#[derive(Debug)]
pub struct Runtime {
    // The loop goes first: its callbacks are in the pool.
    event_loop: EventLoop,
    pool: Ending,
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // Inside one of the pool's tasks: a callback of the loop may be waiting for that task.
        if self.pool().is_worker_thread() {
            self.event_loop.leave();
        }
    }
}

/// The runtime's hold on its pool, which ends with it: a handle of the loop may hold the pool for longer.
#[derive(Debug)]
struct Ending {
    pool: Arc<Pool>,
    event_loop: Handle,
}

impl Drop for Ending {
    fn drop(&mut self) {
        // Inside a callback of the loop nothing is waited for: a task may be waiting for that callback.
        let inside = self.event_loop.is_loop_thread();
        let _ = self.pool.shutdown(ShutdownMode::Discard, inside.then_some(Duration::ZERO));
    }
}

/// The pool as the loop sees it.
struct InPool {
    pool: Arc<Pool>,
    /// Every worker, by the place of the priority in [`Priority::ALL`].
    anywhere: [Arc<Somewhere>; 3],
}

/// Some workers of the pool, at one priority.
struct Somewhere {
    pool: Arc<Pool>,
    target: pool::Target,
}

impl InPool {
    fn new(pool: Arc<Pool>) -> Result<Self> {
        let [high, normal, low] =
            Priority::ALL.map(|priority| Somewhere::new(&pool, SubmitOptions { priority, ..SubmitOptions::default() }));
        Ok(Self { anywhere: [high?, normal?, low?], pool })
    }
}

impl Somewhere {
    fn new(pool: &Arc<Pool>, options: SubmitOptions) -> Result<Arc<Self>> {
        Ok(Arc::new(Self { target: pool.target(&options)?, pool: pool.clone() }))
    }
}

impl Dispatcher for InPool {
    fn target(&self, priority: Priority, cpus: Option<&CpuSet>) -> Result<Arc<dyn Target>> {
        match (cpus, Priority::ALL.iter().position(|each| *each == priority)) {
            (None, Some(at)) => Ok(self.anywhere[at].clone()),
            _ => {
                let options = SubmitOptions { priority, cpus: cpus.copied(), ..SubmitOptions::default() };
                Ok(Somewhere::new(&self.pool, options)?)
            }
        }
    }
}

impl Target for Somewhere {
    fn dispatch(&self, job: Job) -> Result<(), Refused<Job>> {
        self.pool.submit_to(&self.target, job)
    }
}

impl Runtime {
    /// A runtime that is not started yet: posts and submissions are taken from now on.
    ///
    /// # Errors
    /// Those of [`Pool::new`] and [`EventLoop::new`].
    pub fn new(options: RuntimeOptions) -> Result<Self> {
        let RuntimeOptions { mut pool, event_loop } = options;
        pool.workers = pool.workers.or_else(|| Some((cpu::usable_count() / 2).max(4)));
        let pool = Arc::new(Pool::new(pool)?);
        let event_loop = EventLoop::with_dispatcher(event_loop, Arc::new(InPool::new(pool.clone())?))?;
        let pool = Ending { pool, event_loop: event_loop.handle() };
        Ok(Self { event_loop, pool })
    }

    /// Its pool. Shutting that down alone leaves the loop's sources without a place to run: they are dropped when they fire.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool.pool
    }

    /// Its loop.
    pub fn event_loop(&self) -> &EventLoop {
        &self.event_loop
    }

    /// Runs the loop, on this thread or on its own.
    ///
    /// # Errors
    /// [`Error::Exists`] if it runs already, [`Error::Closed`] if it was stopped, [`Error::Forked`].
    pub fn start(&self, mode: StartMode) -> Result<()> {
        start(&self.event_loop, mode)
    }

    /// Stops the loop, waits until it has run what it had accepted, then drains the pool. Any thread, any number of times.
    /// From one of the runtime's own callbacks it closes both and returns at once; they end when that callback has returned.
    ///
    /// A coroutine that waits on the loop then ends when the runtime is dropped: join it after that.
    ///
    /// # Errors
    /// [`Error::Timeout`]: both stay closed, what was queued in the pool is dropped, and it may be called again. [`Error::Forked`].
    pub fn stop(&self, timeout: Option<Duration>) -> Result<()> {
        stop(&self.event_loop, self.pool(), timeout)
    }
}

/// [`Runtime::start`] for a caller that holds the runtime's loop: a callback may free the runtime meanwhile.
///
/// # Errors
/// Those of [`Runtime::start`].
pub fn start(event_loop: &Handle, mode: StartMode) -> Result<()> {
    let ended = match mode {
        StartMode::Wait => event_loop.run(RunMode::Default),
        StartMode::Return => event_loop.start(),
    };
    ended.map_err(|error| match error {
        Error::Closed(_) => Error::Closed("runtime"),
        other => other,
    })
}

/// [`Runtime::stop`] for a caller that holds the runtime's parts: a callback may free the runtime meanwhile.
///
/// # Errors
/// Those of [`Runtime::stop`].
pub fn stop(event_loop: &Handle, pool: &Pool, timeout: Option<Duration>) -> Result<()> {
    let deadline = Deadline::after(timeout);
    event_loop.stop()?;
    if event_loop.is_loop_thread() || pool.is_worker_thread() {
        return pool.close();
    }
    if let Err(late) = event_loop.join(deadline.remaining()) {
        let _ = pool.shutdown(ShutdownMode::Discard, Some(Duration::ZERO));
        return Err(late);
    }
    pool.shutdown(ShutdownMode::Drain, deadline.remaining())
}

#[cfg(all(test, not(loom)))]
mod test {
    use std::{
        os::{fd::AsRawFd, unix::net::UnixStream},
        sync::{
            atomic::{AtomicUsize, Ordering},
            mpsc,
        },
        thread,
    };

    use super::*;
    use crate::event_loop::{CallbackKind, Interest, On, TimerOptions, WatchOptions};

    const LONG: Duration = Duration::from_secs(20);

    fn runtime() -> Runtime {
        let pool = PoolOptions { workers: Some(2), ..PoolOptions::default() };
        Runtime::new(RuntimeOptions { pool, ..RuntimeOptions::default() }).unwrap()
    }

    #[test]
    fn sources_run_in_the_pool_and_posts_on_the_loop() {
        let runtime = Arc::new(runtime());
        runtime.start(StartMode::Return).unwrap();
        let (tell, told) = mpsc::channel();
        let (reader, _writer) = UnixStream::pair().unwrap();
        let place = {
            let runtime = Arc::downgrade(&runtime);
            move || {
                let runtime = runtime.upgrade().unwrap();
                (runtime.event_loop().is_loop_thread(), runtime.pool().is_worker_thread())
            }
        };
        let (tell_1, place_1) = (tell.clone(), place.clone());
        runtime.event_loop().post(move || tell_1.send(("post", place_1())).unwrap()).unwrap();
        assert_eq!(told.recv_timeout(LONG).unwrap(), ("post", (true, false)));
        for (name, on, expected) in [
            ("default", On::Default, (false, true)),
            ("high", On::pool(Priority::High), (false, true)),
            ("loop", On::Loop, (true, false)),
        ] {
            let (tell, place) = (tell.clone(), place.clone());
            let options = TimerOptions { on, ..TimerOptions::default() };
            runtime.event_loop().timer(options, move |_| tell.send((name, place())).unwrap()).unwrap();
            assert_eq!(told.recv_timeout(LONG).unwrap(), (name, expected));
        }
        let options = WatchOptions { edge: true, ..WatchOptions::new(Interest::WRITE) };
        runtime
            .event_loop()
            .watch(reader.as_raw_fd(), options, move |_| tell.send(("watch", place())).unwrap())
            .unwrap();
        assert_eq!(told.recv_timeout(LONG).unwrap(), ("watch", (false, true)));
        runtime.stop(Some(LONG)).unwrap();
    }

    #[test]
    fn sources_keep_to_their_cpus() {
        let runtime = runtime();
        runtime.start(StartMode::Return).unwrap();
        let event_loop = runtime.event_loop();
        let (tell, told) = mpsc::channel();
        let (reader, _writer) = UnixStream::pair().unwrap();
        for cpu in runtime.pool().worker_cpus().into_iter().flatten() {
            let on = On::Pool { priority: Priority::Normal, cpus: Some(CpuSet::new([cpu]).unwrap()) };
            let (tell, again) = (tell.clone(), tell.clone());
            event_loop
                .timer(TimerOptions { on: on.clone(), ..TimerOptions::default() }, move |_| {
                    tell.send((cpu, cpu::current())).unwrap();
                })
                .unwrap();
            let options = WatchOptions { on, edge: true, ..WatchOptions::new(Interest::WRITE) };
            let watch =
                event_loop.watch(reader.as_raw_fd(), options, move |_| again.send((cpu, cpu::current())).unwrap());
            for _ in 0..2 {
                let (asked, was) = told.recv_timeout(LONG).unwrap();
                assert!(was.is_none_or(|was| was == asked), "asked for CPU {asked}, ran on {was:?}");
            }
            event_loop.cancel_watch(watch.unwrap()).unwrap();
        }
        let absent = (0..CpuSet::MAX).find(|cpu| !cpu::usable().contains(*cpu)).unwrap();
        let on = On::Pool { priority: Priority::Normal, cpus: Some(CpuSet::new([absent]).unwrap()) };
        let timer = event_loop.timer(TimerOptions { on: on.clone(), ..TimerOptions::default() }, |_| {});
        let watch =
            event_loop.watch(reader.as_raw_fd(), WatchOptions { on, ..WatchOptions::new(Interest::READ) }, |_| {});
        for refused in [timer.unwrap_err().error, watch.unwrap_err().error] {
            assert!(matches!(&refused, Error::Affinity(text) if text.contains(&absent.to_string())), "{refused}");
        }
        runtime.stop(Some(LONG)).unwrap();
    }

    #[test]
    fn its_threads_have_names_and_its_pool_half_of_the_cpus() {
        let runtime = Runtime::new(RuntimeOptions {
            pool: PoolOptions { name: "rt-mill".into(), ..PoolOptions::default() },
            event_loop: EventLoopOptions { name: "rt-loop".into() },
        })
        .unwrap();
        let workers = (cpu::usable_count() / 2).max(4);
        assert_eq!(runtime.pool().worker_cpus().len(), workers);
        runtime.start(StartMode::Return).unwrap();
        let mut wanted: Vec<String> = (0..workers).map(|worker| format!("rt-mill-{worker}")).collect();
        wanted.push("rt-loop".into());
        // As the system shows them, to whoever looks from outside. A thread names itself once it runs.
        let deadline = Deadline::after(Some(LONG));
        while !wanted.is_empty() && !deadline.is_over() {
            for task in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
                let name = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
                wanted.retain(|wanted| wanted != name.trim_end());
            }
            thread::yield_now();
        }
        assert!(wanted.is_empty(), "no thread is called {wanted:?}");
        runtime.stop(Some(LONG)).unwrap();
    }

    #[test]
    fn what_holds_up_the_loop_is_reported_and_what_holds_up_a_worker_is_not() {
        let (runtime, blocked) = (runtime(), Duration::from_millis(20));
        let (tell, told) = mpsc::channel();
        let event_loop = runtime.event_loop();
        event_loop.set_slow_hook(blocked, move |slow| tell.send(slow.what).unwrap()).unwrap();
        let (done, in_pool) = mpsc::channel();
        event_loop
            .call_later(Duration::ZERO, move || {
                thread::sleep(blocked);
                done.send(()).unwrap();
            })
            .unwrap();
        event_loop.post(move || thread::sleep(blocked)).unwrap();
        runtime.start(StartMode::Return).unwrap();
        in_pool.recv_timeout(LONG).unwrap();
        assert_eq!(told.recv_timeout(LONG).unwrap(), CallbackKind::Post);
        runtime.stop(Some(LONG)).unwrap();
        assert!(told.try_recv().is_err());
        let stats = runtime.event_loop().stats().unwrap();
        assert_eq!((stats.posts, stats.timers_fired), (1, 1));
    }

    #[test]
    fn stop_runs_what_both_had_accepted() {
        let runtime = runtime();
        let ran = Arc::new(AtomicUsize::new(0));
        let count = |ran: &AtomicUsize| {
            ran.fetch_add(1, Ordering::SeqCst);
        };
        for _ in 0..1000 {
            let (in_pool, on_loop) = (ran.clone(), ran.clone());
            runtime.pool().submit(move || count(&in_pool)).unwrap();
            runtime.event_loop().post(move || count(&on_loop)).unwrap();
        }
        runtime.start(StartMode::Return).unwrap();
        runtime.stop(Some(LONG)).unwrap();
        runtime.stop(Some(LONG)).unwrap();
        assert_eq!(ran.load(Ordering::SeqCst), 2000);
        for mode in [StartMode::Return, StartMode::Wait] {
            assert_eq!(runtime.start(mode), Err(Error::Closed("runtime")), "not started again");
        }
        assert!(runtime.pool().submit(|| ()).is_err());
    }

    #[test]
    fn stop_and_drop_from_inside_both_kinds_of_callbacks() {
        for in_pool in [false, true] {
            let runtime = Arc::new(runtime());
            runtime.start(StartMode::Return).unwrap();
            let (tell, told) = mpsc::channel();
            let inside = runtime.clone();
            let callback = move || {
                inside.stop(None).unwrap();
                // The last owner, once the test has let go.
                while Arc::strong_count(&inside) > 1 {
                    thread::yield_now();
                }
                drop(inside);
                tell.send(()).unwrap();
            };
            if in_pool {
                runtime.pool().submit(callback).unwrap();
            } else {
                runtime.event_loop().post(callback).unwrap();
            }
            drop(runtime);
            told.recv_timeout(LONG).expect("it hung");
        }
    }

    #[test]
    fn a_task_that_the_loop_waits_for_may_drop_the_runtime() {
        for round in 0..100 {
            let runtime = runtime();
            runtime.start(StartMode::Return).unwrap();
            let (handle, pool) = (runtime.event_loop().handle(), runtime.pool().clone());
            let (give, given) = mpsc::channel();
            let (dropped, wait) = mpsc::channel();
            pool.submit(move || {
                drop(given.recv().unwrap());
                dropped.send(()).unwrap();
            })
            .unwrap();
            if round % 2 == 0 {
                handle.post(move || wait.recv_timeout(LONG).expect("the drop waits for this callback")).unwrap();
                give.send(runtime).unwrap();
            } else {
                handle.stop().unwrap();
                give.send(runtime).unwrap();
                wait.recv_timeout(LONG).expect("it hung");
            }
            handle.join(Some(LONG)).unwrap();
            pool.join(Some(LONG)).unwrap();
            assert!(handle.call_later(Duration::ZERO, || ()).is_err());
        }
    }

    #[test]
    fn a_handle_that_outlives_the_runtime_keeps_no_thread() {
        let runtime = runtime();
        let handle = runtime.event_loop().handle();
        runtime.start(StartMode::Return).unwrap();
        let pool = Arc::downgrade(&runtime.pool.pool);
        drop(runtime);
        let pool = pool.upgrade().expect("held by the handle");
        pool.join(Some(Duration::ZERO)).expect("its threads have ended");
        assert!(handle.post(|| {}).is_err() && pool.submit(|| {}).is_err());
    }

    #[test]
    fn a_stop_that_is_late_says_so_and_may_be_called_again() {
        let runtime = runtime();
        runtime.start(StartMode::Return).unwrap();
        let (let_go, go) = mpsc::channel::<()>();
        runtime.pool().submit(move || go.recv().unwrap()).unwrap();
        assert!(matches!(runtime.stop(Some(Duration::from_millis(10))), Err(Error::Timeout(_))));
        let_go.send(()).unwrap();
        runtime.stop(Some(LONG)).unwrap();
    }
}
