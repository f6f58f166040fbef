//! How parts lie in memory: a table of their lengths, then each of them, all from multiples of 16 on. What is given in several pieces lies in one.

#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{
    error::{Error, Result},
    shm::word::{self, WORD},
};

const ALIGN: usize = 16;
/// More parts than anybody sends.
pub(super) const MOST: usize = 1 << 20;

/// Parts, each in the pieces that it is put together from.
pub(super) type Pieces<'a> = &'a [&'a [&'a [u8]]];

fn length(part: &[&[u8]]) -> usize {
    part.iter().fold(0, |all, piece| all.saturating_add(piece.len()))
}

fn align(bytes: usize) -> usize {
    bytes.saturating_add(ALIGN - 1) / ALIGN * ALIGN
}

/// How many bytes these take; `None` for more parts than can be.
pub(super) fn space(parts: Pieces<'_>) -> Option<usize> {
    if parts.len() > MOST {
        return None;
    }
    Some(parts.iter().fold(align(parts.len() * WORD), |all, part| all.saturating_add(align(length(part)))))
}

/// Calls with each piece and its place, one after the other: the table, then the parts.
pub(super) fn lay(parts: Pieces<'_>, mut put: impl FnMut(usize, &[u8]) -> Result<()>) -> Result<()> {
    let mut at = 0;
    for part in parts {
        put(at, &(length(part) as u64).to_ne_bytes())?;
        at += WORD;
    }
    at = align(at);
    for part in parts {
        let mut from = at;
        for piece in *part {
            put(from, piece)?;
            from += piece.len();
        }
        at = align(from);
    }
    Ok(())
}

/// One behind the other, as they lie.
pub(super) fn encode(parts: Pieces<'_>, space: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(space);
    let put = |at: usize, piece: &[u8]| {
        bytes.resize(at, 0);
        bytes.extend_from_slice(piece);
        Ok(())
    };
    // It never fails.
    let _ = lay(parts, put);
    bytes.resize(space, 0);
    bytes
}

/// Where each of so many parts is in so many bytes, by the table that `read` reads a length of.
pub(super) fn table(
    count: usize,
    bytes: usize,
    mut read: impl FnMut(usize) -> Result<u64>,
) -> Result<Vec<(usize, usize)>> {
    let wrong = || Error::Failed(format!("{count} parts do not lie in {bytes} bytes: the shared memory is damaged"));
    if count > MOST || count * WORD > bytes {
        return Err(wrong());
    }
    let mut at = align(count * WORD);
    let mut places = Vec::with_capacity(count);
    for index in 0..count {
        let length = usize::try_from(read(index * WORD)?).map_err(|_| wrong())?;
        if at.checked_add(length).is_none_or(|end| end > bytes) {
            return Err(wrong());
        }
        places.push((at, length));
        at = at.saturating_add(align(length));
    }
    Ok(places)
}

/// Writes bytes to a place in these words, which nobody else writes to. They fit. What is left of their last word is zeros.
pub(super) fn store(words: &[AtomicU64], at: usize, bytes: &[u8]) {
    let (mut words, inside) = (&words[at / WORD..], at % WORD);
    let (first, bytes) = bytes.split_at(if inside == 0 { 0 } else { bytes.len().min(WORD - inside) });
    if let (false, [begun, next @ ..]) = (first.is_empty(), words) {
        let mut all = begun.load(Ordering::Relaxed).to_ne_bytes();
        all[inside..inside + first.len()].copy_from_slice(first);
        begun.store(u64::from_ne_bytes(all), Ordering::Relaxed);
        words = next;
    }
    word::store(words, bytes);
}

#[cfg(all(test, not(loom)))]
mod test {
    use super::*;

    fn read(bytes: &[u8], count: usize) -> Result<Vec<Vec<u8>>> {
        let length = |at: usize| Ok(u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap()));
        let places = table(count, bytes.len(), length)?;
        Ok(places.into_iter().map(|(at, length)| bytes[at..at + length].to_vec()).collect())
    }

    #[test]
    fn parts_come_back_as_they_were() {
        let each: [Pieces<'_>; 5] = [
            &[],
            &[&[b""]],
            &[&[b"one"], &[b""], &[b"sixteen bytes..."], &[b"more than sixteen bytes"]],
            &[&[], &[b"one", b"", b"two and three", b"4"], &[b"12345678", b"9"], &[b"1234567", b"8", b"9"]],
            &[&[b"1", b"2", b"345", b"678901234567890123"], &[b"behind"]],
        ];
        for parts in each {
            let bytes = encode(parts, space(parts).unwrap());
            assert_eq!((bytes.len(), bytes.len() % 16), (space(parts).unwrap(), 0));
            let whole: Vec<Vec<u8>> = parts.iter().map(|part| part.concat()).collect();
            assert_eq!(read(&bytes, parts.len()).unwrap(), whole);
            // What was there before is written over.
            let words: Vec<_> = (0..bytes.len() / 8).map(|_| AtomicU64::new(u64::MAX)).collect();
            lay(parts, |at, piece| {
                store(&words, at, piece);
                Ok(())
            })
            .unwrap();
            let mut back = vec![0; bytes.len()];
            word::load(&words, &mut back);
            assert_eq!(read(&back, parts.len()).unwrap(), whole);
        }
    }

    #[test]
    fn a_table_that_cannot_be_is_refused() {
        let parts: Pieces<'_> = &[&[b"one"], &[b"two"]];
        let good = encode(parts, space(parts).unwrap());
        assert!(read(&good[..34], 2).is_err(), "the last part is cut");
        assert!(read(&good, 7).is_err() && read(&good, usize::MAX).is_err());
        for length in [u64::MAX, 17, u64::MAX - 15] {
            let mut bad = good.clone();
            bad[8..16].copy_from_slice(&length.to_ne_bytes());
            assert!(read(&bad, 2).is_err(), "{length}");
        }
    }
}
