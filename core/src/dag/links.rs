//! Who waits for whom, and who reads whom: what the rights in [`block`](super::block) rest on, so it is checked where it is made.
//!
//! # Invariant
//!
//! There is no cycle. Each list of reads is part of those that the node waits for, and a node stands in either only once. `waits` and `readers`
//! are counted from the lists.

#![forbid(unsafe_code)]

use std::collections::HashMap;

use super::block::START;

/// A list of lists, in two pieces of memory.
#[derive(Debug)]
struct Lists {
    starts: Box<[u32]>,
    all: Box<[u32]>,
}

impl Lists {
    fn new(lists: &[Vec<u32>]) -> Self {
        let mut starts = Vec::with_capacity(lists.len() + 1);
        let mut all = Vec::with_capacity(lists.iter().map(Vec::len).sum());
        starts.push(0);
        for list in lists {
            all.extend(list);
            starts.push(all.len() as u32);
        }
        Self { starts: starts.into(), all: all.into() }
    }

    #[inline]
    fn of(&self, node: u32) -> &[u32] {
        let node = node as usize;
        &self.all[self.starts[node] as usize..self.starts[node + 1] as usize]
    }
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Links {
    sources: Box<[u32]>,
    successors: Lists,
    reads: Lists,
    waits: Box<[u32]>,
    readers: Box<[u32]>,
    keeps: Box<[bool]>,
    ends: u32,
}

impl Links {
    /// Of these lists, a node's reads and all that it waits for, in which no node stands twice. A node that nobody reads is kept.
    ///
    /// # Errors
    /// A cycle, in the direction of the edges.
    pub(super) fn new(
        reads: &[Vec<u32>],
        before: &[Vec<u32>],
        keeps: impl Fn(usize) -> bool,
    ) -> Result<Self, Vec<usize>> {
        let nodes = before.len();
        assert_eq!(nodes, reads.len());
        let (mut successors, mut readers) = (vec![Vec::new(); nodes], vec![0_u32; nodes]);
        for (node, (reads, before)) in reads.iter().zip(before).enumerate() {
            assert!(before.starts_with(reads), "what a node reads comes first in what it waits for");
            before.iter().for_each(|earlier| successors[*earlier as usize].push(node as u32));
            reads.iter().for_each(|read| readers[*read as usize] += 1);
        }
        let sources: Vec<u32> = (0..nodes as u32).filter(|node| before[*node as usize].is_empty()).collect();
        refuse_cycle(before, &successors, &sources)?;
        let keeps: Box<[bool]> = (0..nodes).map(|node| readers[node] == 0 || keeps(node)).collect();
        readers.iter_mut().zip(&keeps).for_each(|(readers, keeps)| *readers += u32::from(*keeps));
        Ok(Self {
            sources: sources.into(),
            reads: Lists::new(reads),
            waits: before.iter().map(|before| before.len().max(1) as u32).collect(),
            ends: successors.iter().filter(|successors| successors.is_empty()).count().max(1) as u32,
            successors: Lists::new(&successors),
            readers: readers.into(),
            keeps,
        })
    }

    pub(super) fn nodes(&self) -> usize {
        self.waits.len()
    }

    /// How many nodes, or the start alone, have no successors.
    pub(super) fn ends(&self) -> u32 {
        self.ends
    }

    /// How many lists of successors the node stands in, that of the start included.
    #[inline]
    pub(super) fn waits(&self, node: u32) -> u32 {
        self.waits[node as usize]
    }

    /// How many have a right to the node's value.
    pub(super) fn readers(&self, node: u32) -> u32 {
        self.readers[node as usize]
    }

    /// Whether one of these is whoever asks when the run has ended.
    pub(super) fn keeps(&self, node: u32) -> bool {
        self.keeps[node as usize]
    }

    #[inline]
    pub(super) fn successors(&self, node: u32) -> &[u32] {
        if node == START { &self.sources } else { self.successors.of(node) }
    }

    #[inline]
    pub(super) fn reads(&self, node: u32) -> &[u32] {
        if node == START { &[] } else { self.reads.of(node) }
    }
}

/// Takes away what waits for nothing, again and again: what is left is a cycle, or depends on one.
fn refuse_cycle(before: &[Vec<u32>], successors: &[Vec<u32>], sources: &[u32]) -> Result<(), Vec<usize>> {
    let nodes = before.len();
    let mut waits: Vec<usize> = before.iter().map(Vec::len).collect();
    let (mut free, mut gone) = (sources.to_vec(), 0);
    while let Some(node) = free.pop() {
        gone += 1;
        for later in &successors[node as usize] {
            waits[*later as usize] -= 1;
            if waits[*later as usize] == 0 {
                free.push(*later);
            }
        }
    }
    if gone == nodes {
        return Ok(());
    }
    // Each of those that are left waits for another one that is: going back from any, some node comes twice.
    let mut at = (0..nodes).find(|node| waits[*node] > 0).unwrap_or_default();
    let (mut way, mut place) = (Vec::new(), HashMap::new());
    while !place.contains_key(&at) {
        place.insert(at, way.len());
        way.push(at);
        at = before[at].iter().map(|node| *node as usize).find(|node| waits[*node] > 0).unwrap_or(at);
    }
    let mut cycle = way.split_off(place[&at]);
    // It was gone through backwards. It begins with the node that was added first.
    cycle.reverse();
    let first = (0..cycle.len()).min_by_key(|place| cycle[*place]).unwrap_or_default();
    cycle.rotate_left(first);
    Err(cycle)
}
