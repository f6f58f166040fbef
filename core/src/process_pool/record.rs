//! What a worker tells its pool, as records of its ring.

#![forbid(unsafe_code)]

use super::{blocks::BlockRef, table::Entry};
use crate::{
    error::{Error, Result},
    shm::{Record, block::Heap, word::WORD},
};

/// The tags of records.
pub(super) mod tag {
    /// A call is done; the parts follow.
    pub(in super::super) const HERE: u32 = 1;
    /// A call is done; where the parts are follows.
    pub(in super::super) const IN_BLOCK: u32 = 2;
    /// A call could not be read; why follows.
    pub(in super::super) const UNREAD: u32 = 3;
    /// It has not met this block.
    pub(in super::super) const NEED: u32 = 4;
    /// It cannot work; why follows.
    pub(in super::super) const FAILED: u32 = 5;
}

/// How many bytes say which call it is.
pub(super) const HEAD: usize = 2 * WORD;

/// Two numbers in a word.
pub(super) fn halves(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

#[expect(clippy::cast_possible_truncation, reason = "two halves")]
fn split(word: u64) -> (u32, u32) {
    (word as u32, (word >> 32) as u32)
}

/// Words, as bytes.
pub(super) fn bytes<const N: usize>(words: [u64; N]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// What was told.
#[derive(Debug)]
pub(super) enum Told {
    Done { entry: Entry, status: u32, count: usize, parts: Parts },
    Unread { entry: Entry, why: String },
    Need { number: u32, serial: u32 },
    Failed(String),
}

/// Where the parts are.
#[derive(Debug)]
pub(super) enum Parts {
    /// Behind the first [`HEAD`] bytes.
    Here(Heap),
    InBlock {
        block: BlockRef,
        bytes: usize,
    },
}

fn damaged() -> Error {
    Error::Failed("a worker's ring is damaged: it has a record that no worker sends".into())
}

/// Reads a record.
///
/// # Errors
/// [`Error::Failed`] for one that no worker sends.
pub(super) fn read(record: &Record<'_>) -> Result<Told> {
    let mut heap = Heap::new(record.len());
    record.copy_to(heap.bytes_mut());
    let word = |bytes: &[u8], index: usize| {
        let word = bytes.get(index * WORD..(index + 1) * WORD).and_then(|word| word.try_into().ok());
        word.map(u64::from_ne_bytes).ok_or_else(damaged)
    };
    let all = heap.bytes_mut();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if record.tag() == tag::FAILED {
        return Ok(Told::Failed(text(all)));
    }
    let (slot, generation) = split(word(all, 0)?);
    let entry = Entry { slot, generation };
    match record.tag() {
        tag::NEED => Ok(Told::Need { number: slot, serial: generation }),
        tag::UNREAD => Ok(Told::Unread { entry, why: text(&all[WORD..]) }),
        tag::HERE => {
            let (status, count) = split(word(all, 1)?);
            Ok(Told::Done { entry, status, count: count as usize, parts: Parts::Here(heap) })
        }
        tag::IN_BLOCK => {
            let (status, count) = split(word(all, 1)?);
            let (number, serial) = split(word(all, 2)?);
            let (usage, _) = split(word(all, 3)?);
            let bytes = usize::try_from(word(all, 4)?).map_err(|_| damaged())?;
            let parts = Parts::InBlock { block: BlockRef { number, serial, usage }, bytes };
            Ok(Told::Done { entry, status, count: count as usize, parts })
        }
        _ => Err(damaged()),
    }
}
