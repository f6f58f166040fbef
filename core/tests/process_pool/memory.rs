//! What large calls and results leave behind, and who waits for their memory.

use std::{fs, os::unix::fs::MetadataExt};

use coop_core::{
    Priority,
    process_pool::{CallOptions, Options, Outcome, Payload},
};

use super::{
    Case,
    world::{Gate, Pool, eventually, options},
};

pub(crate) const CASES: &[Case] = &[
    ("memory_of_results_is_given_back_when_nobody_looks_at_them", results),
    ("memory_of_calls_is_given_back_when_they_are_over", calls),
    ("a_call_of_a_higher_level_does_not_wait_for_memory_of_lower_ones", priority),
    ("calls_of_a_higher_level_find_blocks_where_lower_ones_have_all", blocks),
    ("what_waits_for_memory_is_in_nobodys_way", in_nobodys_way),
    ("no_level_starves", ageing),
];

const MEGABYTE: usize = 1 << 20;

/// How much memory the blocks of a process take that it has descriptors of.
fn memory_of(pid: &str) -> usize {
    let Ok(all) = fs::read_dir(format!("/proc/{pid}/fd")) else { return 0 };
    let all = all.filter_map(|entry| Some(entry.ok()?.path()));
    let blocks =
        all.filter(|path| fs::read_link(path).is_ok_and(|to| to.to_string_lossy().contains("memfd:coop-block")));
    let sizes = blocks.filter_map(|path| Some(usize::try_from(fs::metadata(path).ok()?.blocks()).ok()? * 512));
    sizes.sum()
}

/// How much of it is in what this process has mapped, with a descriptor or without.
fn mapped() -> usize {
    let maps = fs::read_to_string("/proc/self/smaps").unwrap();
    let mut sum = 0;
    let mut is_block = false;
    for line in maps.lines() {
        if line.contains("memfd:coop-block") {
            is_block = true;
        } else if line.split(' ').next().is_some_and(|word| word.contains('-')) {
            is_block = false;
        } else if is_block && let Some(size) = line.strip_prefix("Rss:") {
            sum += size.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024;
        }
    }
    sum
}

fn looked_at(payload: Payload) -> Payload {
    assert!(payload.part(0).to_vec().iter().all(|byte| *byte == 7));
    payload
}

fn results() {
    let kept = 4 * MEGABYTE;
    let pool = Pool::new(Options { kept_bytes: kept, ..options(1) });
    let size = (2 * MEGABYTE).to_string();
    let all: Vec<Payload> = (0..20)
        .map(|_| match pool.outcome(pool.submit(&[b"make", size.as_bytes()])) {
            Outcome::Done { result, .. } => looked_at(result),
            other => panic!("{other:?}"),
        })
        .collect();
    let worker = pool.pids(1)[0].1.to_string();
    assert!(memory_of(&worker) >= 40 * MEGABYTE, "they are there as long as they are looked at");
    eventually("it waits for calls", || pool.pool.stats().unwrap().idle == 1);
    // No call comes that could be the occasion.
    drop(all);
    eventually("the memory is given back", || memory_of(&worker) <= kept && mapped() <= kept);
    pool.end();
}

fn calls() {
    let kept = 4 * MEGABYTE;
    let pool = Pool::new(Options { kept_bytes: kept, ..options(2) });
    let long = vec![1; 2 * MEGABYTE];
    let all: Vec<u64> = (0..20).map(|_| pool.submit(&[b"sum", &long])).collect();
    all.into_iter().for_each(|call| drop(pool.result(call)));
    eventually("the memory is given back", || memory_of("self") <= kept && mapped() <= kept);
    pool.end();
}

fn at(priority: Priority) -> CallOptions {
    CallOptions { priority, ..CallOptions::default() }
}

/// A pool whose only worker waits at a gate, and what runs there.
fn held(options: Options, gate: &Gate) -> (Pool, u64) {
    let pool = Pool::new(options);
    let running = pool.submit(&[b"until", &gate.bytes()]);
    pool.wait_running(running);
    (pool, running)
}

/// The numbers that calls of "note" have written, in their order.
struct Notes(std::path::PathBuf);

