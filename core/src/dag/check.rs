//! From what was described to a graph: names are looked up, edges counted, and what is no graph is refused, by name.

#![forbid(unsafe_code)]

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{
    builder::{Builder, Dependency, Function, MAX_NODES, NodeOptions},
    graph::{Graph, Inner},
    links::Links,
};
use crate::{
    cpu::CpuSet,
    error::{Error, Result},
};

/// How many nodes of a cycle are named.
const NAMED: usize = 12;
const MAX_EDGES: usize = 1 << 30;

fn invalid<T>(text: String) -> Result<T> {
    Err(Error::Invalid(text))
}

/// Refuses a node for itself.
pub(super) fn node(name: &str, options: &NodeOptions, reads: &[Dependency], function: &Function) -> Result<()> {
    if name.is_empty() {
        return invalid("a node's name must not be empty".into());
    }
    let waits = !reads.is_empty() || !options.after.is_empty();
    if matches!(function, Function::Input) && (waits || options.only_if.is_some()) {
        return invalid(format!("node {name:?} is an input: it reads nothing, waits for nothing and is not skipped"));
    }
    if !matches!(function, Function::Cpu(_)) && options.cpus.is_some() {
        return invalid(format!("node {name:?} does not run in the pool: it takes no CPU set"));
    }
    if options.cpus.as_ref().is_some_and(CpuSet::is_empty) {
        return invalid(format!("node {name:?}: cpu set {{}} is empty: name a CPU, or give no set"));
    }
    Ok(())
}

/// Refuses a graph that cannot be inserted, before anything of it is.
pub(super) fn insert(
    builder: &Builder,
    prefix: &str,
    graph: &Graph,
    inputs: &HashMap<String, Dependency>,
) -> Result<()> {
    if prefix.is_empty() {
        return invalid("the prefix of an inserted graph must not be empty".into());
    }
    if builder.len() + graph.len() > MAX_NODES {
        return invalid(format!("graph {prefix:?}: {} nodes more make more than {MAX_NODES}", graph.len()));
    }
    for node in graph.described() {
        let name = format!("{prefix}/{}", node.name);
        match (&node.function, inputs.contains_key(&*node.name)) {
            (Function::Input, false) => {
                return invalid(format!("graph {prefix:?}: its input {:?} is not given", node.name));
            }
            (Function::Input, true) => {}
            (_, true) => return invalid(format!("graph {prefix:?}: its node {:?} is no input", node.name)),
            (_, false) if builder.names.contains_key(&*name) => {
                return Err(Error::Exists(format!("node {name:?}: the graph has one of this name")));
            }
            (_, false) => {}
        }
    }
    match inputs.keys().find(|name| graph.index(name).is_none()) {
        Some(unknown) => invalid(format!("graph {prefix:?}: it has no input {unknown:?}")),
        None => Ok(()),
    }
}

/// [`Builder::build`].
pub(super) fn build(builder: Builder) -> Result<Graph> {
    let (reads, before) = edges(&builder)?;
    let edges: usize = before.iter().map(Vec::len).sum();
    if edges > MAX_EDGES {
        return invalid(format!("{edges} edges: a graph has at most {MAX_EDGES}"));
    }
    match Links::new(&reads, &before, |node| builder.nodes[node].options.keep) {
        Ok(links) => Ok(Graph::new(Inner::new(builder.nodes, builder.names, Arc::new(links)))),
        Err(cycle) => {
            let name = |node: &usize| builder.nodes[*node].name.to_string();
            let mut names: Vec<String> = cycle.iter().take(NAMED).map(name).collect();
            if cycle.len() > NAMED {
                names.push(format!("({} more)", cycle.len() - NAMED));
            }
            names.extend(cycle.first().map(name));
            invalid(format!("the graph has a cycle: {}", names.join(" -> ")))
        }
    }
}

type Edges = Vec<Vec<u32>>;

/// Which nodes each node reads, in its order, and all those that it waits for.
fn edges(builder: &Builder) -> Result<(Edges, Edges)> {
    let nodes = builder.nodes.len();
    let (mut reads, mut before) = (Vec::with_capacity(nodes), Vec::with_capacity(nodes));
    for node in &builder.nodes {
        let own: Vec<u32> = node.reads.iter().map(|read| find(builder, &node.name, read)).collect::<Result<_>>()?;
        let mut all = own.clone();
        for earlier in &node.after {
            all.push(find(builder, &node.name, earlier)?);
        }
        for earlier in &node.options.after {
            all.push(by_name(builder, &node.name, earlier)?);
        }
        reads.push(own);
        before.push(all);
    }
    for (later, earlier) in &builder.edges {
        let later = find(builder, "", later)?;
        let name = &builder.nodes[later as usize].name;
        if matches!(builder.nodes[later as usize].function, Function::Input) {
            return invalid(format!("node {name:?} is an input: it waits for nothing"));
        }
        before[later as usize].push(find(builder, name, earlier)?);
    }
    let mut seen = HashSet::new();
    for (node, before) in before.iter().enumerate() {
        let name = &builder.nodes[node].name;
        seen.clear();
        for earlier in before {
            if *earlier as usize == node {
                return invalid(format!("node {name:?} depends on itself: {name} -> {name}"));
            }
            if !seen.insert(*earlier) {
                let earlier = &builder.nodes[*earlier as usize].name;
                return invalid(format!("node {name:?} depends on {earlier:?} twice"));
            }
        }
    }
    Ok((reads, before))
}

fn by_name(builder: &Builder, node: &str, name: &str) -> Result<u32> {
    match builder.names.get(name) {
        Some(index) => Ok(*index),
        None if node.is_empty() => invalid(format!("an edge leads to {name:?}, and there is no node of this name")),
        None => invalid(format!("node {node:?} depends on {name:?}, and there is no node of this name")),
    }
}

fn find(builder: &Builder, node: &str, dependency: &Dependency) -> Result<u32> {
    match dependency {
        Dependency::Name(name) => by_name(builder, node, name),
        Dependency::Index { index, builder: id } if *id == builder.id && (*index as usize) < builder.nodes.len() => {
            Ok(*index)
        }
        Dependency::Index { .. } => invalid(format!("node {node:?} depends on a node of another builder")),
    }
}
