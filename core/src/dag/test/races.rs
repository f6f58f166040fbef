//! Ends that race with nodes: each run ends once, and each value is dropped once, by whichever way it goes.

use std::sync::{
    Arc,
    atomic::{AtomicIsize, AtomicUsize, Ordering},
};

use super::*;

/// A value: how many are there is counted.
struct Counted(Arc<AtomicIsize>);

impl Counted {
    fn new(alive: &Arc<AtomicIsize>) -> Self {
        alive.fetch_add(1, Ordering::SeqCst);
        Self(alive.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        assert!(self.0.fetch_sub(1, Ordering::SeqCst) > 0, "dropped twice");
    }
}

fn wait_until(done: impl Fn() -> bool) {
    let start = std::time::Instant::now();
    while !done() {
        assert!(start.elapsed() < LONG.unwrap(), "it takes too long");
        std::thread::yield_now();
    }
}

/// An input, eight nodes that read it, four of them on the loop, one of them with retries and a deadline that it may miss, and one that reads all.
fn graph(alive: &Arc<AtomicIsize>, runtime: &Runtime) -> Graph {
    let mut builder = Builder::new();
    let input = builder.input::<Counted>("input").unwrap();
    let mut middle = Vec::new();
    for node in 0..8 {
        let (own, on) = (alive.clone(), runtime.event_loop().handle());
        let made = match node {
            0..4 => builder.io(&node.to_string(), plain(), input, move |input| {
                let (own, on) = (own.clone(), on.clone());
                async move {
                    crate::task::sleep(&on, Duration::from_micros(50)).await?;
                    drop(input);
                    Ok(Counted::new(&own))
                }
            }),
            4 => {
                let options = NodeOptions { retries: 3, timeout: Some(Duration::from_micros(200)), ..plain() };
                let calls = AtomicUsize::new(0);
                builder.cpu("4", options, input, move |_| {
                    let made = Counted::new(&own);
                    if calls.fetch_add(1, Ordering::Relaxed).is_multiple_of(3) {
                        Ok(made)
                    } else {
                        Err(Failure::text("again"))
                    }
                })
            }
            _ => builder.cpu(&node.to_string(), plain(), input, move |_| Ok(Counted::new(&own))),
        };
        middle.push(made.unwrap());
    }
    let own = alive.clone();
    builder.cpu("last", plain(), middle, move |_| Ok(Counted::new(&own))).unwrap();
    builder.build().unwrap()
}

/// Runs that are cancelled, stopped or that reach their deadline while they end by themselves.
#[test]
fn each_run_ends_once_and_each_value_goes_once_whoever_comes_first() {
    for round in 0..60_u64 {
        let (runtime, alive, ends) = (runtime(), Arc::default(), Arc::new(AtomicUsize::new(0)));
        let graph = graph(&alive, &runtime);
        let timeout = (round % 4 == 1).then(|| Duration::from_micros(round * 10));
        let options = RunOptions { timeout, ..RunOptions::default() };
        let runs: Vec<Run> = (0..20)
            .map(|_| {
                let inputs = Inputs::new().with("input", Counted::new(&alive));
                let run = graph.run(&(&runtime).into(), inputs, &options).unwrap();
                let ends = ends.clone();
                run.then(move |_| _ = ends.fetch_add(1, Ordering::SeqCst)).unwrap();
                run
            })
            .collect();
        drop(graph);
        std::thread::sleep(Duration::from_micros(round * 20));
        match round % 4 {
            0 => runs.iter().for_each(|run| _ = run.cancel()),
            2 => runtime.event_loop().stop().unwrap(),
            _ => {}
        }
        if round % 4 == 3 {
            drop(runtime);
            runs.iter().for_each(|run| drop(run.join(LONG).unwrap()));
        } else {
            runs.iter().for_each(|run| drop(run.join(LONG).unwrap()));
            drop(runtime);
        }
        wait_until(|| ends.load(Ordering::SeqCst) == runs.len());
        drop(runs);
        wait_until(|| alive.load(Ordering::SeqCst) == 0);
    }
}

#[test]
fn ten_thousand_small_runs_at_once_each_end() {
    let (pool, ended) = (pool(), Arc::new(AtomicUsize::new(0)));
    let mut builder = Builder::new();
    let first = builder.cpu("first", plain(), (), |()| Ok(1_u64)).unwrap();
    let others = [first; 2].map(|first| builder.cpu(&format!("{}", builder.len()), plain(), first, |first| Ok(*first)));
    builder
        .cpu("sum", plain(), others.map(Result::unwrap).to_vec(), |all| Ok(all.iter().map(|one| **one).sum::<u64>()))
        .unwrap();
    let graph = builder.build().unwrap();
    let runs: Vec<Run> =
        (0..10_000).map(|_| graph.run(&Engine::new(&pool), Inputs::new(), &RunOptions::default()).unwrap()).collect();
    drop(graph);
    for run in runs {
        assert_eq!(run.join(LONG).unwrap().take::<u64>("sum"), Ok(2));
        ended.fetch_add(1, Ordering::Relaxed);
    }
    assert_eq!(ended.load(Ordering::Relaxed), 10_000);
}

/// Each node starts the next run, which nobody else keeps.
#[test]
fn a_node_starts_a_run_of_its_own_graph() {
    let (pool, left) = (pool(), Arc::new(AtomicUsize::new(1000)));
    let engine = Engine::new(&pool);
    let (again, own) = (left.clone(), engine.clone());
    let mut builder = Builder::new();
    let start = move |call: &mut Call<'_>| {
        if again.fetch_sub(1, Ordering::SeqCst) > 1 {
            drop(call.graph().run(&own, Inputs::new(), &RunOptions::default()).map_err(|refused| refused.error)?);
        }
        Ok(Value::UNIT)
    };
    builder.add("starts", plain(), vec![], Function::Cpu(Arc::new(start))).unwrap();
    run(&builder.build().unwrap(), &engine).ok().unwrap();
    wait_until(|| left.load(Ordering::SeqCst) == 0);
}

/// The last reference to the graph is a run's, so a worker drops it; what panics there hurts nobody.
#[test]
fn a_function_whose_drop_panics_leaves_the_pool_as_it_is() {
    struct Panics(Arc<AtomicUsize>);
    impl Drop for Panics {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
            panic!("on purpose");
        }
    }
    let (pool, dropped) = (pool(), Arc::new(AtomicUsize::new(0)));
    for round in 1..=20 {
        let mut builder = Builder::new();
        let panics = Panics(dropped.clone());
        let first = builder.cpu("first", plain(), (), move |()| Ok(Arc::strong_count(&panics.0))).unwrap();
        builder
            .cpu("last", plain(), first, |_| {
                std::thread::sleep(Duration::from_millis(1));
                Ok(())
            })
            .unwrap();
        let graph = builder.build().unwrap();
        drop(graph.run(&Engine::new(&pool), Inputs::new(), &RunOptions::default()).unwrap());
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(graph)));
        wait_until(|| dropped.load(Ordering::SeqCst) == round);
    }
    pool.shutdown(crate::ShutdownMode::Drain, LONG).unwrap();
}
