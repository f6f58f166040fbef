//! Nodes that fail, are skipped, are tried again, or take too long.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
    mpsc,
};

use super::*;

#[derive(Debug, thiserror::Error)]
#[error("own error {0}")]
struct Own(u32);

/// `bad` and what depends on it, and beside it `good` and `better`.
fn with_failure(bad: impl Fn() -> Result<(), Failure> + Send + Sync + 'static) -> Graph {
    let mut builder = Builder::new();
    let first = builder.cpu("bad", plain(), (), move |()| bad()).unwrap();
    let second = builder.cpu("worse", plain(), first, |_| Ok(1)).unwrap();
    builder.cpu("worst", plain(), second, |_| Ok(2)).unwrap();
    let good = builder.cpu("good", plain(), (), |()| Ok(3)).unwrap();
    builder.cpu("better", plain(), good, |good| Ok(*good + 1)).unwrap();
    builder.build().unwrap()
}

#[test]
fn a_failure_cancels_what_depends_on_it_and_the_rest_runs() {
    let pool = pool();
    for _ in 0..100 {
        let outcome = run(&with_failure(|| Err(Own(7).into())), &Engine::new(&pool));
        assert_eq!(outcome.result(), Err(Error::Failed("node \"bad\": own error 7".into())));
        let states = ["bad", "worse", "worst", "good", "better"].map(|name| outcome.state(name).unwrap());
        use NodeState::{Cancelled, Done, Failed};
        assert_eq!(states, [Failed, Cancelled, Cancelled, Done, Done]);
        assert_eq!(outcome.take::<i32>("better"), Ok(4));
        assert_eq!(outcome.take::<i32>("worst"), Err(Error::Cancelled("node")));
        assert_eq!(outcome.value("bad").unwrap_err(), outcome.result().unwrap_err());
        assert_eq!(outcome.failure("bad").unwrap().cause().get::<Own>().unwrap().0, 7);
        assert_eq!(outcome.failures().len(), 1);
    }
}

#[test]
fn a_panic_is_the_nodes_failure() {
    let pool = pool();
    let outcome = run(&with_failure(|| panic!("on purpose")), &Engine::new(&pool));
    assert_eq!(outcome.result(), Err(Error::Panic("node \"bad\": on purpose".into())));
}

#[test]
fn a_run_that_fails_fast_ends_with_the_failure() {
    let pool = pool();
    let (tell, told) = mpsc::channel::<()>();
    let told = Mutex::new(told);
    let mut builder = Builder::new();
    builder.cpu("slow", plain(), (), move |()| Ok(told.lock().unwrap().recv().is_ok())).unwrap();
    builder.cpu("bad", plain(), (), |()| Err::<(), _>(Failure::text("no"))).unwrap();
    let options = RunOptions { on_failure: OnFailure::FailFast, ..RunOptions::default() };
    let outcome = run_with(&builder.build().unwrap(), &Engine::new(&pool), Inputs::new(), &options);
    assert_eq!(outcome.result(), Err(Error::Failed("node \"bad\": no".into())));
    assert_ne!(outcome.state("slow"), Ok(NodeState::Done), "it was not waited for");
    drop(tell);
}

#[test]
fn what_depends_on_a_skipped_node_is_skipped_unless_it_says_otherwise() {
    let pool = pool();
    let mut builder = Builder::new();
    let skipped = builder.cpu("skipped", plain(), (), |()| Err::<u32, _>(Failure::skip())).unwrap();
    let next = builder.cpu("next", plain(), skipped, |_| Ok(1_u32)).unwrap();
    let there = builder.cpu("there", plain(), (), |()| Ok(5_u32)).unwrap();
    let all_the_same = || NodeOptions { even_if_skipped: true, ..plain() };
    builder
        .cpu("runs", all_the_same(), (Optional(next), Optional(there)), |(next, there)| {
            Ok((next.is_some(), *there.unwrap()))
        })
        .unwrap();
    builder.cpu("wants", all_the_same(), next, |_| Ok(())).unwrap();
    builder.cpu("bare", plain(), (), |()| Ok(())).unwrap();
    builder.after("bare", "next");
    let outcome = run(&builder.build().unwrap(), &Engine::new(&pool));
    let states = ["skipped", "next", "there", "runs", "wants", "bare"].map(|name| outcome.state(name).unwrap());
    use NodeState::{Done, Failed, Skipped};
    assert_eq!(states, [Skipped, Skipped, Done, Done, Failed, Skipped]);
    assert_eq!(outcome.take::<(bool, u32)>("runs"), Ok((false, 5)));
    assert_eq!(outcome.result(), Err(Error::Failed("node \"wants\": a node whose result it reads was skipped".into())));
}

