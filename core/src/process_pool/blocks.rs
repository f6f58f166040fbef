//! Blocks: memory of the side that fills it, lent to the other one for a payload.
//!
//! # What holds
//!
//! * A block has a number, and a word under it that both sides have: `use | state`. Its owner lends it (`OWN` to `OUT`, in the next use); the borrower
//!   gives it back by one compare-and-swap from `OUT` to `FREE` in that use, when it looks at it no more. So what a borrower that was given up does later
//!   touches nothing.
//! * What is under a number is told apart by its serial: the first time that a borrower meets one it is sent the descriptor.
//! * The owner uses what was given back, the latest first. What it keeps to be used again is bounded; and where a number is needed and none is left, the block
//!   that has been looked at longest, for a payload whose call is over, is **given up**: it lives as long as the borrower looks at it, and its number has
//!   a new one.
//! * An owner that keeps too much, or would if all that is looked at were given back, **asks** before it sleeps to be told of what is given back (`OUT` to `ASKED`): the borrower's
//!   swap finds that out, and rings for it. So what nobody looks at any more is bounded without a further call. One that keeps little is not woken.
//!   `handing.rs` says why no block and no request is lost, and a model checks it.
//! * What the owner has no more it says so of (`GONE`): the borrower, which has it mapped to look at it again, lets go of it, too, when it borrows next.
//! * A block that was looked at when its borrower forked is not given back: the child may look at it as long as it lives. It is given up in its time.

#![forbid(unsafe_code)]

mod borrower;
pub(super) mod handing;
#[cfg(all(test, not(loom)))]
mod test;

use std::{collections::VecDeque, sync::Arc};

pub(super) use self::borrower::{Borrower, Lease};
use crate::{
    error::{Error, Result},
    shm::{Words, block::Store},
};

/// Names what was lent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockRef {
    pub(super) number: u32,
    /// Which memory this number stands for.
    pub(super) serial: u32,
    /// Which use of it.
    pub(super) usage: u32,
}

/// The least that a block has.
const LEAST: usize = 64 << 10;

/// How much a block for so many bytes has: four sizes for each power of two.
fn size(bytes: usize) -> Option<usize> {
    let bytes = bytes.max(LEAST);
    let step = (bytes.checked_next_power_of_two()? / 8).max(1);
    bytes.checked_next_multiple_of(step)
}

#[derive(Debug)]
struct Own {
    store: Arc<Store>,
    serial: u32,
}

/// The owner's side.
#[derive(Debug)]
pub(super) struct Lender {
    words: Words,
    uses: Vec<u32>,
    own: Vec<Option<Own>>,
    /// With memory and not lent, the latest last.
    kept: Vec<usize>,
    kept_bytes: usize,
    most_kept: usize,
    /// Without memory.
    bare: Vec<usize>,
    /// Lent for payloads whose calls are over, the oldest first, each with who may look at it.
    held: VecDeque<(usize, u64)>,
    /// It is told of those that are given back.
    asks: bool,
    next_serial: u32,
}

/// What was lent, to be filled.
#[derive(Debug)]
pub(super) struct Lent {
    pub(super) block: BlockRef,
    pub(super) store: Arc<Store>,
}

impl Lender {
    /// Of these words, which a predecessor of this process may have used.
    pub(super) fn new(words: Words, most_kept: usize) -> Self {
        let uses = words.iter().map(handing::usage).collect();
        let mut lender = Self {
            uses,
            own: words.iter().map(|_| None).collect(),
            kept: Vec::new(),
            kept_bytes: 0,
            most_kept,
            bare: (0..words.len()).rev().collect(),
            held: VecDeque::new(),
            asks: false,
            next_serial: 1,
            words,
        };
        (0..lender.own.len()).for_each(|number| lender.take_back(number));
        lender
    }

    /// Whatever its borrower does: it is the owner's, in the next use.
    fn take_back(&mut self, number: usize) {
        self.uses[number] = self.uses[number].wrapping_add(1);
        handing::own(&self.words[number], self.uses[number]);
    }

    /// How many there are, and with how many bytes that are not lent.
    pub(super) fn count(&self) -> usize {
        self.own.iter().flatten().count()
    }

    /// Whether one that is looked at would have to be given up.
    pub(super) fn must_give_up(&mut self) -> bool {
        if self.kept.is_empty() && self.bare.is_empty() {
            self.sweep();
        }
        self.kept.is_empty() && self.bare.is_empty()
    }

    /// Lends one of so many bytes at least; `None` if all are lent for calls that are not over.
    pub(super) fn lend(&mut self, bytes: usize) -> Result<Option<Lent>> {
        let wanted = size(bytes).ok_or_else(|| Error::Invalid(format!("{bytes} bytes are more than can be")))?;
        if let Some(number) = self.find_kept(wanted) {
            return Ok(Some(self.give_out(number)));
        }
        self.sweep();
        if let Some(number) = self.find_kept(wanted) {
            return Ok(Some(self.give_out(number)));
        }
        let Some(number) = self.bare_number() else { return Ok(None) };
        let store = match Store::new("coop-block", wanted) {
            Ok(store) => Arc::new(store),
            Err(error) => {
                self.bare.push(number);
                return Err(error);
            }
        };
        self.own[number] = Some(Own { store, serial: self.next_serial });
        self.next_serial = self.next_serial.wrapping_add(1);
        Ok(Some(self.give_out(number)))
    }

