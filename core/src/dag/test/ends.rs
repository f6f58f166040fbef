//! How runs end: once, whatever happens.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
    mpsc,
};

use super::*;
use crate::{ShutdownMode, cpu};

/// `count` nodes in a row.
fn chain(count: usize, ran: &Arc<AtomicUsize>) -> Graph {
    let mut builder = Builder::with_capacity(count).unwrap();
    let mut before: Option<Node<()>> = None;
    for node in 0..count {
        let ran = ran.clone();
        let next = builder.cpu(&node.to_string(), plain(), (), move |()| {
            ran.fetch_add(1, Ordering::Relaxed);
            Ok(())
        });
        let next = next.unwrap();
        if let Some(before) = before.replace(next) {
            builder.after(next, before);
        }
    }
    builder.build().unwrap()
}

/// A node from which `count` others come, and one that waits for all.
fn wide(count: usize, ran: &Arc<AtomicUsize>) -> Graph {
    let mut builder = Builder::new();
    let first = builder.cpu("first", plain(), (), |()| Ok(())).unwrap();
    builder.cpu("last", plain(), (), |()| Ok(())).unwrap();
    for node in 0..count {
        let ran = ran.clone();
        let middle = builder.cpu(&node.to_string(), plain(), (), move |()| {
            ran.fetch_add(1, Ordering::Relaxed);
            Ok(())
        });
        let middle = middle.unwrap();
        builder.after(middle, first).after("last", middle);
    }
    builder.build().unwrap()
}

#[test]
fn a_chain_of_a_million_nodes_runs_to_its_end() {
    let (pool, ran) = (pool(), Arc::default());
    let graph = chain(1_000_000, &ran);
    for round in 1..=2 {
        run(&graph, &Engine::new(&pool)).ok().unwrap();
        assert_eq!(ran.load(Ordering::Relaxed), round * 1_000_000);
    }
}

#[test]
fn a_hundred_thousand_nodes_beside_each_other_run_to_their_end() {
    let (pool, ran) = (pool(), Arc::default());
    let graph = wide(100_000, &ran);
    for round in 1..=2 {
        run(&graph, &Engine::new(&pool)).ok().unwrap();
        assert_eq!(ran.load(Ordering::Relaxed), round * 100_000);
    }
}

#[test]
fn an_empty_graph_ends() {
    let (pool, graph) = (pool(), Builder::new().build().unwrap());
    run(&graph, &Engine::new(&pool)).ok().unwrap();
    assert!(graph.is_empty());
}

#[test]
fn a_node_cancels_its_own_run() {
    let pool = pool();
    let mut builder = Builder::new();
    let ran = Arc::new(AtomicUsize::new(0));
    let cancel = |call: &mut Call<'_>| {
        assert!(call.control().cancel() && !call.control().cancel());
        Ok(Value::UNIT)
    };
    builder.add("cancels", plain(), vec![], Function::Cpu(Arc::new(cancel))).unwrap();
    let counted = ran.clone();
    builder
        .cpu("never", NodeOptions { after: vec!["cancels".into()], ..plain() }, (), move |()| {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(())
        })
        .unwrap();
    let graph = builder.build().unwrap();
    for _ in 0..100 {
        let outcome = run(&graph, &Engine::new(&pool));
        assert_eq!(outcome.result(), Err(Error::Cancelled("run")));
        assert_eq!(outcome.state("never"), Ok(NodeState::Cancelled));
    }
    assert_eq!(ran.load(Ordering::SeqCst), 0);
}

#[test]
fn a_run_ends_at_its_deadline_though_a_node_never_does() {
    // On a busy machine the node may not have begun by then: next time there is more time.
    for timeout in [30, 1000, 30_000].map(Duration::from_millis) {
        let runtime = runtime();
        let (tell, told) = mpsc::channel::<()>();
        let told = Mutex::new(told);
        let mut builder = Builder::new();
        let cpu = builder.cpu("cpu", plain(), (), move |()| Ok(told.lock().unwrap().recv().is_ok())).unwrap();
        builder.io("io", plain(), (), |()| std::future::pending::<Result<(), Failure>>()).unwrap();
        builder.cpu("after", plain(), cpu, |_| Ok(())).unwrap();
        let options = RunOptions { timeout: Some(timeout), ..RunOptions::default() };
        let outcome = run_with(&builder.build().unwrap(), &(&runtime).into(), Inputs::new(), &options);
        assert_eq!(outcome.result(), Err(Error::Timeout(format!("the run has not ended within {timeout:?}"))));
        let has_begun = outcome.state("cpu") == Ok(NodeState::Running);
        drop(tell);
        drop(runtime);
        assert_eq!(outcome.state("cpu"), Ok(NodeState::Cancelled));
        assert_eq!(outcome.state("after"), Ok(NodeState::Cancelled));
        if has_begun {
            return;
        }
    }
    panic!("the node has never begun in time");
}

