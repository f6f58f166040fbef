//! A ring of records: one sender, one receiver, each of which may be killed at any instruction and be succeeded by another one.
//!
//! # Layout
//!
//! Words of eight bytes: a line with the number of data words, a line with `tail`, which is the sender's, a line with `taken` and `head`, which are
//! the receiver's, then the data, a power of two of words. Positions count words and never go back; a position's place is its remainder. A
//! record is a word with its length and tag, then its bytes, filled up to a word; it may go round the end.
//!
//! # Who goes first
//!
//! * `tail` is stored with Release after all of the record, and loaded with Acquire before any of it. Until then nothing of it was sent.
//! * `taken` is stored before the record's bytes are looked at: a receiver's successor begins there, behind what its predecessor had in hand.
//! * `head` is stored with Release when the record has been used, and loaded with Acquire before its words are written again. So `head` is at most `taken`, and
//!   that at most `tail`, and `tail` at most a ring's length past `head`. What says otherwise is damage.
//!
//! Each side keeps its own positions for itself, and loads the other's only when what it knows of them is not enough: a sender with room and a receiver with
//! records in sight touch nothing that the other one writes.

#![forbid(unsafe_code)]

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering, compiler_fence},
    },
};

use super::{
    segment::{Segment, Words},
    word::{WORD, Word, load, store},
};
use crate::error::{Error, Result};

const LINE: usize = Segment::LINE / WORD;
const TAIL: usize = LINE;
const TAKEN: usize = 2 * LINE;
const HEAD: usize = 2 * LINE + 1;
const DATA: usize = 3 * LINE;

/// The least and the most bytes that a ring holds.
pub const CAPACITIES: (usize, usize) = (64, 1 << 31);

fn check_capacity(bytes: usize) -> Result<()> {
    let (least, most) = CAPACITIES;
    if !bytes.is_power_of_two() || !(least..=most).contains(&bytes) {
        return Err(Error::Invalid(format!("a ring of {bytes} bytes: allowed are powers of two, {least} to {most}")));
    }
    Ok(())
}

/// How many bytes of a segment a ring of this capacity takes.
///
/// # Errors
/// [`Error::Invalid`] for a capacity that is not a power of two within [`CAPACITIES`].
pub fn space(capacity: usize) -> Result<usize> {
    check_capacity(capacity)?;
    Ok(DATA * WORD + capacity)
}

/// Makes an empty ring at a place of a segment, before anybody attaches to it.
///
/// # Errors
/// As [`space`]; [`Error::Invalid`] if it is not within the segment.
pub fn create(segment: &Arc<Segment>, offset: usize, capacity: usize) -> Result<()> {
    let words = segment.words(offset, space(capacity)? / WORD)?;
    [TAIL, TAKEN, HEAD].into_iter().for_each(|word| words[word].store(0, Ordering::Relaxed));
    words[0].store((capacity / WORD) as u64, Ordering::Release);
    Ok(())
}

/// What a ring is in; loom has its own.
pub(super) trait Memory {
    type Word: Word;

    /// An error if this process must not touch it.
    fn check(&self) -> Result<()>;
    fn tail(&self) -> &Self::Word;
    fn taken(&self) -> &Self::Word;
    fn head(&self) -> &Self::Word;
    /// A power of two of them.
    fn data(&self) -> &[Self::Word];
}

/// A ring in a segment.
#[derive(Debug)]
struct Mapped(Words);

impl Mapped {
    /// The one at this place, with what it says of itself checked.
    fn attach(segment: &Arc<Segment>, offset: usize) -> Result<Self> {
        segment.check()?;
        let found = segment.words(offset, 1)?[0].load(Ordering::Acquire);
        let capacity = usize::try_from(found).ok().and_then(|words| words.checked_mul(WORD));
        let Some(capacity) = capacity.filter(|capacity| check_capacity(*capacity).is_ok()) else {
            return Err(Error::Invalid(format!("no ring at byte {offset}: {found} words are no ring's capacity")));
        };
        Ok(Self(segment.words(offset, space(capacity)? / WORD)?))
    }
}

