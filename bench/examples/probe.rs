use coop_bench::*;
use coop_core::pool::*;
use std::{hint::black_box, time::Instant};
fn main() {
    let pool = Pool::new(PoolOptions { workers: Some(2), ..Default::default() }).unwrap();
    for round in 0..12 {
        let goal = ticks() + 1_000_000;
        let blocked = round % 2 == 0;
        let (tx, rx) = std::sync::mpsc::channel::<()>();
        let rx = std::sync::Arc::new(std::sync::Mutex::new(rx));
        if blocked {
            for _ in 0..2 {
                let rx = rx.clone();
                pool.submit(move || {
                    let _ = rx.lock().unwrap().recv();
                })
                .unwrap();
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let start = Instant::now();
        for _ in 0..1_000_000 {
            let by = black_box(1);
            pool.submit(move || tick(by)).unwrap();
        }
        let submitted = start.elapsed();
        drop(tx);
        let resumed = Instant::now();
        let end = wait_for_ticks(goal);
        println!(
            "blocked {blocked}: submit {:.1} ns/task, all {:.1} ns/task, after submit {:.1}",
            submitted.as_secs_f64() * 1e3,
            (end - start).as_secs_f64() * 1e3,
            (end - resumed).as_secs_f64() * 1e3
        );
    }
}
