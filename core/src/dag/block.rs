//! A run's memory: one block with what the run is (its head) and a slot per node, and who may touch what in it.
//!
//! # Rights
//!
//! * A [`Block`] is a counted reference. The nodes that have not settled hold one between them, so who handles nodes counts nothing.
//! * A [`Token`] is the right to settle one node, and what keeps the block meanwhile. There is at most one per node: it is made by the
//!   settling that finds the node waiting for nothing more, and used up by the node's own settling. The first is
//!   that of the start, which the sources wait for.
//! * Each node that reads another's value holds a right to it; so does whoever asks for the values of a run that has ended. The value is
//!   cloned for all but the last one, who takes it out.
//!
//! # Why the block is there
//!
//! `left` is the number of nodes without successors that have not settled. A node that has not settled has such a node behind it,
//! or is one, and that one waits for it: so while a token exists, `left` is not 0, and the reference that the nodes share is
//! not given back. [`Token::settle`] tells one successor after the other. Before it tells one, that one waits for it, so the block
//! is there; after the last one it touches nothing. Who takes `left` to 0 is given the shared reference.
//!
//! # Orderings
//!
//! A settling node decrements its successors' counters with `AcqRel`; who brings one to 0 has acquired what all the others released:
//! their values. A counter of readers that reads 1 is one that nobody else will touch, so no exchange is needed then.

#![allow(unsafe_code, reason = "one allocation for head and slots, and rights instead of counts")]

#[cfg(all(test, loom))]
mod model;

use std::{
    alloc::{Layout, alloc, dealloc},
    cell::Cell,
    fmt,
    mem::{self, ManuallyDrop},
    ops::Deref,
    ptr::NonNull,
    sync::Arc,
};

use super::{links::Links, value::Value};
use crate::{
    error::{Error, Result},
    primitive::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Ordering, UnsafeCell, fence},
};

/// What a node is told by one that it waits for, beside "one less": it is not to run, because that one has failed or was cancelled; or
/// because it was skipped.
pub(super) const CANCEL: u32 = 1 << 30;
pub(super) const SKIP: u32 = 1 << 31;
const COUNT: u32 = CANCEL - 1;

/// What is known about a node from outside.
pub(super) mod state {
    pub(in super::super) const WAITING: u8 = 0;
    pub(in super::super) const RUNNING: u8 = 1;
    /// It has its value.
    pub(in super::super) const DONE: u8 = 2;
    pub(in super::super) const SKIPPED: u8 = 3;
    pub(in super::super) const FAILED: u8 = 4;
    pub(in super::super) const CANCELLED: u8 = 5;
}
/// The node that all sources wait for.
pub(super) const START: u32 = u32::MAX;
const NONE: u32 = u32::MAX;

/// What a run knows about a node.
pub(super) struct Slot {
    /// How many it waits for, with [`CANCEL`] and [`SKIP`]. Of a token: the next one in its list.
    waits: AtomicU32,
    readers: AtomicU32,
    state: AtomicU8,
    claimed: AtomicBool,
    /// Its kept value was asked for.
    asked: AtomicBool,
    value: UnsafeCell<Value>,
}

#[repr(C)]
struct Inner<H> {
    refs: AtomicUsize,
    left: AtomicU32,
    links: Arc<Links>,
    head: H,
    slots: [Slot; 0],
}

/// See the module's text.
pub(super) struct Block<H>(NonNull<Inner<H>>);

/// See the module's text.
pub(super) struct Token<H> {
    inner: NonNull<Inner<H>>,
    node: u32,
    /// How many of the values that it reads it has.
    taken: Cell<u32>,
}

// SAFETY: both are ways to the head, which is shared between threads, and to values that are Send and Sync.
unsafe impl<H: Send + Sync> Send for Block<H> {}
// SAFETY: as above.
unsafe impl<H: Send + Sync> Sync for Block<H> {}
// SAFETY: as above.
unsafe impl<H: Send + Sync> Send for Token<H> {}

fn layout<H>(nodes: usize) -> Result<Layout> {
    let slots = Layout::array::<Slot>(nodes).and_then(|slots| Layout::new::<Inner<H>>().extend(slots));
    match slots {
        Ok((layout, _)) => Ok(layout.pad_to_align()),
        Err(_) => Err(does_not_fit(nodes, "")),
    }
}

fn does_not_fit(nodes: usize, size: &str) -> Error {
    Error::Invalid(format!("a run of {nodes} nodes{size} does not fit into memory"))
}

