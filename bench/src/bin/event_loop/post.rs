//! Posts from another thread. *Throughput*: a million callbacks that count, from the first post to the end of the last run.
//! *Latency*: one post at a time to a loop that has gone to sleep, from before the post to the start of its run.
//!
//! libcoop in Rust posts closures, in C `coop_callback`s. libuv has a vector under a mutex and one `uv_async_t`, as its
//! guide has it, and takes the whole vector at once. Asio posts closures. tokio sends the callback through an unbounded mpsc
//! channel to a task of a current-thread runtime, which receives many at a time.

use std::{
    ffi::c_void,
    hint::black_box,
    sync::{
        LazyLock,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use coop_core::{EventLoop, EventLoopOptions, event_loop::RunMode};
use tokio::sync::mpsc;

use crate::{
    Asked, pin_client, pin_server,
    table::{Contestant, compare, less, more},
};

const POSTS: u64 = 1_000_000;
const SAMPLES: usize = 2000;
/// Long enough for the loop to be asleep when the next post comes.
const PAUSE: Duration = Duration::from_micros(50);

type Callback = extern "C" fn(*mut c_void);

/// `struct side` of loops/side.h.
#[repr(C)]
#[derive(Clone, Copy)]
struct Side {
    start: unsafe extern "C" fn(extern "C" fn()) -> *mut c_void,
    post: unsafe extern "C" fn(*mut c_void, Callback, *mut c_void),
    finish: unsafe extern "C" fn(*mut c_void),
}

#[cfg(feature = "loops")]
unsafe extern "C" {
    static bench_post_libuv: Side;
    static bench_post_asio: Side;
    static bench_post_coop: Side;
}

/// What crosses the threads: a callback and its argument.
#[derive(Clone, Copy)]
struct Post(Callback, usize);

impl Post {
    fn run(self) {
        (self.0)(self.1 as *mut c_void);
    }
}

struct Coop {
    event_loop: EventLoop,
    thread: JoinHandle<()>,
}

extern "C" fn coop_start(started: extern "C" fn()) -> *mut c_void {
    let event_loop = EventLoop::new(EventLoopOptions::default()).expect("a loop");
    let handle = event_loop.handle();
    let thread = thread::spawn(move || {
        started();
        handle.run(RunMode::Default).expect("it runs");
    });
    Box::into_raw(Box::new(Coop { event_loop, thread })).cast()
}

extern "C" fn coop_post(side: *mut c_void, callback: Callback, arg: *mut c_void) {
    // SAFETY: what `coop_start` made, until `coop_finish`.
    let side = unsafe { &*side.cast::<Coop>() };
    let post = Post(callback, arg as usize);
    side.event_loop.post(move || post.run()).expect("open");
}

extern "C" fn coop_finish(side: *mut c_void) {
    // SAFETY: what `coop_start` made, once.
    let side = unsafe { Box::from_raw(side.cast::<Coop>()) };
    side.event_loop.stop().expect("it stops");
    side.thread.join().expect("it ends");
}

struct Tokio {
    sender: mpsc::UnboundedSender<Post>,
    thread: JoinHandle<()>,
}

extern "C" fn tokio_start(started: extern "C" fn()) -> *mut c_void {
    let (sender, mut receiver) = mpsc::unbounded_channel::<Post>();
    let thread = thread::spawn(move || {
        started();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut posts = Vec::new();
            while receiver.recv_many(&mut posts, 1024).await > 0 {
                posts.drain(..).for_each(Post::run);
            }
        });
    });
    Box::into_raw(Box::new(Tokio { sender, thread })).cast()
}

extern "C" fn tokio_post(side: *mut c_void, callback: Callback, arg: *mut c_void) {
    // SAFETY: what `tokio_start` made, until `tokio_finish`.
    let side = unsafe { &*side.cast::<Tokio>() };
    side.sender.send(Post(callback, arg as usize)).expect("open");
}

extern "C" fn tokio_finish(side: *mut c_void) {
    // SAFETY: what `tokio_start` made, once.
    let side = unsafe { Box::from_raw(side.cast::<Tokio>()) };
    drop(side.sender);
    side.thread.join().expect("it ends");
}

const COOP: Side = Side { start: coop_start, post: coop_post, finish: coop_finish };
const TOKIO: Side = Side { start: tokio_start, post: tokio_post, finish: tokio_finish };

fn sides() -> Vec<(&'static str, Side)> {
    vec![
        ("coop", COOP),
        // SAFETY: constants of the C and C++ files.
        #[cfg(feature = "loops")]
        ("coop_c", unsafe { bench_post_coop }),
        // SAFETY: the same.
        #[cfg(feature = "loops")]
        ("libuv", unsafe { bench_post_libuv }),
        // SAFETY: the same.
        #[cfg(feature = "loops")]
        ("asio", unsafe { bench_post_asio }),
        ("tokio", TOKIO),
    ]
}

