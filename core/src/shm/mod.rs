//! Memory that processes share, and what goes through it: records in rings, and bells that wake who sleeps.
//!
//! It knows nothing of ports or pools: whoever makes a [`Segment`] decides what lies where in it.
//!
//! ```text
//!     let places = [ring::space(1 << 20)?, Doorbell::SPACE];                   the maker: one behind the other, from Segment::FIRST
//!     let size = Segment::size(&places);
//!     let segment = Arc::new(Segment::new("set", KIND, size)?);
//!     ring::create(&segment, Segment::FIRST, 1 << 20)?;                        once, before anybody attaches
//!     let bell = eventfd()?;
//!     ... segment.as_fd() and bell go to both processes as descriptors ...
//!     let segment = Arc::new(Segment::attach(fd, KIND)?);                      in each of them
//!     let mut sender = Sender::attach(&segment, Segment::FIRST)?;                        one process
//!     let doorbell = Doorbell::attach(&segment, place, Some(bell))?;
//!     sender.try_send(tag, b"bytes")?;
//!     doorbell.ring();
//!     let mut receiver = Receiver::attach(&segment, Segment::FIRST)?;                    the other one, in the callback of a watch on the eventfd
//!     doorbell.answer(|| match receiver.recv()? {
//!         Some(record) => { use_it(record.tag(), record.to_vec()); Ok(true) }
//!         None => Ok(false),
//!     })?;
//! ```
//!
//! # What holds when a process is killed
//!
//! * A ring has one sender and one receiver at a time. A sender that was killed in the middle of a record has sent nothing of it. A successor
//!   of either goes on where the one before it was, by attaching to the same place after that one is gone.
//! * A record is delivered **at most once**: it is the receiver's from the moment that it is looked at, and lost if the receiver is killed before it has
//!   done anything with it. So a record that kills its receiver does not kill the next one.
//! * A sender that was killed between its record and its ring of the bell leaves a receiver asleep: who succeeds it, or sees it end, rings by
//!   [`Doorbell::ring_anyway`].
//! * The memory has no name. It is gone with the last process that has a descriptor of it or has it mapped.
//!
//! # What holds beside a peer that writes anything anywhere
//!
//! Every length and position that is read from the memory is checked against what can be, before it is used; one that cannot be is an error in
//! words, and stays one. All access is by atomics, a word at a time, and nobody is ever given a reference to bytes that the peer may be
//! writing: [`Record`] copies them out. What such a peer can do is send nonsense, be silent, or take messages that were not for it. It
//! cannot make the memory smaller under the others: a segment that is not sealed against that is not attached to.
//!
//! # After a fork
//!
//! The child has the memory too, and would be a second sender or receiver: every call answers [`Error::Forked`](crate::Error::Forked) there.
//!
//! `segment.rs` the memory, `block.rs` bytes that are looked at without a copy, `ring.rs` the records, `word.rs` the words they are in, `doorbell.rs` who sleeps and who wakes it, `patience.rs` how long somebody looks before it sleeps,
//! `system.rs` what the kernel is asked for.

// Not forbidden: `segment.rs` and `block.rs` map memory.
#![deny(unsafe_code)]

pub mod block;
mod doorbell;
mod patience;
pub mod ring;
mod segment;
mod system;
pub(crate) mod word;

#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, not(loom)))]
mod test;

/// How one sleeps and is woken, for the models of what is built on it.
#[cfg(all(test, loom))]
pub(crate) use self::doorbell::{announce, must_wake};
pub use self::{
    doorbell::{Doorbell, LOOKS},
    ring::{Receiver, Record, Sender},
    segment::{Segment, Word32, Words},
    system::eventfd,
};