/// # Safety
/// The block was allocated, and `node` is one of its.
unsafe fn place<H>(inner: NonNull<Inner<H>>, node: u32) -> *mut Slot {
    // SAFETY: no more than an address; the caller's promise.
    let slots = unsafe { &raw mut (*inner.as_ptr()).slots };
    // SAFETY: the slots lie behind the rest, in the same allocation.
    unsafe { slots.cast::<Slot>().add(node as usize) }
}

/// # Safety
/// The block is there, and `node` is one of its.
unsafe fn slot<'a, H>(inner: NonNull<Inner<H>>, node: u32) -> &'a Slot {
    // SAFETY: the caller's promise.
    let place = unsafe { place(inner, node) };
    // SAFETY: as above.
    unsafe { &*place }
}

impl<H> Block<H> {
    /// A block for a run that has not started, and its start. Until that is settled the nodes' values may be [put](Token::put_input) into it.
    pub(super) fn new(links: Arc<Links>, head: H) -> Result<(Self, Token<H>)> {
        let nodes = links.nodes();
        let layout = layout::<H>(nodes)?;
        // SAFETY: the layout is not of size 0, for it holds two counters.
        let Some(inner) = NonNull::new(unsafe { alloc(layout) }.cast::<Inner<H>>()) else {
            return Err(does_not_fit(nodes, &format!(", which needs {} bytes", layout.size())));
        };
        // Ours, and the nodes'.
        let start = Inner { refs: AtomicUsize::new(2), left: AtomicU32::new(links.ends()), links, head, slots: [] };
        // SAFETY: it was allocated for this.
        unsafe { inner.write(start) };
        // SAFETY: as above; nobody else knows it.
        let links = unsafe { &(*inner.as_ptr()).links };
        for node in 0..nodes as u32 {
            let new = Slot {
                waits: AtomicU32::new(links.waits(node)),
                readers: AtomicU32::new(links.readers(node)),
                state: AtomicU8::new(state::WAITING),
                claimed: AtomicBool::new(false),
                asked: AtomicBool::new(false),
                value: UnsafeCell::new(Value::UNIT),
            };
            // SAFETY: one of as many slots as were allocated.
            let place = unsafe { place(inner, node) };
            // SAFETY: as above.
            unsafe { place.write(new) };
        }
        Ok((Self(inner), Token { inner, node: START, taken: Cell::new(0) }))
    }

    fn links(&self) -> &Links {
        // SAFETY: the block is there as long as `self`, and its links are never changed.
        unsafe { &(*self.0.as_ptr()).links }
    }

    fn slot(&self, node: u32) -> &Slot {
        assert!((node as usize) < self.links().nodes(), "node {node} of {}", self.links().nodes());
        // SAFETY: the block is there as long as `self`; looked at above.
        unsafe { slot(self.0, node) }
    }

    /// Its [state].
    pub(super) fn state(&self, node: u32) -> u8 {
        self.slot(node).state.load(Ordering::Acquire)
    }

    /// The value of a kept node that is done, once.
    pub(super) fn ask(&self, node: u32) -> Option<Value> {
        let slot = self.slot(node);
        let may = self.state(node) == state::DONE && self.links().keeps(node);
        // SAFETY: the right that keeping it stands for, which only the first one has. It was made before it was done.
        (may && !slot.asked.swap(true, Ordering::AcqRel)).then(|| unsafe { slot.take() })
    }

    /// Tells this block from others while it is there.
    pub(super) fn address(&self) -> usize {
        self.0.as_ptr().addr()
    }
}

impl<H> Deref for Block<H> {
    type Target = H;

    fn deref(&self) -> &H {
        // SAFETY: the block is there as long as `self`, and its head is never changed.
        unsafe { &(*self.0.as_ptr()).head }
    }
}

impl<H> Clone for Block<H> {
    fn clone(&self) -> Self {
        // SAFETY: the block is there.
        let refs = unsafe { &(*self.0.as_ptr()).refs };
        refs.fetch_add(1, Ordering::Relaxed);
        Self(self.0)
    }
}

impl<H> Drop for Block<H> {
    fn drop(&mut self) {
        // SAFETY: the block is there until the last reference, of which this may be one, is counted out.
        let refs = unsafe { &(*self.0.as_ptr()).refs };
        if refs.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        fence(Ordering::Acquire);
        let nodes = self.links().nodes();
        for node in 0..nodes as u32 {
            // SAFETY: nobody else has the block any more; each slot is dropped once.
            let value = unsafe { slot(self.0, node) }.value.with_mut(|value| {
                // SAFETY: as above.
                mem::replace(unsafe { &mut *value }, Value::UNIT)
            });
            value.drop_caught();
            // SAFETY: as above.
            let place = unsafe { place(self.0, node) };
            // SAFETY: as above.
            unsafe { place.drop_in_place() };
        }
        // SAFETY: as above; only now, for it knows how many slots there are.
        unsafe { self.0.drop_in_place() };
        if let Ok(layout) = layout::<H>(nodes) {
            // SAFETY: allocated with this layout.
            unsafe { dealloc(self.0.as_ptr().cast(), layout) };
        }
    }
}