static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);
/// The loop's thread's alone, until the last callback's release store.
static RUNS: AtomicU64 = AtomicU64::new(0);

fn now() -> i64 {
    EPOCH.elapsed().as_nanos() as i64
}

#[derive(Default)]
struct Probe {
    at: AtomicI64,
    done: AtomicBool,
}

impl Probe {
    fn wait(&self) {
        while !self.done.load(Ordering::Acquire) {
            thread::sleep(Duration::from_micros(20));
        }
    }

    fn as_arg(&self) -> *mut c_void {
        std::ptr::from_ref(self).cast_mut().cast()
    }
}

extern "C" fn pin_loop() {
    pin_server();
}

extern "C" fn count(_: *mut c_void) {
    RUNS.store(RUNS.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

extern "C" fn note(probe: *mut c_void) {
    // SAFETY: a probe that its maker waits for.
    let probe = unsafe { &*probe.cast::<Probe>() };
    probe.at.store(now(), Ordering::Relaxed);
    probe.done.store(true, Ordering::Release);
}

/// A loop of one side, from `start` to `finish`.
struct Running<'a>(&'a Side, *mut c_void);

impl<'a> Running<'a> {
    fn start(side: &'a Side) -> Self {
        // SAFETY: side.h: may be called at any time.
        Self(side, unsafe { (side.start)(pin_loop) })
    }

    #[inline]
    fn post(&self, callback: Callback, arg: *mut c_void) {
        // SAFETY: between start and finish, from the thread that started it.
        unsafe { (self.0.post)(self.1, callback, arg) };
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        // SAFETY: once, after the last post has run.
        unsafe { (self.0.finish)(self.1) };
    }
}

/// Nanoseconds on a CPU.
fn cpu_time(clock: libc::clockid_t) -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it writes the local that it is given.
    assert_eq!(unsafe { libc::clock_gettime(clock, &raw mut time) }, 0, "clock_gettime");
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// Millions per second, and what each costs the poster's CPU and the loop's, in ns.
fn throughput(side: &Side) -> [f64; 3] {
    let (running, last) = (Running::start(side), Probe::default());
    let before = RUNS.load(Ordering::Relaxed);
    let clocks = || [libc::CLOCK_THREAD_CPUTIME_ID, libc::CLOCK_PROCESS_CPUTIME_ID].map(cpu_time);
    let [own, all] = clocks();
    let begin = now();
    for _ in 1..POSTS {
        running.post(count, black_box(std::ptr::null_mut()));
    }
    running.post(note, last.as_arg());
    let posting = cpu_time(libc::CLOCK_THREAD_CPUTIME_ID) - own;
    last.wait();
    let [own, all] = [clocks()[0] - own, clocks()[1] - all];
    assert_eq!(RUNS.load(Ordering::Relaxed) - before, POSTS - 1, "every post runs");
    let each = |whole: f64| whole / POSTS as f64;
    let took = (last.at.load(Ordering::Relaxed) - begin) as f64;
    [1e3 / each(took), each(posting), each(all - own)]
}

/// Microseconds: the median, and 99 of 100.
fn latency(side: &Side) -> [f64; 2] {
    let running = Running::start(side);
    let mut samples: Vec<f64> = (0..SAMPLES)
        .map(|_| {
            let probe = Probe::default();
            thread::sleep(PAUSE);
            let begin = now();
            running.post(note, probe.as_arg());
            probe.wait();
            (probe.at.load(Ordering::Relaxed) - begin) as f64 / 1e3
        })
        .collect();
    samples.sort_by(f64::total_cmp);
    [samples[SAMPLES / 2], samples[SAMPLES * 99 / 100]]
}

pub fn run(asked: &Asked) {
    pin_client();
    let mut contestants: Vec<_> = sides()
        .into_iter()
        .filter(|(name, _)| asked.wants(name))
        .map(|(name, side)| Contestant {
            name,
            run: Box::new(move || {
                let [p50, p99] = latency(&side);
                let [rate, posting, running] = throughput(&side);
                vec![rate, posting, running, p50, p99]
            }),
        })
        .collect();
    let columns = [
        more("posts, M/s"),
        less("CPU of the poster, ns per post"),
        less("CPU of the loop, ns per post"),
        less("post to run, us, p50"),
        less("post to run, us, p99"),
    ];
    compare("post: from another thread", asked, &columns, &mut contestants);
}
