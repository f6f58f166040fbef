//! Nodes that wait on the loop.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use super::*;
use crate::task::{self, sleep};

#[test]
fn ten_thousand_calls_wait_at_once_on_one_thread() {
    let runtime = runtime();
    let event_loop = runtime.event_loop().handle();
    let (most, now) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut builder = Builder::new();
    let first = builder.cpu("first", plain(), (), |()| Ok(7_usize)).unwrap();
    let calls: Vec<_> = (0..10_000)
        .map(|call| {
            let (event_loop, most, now) = (event_loop.clone(), most.clone(), now.clone());
            builder
                .io(&format!("call{call}"), plain(), first, move |first| {
                    let (event_loop, most, now) = (event_loop.clone(), most.clone(), now.clone());
                    async move {
                        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        sleep(&event_loop, Duration::from_millis(200)).await?;
                        now.fetch_sub(1, Ordering::SeqCst);
                        Ok(*first + call)
                    }
                })
                .unwrap()
        })
        .collect();
    builder.cpu("sum", plain(), calls, |calls| Ok(calls.iter().map(|call| **call).sum::<usize>())).unwrap();
    let graph = builder.build().unwrap();
    let outcome = run(&graph, &(&runtime).into()).ok().unwrap();
    assert_eq!(outcome.take::<usize>("sum"), Ok(7 * 10_000 + 49_995_000));
    assert!(most.load(Ordering::SeqCst) > 1, "they wait beside each other");
}

#[test]
fn a_callback_node_is_completed_by_any_thread() {
    let runtime = runtime();
    let (tell, told) = mpsc::channel::<(u32, Completer)>();
    let tell = std::sync::Mutex::new(tell);
    let mut builder = Builder::new();
    let number = builder.input::<u32>("number").unwrap();
    let called = builder
        .callback::<_, u32, _>("called", plain(), number, move |number, completer| {
            tell.lock().unwrap().send((*number, completer)).unwrap();
        })
        .unwrap();
    builder.cpu("next", plain(), called, |called| Ok(*called + 1)).unwrap();
    let graph = builder.build().unwrap();
    let completing = thread::spawn(move || {
        for (number, completer) in told {
            match number % 3 {
                0 => assert!(completer.complete(Ok(Value::new(number)))),
                1 => drop(completer),
                _ => assert!(completer.complete(Err(Failure::text("no")))),
            }
        }
    });
    for number in 0..30_u32 {
        let inputs = Inputs::new().with("number", number);
        let outcome = run_with(&graph, &(&runtime).into(), inputs, &RunOptions::default());
        let expected = match number % 3 {
            0 => Ok(number + 1),
            _ => Err(Error::Cancelled("node")),
        };
        assert_eq!(outcome.take::<u32>("next"), expected);
        if number % 3 == 1 {
            assert!(outcome.result().unwrap_err().to_string().contains("its completer was dropped"));
        }
    }
    drop(graph);
    completing.join().unwrap();
}

#[test]
fn a_run_is_awaited_and_cancelled() {
    let runtime = runtime();
    let mut builder = Builder::new();
    let (held, dropped) = (Arc::new(()), Arc::new(()));
    let inside = dropped.clone();
    builder
        .io("waits", plain(), (), move |()| {
            let inside = inside.clone();
            async move {
                std::future::pending::<()>().await;
                Ok(inside)
            }
        })
        .unwrap();
    let graph = builder.build().unwrap();
    drop(held);
    for _ in 0..20 {
        let run = graph.run(&(&runtime).into(), Inputs::new(), &RunOptions::default()).unwrap();
        let control = run.control();
        let mut awaits = runtime.pool().spawn(run).unwrap();
        assert!(control.cancel() && control.is_ended());
        let outcome = awaits.join(LONG).unwrap().unwrap();
        assert_eq!(outcome.result(), Err(Error::Cancelled("run")));
    }
    drop(graph);
    while Arc::strong_count(&dropped) > 1 {
        thread::yield_now();
    }
}

#[test]
fn runs_end_with_their_runtime() {
    for stop in [false, true] {
        for kind in 0..3 {
            let runtime = runtime();
            let mut builder = Builder::new();
            let first = builder.cpu("first", plain(), (), |()| Ok(())).unwrap();
            let (keep, kept) = mpsc::channel();
            let keep = std::sync::Mutex::new(keep);
            let event_loop = runtime.event_loop().handle();
            match kind {
                0 => builder.io("waits", plain(), first, |_| std::future::pending::<Result<(), Failure>>()),
                1 => builder.io("waits", plain(), first, move |_| {
                    let event_loop = event_loop.clone();
                    async move { Ok(sleep(&event_loop, LONG.unwrap()).await?) }
                }),
                _ => builder
                    .callback("waits", plain(), first, move |_, completer| drop(keep.lock().unwrap().send(completer))),
            }
            .unwrap();
            builder.after("last", "waits");
            builder.cpu("last", plain(), (), |()| Ok(())).unwrap();
            let graph = builder.build().unwrap();
            let ends = Arc::new(AtomicUsize::new(0));
            let runs: Vec<Run> = (0..20)
                .map(|_| {
                    let run = graph.run(&(&runtime).into(), Inputs::new(), &RunOptions::default()).unwrap();
                    let ends = ends.clone();
                    run.then(move |_| _ = ends.fetch_add(1, Ordering::SeqCst)).unwrap();
                    run
                })
                .collect();
            if stop {
                runtime.stop(LONG).unwrap();
            }
            drop(runtime);
            for run in &runs {
                let result = run.join(LONG).unwrap().result();
                assert!(matches!(result, Err(Error::Closed(_))), "{result:?}");
            }
            assert_eq!(ends.load(Ordering::SeqCst), 20);
            assert!(kept.try_iter().all(|completer| !completer.complete(Ok(Value::UNIT))));
        }
    }
}

#[test]
fn a_loops_own_callback_does_not_wait_for_what_needs_the_loop() {
    let runtime = runtime();
    let mut builder = Builder::new();
    builder.io("waits", plain(), (), |()| std::future::pending::<Result<(), Failure>>()).unwrap();
    let graph = builder.build().unwrap();
    let run = graph.run(&(&runtime).into(), Inputs::new(), &RunOptions::default()).unwrap();
    let (tell, told) = mpsc::channel();
    runtime.event_loop().post(move || tell.send((run.join(LONG).unwrap_err(), run)).unwrap()).unwrap();
    let (error, run) = told.recv_timeout(LONG.unwrap()).unwrap();
    assert!(matches!(error, Error::WouldDeadlock(_)), "{error:?}");
    assert!(run.cancel());
}

#[test]
fn an_io_node_may_move_to_the_pool_and_back() {
    let runtime = runtime();
    let (workers, event_loop) = (runtime.pool().handle(), runtime.event_loop().handle());
    let mut builder = Builder::new();
    builder
        .io("moves", plain(), (), move |()| {
            let (workers, event_loop) = (workers.clone(), event_loop.clone());
            async move {
                task::suspend_on(&workers, &crate::SubmitOptions::default()).await?;
                let in_pool = workers.is_worker_thread();
                task::on_loop(&event_loop).await?;
                Ok((in_pool, event_loop.is_loop_thread()))
            }
        })
        .unwrap();
    let outcome = run(&builder.build().unwrap(), &(&runtime).into()).ok().unwrap();
    assert_eq!(outcome.take::<(bool, bool)>("moves"), Ok((true, true)));
}
