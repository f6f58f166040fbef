//! How many messages of this process's may wait for a port: from each sender as much as a ring between processes holds, counted as there.

#![forbid(unsafe_code)]

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use super::super::handler::{Bytes, Encoded, Message};
use crate::error::{Error, Result};

/// What a message takes beside its bytes, and what those are a multiple of.
const WORD: usize = 8;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Waiting {
    /// For each sender.
    most: usize,
    from: Mutex<Vec<(String, Arc<AtomicUsize>)>>,
}

/// What a message takes; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    of: Arc<AtomicUsize>,
    bytes: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.of.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The bytes of a message; an object of the sender's is as large as what names it, not what hangs on it.
fn length(message: &Message) -> usize {
    match (message.downcast_ref::<Bytes>(), message.downcast_ref::<Encoded>()) {
        (Some(Bytes(bytes)), _) | (_, Some(Encoded { bytes, .. })) => bytes.len(),
        (None, None) => size_of_val(&**message),
    }
}

impl Waiting {
    pub(super) fn new(most: usize) -> Self {
        Self { most, from: Mutex::default() }
    }

    fn of(&self, sender: &str) -> Arc<AtomicUsize> {
        let mut from = self.from.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, of)) = from.iter().find(|(known, _)| known == sender) {
            return of.clone();
        }
        let of = Arc::<AtomicUsize>::default();
        from.push((sender.to_owned(), of.clone()));
        of
    }

    /// Room for a message.
    ///
    /// # Errors
    /// [`Error::QueueFull`]; [`Error::Invalid`] for one that would not fit though none waited.
    pub(super) fn place(&self, sender: &str, message: &Message) -> Result<Place> {
        let length = length(message);
        let bytes = length.div_ceil(WORD).saturating_add(1).saturating_mul(WORD);
        if bytes > self.most {
            let (most, longest) = (self.most, self.most.saturating_sub(WORD));
            return Err(Error::Invalid(format!(
                "a message of {length} bytes does not fit into the {most} that may wait: at most {longest}"
            )));
        }
        let of = self.of(sender);
        let add = |waits: usize| waits.checked_add(bytes).filter(|waits| *waits <= self.most);
        match of.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add) {
            Ok(_) => Ok(Place { of, bytes }),
            Err(_) => {
                Err(Error::QueueFull { what: "message queue", capacity: format!("{} bytes from one port", self.most) })
            }
        }
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn messages_take_what_they_take_in_a_ring_and_each_sender_has_its_own() {
        let waiting = Waiting::new(64);
        let message = |length: usize| -> Message { Box::new(Bytes(vec![0; length])) };
        let places: Vec<_> = (0..4).map(|_| waiting.place("A", &message(8)).unwrap()).collect();
        assert!(matches!(waiting.place("A", &message(0)), Err(Error::QueueFull { .. })));
        let other = waiting.place("", &message(56)).unwrap();
        assert!(matches!(waiting.place("", &message(0)), Err(Error::QueueFull { .. })));
        drop(places);
        assert!(waiting.place("A", &(Box::new(7u64) as Message)).is_ok());
        let long: Message = Box::new(Encoded { tag: 1, bytes: vec![0; 57] });
        let refused = waiting.place("A", &long).unwrap_err();
        assert!(matches!(&refused, Error::Invalid(text) if text.contains("57") && text.contains("56")), "{refused}");
        drop(other);
        assert!(waiting.place("", &message(56)).is_ok());
    }
}
