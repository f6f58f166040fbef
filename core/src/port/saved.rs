//! The state that a handler has saved: in this process's memory, or in a file in memory that the next worker of the port finds.
//!
//! # What holds
//!
//! A save is whole or has not been: it is written into the slot that does not count, and counts when the header says so, which is
//! one write of eight bytes. Whoever reads takes no length for true that does not fit into a slot.
//!
//! A worker that lets another one save, and may again because that one could not start, finds what was there before.

#![forbid(unsafe_code)]

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::error::{Error, Result};

/// What a worker is answered that has let another one have its place in the set.
pub(super) const HANDED_OVER: Error = Error::Closed("worker, whose port another one has taken over,");

/// See the module's text.
#[derive(Debug)]
pub(super) struct Saved {
    /// Bytes that may be saved.
    capacity: usize,
    place: Mutex<Place>,
    /// Another worker may save now.
    handed_over: AtomicBool,
    /// What was there when that began, if it could be read.
    before: Mutex<Option<Option<Vec<u8>>>>,
}

#[derive(Debug)]
enum Place {
    Memory(Option<Vec<u8>>),
    File { file: File, at: u64 },
}

/// The header: which slot counts, and how long what it holds is. Zero: nothing was saved.
const HEADER: u64 = 8;
const SECOND: u64 = 1 << 63;
const SOME: u64 = 1 << 62;

impl Saved {
    pub(super) fn in_memory(capacity: usize) -> Self {
        Self::at(capacity, Place::Memory(None))
    }

    /// In the [`Saved::room`] that begins `at` this place of the file.
    pub(super) fn in_file(capacity: usize, file: File, at: u64) -> Self {
        Self::at(capacity, Place::File { file, at })
    }

    fn at(capacity: usize, place: Place) -> Self {
        Self { capacity, place: Mutex::new(place), handed_over: AtomicBool::default(), before: Mutex::default() }
    }

    /// How much of a file is needed.
    pub(super) const fn room(capacity: usize) -> usize {
        capacity.saturating_mul(2).saturating_add(HEADER as usize)
    }

    /// Whether another worker may save, and this one not. When this returns none is being written. If this one may again, what the other one has
    /// saved is undone.
    pub(super) fn hand_over(&self, handed_over: bool) -> Result<()> {
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        self.handed_over.store(handed_over, Ordering::Relaxed);
        if handed_over {
            *before = self.read(&place).ok();
            return Ok(());
        }
        match before.take() {
            Some(before) if self.read(&place).as_ref() != Ok(&before) => self.write(&mut place, before.as_deref()),
            _ => Ok(()),
        }
    }

    pub(super) fn is_handed_over(&self) -> bool {
        self.handed_over.load(Ordering::Relaxed)
    }

    pub(super) fn save(&self, bytes: &[u8]) -> Result<()> {
        if bytes.len() > self.capacity {
            let (given, most) = (bytes.len(), self.capacity);
            return Err(Error::Invalid(format!("{given} bytes are too many to be saved: at most saved_bytes, {most}")));
        }
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        if self.handed_over.load(Ordering::Relaxed) {
            return Err(HANDED_OVER);
        }
        self.write(&mut place, Some(bytes))
    }

    /// `None` is as if nothing had been saved.
    fn write(&self, place: &mut Place, bytes: Option<&[u8]>) -> Result<()> {
        match place {
            Place::Memory(saved) => *saved = bytes.map(<[u8]>::to_vec),
            Place::File { file, at } => {
                let write = || -> io::Result<()> {
                    let Some(bytes) = bytes else { return file.write_all_at(&[0; HEADER as usize], *at) };
                    let slot = (read_header(file, *at)? & SECOND) ^ SECOND;
                    file.write_all_at(bytes, self.slot(*at, slot))?;
                    let header = SOME | slot | bytes.len() as u64;
                    file.write_all_at(&header.to_ne_bytes(), *at)
                };
                write().map_err(|error| Error::os("save", &error))?;
            }
        }
        Ok(())
    }

