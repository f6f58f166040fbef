//! The borrower's side of blocks: what it has met, and what it looks at.

#![forbid(unsafe_code)]

use std::{
    fmt,
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use super::{BlockRef, handing};
use crate::{
    error::{Error, Result},
    fork,
    shm::{
        Words,
        block::{Bytes, View},
    },
};

/// What it has met.
#[derive(Debug)]
pub(in super::super) struct Borrower {
    words: Words,
    pub(super) known: Vec<Option<(u32, Arc<View>)>>,
    out: Arc<Out>,
}

/// What a borrower and its leases have in common.
struct Out {
    looked_at: AtomicUsize,
    /// Tells the owner that what it has asked for was given back.
    tell: Box<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for Out {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Out").field("looked_at", &self.looked_at).finish_non_exhaustive()
    }
}

impl Borrower {
    /// `tell` wakes the owner, from any thread.
    pub(in super::super) fn new(words: Words, tell: impl Fn() + Send + Sync + 'static) -> Self {
        let known = words.iter().map(|_| None).collect();
        Self { words, known, out: Arc::new(Out { looked_at: AtomicUsize::new(0), tell: Box::new(tell) }) }
    }

    /// How many blocks are looked at.
    pub(in super::super) fn looked_at(&self) -> usize {
        self.out.looked_at.load(Ordering::Relaxed)
    }

    /// Lets go of what its owner has no more.
    fn forget(&mut self) {
        for (known, word) in self.known.iter_mut().zip(self.words.iter()) {
            if known.is_some() && handing::is_gone(word) {
                *known = None;
            }
        }
    }

    /// What was lent. `fetch` gets the descriptor of what was not met before.
    pub(in super::super) fn borrow(
        &mut self,
        block: BlockRef,
        fetch: impl FnOnce() -> Result<OwnedFd>,
    ) -> Result<Lease> {
        let number = block.number as usize;
        if number >= self.known.len() {
            let most = self.words.len();
            return Err(Error::Failed(format!(
                "a payload is in block {number}, of {most}: the shared memory is damaged"
            )));
        }
        self.forget();
        let known = &mut self.known[number];
        let view = match known {
            Some((serial, view)) if *serial == block.serial => view.clone(),
            known => {
                // What was there has been given up, or was not needed any more.
                *known = None;
                let view = Arc::new(View::new(fetch()?)?);
                *known = Some((block.serial, view.clone()));
                view
            }
        };
        self.out.looked_at.fetch_add(1, Ordering::Relaxed);
        let out = self.out.clone();
        let (words, forks) = (self.words.clone(), fork::begun());
        Ok(Lease { view, words, block, written: AtomicBool::new(false), out, forks })
    }
}

/// A block that is looked at; dropped, it is given back.
#[derive(Debug)]
pub(in super::super) struct Lease {
    view: Arc<View>,
    words: Words,
    block: BlockRef,
    written: AtomicBool,
    out: Arc<Out>,
    /// Those that had begun when it was made.
    forks: u64,
}

impl Lease {
    /// It may be written to.
    pub(in super::super) fn set_written(&self) {
        self.written.store(true, Ordering::Relaxed);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.out.looked_at.fetch_sub(1, Ordering::Relaxed);
        // What a forked child has is not its to give back, nor is it the parent's any more.
        if self.words.segment().check().is_err() || fork::begun() != self.forks {
            return;
        }
        if *self.written.get_mut() {
            self.view.forget_writes();
        }
        let BlockRef { number, usage, .. } = self.block;
        if handing::give_back(&self.words[number as usize], usage) {
            (self.out.tell)();
        }
    }
}

/// Where the bytes are of what was lent.
impl Bytes for Lease {
    fn at(&self, offset: usize, count: usize) -> Result<*mut u8> {
        self.view.at(offset, count)
    }
}
