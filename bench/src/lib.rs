//! What the benchmarks share: contestants run in turn, round after round, and are compared within each round.
//!
//! Absolute figures move from machine to machine and from minute to minute; a ratio between two runs a moment apart moves
//! less. So the figure to read is the median of the rounds' ratios, with its spread.

#![forbid(unsafe_code)]

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

/// One contestant: its name, and one run that answers a figure (more is better).
pub struct Contestant<'a> {
    /// What it is called.
    pub name: &'a str,
    /// One run.
    pub run: Box<dyn FnMut() -> f64 + 'a>,
}

impl<'a> Contestant<'a> {
    /// A contestant of this name.
    pub fn new(name: &'a str, run: impl FnMut() -> f64 + 'a) -> Self {
        Self { name, run: Box::new(run) }
    }
}

impl std::fmt::Debug for Contestant<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Median, least and greatest of some figures.
#[derive(Debug, Clone, Copy)]
pub struct Spread {
    /// The middle one.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// Of at least one figure.
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        Self { median: figures[figures.len() / 2], min: figures[0], max: figures[figures.len() - 1] }
    }
}

/// `1.52 (1.31..1.70)`
impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2} ({:.2}..{:.2})", self.median, self.min, self.max)
    }
}

/// What comes after `--rounds`.
///
/// # Errors
/// In words, if it is no number from 1.
pub fn rounds(given: Option<String>) -> Result<usize, String> {
    let given = given.unwrap_or_default();
    let number = given.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| format!("--rounds {given:?}: allowed is a number from 1"))
}

/// Runs all contestants in turn, `rounds` times after one round that is not counted; a figure per contestant and round. Each round
/// starts with the next one, so that none always follows the same other.
pub fn interleave(rounds: usize, contestants: &mut [Contestant<'_>]) -> Vec<Vec<f64>> {
    let count = contestants.len();
    let mut figures = vec![Vec::with_capacity(rounds); count];
    for round in 0..=rounds {
        for turn in 0..count {
            let index = (round + turn) % count;
            let figure = (contestants[index].run)();
            if round > 0 {
                figures[index].push(figure);
            }
        }
    }
    figures
}

/// Prints each contestant's figures, and the first one's ratio to each of the others.
#[expect(clippy::print_stdout, reason = "a benchmark's output")]
pub fn report(unit: &str, contestants: &[Contestant<'_>], figures: &[Vec<f64>]) {
    for (contestant, own) in contestants.iter().zip(figures) {
        let ratios = Spread::of(figures[0].iter().zip(own).map(|(first, other)| first / other));
        println!("{:28} {:24} {unit:8} ratio {ratios}", contestant.name, Spread::of(own.iter().copied()).to_string());
    }
}

#[derive(Default)]
#[repr(align(128))]
struct Slot(AtomicU64);

static TICKS: [Slot; 64] = [const { Slot(AtomicU64::new(0)) }; 64];
static NEXT: AtomicUsize = AtomicUsize::new(0);
thread_local!(static MINE: &'static Slot = &TICKS[NEXT.fetch_add(1, Ordering::Relaxed)]);

/// What every "empty" task does: counts in a place of its thread's own, without a locked instruction.
#[inline]
pub fn tick(by: u64) {
    MINE.with(|slot| slot.0.store(slot.0.load(Ordering::Relaxed) + by, Ordering::Release));
}

/// The sum of all ticks so far.
pub fn ticks() -> u64 {
    TICKS.iter().map(|slot| slot.0.load(Ordering::Acquire)).sum()
}

/// Waits, mostly asleep, until there were so many ticks, and answers when that was.
pub fn wait_for_ticks(goal: u64) -> Instant {
    loop {
        let now = Instant::now();
        if ticks() >= goal {
            return now;
        }
        std::thread::sleep(Duration::from_micros(50));
    }
}