    /// One that is kept, large enough and not four times as large.
    fn find_kept(&mut self, wanted: usize) -> Option<usize> {
        let fits = |number: &usize| {
            let bytes = self.bytes(*number);
            (wanted..=wanted.saturating_mul(4)).contains(&bytes)
        };
        let at = self.kept.iter().rposition(fits)?;
        let number = self.kept.remove(at);
        self.kept_bytes -= self.bytes(number);
        Some(number)
    }

    fn bytes(&self, number: usize) -> usize {
        self.own[number].as_ref().map_or(0, |own| own.store.bytes())
    }

    fn give_out(&mut self, number: usize) -> Lent {
        self.uses[number] = self.uses[number].wrapping_add(1);
        let usage = self.uses[number];
        handing::lend(&self.words[number], usage);
        let (store, serial) = match &self.own[number] {
            Some(own) => (own.store.clone(), own.serial),
            None => unreachable!("what is given out has memory"),
        };
        Lent { block: BlockRef { number: number as u32, serial, usage }, store }
    }

    /// A number without memory: a new one, one of what is kept and did not fit, one that is given up.
    fn bare_number(&mut self) -> Option<usize> {
        if let Some(number) = self.bare.pop() {
            return Some(number);
        }
        let number = if self.kept.is_empty() {
            let (number, _) = self.held.pop_front()?;
            self.take_back(number);
            // Not gone for the borrower, who may not have come to it yet.
            self.own[number] = None;
            number
        } else {
            let number = self.kept.remove(0);
            self.kept_bytes -= self.bytes(number);
            self.let_go(number);
            number
        };
        Some(number)
    }

    /// What nobody looks at: its memory is freed, and the borrower lets go of it, too.
    fn let_go(&mut self, number: usize) {
        if let Some(own) = self.own[number].take() {
            // The borrower may not come to let go of it for long.
            own.store.give_back_pages();
        }
        handing::end(&self.words[number], self.uses[number]);
    }

    /// Before its owner sleeps, and now and then: if there would be too much to keep, what has been given back is dealt with, and the rest asked for.
    pub(super) fn tidy(&mut self) {
        let held: usize = self.held.iter().map(|(number, _)| self.bytes(*number)).sum();
        self.asks = !self.held.is_empty() && self.kept_bytes.saturating_add(held) > self.most_kept;
        if self.asks {
            for &(number, _) in &self.held {
                handing::ask(&self.words[number], self.uses[number]);
            }
            self.sweep();
        }
    }

    /// Whether something was given back that was asked for.
    pub(super) fn has_news(&self) -> bool {
        self.asks && self.held.iter().any(|(number, _)| self.is_back(*number))
    }

    fn is_back(&self, number: usize) -> bool {
        handing::is_back(&self.words[number], self.uses[number])
    }

    /// Looks which of those that were held have been given back.
    fn sweep(&mut self) {
        for _ in 0..self.held.len() {
            let Some((number, holder)) = self.held.pop_front() else { return };
            if !self.put_back(number) {
                self.held.push_back((number, holder));
            }
        }
    }

    /// If it was given back: it is kept, if that is not too much.
    fn put_back(&mut self, number: usize) -> bool {
        if !self.is_back(number) {
            return false;
        }
        self.keep(number);
        true
    }

    fn keep(&mut self, number: usize) {
        let bytes = self.bytes(number);
        if self.kept_bytes.saturating_add(bytes) > self.most_kept {
            self.let_go(number);
            self.bare.push(number);
        } else {
            self.kept.push(number);
            self.kept_bytes += bytes;
        }
    }

    /// The call is over that it was lent for: `holder` may look at it still.
    pub(super) fn over(&mut self, number: u32, holder: u64) {
        let number = number as usize;
        if !self.put_back(number) {
            self.held.push_back((number, holder));
        }
    }

    /// Nobody looks at it, nor will.
    pub(super) fn reclaim(&mut self, number: u32) {
        let number = number as usize;
        self.take_back(number);
        self.keep(number);
    }

    /// This one is gone, and looks at nothing any more.
    pub(super) fn is_gone(&mut self, holder: u64) {
        for _ in 0..self.held.len() {
            match self.held.pop_front() {
                Some((number, of)) if of == holder => self.reclaim(number as u32),
                Some(other) => self.held.push_back(other),
                None => return,
            }
        }
    }

    /// Nobody borrows any more: what is kept is freed, and what still comes back is.
    pub(super) fn end(&mut self) {
        self.most_kept = 0;
        while let Some(number) = self.kept.pop() {
            self.let_go(number);
            self.bare.push(number);
        }
        self.kept_bytes = 0;
    }

    /// The memory of this number and serial.
    pub(super) fn store(&self, number: u32, serial: u32) -> Option<Arc<Store>> {
        let own = self.own.get(number as usize)?.as_ref()?;
        (own.serial == serial).then(|| own.store.clone())
    }
}