impl Memory for Mapped {
    type Word = AtomicU64;

    #[inline]
    fn check(&self) -> Result<()> {
        self.0.segment().check()
    }

    #[inline]
    fn tail(&self) -> &AtomicU64 {
        &self.0[TAIL]
    }

    #[inline]
    fn taken(&self) -> &AtomicU64 {
        &self.0[TAKEN]
    }

    #[inline]
    fn head(&self) -> &AtomicU64 {
        &self.0[HEAD]
    }

    #[inline]
    fn data(&self) -> &[AtomicU64] {
        &self.0[DATA..]
    }
}

/// The words that so many bytes and their header take.
fn words(bytes: usize) -> u64 {
    1 + bytes.div_ceil(WORD) as u64
}

/// Where a position is.
#[expect(clippy::cast_possible_truncation, reason = "the low bits are what is asked for")]
fn place(position: u64, ring: usize) -> usize {
    position as usize & (ring - 1)
}

fn damaged(what: impl fmt::Display) -> Error {
    Error::Failed(format!("the ring is damaged: {what}"))
}

/// `later` is at most a ring's length past `earlier`.
fn check_order(names: &str, later: u64, earlier: u64, ring: usize) -> Result<()> {
    if later.wrapping_sub(earlier) <= ring as u64 {
        return Ok(());
    }
    Err(damaged(format_args!("{names} at words {earlier} and {later}, of {ring}")))
}

pub(super) struct Producer<M> {
    memory: M,
    tail: u64,
    /// The receiver's, as it was when it was last looked at.
    head: u64,
}

impl<M: Memory> Producer<M> {
    pub(super) fn new(memory: M) -> Result<Self> {
        let (tail, head) = (memory.tail().load(Ordering::Acquire), memory.head().load(Ordering::Acquire));
        check_order("head and tail are", tail, head, memory.data().len())?;
        Ok(Self { memory, tail, head })
    }

    fn longest(&self) -> usize {
        (self.memory.data().len() - 1) * WORD
    }

    fn capacity(&self) -> usize {
        self.memory.data().len() * WORD
    }

    /// Whether there is room for so many words; asks the receiver only if there is none that is known of.
    fn has_room(&mut self, words: u64) -> Result<bool> {
        let ring = self.memory.data().len();
        if self.tail.wrapping_sub(self.head) + words <= ring as u64 {
            return Ok(true);
        }
        let head = self.memory.head().load(Ordering::Acquire);
        check_order("head and tail are", self.tail, head, ring)?;
        self.head = head;
        Ok(self.tail.wrapping_sub(head) + words <= ring as u64)
    }

    pub(super) fn try_send(&mut self, tag: u32, parts: &[&[u8]]) -> Result<()> {
        self.memory.check()?;
        let bytes = parts.iter().fold(0_usize, |all, part| all.saturating_add(part.len()));
        if bytes > self.longest() {
            let (longest, ring) = (self.longest(), self.capacity());
            let text = format!("a record of {bytes} bytes does not fit into a ring of {ring}: at most {longest}");
            return Err(Error::Invalid(text));
        }
        let words = words(bytes);
        if !self.has_room(words)? {
            return Err(Error::QueueFull { what: "ring", capacity: format!("{} bytes", self.capacity()) });
        }
        let data = self.memory.data();
        let header = u64::from(tag) << 32 | bytes as u64;
        data[place(self.tail, data.len())].store(header, Ordering::Relaxed);
        write(data, self.tail.wrapping_add(1), parts);
        self.tail = self.tail.wrapping_add(words);
        self.memory.tail().store(self.tail, Ordering::Release);
        Ok(())
    }
}

