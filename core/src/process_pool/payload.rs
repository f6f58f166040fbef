//! The parts of a call or of a result, as their receiver sees them.

#![forbid(unsafe_code)]

use std::sync::Arc;

use super::{blocks::Lease, parts};
use crate::{
    error::{Error, Result},
    shm::block::{Bytes, Heap},
};

/// Parts, where they are: copied out of a slot or a ring, or in a block, which its owner may use again when the last [`Payload`] and [`Part`]
/// of it is gone. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Payload {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    memory: Memory,
    /// Where each part begins, and how long it is: within the memory.
    places: Vec<(usize, usize)>,
}

#[derive(Debug)]
enum Memory {
    Heap(Heap),
    Block(Lease),
}

impl Memory {
    fn bytes(&self) -> &dyn Bytes {
        match self {
            Self::Heap(heap) => heap,
            Self::Block(lease) => lease,
        }
    }
}

/// One part of a payload, which keeps it. It begins at a multiple of 16 bytes.
#[derive(Debug, Clone)]
pub struct Part {
    payload: Payload,
    at: usize,
    length: usize,
}

impl Payload {
    /// What lies in these bytes, from a multiple of 16 on.
    pub(super) fn copied(mut heap: Heap, from: usize, count: usize) -> Result<Self> {
        let bytes = heap.bytes_mut().get_mut(from..).unwrap_or_default();
        let read = |at: usize| {
            let word = bytes.get(at..at + 8).and_then(|word| word.try_into().ok());
            Ok(u64::from_ne_bytes(word.unwrap_or([0xff; 8])))
        };
        let mut places = parts::table(count, bytes.len(), read)?;
        places.iter_mut().for_each(|(at, _)| *at += from);
        Ok(Self { inner: Arc::new(Inner { memory: Memory::Heap(heap), places }) })
    }

    /// What lies in so many bytes of a block.
    pub(super) fn borrowed(lease: Lease, count: usize, bytes: usize) -> Result<Self> {
        lease.at(0, bytes).map_err(|error| Error::Failed(format!("{error}: the shared memory is damaged")))?;
        let read = |at: usize| {
            let mut word = [0; 8];
            lease.copy_to(at, &mut word)?;
            Ok(u64::from_ne_bytes(word))
        };
        let places = parts::table(count, bytes, read)?;
        Ok(Self { inner: Arc::new(Inner { memory: Memory::Block(lease), places }) })
    }

    /// A copy of what lies in so many bytes of a block, which is given back.
    pub(super) fn copied_from(lease: &Lease, count: usize, bytes: usize) -> Result<Self> {
        lease.at(0, bytes).map_err(|error| Error::Failed(format!("{error}: the shared memory is damaged")))?;
        let mut heap = Heap::new(bytes);
        lease.copy_to(0, heap.bytes_mut())?;
        Self::copied(heap, 0, count)
    }

    /// How many parts there are.
    pub fn len(&self) -> usize {
        self.inner.places.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it is in a block.
    pub fn is_in_block(&self) -> bool {
        matches!(self.inner.memory, Memory::Block(_))
    }

    /// One of them, if there is one of this number.
    pub fn get(&self, index: usize) -> Option<Part> {
        let (at, length) = *self.inner.places.get(index)?;
        Some(Part { payload: self.clone(), at, length })
    }

    /// One of them.
    ///
    /// # Panics
    /// If there is none of this number.
    pub fn part(&self, index: usize) -> Part {
        self.get(index).unwrap_or_else(|| panic!("part {index} of {}", self.len()))
    }

    /// All of them.
    pub fn parts(&self) -> impl Iterator<Item = Part> + '_ {
        (0..self.len()).map(|index| self.part(index))
    }
}

impl Part {
    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// A copy of its bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.length];
        self.copy_to(&mut bytes);
        bytes
    }

    /// Copies the first of its bytes, as many as there are and as fit.
    pub fn copy_to(&self, into: &mut [u8]) {
        let length = into.len().min(self.length);
        // Within the memory: checked when the payload was made.
        let _ = self.payload.inner.memory.bytes().copy_to(self.at, &mut into[..length]);
    }

    /// Where its bytes begin, readable as long as this part or its payload is there. A peer that does not keep to the rules may change them meanwhile.
    pub fn as_ptr(&self) -> *const u8 {
        self.address().cast_const()
    }

    /// The same, to be written too: what is written is seen by this process only, and is gone with the last part. Costs a system call when the
    /// block is given back, and a copy of each page that is written.
    pub fn as_mut_ptr(&self) -> *mut u8 {
        if let Memory::Block(lease) = &self.payload.inner.memory {
            lease.set_written();
        }
        self.address()
    }

    fn address(&self) -> *mut u8 {
        let at = self.payload.inner.memory.bytes().at(self.at, self.length);
        at.unwrap_or(std::ptr::without_provenance_mut(16))
    }
}
