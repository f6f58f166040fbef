//! What is refused when a graph is built or a run is to start.

use super::*;
use crate::{CpuSet, priority::Priority};

fn nothing(builder: &mut Builder, name: &str) -> Node<()> {
    builder.cpu(name, plain(), (), |()| Ok(())).unwrap()
}

fn refusal(builder: Builder) -> String {
    match builder.build() {
        Err(Error::Invalid(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_cycle_is_named() {
    let mut builder = Builder::new();
    for name in ["before", "a", "b", "c", "after"] {
        nothing(&mut builder, name);
    }
    builder.after("a", "before").after("b", "a").after("c", "b").after("a", "c").after("after", "c");
    assert_eq!(refusal(builder), "the graph has a cycle: a -> b -> c -> a");
    let mut builder = Builder::new();
    for node in 0..100 {
        nothing(&mut builder, &format!("n{node}"));
        builder.after(format!("n{node}"), format!("n{}", (node + 99) % 100));
    }
    let text = refusal(builder);
    assert!(
        text.starts_with("the graph has a cycle: n0 -> n1 -> ") && text.ends_with("n11 -> (88 more) -> n0"),
        "{text}"
    );
}

#[test]
fn a_node_that_depends_on_itself_is_named() {
    let mut builder = Builder::new();
    nothing(&mut builder, "a");
    builder.after("a", "a");
    assert_eq!(refusal(builder), "node \"a\" depends on itself: a -> a");
}

#[test]
fn an_unknown_node_is_named() {
    let mut builder = Builder::new();
    nothing(&mut builder, "a");
    builder.after("a", "b");
    assert_eq!(refusal(builder), "node \"a\" depends on \"b\", and there is no node of this name");
    let mut builder = Builder::new();
    nothing(&mut builder, "a");
    builder.after("c", "a");
    assert_eq!(refusal(builder), "an edge leads to \"c\", and there is no node of this name");
    let mut builder = Builder::new();
    let options = NodeOptions { after: vec!["x".into()], ..plain() };
    builder.cpu("a", options, (), |()| Ok(())).unwrap();
    assert_eq!(refusal(builder), "node \"a\" depends on \"x\", and there is no node of this name");
    let (mut one, mut other) = (Builder::new(), Builder::new());
    let foreign = nothing(&mut one, "a");
    other.cpu("b", plain(), foreign, |_| Ok(())).unwrap();
    assert_eq!(refusal(other), "node \"b\" depends on a node of another builder");
}

#[test]
fn a_name_that_is_there_twice_is_refused_and_leaves_the_first() {
    let mut builder = Builder::new();
    nothing(&mut builder, "a");
    let twice = builder.cpu("a", plain(), (), |()| Ok(1)).unwrap_err();
    assert_eq!(twice, Error::Exists("node \"a\": the graph has one of this name".into()));
    assert!(matches!(builder.input::<u8>(""), Err(Error::Invalid(_))));
    assert_eq!(builder.build().unwrap().len(), 1);
}

#[test]
fn an_edge_that_is_there_twice_is_refused() {
    for read in [false, true] {
        let mut builder = Builder::new();
        let a = nothing(&mut builder, "a");
        if read {
            builder.cpu("b", plain(), a, |_| Ok(())).unwrap();
            builder.after("b", a);
        } else {
            nothing(&mut builder, "b");
            builder.after("b", a).after("b", a);
        }
        assert_eq!(refusal(builder), "node \"b\" depends on \"a\" twice");
    }
}

#[test]
fn what_does_not_fit_is_refused_in_words() {
    let error = Builder::with_capacity(usize::MAX).unwrap_err();
    assert_eq!(error, Error::Invalid(format!("{} nodes: a graph has at most {MAX_NODES}", usize::MAX)));
    assert!(Builder::with_capacity(MAX_NODES + 1).is_err());
    assert!(Builder::with_capacity(10).unwrap().is_empty());
}

#[test]
fn options_that_mean_nothing_are_refused() {
    let mut builder = Builder::new();
    let cpus = Some(CpuSet::new([0]).unwrap());
    let waits = builder.io("io", NodeOptions { cpus, ..plain() }, (), |()| async { Ok(()) });
    assert!(matches!(waits, Err(Error::Invalid(text)) if text.contains("\"io\"") && text.contains("CPU set")));
    let input = builder.add("in", plain(), vec!["a".into()], Function::Input);
    assert!(matches!(input, Err(Error::Invalid(text)) if text.contains("\"in\" is an input")));
    builder.input::<u8>("in").unwrap();
    nothing(&mut builder, "a");
    builder.after("in", "a");
    assert!(refusal(builder).contains("\"in\" is an input"));
}

#[test]
fn a_run_that_cannot_start_gives_its_inputs_back() {
    let pool = pool();
    let mut builder = Builder::new();
    builder.input::<u8>("a").unwrap();
    builder.input::<u8>("b").unwrap();
    let graph = builder.build().unwrap();
    let engine = Engine::new(&pool);
    let both = || Inputs::new().with("a", 1_u8).with("b", 2_u8);
    for (inputs, told) in [
        (Inputs::new().with("a", 1_u8), "input \"b\" is not given"),
        (both().with("c", 1_u8), "input \"c\": the graph has none of this name"),
        (both().with("a", 1_u8), "input \"a\" is given twice"),
    ] {
        let count = inputs.0.len();
        let refused = graph.run(&engine, inputs, &RunOptions::default()).unwrap_err();
        assert_eq!((refused.error, refused.value.0.len()), (Error::Invalid(told.into()), count));
    }
    let late = RunOptions { timeout: LONG, ..RunOptions::default() };
    let refused = graph.run(&engine, both(), &late).unwrap_err();
    assert!(matches!(&refused.error, Error::Invalid(text) if text.contains("an event loop is needed")));
    pool.shutdown(crate::ShutdownMode::Drain, LONG).unwrap();
    let refused = graph.run(&engine, both(), &RunOptions::default()).unwrap_err();
    assert_eq!((refused.error, refused.value.0.len()), (Error::Closed("pool"), 2));
}

#[test]
fn a_cpu_set_without_a_worker_is_refused_at_the_start() {
    let pool = pool();
    let absent = (0..CpuSet::MAX).find(|cpu| !crate::cpu::usable().contains(*cpu)).unwrap();
    let mut builder = Builder::new();
    let options = NodeOptions { priority: Priority::High, cpus: Some(CpuSet::new([absent]).unwrap()), ..plain() };
    builder.cpu("a", options, (), |()| Ok(())).unwrap();
    let graph = builder.build().unwrap();
    let refused = graph.run(&Engine::new(&pool), Inputs::new(), &RunOptions::default()).unwrap_err();
    assert!(matches!(refused.error, Error::Affinity(text) if text.contains(&absent.to_string())));
}