    pub(super) fn get(&self) -> Result<Option<Vec<u8>>> {
        self.read(&self.place.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn read(&self, place: &Place) -> Result<Option<Vec<u8>>> {
        match place {
            Place::Memory(saved) => Ok(saved.clone()),
            Place::File { file, at } => {
                let failed = |error| Error::os("read what was saved", &error);
                let header = read_header(file, *at).map_err(failed)?;
                if header & SOME == 0 {
                    return Ok(None);
                }
                let length = usize::try_from(header & !(SOME | SECOND)).ok().filter(|length| *length <= self.capacity);
                let length = length
                    .ok_or_else(|| Error::Invalid(format!("what was saved is damaged: its header says {header:#x}")))?;
                let mut bytes = vec![0; length];
                file.read_exact_at(&mut bytes, self.slot(*at, header & SECOND)).map_err(failed)?;
                Ok(Some(bytes))
            }
        }
    }

    fn slot(&self, at: u64, which: u64) -> u64 {
        at + HEADER + if which == SECOND { self.capacity as u64 } else { 0 }
    }
}

fn read_header(file: &File, at: u64) -> io::Result<u64> {
    let mut header = [0; HEADER as usize];
    file.read_exact_at(&mut header, at)?;
    Ok(u64::from_ne_bytes(header))
}

#[cfg(test)]
mod test {
    use super::*;

    fn file(capacity: usize, at: u64) -> File {
        let file = rustix::fs::memfd_create("saved", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        let file = File::from(file);
        file.set_len(at + Saved::room(capacity) as u64).unwrap();
        file
    }

    #[test]
    fn what_was_saved_last_is_found_by_the_next() {
        let file = file(100, 16);
        let next = || Saved::in_file(100, file.try_clone().unwrap(), 16);
        assert_eq!(next().get(), Ok(None));
        for bytes in [&b"first"[..], b"", b"second", &[7; 100], b"x"] {
            next().save(bytes).unwrap();
            assert_eq!(next().get().unwrap().as_deref(), Some(bytes));
        }
        assert!(
            matches!(next().save(&[0; 101]), Err(Error::Invalid(text)) if text.contains("101") && text.contains("100"))
        );
        assert_eq!(next().get().unwrap().as_deref(), Some(&b"x"[..]), "a refused save changes nothing");
    }

    #[test]
    fn a_save_that_was_cut_short_leaves_the_one_before() {
        let file = file(8, 0);
        let saved = Saved::in_file(8, file.try_clone().unwrap(), 0);
        saved.save(b"before").unwrap();
        let header = read_header(&file, 0).unwrap();
        saved.save(b"after").unwrap();
        // Its bytes were written, and it was ended before its header was.
        file.write_all_at(&header.to_ne_bytes(), 0).unwrap();
        assert_eq!(saved.get().unwrap().as_deref(), Some(&b"before"[..]));
    }

    #[test]
    fn a_header_that_lies_is_an_error() {
        let file = file(8, 0);
        for header in [u64::MAX, SOME | 9, SOME | SECOND | 1 << 61] {
            file.write_all_at(&header.to_ne_bytes(), 0).unwrap();
            assert!(matches!(Saved::in_file(8, file.try_clone().unwrap(), 0).get(), Err(Error::Invalid(_))));
        }
        file.set_len(4).unwrap();
        assert!(Saved::in_file(8, file, 0).get().is_err());
    }

    #[test]
    fn who_has_handed_over_saves_nothing() {
        let saved = Saved::in_file(8, file(8, 0), 0);
        saved.save(b"before").unwrap();
        saved.hand_over(true).unwrap();
        assert_eq!(saved.save(b"after"), Err(HANDED_OVER));
        assert_eq!(saved.get().unwrap().as_deref(), Some(&b"before"[..]));
        saved.hand_over(false).unwrap();
        assert_eq!(saved.save(b"after"), Ok(()));
    }

    #[test]
    fn what_another_one_has_saved_is_undone_if_it_is_to_be_no_successor() {
        let file = file(8, 0);
        let [saved, other] = [(); 2].map(|()| Saved::in_file(8, file.try_clone().unwrap(), 0));
        for before in [None, Some(&b"before"[..]), Some(b"")] {
            if let Some(before) = before {
                saved.save(before).unwrap();
            }
            for others in [&[][..], &[&b"one"[..]], &[b"one", b"two"]] {
                saved.hand_over(true).unwrap();
                others.iter().for_each(|bytes| other.save(bytes).unwrap());
                saved.hand_over(false).unwrap();
                assert_eq!(saved.get().unwrap().as_deref(), before, "{others:?}");
            }
        }
    }

    #[test]
    fn memory_holds_the_same() {
        let saved = Saved::in_memory(3);
        assert_eq!(saved.get(), Ok(None));
        saved.save(b"abc").unwrap();
        assert_eq!(saved.get().unwrap().as_deref(), Some(&b"abc"[..]));
        assert!(saved.save(b"abcd").is_err());
    }
}