/// Writes the parts one behind the other.
fn write<W: Word>(data: &[W], mut position: u64, parts: &[&[u8]]) {
    // What does not fill a word yet.
    let (mut begun, mut filled) = ([0; WORD], 0);
    for part in parts {
        let mut part = *part;
        if filled > 0 {
            let more = part.len().min(WORD - filled);
            begun[filled..filled + more].copy_from_slice(&part[..more]);
            (filled, part) = (filled + more, &part[more..]);
            if filled < WORD {
                continue;
            }
            data[place(position, data.len())].store(u64::from_ne_bytes(begun), Ordering::Relaxed);
            position = position.wrapping_add(1);
        }
        let (whole, rest) = part.split_at(part.len() / WORD * WORD);
        let (to_end, from_start) = data.split_at(place(position, data.len()));
        let (first, second) = whole.split_at(whole.len().min(from_start.len() * WORD));
        store(from_start, first);
        store(to_end, second);
        position = position.wrapping_add((whole.len() / WORD) as u64);
        begun[..rest.len()].copy_from_slice(rest);
        filled = rest.len();
    }
    if filled > 0 {
        begun[filled..].fill(0);
        data[place(position, data.len())].store(u64::from_ne_bytes(begun), Ordering::Relaxed);
    }
}

/// Fills all of `into`: whole words, and what remains of the last one.
fn read<W: Word>(data: &[W], position: u64, into: &mut [u8]) {
    let (to_end, from_start) = data.split_at(place(position, data.len()));
    let split = into.len().min(from_start.len() * WORD);
    let (first, second) = into.split_at_mut(split);
    load(from_start, first);
    load(to_end, second);
}

pub(super) struct Consumer<M> {
    memory: M,
    /// Behind the last record that was taken.
    next: u64,
    /// The sender's, as it was when it was last looked at.
    tail: u64,
    damaged: Option<Error>,
}

impl<M: Memory> Consumer<M> {
    pub(super) fn new(memory: M) -> Result<Self> {
        let ring = memory.data().len();
        let head = memory.head().load(Ordering::Acquire);
        let next = memory.taken().load(Ordering::Acquire);
        let tail = memory.tail().load(Ordering::Acquire);
        check_order("head and tail are", tail, head, ring)?;
        check_order("head and taken are", next, head, ring)?;
        check_order("taken and tail are", tail, next, ring)?;
        // The record that a predecessor had in hand.
        memory.head().store(next, Ordering::Release);
        Ok(Self { memory, next, tail, damaged: None })
    }

    /// Whether there are records in sight; looks at the sender's only if not.
    pub(super) fn has_record(&mut self) -> Result<bool> {
        self.memory.check()?;
        if let Some(damage) = &self.damaged {
            return Err(damage.clone());
        }
        if self.next == self.tail {
            let tail = self.memory.tail().load(Ordering::Acquire);
            check_order("taken and tail are", tail, self.next, self.memory.data().len())
                .inspect_err(|damage| self.damaged = Some(damage.clone()))?;
            self.tail = tail;
        }
        Ok(self.next != self.tail)
    }

    /// Takes the next record: its tag, where its bytes begin, and how many they are.
    pub(super) fn take(&mut self) -> Result<Option<(u32, u64, usize)>> {
        if !self.has_record()? {
            return Ok(None);
        }
        let data = self.memory.data();
        let header = data[place(self.next, data.len())].load(Ordering::Relaxed);
        #[expect(clippy::cast_possible_truncation, reason = "two halves")]
        let (tag, bytes) = ((header >> 32) as u32, header as u32 as usize);
        let (words, sent) = (words(bytes), self.tail.wrapping_sub(self.next));
        if words > sent {
            let sent = sent * WORD as u64;
            let damage = damaged(format_args!("a record says that it has {bytes} bytes, of {sent} that were sent"));
            self.damaged = Some(damage.clone());
            return Err(damage);
        }
        let first = self.next.wrapping_add(1);
        self.next = self.next.wrapping_add(words);
        self.memory.taken().store(self.next, Ordering::Release);
        // For whoever comes after this process, not for another one beside it: what it has done, it has done in its program's order.
        compiler_fence(Ordering::SeqCst);
        Ok(Some((tag, first, bytes)))
    }

    /// The room of what was taken is the sender's again.
    pub(super) fn release(&mut self) {
        self.memory.head().store(self.next, Ordering::Release);
    }

    pub(super) fn copy_to(&self, position: u64, into: &mut [u8]) {
        read(self.memory.data(), position, into);
    }
}

