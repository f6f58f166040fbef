//! What a run tells of its nodes' times.

use serde_json::Value as Json;

use super::*;

/// One of each kind, one that fails and one that is cancelled for it; a name needs quoting.
fn graph() -> Graph {
    let mut builder = Builder::new();
    let first = builder.cpu("first \"one\"", plain(), (), |()| Ok(1)).unwrap();
    builder.io("waits", plain(), first, |_| async { Ok(()) }).unwrap();
    let bad = builder.cpu("bad", plain(), (), |()| Err::<(), _>(Failure::text("no"))).unwrap();
    builder.cpu("never", plain(), (), |()| Ok(())).unwrap();
    builder.after("never", bad);
    builder.build().unwrap()
}

fn traced(graph: &Graph, runtime: &Runtime) -> Outcome {
    let options = RunOptions { trace: true, ..RunOptions::default() };
    run_with(graph, &runtime.into(), Inputs::new(), &options)
}

#[test]
fn a_traced_run_knows_when_each_node_ran() {
    let (runtime, graph) = (runtime(), graph());
    assert!(run(&graph, &(&runtime).into()).trace().is_none(), "only if asked");
    let trace = traced(&graph, &runtime).trace().unwrap();
    let names: Vec<&str> = trace.nodes.iter().map(|node| &*node.name).collect();
    assert_eq!(names, ["first \"one\"", "waits", "bad"]);
    assert_eq!(trace.nodes.iter().map(|node| node.waits).collect::<Vec<_>>(), [false, true, false]);
    assert!(trace.nodes.iter().all(|node| node.ready <= node.began && node.began <= node.ended && node.thread > 0));
    assert!(trace.nodes[1].ready >= trace.nodes[0].ended);
}

#[test]
fn the_chrome_trace_is_json_with_an_event_for_each_node() {
    let (runtime, graph) = (runtime(), graph());
    let json: Json = serde_json::from_str(&traced(&graph, &runtime).trace().unwrap().chrome_json()).unwrap();
    let events = json["traceEvents"].as_array().unwrap();
    let phases: Vec<(&str, &str)> =
        events.iter().map(|event| (event["name"].as_str().unwrap(), event["ph"].as_str().unwrap())).collect();
    assert_eq!(phases, [("first \"one\"", "X"), ("waits", "b"), ("waits", "e"), ("bad", "X")]);
    assert!(events.iter().all(|event| event["ts"].is_number() && event["args"]["waited_us"].is_number()));
    assert_eq!(events[3]["args"]["state"], "Failed");
}

#[test]
fn the_picture_has_nodes_edges_and_times() {
    let (runtime, graph) = (runtime(), graph());
    let plain = graph.dot();
    assert!(plain.contains("n0 [label=\"first \\\"one\\\"\", shape=box") && plain.contains("shape=ellipse"));
    assert!(plain.contains("n0 -> n1;") && plain.contains("n2 -> n3 [style=dashed];"), "{plain}");
    let timed = traced(&graph, &runtime).trace().unwrap().dot();
    assert!(
        timed.contains("us, waited") && timed.contains("lightcoral") && timed.contains("label=\"never\""),
        "{timed}"
    );
    assert_eq!(plain.lines().count(), timed.lines().count());
}

#[test]
fn statistics_are_kept_over_traced_runs() {
    let (runtime, graph) = (runtime(), graph());
    for _ in 0..5 {
        traced(&graph, &runtime);
        run(&graph, &(&runtime).into());
    }
    let stats = graph.stats();
    let counts: Vec<(u64, u64)> = stats.iter().map(|node| (node.count, node.failures)).collect();
    assert_eq!(counts, [(5, 0), (5, 0), (5, 5), (0, 0)]);
    for node in &stats[..3] {
        assert!(node.ran.min <= node.ran.mean() && node.ran.mean() <= node.ran.max && node.ran.max > Duration::ZERO);
        assert!(node.waited.total >= node.waited.max);
    }
    assert_eq!(stats[3].ran, Spread::default());
}