impl Slot {
    /// The value, for somebody who gives up a right to it.
    ///
    /// # Safety
    /// The caller has that right; what made the value happened before.
    unsafe fn take(&self) -> Value {
        if self.readers.load(Ordering::Acquire) == 1 {
            // SAFETY: nobody else has a right to it.
            return self.value.with_mut(|value| mem::replace(unsafe { &mut *value }, Value::UNIT));
        }
        // SAFETY: who has a right only reads it, until he is the only one.
        let own = self.value.with(|value| unsafe { (*value).clone() });
        if self.readers.fetch_sub(1, Ordering::AcqRel) != 1 {
            return own;
        }
        // All the others have gone meanwhile.
        drop(own);
        // SAFETY: as above.
        self.value.with_mut(|value| mem::replace(unsafe { &mut *value }, Value::UNIT))
    }
}

impl<H> Token<H> {
    pub(super) fn node(&self) -> u32 {
        self.node
    }

    #[inline]
    fn links(&self) -> &Links {
        // SAFETY: a token keeps the block.
        unsafe { &(*self.inner.as_ptr()).links }
    }

    #[inline]
    fn slot(&self) -> &Slot {
        // SAFETY: a token keeps the block; only the start has no slot, and nobody asks for it.
        unsafe { slot(self.inner, self.node) }
    }

    /// A reference that outlasts the token.
    pub(super) fn block(&self) -> Block<H> {
        // SAFETY: a token keeps the block, and what is dropped here is counted below.
        let borrowed = ManuallyDrop::new(Block(self.inner));
        Block::clone(&borrowed)
    }

    /// Gives a node that reads nothing its value, before anything has started.
    pub(super) fn put_input(&self, node: u32, value: Value) {
        assert!(self.node == START && (node as usize) < self.links().nodes() && self.links().reads(node).is_empty());
        // SAFETY: nobody but the start has the slots.
        unsafe { slot(self.inner, node) }.value.with_mut(|place| {
            // SAFETY: as above.
            unsafe { *place = value };
        });
    }

    /// How many values it has not taken yet.
    pub(super) fn unread(&self) -> usize {
        self.links().reads(self.node).len() - self.taken.get() as usize
    }

    /// Tells those outside its state: any but that it is done, which its settling says.
    pub(super) fn mark(&self, state: u8) {
        assert!(state != state::DONE && self.node != START);
        self.slot().state.store(state, Ordering::Release);
    }

    pub(super) fn state(&self) -> u8 {
        self.slot().state.load(Ordering::Relaxed)
    }

    /// Tells its block from others.
    pub(super) fn address(&self) -> usize {
        self.inner.as_ptr().addr()
    }

    /// The next value that the node reads, and that nobody else may need any more. `None`: it has them all.
    #[inline]
    pub(super) fn next(&self) -> Option<Value> {
        let taken = self.taken.get();
        let from = *self.links().reads(self.node).get(taken as usize)?;
        self.taken.set(taken + 1);
        // SAFETY: it is one of the block's. The right to it is this node's, and used up here; the node that made the value has settled before this token was
        // made.
        let from = unsafe { slot(self.inner, from) };
        // SAFETY: as above.
        Some(unsafe { from.take() })
    }

    /// One of the values that the node reads and has not taken.
    pub(super) fn peek(&self, index: usize) -> Option<Value> {
        let from = *self.links().reads(self.node).get(index)?;
        // SAFETY: as above, but the right stays.
        if index < self.taken.get() as usize {
            return None;
        }
        // SAFETY: as above, but the right stays.
        let slot = unsafe { slot(self.inner, from) };
        // SAFETY: as long as this node has a right to it nobody takes it out.
        Some(slot.value.with(|value| unsafe { (*value).clone() }))
    }