#[test]
fn a_run_cannot_be_waited_for_where_that_would_never_end() {
    let pool = Pool::new(PoolOptions { workers: Some(1), ..PoolOptions::default() }).unwrap();
    let place: Arc<Mutex<Option<Run>>> = Arc::default();
    let (own, mut builder) = (place.clone(), Builder::new());
    builder
        .cpu("joins", plain(), (), move |()| {
            while own.lock().unwrap().is_none() {
                std::thread::yield_now();
            }
            let joined = own.lock().unwrap().as_mut().unwrap().join(None);
            Ok(joined.unwrap_err())
        })
        .unwrap();
    let engine = Engine::new(&pool);
    let run = builder.build().unwrap().run(&engine, Inputs::new(), &RunOptions::default()).unwrap();
    let outcome = Arc::new(Mutex::new(None));
    let (tell, told) = mpsc::channel();
    run.then(move |outcome| tell.send(outcome).unwrap()).unwrap();
    assert!(matches!(run.then(|_| ()), Err(refused) if matches!(refused.error, Error::Exists(_))) || run.is_ended());
    *place.lock().unwrap() = Some(run);
    *outcome.lock().unwrap() = Some(told.recv_timeout(LONG.unwrap()).unwrap());
    let error = outcome.lock().unwrap().take().unwrap().take::<Error>("joins").unwrap();
    assert_eq!(error, Error::WouldDeadlock("a node cannot wait for its own run"));
    // The run has the graph, whose function has the place.
    place.lock().unwrap().take();
}

#[test]
fn a_run_in_a_pool_that_is_freed_ends_once() {
    let graphs = [chain(20_000, &Arc::default()), wide(20_000, &Arc::default())];
    for round in 0..20 {
        let (pool, graph) = (pool(), &graphs[round as usize % 2]);
        let ends = Arc::new(AtomicUsize::new(0));
        let runs: Vec<Run> = (0..4)
            .map(|_| {
                let run = graph.run(&Engine::new(&pool), Inputs::new(), &RunOptions::default()).unwrap();
                let ends = ends.clone();
                run.then(move |_| _ = ends.fetch_add(1, Ordering::SeqCst)).unwrap();
                run
            })
            .collect();
        std::thread::sleep(Duration::from_micros(round * 20));
        drop(pool);
        for run in &runs {
            let result = run.join(LONG).unwrap().result();
            assert!(matches!(result, Ok(()) | Err(Error::Closed("pool"))), "{result:?}");
        }
        assert_eq!(ends.load(Ordering::SeqCst), 4);
    }
}

#[test]
fn a_pool_that_drains_runs_its_runs_to_their_ends() {
    let (pool, ran) = (pool(), Arc::default());
    let graph = chain(100_000, &ran);
    let run = graph.run(&Engine::new(&pool), Inputs::new(), &RunOptions::default()).unwrap();
    pool.shutdown(ShutdownMode::Drain, LONG).unwrap();
    run.join(LONG).unwrap().ok().unwrap();
    assert_eq!(ran.load(Ordering::Relaxed), 100_000);
}

/// One worker, and one run that has begun: another one is to end before that does.
#[test]
fn a_long_run_does_not_starve_another() {
    let pool = Pool::new(PoolOptions { workers: Some(1), ..PoolOptions::default() }).unwrap();
    let engine = Engine::new(&pool);
    let (tell, told) = mpsc::channel::<()>();
    let (told, short_ended) = (Mutex::new(told), Arc::new(AtomicBool::new(false)));
    let (mut builder, seen) = (Builder::new(), short_ended.clone());
    // Until the other run waits behind it.
    builder.cpu("0", plain(), (), move |()| Ok(told.lock().unwrap().recv()?)).unwrap();
    for node in 1..10_000 {
        builder.cpu(&node.to_string(), plain(), (), |()| Ok(())).unwrap();
        builder.after(node.to_string(), (node - 1).to_string());
    }
    let last = NodeOptions { after: vec!["9999".into()], ..plain() };
    builder.cpu("last", last, (), move |()| Ok(seen.load(Ordering::SeqCst))).unwrap();
    let long = builder.build().unwrap().run(&engine, Inputs::new(), &RunOptions::default()).unwrap();
    let short = chain(10, &Arc::default()).run(&engine, Inputs::new(), &RunOptions::default()).unwrap();
    short.then(move |_| short_ended.store(true, Ordering::SeqCst)).unwrap();
    tell.send(()).unwrap();
    assert_eq!(long.join(LONG).unwrap().take::<bool>("last"), Ok(true));
    short.join(LONG).unwrap().ok().unwrap();
}

#[test]
fn nodes_run_where_they_are_to() {
    let pool = pool();
    let mut builder = Builder::new();
    let mut before = None;
    for (place, cpu) in pool.worker_cpus().into_iter().flatten().enumerate() {
        let cpus = Some(crate::CpuSet::new([cpu]).unwrap());
        let options = NodeOptions { cpus, after: before.into_iter().collect(), ..plain() };
        builder
            .cpu(&format!("n{place}"), options, (), move |()| Ok(cpu::current().is_none_or(|on| on == cpu)))
            .unwrap();
        before = Some(format!("n{place}"));
    }
    let graph = builder.build().unwrap();
    for _ in 0..20 {
        let outcome = run(&graph, &Engine::new(&pool));
        outcome.result().unwrap();
        assert_eq!(outcome.take::<bool>(&before.clone().unwrap()), Ok(true));
    }
}