impl Notes {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("coop-process-pool-{name}-{}", std::process::id())))
    }

    fn submit(&self, pool: &Pool, number: u64, rest: &[u8], priority: Priority) -> u64 {
        let file = self.0.to_str().unwrap().as_bytes();
        pool.submit_with(&[b"note", file, &number.to_ne_bytes(), rest], &at(priority))
    }

    fn all(self) -> Vec<u64> {
        let notes = fs::read(&self.0).unwrap();
        fs::remove_file(&self.0).unwrap();
        notes.as_chunks::<8>().0.iter().map(|number| u64::from_ne_bytes(*number)).collect()
    }
}

fn priority() {
    let (gate, notes) = (Gate::new("memory"), Notes::new("memory"));
    let (pool, running) = held(Options { block_bytes: MEGABYTE, ..options(1) }, &gate);
    let long = vec![1; 400_000];
    let mut calls: Vec<u64> = (0..10).map(|number| notes.submit(&pool, number, &long, Priority::Low)).collect();
    // As many as there is memory for, of their own.
    calls.extend((10..12).map(|number| notes.submit(&pool, number, &long, Priority::High)));
    gate.open();
    calls.into_iter().chain([running]).for_each(|call| drop(pool.result(call)));
    assert_eq!(notes.all(), [10, 11, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(pool.pool.stats().unwrap().block_bytes, 0);
    pool.end();
}

fn blocks() {
    let (gate, notes) = (Gate::new("blocks"), Notes::new("blocks"));
    let (pool, running) = held(options(1), &gate);
    let long = |number: u64| vec![number as u8; 70_000];
    let mut calls: Vec<u64> =
        (0..200).map(|number| notes.submit(&pool, number, &long(number), Priority::Low)).collect();
    calls.extend((200..230).map(|number| notes.submit(&pool, number, &long(number), Priority::High)));
    // What was moved is whole.
    let echo = pool.submit_with(&[b"echo", &long(5)], &at(Priority::Low));
    gate.open();
    assert_eq!(pool.result(echo), [long(5)]);
    calls.into_iter().chain([running]).for_each(|call| drop(pool.result(call)));
    let expected: Vec<u64> = (200..230).chain(0..200).collect();
    assert_eq!(notes.all(), expected);
    pool.end();
}

fn in_nobodys_way() {
    let gate = Gate::new("way");
    let pool = Pool::new(Options { block_bytes: MEGABYTE, ..options(2) });
    let long = vec![1; 700_000];
    let running = pool.submit(&[b"until", &gate.bytes(), &long]);
    pool.wait_running(running);
    let waits = pool.submit(&[b"sum", &long]);
    for priority in [Priority::Normal, Priority::Low] {
        let short = pool.submit_with(&[b"echo", b"short"], &at(priority));
        assert_eq!(pool.result(short), [b"short"]);
    }
    gate.open();
    pool.result(running);
    assert_eq!(pool.result(waits), [b"700000"]);
    pool.end();
}

/// Where a call of the lowest level runs among many of the highest, with one worker.
fn place_of_low(name: &str, slots: usize) -> usize {
    let (gate, notes) = (Gate::new(name), Notes::new(name));
    let (pool, running) = held(Options { slots, ..options(1) }, &gate);
    let low = notes.submit(&pool, 1000, b"", Priority::Low);
    let mut calls: Vec<u64> = (0..200).map(|number| notes.submit(&pool, number, b"", Priority::High)).collect();
    calls.extend([low, running]);
    gate.open();
    calls.into_iter().for_each(|call| drop(pool.result(call)));
    pool.end();
    let mut notes = notes.all();
    let place = notes.iter().position(|number| *number == 1000).unwrap();
    notes.remove(place);
    assert!(notes.is_sorted(), "{notes:?}");
    place
}

fn ageing() {
    assert_eq!(place_of_low("ageing", 1024), 64, "one in 65");
    // A worker that is faster than the pool's process finds nothing else in a small table.
    let place = place_of_low("ageing-small", 16);
    assert!(place <= 64, "{place}");
}
