//! A million timers beside tokio's and libuv's: `cargo run --release -p coop-bench --features loops --bin timers [rounds]`.
//!
//! Nanoseconds for each timer to insert it, to cancel it, and to fire it once all are due; callbacks (which count) are made, run and
//! dropped in these times. Delays are random, from 100 to 1000 ms; cancelled is in the order of insertion, and in a random
//! one. `coop, _local` are the calls for the loop's own thread; `coop` those for any thread, made on the loop's thread, but for the
//! last line: another thread cancels while the loop sleeps.

use std::{
    future::Future,
    hint::black_box,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::{Duration, Instant},
};

use coop_bench::Spread;
use coop_core::event_loop::{EventLoop, EventLoopOptions, Handle, RunMode, TimerId, TimerOptions};

const COUNT: usize = 1_000_000;
const LONGEST: Duration = Duration::from_millis(1000);

/// The work of one round: the same for each contestant.
struct Work {
    delays_ms: Vec<u32>,
    in_order: Vec<u32>,
    shuffled: Vec<u32>,
}

impl Work {
    fn new() -> Self {
        let mut state = 0x9E37_79B9_7F4A_7C15u64;
        let mut random = move |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let in_order: Vec<u32> = (0..COUNT as u32).collect();
        let mut shuffled = in_order.clone();
        (1..COUNT).rev().for_each(|at| shuffled.swap(at, random(at as u64 + 1) as usize));
        Self { delays_ms: (0..COUNT).map(|_| 100 + random(900) as u32).collect(), in_order, shuffled }
    }
}

/// Nanoseconds for each of them.
#[derive(Debug, Clone, Copy, Default)]
struct Figures {
    insert: f64,
    cancel: f64,
    cancel_shuffled: f64,
    fire: f64,
}

fn each(run: impl FnOnce()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_nanos() as f64 / COUNT as f64
}

/// Inserts, cancels in order; inserts, cancels shuffled; inserts, waits until all are due, fires.
fn measure<T>(
    work: &Work,
    state: &mut T,
    insert: impl Fn(&mut T),
    cancel: impl Fn(&mut T, &[u32]),
    fire: impl FnOnce(&mut T),
) -> Figures {
    // The first use of the memory is nobody's.
    insert(state);
    cancel(state, &work.in_order);
    let first = each(|| insert(state));
    let in_order = each(|| cancel(state, &work.in_order));
    let second = each(|| insert(state));
    let shuffled = each(|| cancel(state, &work.shuffled));
    insert(state);
    thread::sleep(LONGEST + Duration::from_millis(50));
    Figures { insert: first.min(second), cancel: in_order, cancel_shuffled: shuffled, fire: each(|| fire(state)) }
}

static FIRED: AtomicU64 = AtomicU64::new(0);

/// What a timer calls: as much as the others' callbacks, which run on one thread too.
fn count(by: u64) {
    FIRED.store(FIRED.load(Ordering::Relaxed) + by, Ordering::Relaxed);
}

fn fired_since(before: u64) -> u64 {
    FIRED.load(Ordering::Relaxed) - before
}

/// On the loop's thread, inside one post.
fn coop(work: &Arc<Work>, local: bool) -> Figures {
    let event_loop = EventLoop::new(EventLoopOptions::default()).expect("a loop");
    let (handle, work) = (event_loop.handle(), work.clone());
    let (tell, told) = mpsc::channel();
    let before = FIRED.load(Ordering::Relaxed);
    event_loop
        .post(move || {
            let mut ids: Vec<TimerId> = Vec::with_capacity(COUNT);
            let insert = |ids: &mut Vec<TimerId>| {
                ids.clear();
                for delay in &work.delays_ms {
                    let after = Duration::from_millis(u64::from(*delay));
                    let options = TimerOptions { after, ..TimerOptions::default() };
                    let by = black_box(1);
                    let callback = move |_| count(by);
                    let id =
                        if local { handle.timer_local(&options, callback) } else { handle.timer(options, callback) };
                    ids.push(id.map_err(|refused| refused.error).expect("open"));
                }
            };
            let cancel = |ids: &mut Vec<TimerId>, order: &[u32]| {
                for at in order {
                    let id = ids[*at as usize];
                    let cancelled = if local { handle.cancel_timer_local(id) } else { handle.cancel_timer(id) };
                    cancelled.expect("not fired yet");
                }
            };
            let figures = measure(&work, &mut ids, insert, cancel, |_| {});
            tell.send((figures, Instant::now())).expect("told");
        })
        .expect("open");
    event_loop.run(RunMode::UntilIdle).expect("it runs");
    let (mut figures, start): (Figures, Instant) = told.recv().expect("told");
    figures.fire = start.elapsed().as_nanos() as f64 / COUNT as f64;
    assert_eq!(fired_since(before), COUNT as u64);
    figures
}

/// While the loop sleeps on its own thread.
fn coop_cancel_elsewhere(work: &Work, handle: &Handle) -> f64 {
    let far = || TimerOptions { after: Duration::from_secs(3600), ..TimerOptions::default() };
    let one = handle.timer(far(), |_| {}).map_err(|refused| refused.error).expect("open");
    let insert = || -> Vec<TimerId> {
        let insert = |delay: &u32| {
            let options = TimerOptions { after: Duration::from_millis(3_600_000 + u64::from(*delay)), ..far() };
            handle.timer(options, move |_| count(black_box(1))).map_err(|refused| refused.error).expect("open")
        };
        work.delays_ms.iter().map(insert).collect()
    };
    let ids = insert();
    let took = each(|| ids.iter().for_each(|id| handle.cancel_timer(*id).expect("not fired yet")));
    handle.cancel_timer(one).expect("not fired yet");
    took
}

