//! TBB, through the C functions of `tbb/side.cpp`.

use std::{
    ffi::c_void,
    sync::{Mutex, mpsc},
};

use coop_core::cpu;

use super::peers::WORKERS;

type Call = extern "C" fn(u64);

unsafe extern "C" {
    fn bench_tbb_new(workers: i32, cpus: *const i32) -> *mut c_void;
    fn bench_tbb_free(tbb: *mut c_void);
    fn bench_tbb_submit(tbb: *mut c_void, call: Call, arg: u64);
    fn bench_tbb_spawn_inside(tbb: *mut c_void, count: u64, call: Call, arg: u64);
    fn bench_tbb_fib(tbb: *mut c_void, n: u32, done: Call);
}

pub struct Tbb {
    side: *mut c_void,
    /// The side reads them for as long as it lives.
    _cpus: Box<[i32]>,
}

/// A Rust function and its argument, as C calls them.
extern "C" fn call(packed: u64) {
    // SAFETY: boxed by `Tbb::submit`, and called once.
    let (call, arg) = *unsafe { Box::from_raw(packed as *mut (fn(u64), u64)) };
    call(arg);
}

extern "C" fn tick(by: u64) {
    coop_bench::tick(by);
}

static TELL: Mutex<Option<mpsc::Sender<u32>>> = Mutex::new(None);

extern "C" fn tell_answer(answer: u64) {
    let tell = TELL.lock().expect("not poisoned").take();
    tell.expect("asked for").send(answer as u32).expect("heard");
}

impl Tbb {
    pub fn new() -> Self {
        let cpus: Box<[i32]> = (0..WORKERS).map(|worker| cpu::placement(worker) as i32).collect();
        // SAFETY: as many CPUs as workers.
        let side = unsafe { bench_tbb_new(WORKERS as i32, cpus.as_ptr()) };
        Self { side, _cpus: cpus }
    }

    /// One allocation more than TBB's own, for what other rows measure in microseconds.
    pub fn submit(&self, function: fn(u64), arg: u64) {
        let packed = Box::into_raw(Box::new((function, arg))) as u64;
        // SAFETY: a live side.
        unsafe { bench_tbb_submit(self.side, call, packed) };
    }

    /// A tick, with nothing in between.
    pub fn submit_tick(&self, by: u64) {
        // SAFETY: a live side.
        unsafe { bench_tbb_submit(self.side, tick, by) };
    }

    pub fn spawn_inside(&self, count: u64) {
        // SAFETY: a live side.
        unsafe { bench_tbb_spawn_inside(self.side, count, tick, 1) };
    }

    /// `tell` is sent fib(n) by the worker that has it.
    pub fn fib(&self, n: u32, tell: mpsc::Sender<u32>) {
        *TELL.lock().expect("not poisoned") = Some(tell);
        // SAFETY: a live side.
        unsafe { bench_tbb_fib(self.side, n, tell_answer) };
    }
}

impl Drop for Tbb {
    fn drop(&mut self) {
        // SAFETY: made by `new`, and freed once.
        unsafe { bench_tbb_free(self.side) };
    }
}
