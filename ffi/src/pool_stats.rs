//! What a pool and its workers did.

use coop_core::pool::WorkerStats;

use crate::{
    guard::guard,
    handle::wanted,
    options::{self, Options},
    pool::coop_pool,
    status::{COOP_NONE, coop_status},
};

/// What a pool did since it was made, and what waits in it, at a moment while others go on.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_pool_statistics {
    /// sizeof(coop_pool_statistics), set by the caller: at most that many bytes are written.
    pub size: usize,
    /// How many workers there are.
    pub workers: usize,
    /// How many tasks may be queued at once; 0: as many as there is memory for.
    pub capacity: usize,
    /// How many tasks of COOP_PRIORITY_HIGH wait.
    pub depth_high: usize,
    /// How many of COOP_PRIORITY_NORMAL.
    pub depth_normal: usize,
    /// How many of COOP_PRIORITY_LOW.
    pub depth_low: usize,
    /// Of all workers: the tasks they have begun.
    pub executed: u64,
    /// Of all workers: the tasks they took from what another one had claimed.
    pub stolen: u64,
    /// Of all workers: how often they went to sleep.
    pub parked: u64,
    /// From submission to start, of every 64th task: how many were timed.
    pub wait_samples: u64,
    /// Their mean, in nanoseconds.
    pub wait_mean_ns: i64,
    /// Half of them waited no longer; up to an eighth too much.
    pub wait_p50_ns: i64,
    /// 99 of 100 waited no longer; up to an eighth too much.
    pub wait_p99_ns: i64,
    /// The longest.
    pub wait_max_ns: i64,
}

// SAFETY: numbers, fourteen fields that fill 112 bytes (tests/c/layout.c), any bytes are a value.
unsafe impl Options for coop_pool_statistics {
    const NAME: &'static str = "coop_pool_statistics";
    const FIRST: usize = size_of::<Self>();
}

/// What one worker did since the pool was made.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_worker_statistics {
    /// sizeof(coop_worker_statistics), set by the caller: at most that many bytes are written.
    pub size: usize,
    /// The CPU that it is pinned to; COOP_NONE if the pool was made with no_pin.
    pub cpu: i32,
    /// 0.
    pub reserved: i32,
    /// The tasks it has begun.
    pub executed: u64,
    /// The tasks it took from what another worker had claimed.
    pub stolen: u64,
    /// How often it went to sleep.
    pub parked: u64,
}

// SAFETY: numbers, six fields that fill 40 bytes (tests/c/layout.c), any bytes are a value.
unsafe impl Options for coop_worker_statistics {
    const NAME: &'static str = "coop_worker_statistics";
    const FIRST: usize = size_of::<Self>();
}

/// Says what the pool did so far, and what waits in it. Costs a look at every worker and every queue.
///
/// out: out->size is the caller's; the rest is written. Any thread. COOP_E_NULL, COOP_E_INVALID for the size,
/// COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_pool_stats(pool: *const coop_pool, out: *mut coop_pool_statistics) -> coop_status {
    guard!({
        // SAFETY: a pool that is not freed yet.
        let pool = unsafe { coop_pool::cloned(pool) }?;
        wanted(out, "out")?;
        let stats = pool.stats()?;
        let sum = |count: fn(&WorkerStats) -> u64| stats.workers.iter().map(count).sum();
        let ns = |time: std::time::Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
        let [depth_high, depth_normal, depth_low] = stats.depth;
        let filled = coop_pool_statistics {
            size: 0,
            workers: stats.workers.len(),
            capacity: stats.capacity.unwrap_or(0),
            depth_high,
            depth_normal,
            depth_low,
            executed: sum(|worker| worker.executed),
            stolen: sum(|worker| worker.stolen),
            parked: sum(|worker| worker.parked),
            wait_samples: stats.wait.samples,
            wait_mean_ns: ns(stats.wait.mean),
            wait_p50_ns: ns(stats.wait.p50),
            wait_p99_ns: ns(stats.wait.p99),
            wait_max_ns: ns(stats.wait.max),
        };
        // SAFETY: as long as it says.
        unsafe { options::write(&filled, out) }
    })
}

/// Says what one worker did so far.
///
/// index: which worker, from 0. out: out->size is the caller's; the rest is written. Any thread. COOP_E_NULL,
/// COOP_E_INVALID past the last worker or for the size, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_pool_worker_stats(
    pool: *const coop_pool,
    index: usize,
    out: *mut coop_worker_statistics,
) -> coop_status {
    guard!({
        // SAFETY: a pool that is not freed yet.
        let pool = unsafe { coop_pool::cloned(pool) }?;
        wanted(out, "out")?;
        let WorkerStats { cpu, executed, stolen, parked } = pool.worker_stats(index)?;
        let cpu = cpu.and_then(|cpu| i32::try_from(cpu).ok()).unwrap_or(COOP_NONE);
        let filled = coop_worker_statistics { size: 0, cpu, reserved: 0, executed, stolen, parked };
        // SAFETY: as long as it says.
        unsafe { options::write(&filled, out) }
    })
}