#[test]
fn a_predicate_decides_by_what_the_node_reads() {
    let pool = pool();
    let mut builder = Builder::new();
    let number = builder.input::<u32>("number").unwrap();
    let even: Predicate = Arc::new(|call| call.peek(0).is_some_and(|number| number.get::<u32>().unwrap() % 2 == 0));
    let options = NodeOptions { only_if: Some(even), ..plain() };
    builder.cpu("half", options, number, |number| Ok(*number / 2)).unwrap();
    let bad: Predicate = Arc::new(|_| panic!("undecided"));
    builder.cpu("bad", NodeOptions { only_if: Some(bad), ..plain() }, number, |_| Ok(())).unwrap();
    let graph = builder.build().unwrap();
    for number in 0..10_u32 {
        let inputs = Inputs::new().with("number", number);
        let outcome = run_with(&graph, &Engine::new(&pool), inputs, &RunOptions::default());
        let expected = if number % 2 == 0 { NodeState::Done } else { NodeState::Skipped };
        assert_eq!(outcome.state("half"), Ok(expected));
        assert_eq!(outcome.result(), Err(Error::Panic("node \"bad\": undecided".into())));
    }
}

#[test]
fn a_node_is_tried_again_with_what_it_reads() {
    let runtime = runtime();
    for (backoff, io) in [(Duration::ZERO, false), (Duration::from_millis(1), false), (Duration::from_millis(1), true)]
    {
        let attempts = Arc::new(AtomicUsize::new(0));
        let counted = attempts.clone();
        let mut builder = Builder::new();
        let text = builder.input::<String>("text").unwrap();
        let options = NodeOptions { retries: 3, backoff, ..plain() };
        let attempt = move |text: Arg<String>| match counted.fetch_add(1, Ordering::SeqCst) {
            2 => Ok(text.take()),
            _ => Err(Failure::text("not yet")),
        };
        if io {
            builder.io("node", options, text, move |text| std::future::ready(attempt(text))).unwrap();
        } else {
            builder.cpu("node", options, text, attempt).unwrap();
        }
        let graph = builder.build().unwrap();
        for (goes_well, count) in [(true, 3), (false, 4)] {
            attempts.store(if goes_well { 0 } else { 3 }, Ordering::SeqCst);
            let before = attempts.load(Ordering::SeqCst);
            let inputs = Inputs::new().with("text", String::from("given"));
            let outcome = run_with(&graph, &(&runtime).into(), inputs, &RunOptions::default());
            let expected =
                if goes_well { Ok("given".into()) } else { Err(Error::Failed("node \"node\": not yet".into())) };
            assert_eq!(outcome.take::<String>("node"), expected);
            assert_eq!(attempts.load(Ordering::SeqCst) - before, count);
        }
    }
}

#[test]
fn a_node_that_takes_too_long_has_failed_and_its_result_is_dropped() {
    let runtime = runtime();
    let engine = Engine::from(&runtime);
    let (tell, told) = mpsc::channel::<()>();
    let (told, dropped) = (Mutex::new(told), Arc::new(()));
    let held = dropped.clone();
    let options = || NodeOptions { timeout: Some(Duration::from_millis(20)), ..plain() };
    let mut builder = Builder::new();
    let cpu = builder
        .cpu("cpu", options(), (), move |()| {
            let _ = told.lock().unwrap().recv();
            Ok(held.clone())
        })
        .unwrap();
    builder.cpu("after", plain(), cpu, |_| Ok(())).unwrap();
    builder.io("io", options(), (), |()| std::future::pending::<Result<(), Failure>>()).unwrap();
    let completers = Arc::new(Mutex::new(Vec::new()));
    let keep = completers.clone();
    builder
        .callback::<_, (), _>("callback", options(), (), move |(), completer| keep.lock().unwrap().push(completer))
        .unwrap();
    builder.cpu("in time", NodeOptions { timeout: LONG, ..plain() }, (), |()| Ok(1)).unwrap();
    let outcome = run(&builder.build().unwrap(), &engine);
    for name in ["cpu", "io", "callback"] {
        let error = outcome.value(name).unwrap_err();
        assert_eq!(error, Error::Timeout(format!("node {name:?}: it has not ended within 20ms")));
    }
    assert_eq!(outcome.state("after"), Ok(NodeState::Cancelled));
    assert_eq!(outcome.take::<i32>("in time"), Ok(1));
    assert_eq!(outcome.failures().len(), 3);
    let completer = completers.lock().unwrap().pop().unwrap();
    assert!(completer.is_ended() && !completer.complete(Ok(Value::UNIT)));
    tell.send(()).unwrap();
    drop((outcome, runtime));
    // That of the graph is gone with it: the function, and what it returned too late.
    assert_eq!(Arc::strong_count(&dropped), 1);
}
