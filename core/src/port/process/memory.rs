//! What the processes of a set share: one segment, in which each port has its counts, what its handler saved, why its start failed, and its
//! bell, and which of its workers has its place; and every two of them, the set's own process included, a ring for each direction.

#![forbid(unsafe_code)]

use std::{
    fs::File,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::FileExt,
    },
    sync::Arc,
};

use super::{
    super::{
        counters::{COUNTS, Counters},
        saved::Saved,
    },
    baton::{self, Baton},
};
use crate::{
    error::{Error, Result},
    shm::{Doorbell, Receiver, Segment, Sender, ring},
};

/// The text that says why a start failed is not longer, and stands behind its length.
const LONGEST: usize = 32 << 10;
const LENGTH: usize = 8;
/// What is in the segment: a port set, in the second form of it.
const KIND: u64 = u64::from_le_bytes(*b"ports\0\0\x02");

/// Where everything is, for so many ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) ports: usize,
    pub(super) saved_bytes: usize,
    pub(super) ring_bytes: usize,
}

impl Layout {
    fn port(&self) -> usize {
        [
            COUNTS * 8,
            LENGTH + LONGEST,
            Saved::room(self.saved_bytes),
            Doorbell::SPACE,
            baton::WORDS * 8,
            Doorbell::SPACE,
        ]
        .into_iter()
        .fold(0, |all, place| all.saturating_add(Segment::space(place)))
    }

    fn at(&self, index: usize) -> usize {
        Segment::FIRST.saturating_add(index.saturating_mul(self.port()))
    }

    fn failed(&self, index: usize) -> usize {
        self.at(index) + Segment::space(COUNTS * 8)
    }

    fn saved(&self, index: usize) -> usize {
        self.failed(index) + Segment::space(LENGTH + LONGEST)
    }

    fn bell(&self, index: usize) -> usize {
        self.saved(index) + Segment::space(Saved::room(self.saved_bytes))
    }

    fn baton(&self, index: usize) -> usize {
        self.bell(index) + Segment::space(Doorbell::SPACE)
    }

    fn gate(&self, index: usize) -> usize {
        self.baton(index) + Segment::space(baton::WORDS * 8)
    }

    /// `from` is a port, or behind the last one the set's own process.
    fn ring(&self, from: usize, to: usize) -> Result<usize> {
        let space = Segment::space(ring::space(self.ring_bytes)?);
        let number = from.saturating_mul(self.ports).saturating_add(to);
        Ok(self.at(self.ports).saturating_add(number.saturating_mul(space)))
    }

    fn size(&self) -> Result<usize> {
        self.ring(self.ports + 1, 0)
    }

    /// How many records a ring holds at most: a word each, without bytes.
    pub(super) fn most_records(&self) -> usize {
        self.ring_bytes / 8
    }

    /// Those of all rings.
    fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        let ports = self.ports;
        (0..=ports).flat_map(move |from| (0..ports).filter(move |to| *to != from).map(move |to| (from, to)))
    }
}

/// See the module's text; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    segment: Arc<Segment>,
    layout: Layout,
}

fn os(error: std::io::Error) -> Error {
    Error::os("the memory that the processes of a port set share", &error)
}

impl Memory {
    pub(super) fn new(layout: Layout) -> Result<Self> {
        let segment = Arc::new(Segment::new("coop-ports", KIND, layout.size()?)?);
        for (from, to) in layout.pairs() {
            ring::create(&segment, layout.ring(from, to)?, layout.ring_bytes)?;
        }
        Ok(Self { segment, layout })
    }

    /// What another process has made, which a manifest has said: whatever was written there meanwhile, a successor can serve its port.
    ///
    /// # Errors
    /// [`Error::Invalid`] for memory of another size.
    pub(super) fn attach(fd: OwnedFd, layout: Layout) -> Result<Self> {
        let segment = Arc::new(Segment::attach_known(fd)?);
        let (found, needed) = (segment.bytes(), layout.size()?);
        if found != needed {
            return Err(Error::Invalid(format!(
                "{found} bytes of shared memory are not those of {} ports, which are {needed}",
                layout.ports
            )));
        }
        Ok(Self { segment, layout })
    }

    /// For another process.
    pub(super) fn fd(&self) -> Result<OwnedFd> {
        self.segment.as_fd().try_clone_to_owned().map_err(os)
    }

    /// As a file: what is written there is in the memory.
    fn file(&self) -> Result<File> {
        self.fd().map(File::from)
    }

    pub(super) fn layout(&self) -> Layout {
        self.layout
    }