/// The end of a ring that writes. One process at a time has it, in one place.
pub struct Sender(Producer<Mapped>);

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("tail", &self.0.tail).field("capacity", &self.capacity()).finish_non_exhaustive()
    }
}

impl Sender {
    /// The sender of the ring at this place. Whoever was it before is gone.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no ring, [`Error::Failed`] if it is damaged, [`Error::Forked`].
    pub fn attach(segment: &Arc<Segment>, offset: usize) -> Result<Self> {
        Producer::new(Mapped::attach(segment, offset)?).map(Self)
    }

    /// Sends a record, if there is room. Never waits.
    ///
    /// # Errors
    /// [`Error::QueueFull`], [`Error::Invalid`] for one that is longer than the ring, [`Error::Failed`] if the ring is damaged, [`Error::Forked`].
    pub fn try_send(&mut self, tag: u32, bytes: &[u8]) -> Result<()> {
        self.0.try_send(tag, &[bytes])
    }

    /// As [`Sender::try_send`], a record whose bytes lie in several places.
    ///
    /// # Errors
    /// As there.
    pub fn try_send_parts(&mut self, tag: u32, parts: &[&[u8]]) -> Result<()> {
        self.0.try_send(tag, parts)
    }

    /// Whether there is room for a record of so many bytes: for a wait until there is.
    ///
    /// # Errors
    /// [`Error::Failed`] if the ring is damaged, [`Error::Forked`].
    pub fn has_room(&mut self, bytes: usize) -> Result<bool> {
        self.0.memory.check()?;
        Ok(bytes <= self.longest() && self.0.has_room(words(bytes))?)
    }

    /// How many bytes the ring holds, of records that each take 8 more than they have, filled up to a multiple of 8.
    pub fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// How many bytes the longest record has.
    pub fn longest(&self) -> usize {
        self.0.longest()
    }
}

/// The end of a ring that reads. One process at a time has it, in one place.
pub struct Receiver(Consumer<Mapped>);

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("next", &self.0.next).field("tail", &self.0.tail).finish_non_exhaustive()
    }
}

impl Receiver {
    /// The receiver of the ring at this place. Whoever was it before is gone, with the record that it had in hand.
    ///
    /// # Errors
    /// As [`Sender::attach`].
    pub fn attach(segment: &Arc<Segment>, offset: usize) -> Result<Self> {
        Consumer::new(Mapped::attach(segment, offset)?).map(Self)
    }

    /// The next record, if there is one. It is taken: nobody will see it again. Its room is the sender's again when it is dropped. Never waits.
    ///
    /// # Errors
    /// [`Error::Failed`] if the ring is damaged, now and from now on; [`Error::Forked`].
    pub fn recv(&mut self) -> Result<Option<Record<'_>>> {
        Ok(self.0.take()?.map(|(tag, first, bytes)| Record { ring: &mut self.0, tag, first, bytes }))
    }

    /// Whether there is a record: for a wait until there is.
    ///
    /// # Errors
    /// As [`Receiver::recv`].
    pub fn has_record(&mut self) -> Result<bool> {
        self.0.has_record()
    }
}

/// A record in its ring, until it is dropped. A sender that does not keep to the rules may change its bytes meanwhile, so they are copied out and
/// never lent.
pub struct Record<'a> {
    ring: &'a mut Consumer<Mapped>,
    tag: u32,
    first: u64,
    bytes: usize,
}

impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("tag", &self.tag).field("len", &self.bytes).finish_non_exhaustive()
    }
}

impl Record<'_> {
    /// What the sender gave it.
    pub fn tag(&self) -> u32 {
        self.tag
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Copies the first of its bytes, as many as there are and as fit; what `into` is longer by stays as it is.
    pub fn copy_to(&self, into: &mut [u8]) {
        let length = into.len().min(self.bytes);
        self.ring.copy_to(self.first, &mut into[..length]);
    }

    /// A copy of its bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.bytes];
        self.copy_to(&mut bytes);
        bytes
    }
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        self.ring.release();
    }
}
