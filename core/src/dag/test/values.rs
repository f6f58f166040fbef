//! Results: who is given them, and when they are gone.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::*;

/// Counts how many of it were made and not dropped.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn results_go_from_node_to_node_and_out() {
    let pool = pool();
    let mut builder = Builder::new();
    let left = builder.input::<u32>("left").unwrap();
    let right = builder.input::<u32>("right").unwrap();
    let sum = builder.cpu("sum", plain(), (left, right), |(left, right)| Ok(*left + *right)).unwrap();
    let many: Vec<_> = (0..100_u32)
        .map(|by| builder.cpu(&format!("x{by}"), plain(), sum, move |sum| Ok(*sum * by)).unwrap())
        .collect();
    builder.cpu("total", plain(), many, |many| Ok(many.iter().map(|each| **each).sum::<u32>())).unwrap();
    let graph = builder.build().unwrap();
    let engine = Engine::new(&pool);
    for left in 0..100 {
        let inputs = Inputs::new().with("left", left).with("right", 1_u32);
        let outcome = run_with(&graph, &engine, inputs, &RunOptions::default()).ok().unwrap();
        assert_eq!(outcome.take::<u32>("total"), Ok((left + 1) * 4950));
        assert_eq!(outcome.take::<u32>("total"), Err(Error::Stale("node's result")));
        assert!(matches!(outcome.take::<u32>("sum"), Err(Error::Invalid(text)) if text.contains("not kept")));
        assert!(matches!(outcome.take::<u32>("nobody"), Err(Error::Invalid(_))));
    }
}

#[test]
fn a_result_is_moved_to_its_only_reader_and_shared_by_several() {
    let pool = pool();
    let (count, mut builder) = (Arc::new(AtomicUsize::new(0)), Builder::new());
    let made = count.clone();
    let first = builder.cpu("first", plain(), (), move |()| Ok(Counted::new(&made))).unwrap();
    let moved = builder
        .cpu("moved", plain(), first, |first| first.try_take().map_err(|_| Failure::text("somebody else has it")))
        .unwrap();
    let seen = count.clone();
    let readers: Vec<_> = (0..8)
        .map(|reader| {
            let seen = seen.clone();
            let look = move |_: Arg<Counted>| Ok(seen.load(Ordering::SeqCst));
            builder.cpu(&format!("reader{reader}"), plain(), moved, look).unwrap()
        })
        .collect();
    builder.cpu("end", plain(), readers, move |all| Ok((all.len(), seen.load(Ordering::SeqCst)))).unwrap();
    let graph = builder.build().unwrap();
    for _ in 0..100 {
        let outcome = run(&graph, &Engine::new(&pool)).ok().unwrap();
        assert_eq!(outcome.take::<(usize, usize)>("end"), Ok((8, 0)), "gone after its last reader");
    }
}

#[test]
fn a_kept_result_is_the_outcomes_too_and_goes_with_it() {
    let pool = pool();
    let (count, mut builder) = (Arc::new(AtomicUsize::new(0)), Builder::new());
    let made = count.clone();
    let keep = NodeOptions { keep: true, ..plain() };
    let first = builder.cpu("first", keep, (), move |()| Ok(Counted::new(&made))).unwrap();
    let made = count.clone();
    builder.cpu("second", plain(), first, move |_| Ok(Counted::new(&made))).unwrap();
    let graph = builder.build().unwrap();
    for take in [false, true] {
        let outcome = run(&graph, &Engine::new(&pool)).ok().unwrap();
        assert_eq!(count.load(Ordering::SeqCst), 2);
        if take {
            drop(outcome.share::<Counted>("first").unwrap());
            assert_eq!(count.load(Ordering::SeqCst), 1);
        }
        drop(outcome);
        // The worker may still be on its way out of the run.
        while count.load(Ordering::SeqCst) > 0 {
            std::thread::yield_now();
        }
    }
}

#[test]
fn a_result_of_another_type_is_a_failure_with_the_node_in_it() {
    let pool = pool();
    let mut builder = Builder::new();
    builder.input::<u32>("number").unwrap();
    let read = |call: &mut Call<'_>| call.arg::<String>().map(|text| Value::new(text.len()));
    builder.add("length", plain(), vec!["number".into()], Function::Cpu(Arc::new(read))).unwrap();
    let graph = builder.build().unwrap();
    let outcome = run_with(&graph, &Engine::new(&pool), Inputs::new().with("number", 1_u32), &RunOptions::default());
    let error = outcome.result().unwrap_err().to_string();
    assert!(error.contains("node \"length\"") && error.contains("String"), "{error}");
}

#[test]
fn an_inserted_graph_has_its_inputs_from_the_outer_one() {
    let pool = pool();
    let mut inner = Builder::new();
    let number = inner.input::<u32>("number").unwrap();
    let double = inner.cpu("double", plain(), number, |number| Ok(*number * 2)).unwrap();
    inner.cpu("after", plain(), (), |()| Ok(())).unwrap();
    inner.after("after", double);
    let inner = inner.build().unwrap();
    let mut outer = Builder::new();
    let one = outer.cpu("one", plain(), (), |()| Ok(1_u32)).unwrap();
    outer.insert("a", &inner, [("number", one)]).unwrap();
    outer.insert("b", &inner, [("number", "a/double")]).unwrap();
    let before = outer.len();
    for (inputs, told) in [(vec![], "\"number\" is not given"), (vec![("number", one), ("x", one)], "no input \"x\"")] {
        let error = outer.insert("c", &inner, inputs).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
    assert!(matches!(outer.insert("a", &inner, [("number", one)]), Err(Error::Exists(_))));
    assert_eq!(outer.len(), before, "nothing was added");
    let graph = outer.build().unwrap();
    let outcome = run(&graph, &Engine::new(&pool)).ok().unwrap();
    assert_eq!(outcome.take::<u32>("b/double"), Ok(4));
    assert_eq!(outcome.state("b/after"), Ok(NodeState::Done));
}