    /// The node has ended, with this value, or without. Its successors are told, with `flags`; those that wait for nothing more
    /// come out. Who settles the last node is given the nodes' reference.
    #[inline]
    pub(super) fn settle(self, value: Option<Value>, flags: u32, mut ready: impl FnMut(Self, u32)) -> Option<Block<H>> {
        while let Some(unread) = self.next() {
            unread.drop_caught();
        }
        if let Some(value) = value
            && self.node != START
        {
            if !value.is_unit() {
                // SAFETY: nobody has read it: those who have a right to it wait until this node says that it is done, or has told them.
                self.slot().value.with_mut(|place| unsafe { *place = value });
            }
            if self.state() != state::SKIPPED {
                self.slot().state.store(state::DONE, Ordering::Release);
            }
        }
        let inner = self.inner;
        let successors = self.links().successors(self.node);
        let (first, count) = (successors.as_ptr(), successors.len());
        if count == 0 {
            // SAFETY: this node has not settled, so the block is there.
            let left = unsafe { &(*inner.as_ptr()).left };
            return (left.load(Ordering::Acquire) == 1 || left.fetch_sub(1, Ordering::AcqRel) == 1)
                .then(|| Block(inner));
        }
        for index in 0..count {
            // SAFETY: this successor has not been told, so it has not settled, and the block is there with its graph.
            let node = unsafe { first.add(index) };
            // SAFETY: as above.
            let node = unsafe { *node };
            // SAFETY: as above.
            let links = unsafe { &(*inner.as_ptr()).links };
            // One that waits for this node alone needs no counting. For others no look comes first: it would bring in
            // a cache line that others write, and the exchange would have to bring it again.
            let told = if links.waits(node) == 1 {
                flags
            } else {
                // SAFETY: as above.
                let waits = unsafe { &slot(inner, node).waits };
                if flags != 0 {
                    waits.fetch_or(flags, Ordering::Relaxed);
                }
                let before = waits.fetch_sub(1, Ordering::AcqRel);
                if before & COUNT != 1 {
                    continue;
                }
                before & !COUNT
            };
            ready(Self { inner, node, taken: Cell::new(0) }, told);
        }
        None
    }

    /// Two claims to the right of a node that has read all, of which one will have it.
    pub(super) fn share(self) -> (Claim<H>, Claim<H>) {
        assert!(self.node != START && self.unread() == 0, "only a node that has all that it reads");
        let claim = || Claim { block: self.block(), node: self.node };
        (claim(), claim())
    }
}

impl<H> Deref for Token<H> {
    type Target = H;

    #[inline]
    fn deref(&self) -> &H {
        // SAFETY: a token keeps the block.
        unsafe { &(*self.inner.as_ptr()).head }
    }
}

impl<H> fmt::Debug for Token<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Token").field(&self.node).finish()
    }
}

/// Half of a token that was [shared](Token::share): the first of two to come has the token.
pub(super) struct Claim<H> {
    pub(super) block: Block<H>,
    pub(super) node: u32,
}

impl<H> Claim<H> {
    /// The token, unless the other one has it.
    pub(super) fn win(self) -> Option<Token<H>> {
        let first = !self.block.slot(self.node).claimed.swap(true, Ordering::AcqRel);
        let taken = Cell::new(self.block.links().reads(self.node).len() as u32);
        first.then_some(Token { inner: self.block.0, node: self.node, taken })
    }

    /// Whether the other one has it.
    pub(super) fn is_lost(&self) -> bool {
        self.block.slot(self.node).claimed.load(Ordering::Acquire)
    }
}

/// Tokens of one run in a row, in their order. It needs no memory of its own.
pub(super) struct List<H> {
    /// The first of them.
    first: Option<Token<H>>,
    last: u32,
    len: usize,
}

impl<H> List<H> {
    pub(super) const fn new() -> Self {
        Self { first: None, last: NONE, len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn first(&self) -> Option<&Token<H>> {
        self.first.as_ref()
    }

    #[inline]
    pub(super) fn push(&mut self, token: Token<H>) {
        token.slot().waits.store(NONE, Ordering::Relaxed);
        self.len += 1;
        let last = mem::replace(&mut self.last, token.node);
        match &self.first {
            None => self.first = Some(token),
            // SAFETY: its token is in this list, which keeps the block; so it waits for nothing, and nobody else looks at the field.
            Some(_) => unsafe { slot(token.inner, last) }.waits.store(token.node, Ordering::Relaxed),
        }
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<Token<H>> {
        let token = self.first.take()?;
        self.len -= 1;
        let node = token.slot().waits.load(Ordering::Relaxed);
        if node != NONE {
            // The token of this node was pushed behind that one, and is this one again.
            self.first = Some(Token { inner: token.inner, node, taken: Cell::new(0) });
        }
        Some(token)
    }
}
