//! The buffer between a socket and its handler: bounded, filled by whoever reads, emptied in one swap.
//!
//! # Invariant
//!
//! `announced` is true from the moment a reader is told to announce new datagrams until the handler's side takes
//! them; both happen under the lock. So whatever lies in `filling` has an announcement on its way.

#![forbid(unsafe_code)]

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{
    error::Result,
    event_loop::udp::{Datagrams, Received, Receiver, UdpSocket},
};

/// A spare buffer that grew past this in a flood is given back to the system.
const KEEP_BYTES: usize = 8 << 20;

#[derive(Debug)]
struct State {
    filling: Datagrams,
    spare: Option<Datagrams>,
    announced: bool,
}

#[derive(Debug)]
pub(super) struct Inbox {
    state: Mutex<State>,
    /// Bytes that it holds at the most; what comes above is dropped and counted.
    limit: usize,
}

impl Inbox {
    pub(super) fn new(limit: usize) -> Self {
        Self { state: Mutex::new(State { filling: Datagrams::new(), spare: None, announced: false }), limit }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads one batch from the socket; also answers whether the handler's side must be told.
    pub(super) fn read(&self, socket: &UdpSocket, scratch: &mut Receiver) -> Result<(Received, bool)> {
        // The lock is not held during the system call: the handler's side never waits for the socket.
        let mut received = socket.receive_into(scratch)?;
        let mut state = self.state();
        scratch.append_to(&mut state.filling, self.limit, &mut received);
        let announce = !state.filling.is_empty() && !state.announced;
        state.announced |= announce;
        Ok((received, announce))
    }

    /// Takes all that has come.
    pub(super) fn take(&self) -> Datagrams {
        let mut state = self.state();
        state.announced = false;
        let empty = state.spare.take().unwrap_or_default();
        std::mem::replace(&mut state.filling, empty)
    }

    /// Gives back an emptied buffer, to be filled again.
    pub(super) fn give_back(&self, emptied: Datagrams, held: usize) {
        if held <= KEEP_BYTES {
            self.state().spare = Some(emptied);
        }
    }
}