    pub(super) fn counters(&self, index: usize) -> Result<Counters> {
        self.segment.words(self.layout.at(index), COUNTS).map(Counters::shared)
    }

    pub(super) fn saved(&self, index: usize) -> Result<Saved> {
        Ok(Saved::in_file(self.layout.saved_bytes, self.file()?, self.layout.saved(index) as u64))
    }

    pub(super) fn bell(&self, index: usize, eventfd: OwnedFd) -> Result<Doorbell> {
        Doorbell::attach(&self.segment, self.layout.bell(index), Some(eventfd))
    }

    /// With what its workers are told by.
    pub(super) fn baton(&self, index: usize, orders: OwnedFd) -> Result<Baton> {
        let words = self.segment.words(self.layout.baton(index), baton::WORDS)?;
        Ok(Baton::new(words, Doorbell::attach(&self.segment, self.layout.gate(index), None)?, orders))
    }

    pub(super) fn sender(&self, from: usize, to: usize) -> Result<Sender> {
        Sender::attach(&self.segment, self.layout.ring(from, to)?)
    }

    pub(super) fn receiver(&self, from: usize, to: usize) -> Result<Receiver> {
        Receiver::attach(&self.segment, self.layout.ring(from, to)?)
    }

    /// Says why a port's start failed.
    pub(super) fn fail(&self, index: usize, text: &str) -> Result<()> {
        let mut end = text.len().min(LONGEST);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let (file, at) = (self.file()?, self.layout.failed(index) as u64);
        file.write_all_at(&text.as_bytes()[..end], at + LENGTH as u64).map_err(os)?;
        file.write_all_at(&(end as u64).to_ne_bytes(), at).map_err(os)
    }

    /// What was said so.
    pub(super) fn failed(&self, index: usize) -> Option<String> {
        let (file, at, mut length) = (self.file().ok()?, self.layout.failed(index) as u64, [0; LENGTH]);
        file.read_exact_at(&mut length, at).ok()?;
        let length =
            usize::try_from(u64::from_ne_bytes(length)).ok().filter(|length| (1..=LONGEST).contains(length))?;
        let mut text = vec![0; length];
        file.read_exact_at(&mut text, at + LENGTH as u64).ok()?;
        Some(String::from_utf8_lossy(&text).into_owned())
    }
}

#[cfg(test)]
mod test {
    use super::*;

    const LAYOUT: Layout = Layout { ports: 3, saved_bytes: 10, ring_bytes: 256 };

    #[test]
    fn another_process_finds_what_the_first_left() {
        let memory = Memory::new(LAYOUT).unwrap();
        let other = Memory::attach(memory.fd().unwrap(), LAYOUT).unwrap();
        other.counters(2).unwrap().received().add(7);
        other.saved(2).unwrap().save(b"state").unwrap();
        other.fail(2, "no ä").unwrap();
        other.bell(2, crate::shm::eventfd().unwrap()).unwrap().ring_anyway();
        for (number, (from, to)) in (0u32..).zip(LAYOUT.pairs()) {
            other.sender(from, to).unwrap().try_send(number, b"to you").unwrap();
        }
        assert_eq!(memory.counters(2).unwrap().snapshot().received, 7);
        assert_eq!(memory.counters(1).unwrap().snapshot(), Default::default());
        assert_eq!(memory.saved(2).unwrap().get().unwrap().as_deref(), Some(&b"state"[..]));
        assert_eq!((memory.failed(2).as_deref(), memory.failed(1)), (Some("no ä"), None));
        for (number, (from, to)) in (0u32..).zip(LAYOUT.pairs()) {
            let mut receiver = memory.receiver(from, to).unwrap();
            let record = receiver.recv().unwrap().unwrap();
            assert_eq!((record.tag(), record.to_vec()), (number, b"to you".to_vec()));
        }
        memory.fail(1, &"ä".repeat(LONGEST)).unwrap();
        assert_eq!(memory.failed(1).unwrap().len(), LONGEST);
        assert_eq!(LAYOUT.pairs().count(), 9);
    }

    #[test]
    fn what_is_not_that_memory_is_refused() {
        let memory = Memory::new(LAYOUT).unwrap();
        for ports in [2, 4] {
            let other = Layout { ports, ..LAYOUT };
            assert!(matches!(Memory::attach(memory.fd().unwrap(), other), Err(Error::Invalid(_))));
        }
        assert!(Memory::new(Layout { ring_bytes: 100, ..LAYOUT }).is_err(), "no power of two");
        assert!(Memory::new(Layout { ports: 200, saved_bytes: 1 << 62, ..LAYOUT }).is_err());
    }
}