struct Counts;
impl Wake for Counts {
    fn wake(self: Arc<Self>) {
        count(1);
    }
    fn wake_by_ref(self: &Arc<Self>) {
        count(1);
    }
}

fn tokio(work: &Work) -> Figures {
    type Sleeps = Vec<Pin<Box<tokio::time::Sleep>>>;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a tokio runtime");
    let before = FIRED.load(Ordering::Relaxed);
    runtime.block_on(async {
        let waker = Waker::from(Arc::new(Counts));
        let mut sleeps: Vec<Option<Pin<Box<tokio::time::Sleep>>>> = Vec::with_capacity(COUNT);
        let insert = |sleeps: &mut Vec<Option<_>>| {
            sleeps.clear();
            let now = tokio::time::Instant::now();
            for delay in &work.delays_ms {
                let mut sleep = Box::pin(tokio::time::sleep_until(now + Duration::from_millis(u64::from(*delay))));
                let polled = sleep.as_mut().poll(&mut Context::from_waker(&waker));
                assert!(matches!(polled, Poll::Pending));
                sleeps.push(Some(sleep));
            }
        };
        let cancel = |sleeps: &mut Vec<Option<_>>, order: &[u32]| {
            for at in order {
                drop(sleeps[*at as usize].take());
            }
        };
        let mut figures = measure(work, &mut sleeps, insert, cancel, |_| {});
        let start = Instant::now();
        while fired_since(before) < COUNT as u64 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // The end of a sleep that was waited for is its drop.
        drop::<Sleeps>(sleeps.into_iter().flatten().collect());
        figures.fire = start.elapsed().as_nanos() as f64 / COUNT as f64;
        figures
    })
}

#[cfg(feature = "loops")]
mod uv {
    use std::ffi::c_void;

    use super::{COUNT, Figures, Work, measure};

    unsafe extern "C" {
        fn coop_bench_uv_new(count: usize) -> *mut c_void;
        fn coop_bench_uv_insert(side: *mut c_void, delays_ms: *const u32);
        fn coop_bench_uv_cancel(side: *mut c_void, order: *const u32);
        fn coop_bench_uv_run(side: *mut c_void) -> u64;
        fn coop_bench_uv_free(side: *mut c_void);
    }

    pub(super) fn run(work: &Work) -> Figures {
        // SAFETY: one thread makes, uses and frees it, and both arrays have COUNT numbers.
        unsafe {
            let mut side = coop_bench_uv_new(COUNT);
            let insert = |side: &mut *mut c_void| coop_bench_uv_insert(*side, work.delays_ms.as_ptr());
            let cancel = |side: &mut *mut c_void, order: &[u32]| coop_bench_uv_cancel(*side, order.as_ptr());
            let fire = |side: &mut *mut c_void| while coop_bench_uv_run(*side) < COUNT as u64 {};
            let figures = measure(work, &mut side, insert, cancel, fire);
            coop_bench_uv_free(side);
            figures
        }
    }
}

#[expect(clippy::print_stdout, reason = "a benchmark's output")]
fn main() {
    let rounds: usize = std::env::args().nth(1).map_or(15, |rounds| rounds.parse().expect("rounds: a number"));
    let work = Arc::new(Work::new());
    type Contestant<'a> = (&'a str, Box<dyn Fn() -> Figures + 'a>);
    let contestants: Vec<Contestant<'_>> = vec![
        ("coop, _local", Box::new(|| coop(&work, true))),
        ("coop", Box::new(|| coop(&work, false))),
        ("tokio", Box::new(|| tokio(&work))),
        #[cfg(feature = "loops")]
        ("libuv", Box::new(|| uv::run(&work))),
    ];
    let mut figures = vec![Vec::new(); contestants.len()];
    let sleeping = EventLoop::new(EventLoopOptions::default()).expect("a loop");
    sleeping.start().expect("it starts");
    let mut elsewhere = Vec::new();
    for round in 0..rounds {
        for turn in 0..contestants.len() {
            let at = (round + turn) % contestants.len();
            figures[at].push((contestants[at].1)());
        }
        elsewhere.push(coop_cancel_elsewhere(&work, &sleeping));
    }
    type Of = fn(&Figures) -> f64;
    let columns: [(&str, Of); 4] = [
        ("insert", |f| f.insert),
        ("cancel, in order", |f| f.cancel),
        ("cancel, shuffled", |f| f.cancel_shuffled),
        ("fire", |f| f.fire),
    ];
    println!(
        "{COUNT} timers, {rounds} rounds: ns each, median (least..greatest); then how many times as long as coop, _local"
    );
    for (name, of) in columns {
        println!("{name}");
        for (at, (who, _)) in contestants.iter().enumerate() {
            let ratios = figures[at].iter().zip(&figures[0]).map(|(other, first)| of(other) / of(first));
            println!("  {who:14} {:<26} x {}", Spread::of(figures[at].iter().map(of)).to_string(), Spread::of(ratios));
        }
    }
    println!("cancel from another thread while the loop sleeps");
    println!("  {:14} {}", "coop", Spread::of(elsewhere));
}
