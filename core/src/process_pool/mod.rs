//! Calls that are run by processes, any of which may die: bytes go to a worker, and bytes come back.
//!
//! It knows nothing of what the bytes mean: whoever makes a [`ProcessPool`] says what a worker is ([`Options::executor`], or this program
//! entered again), and what a worker does with a call is its own matter.
//!
//! ```text
//!     the pool's process                                       a worker
//!     let pool = ProcessPool::new(options, |batch| ...)?;      let mut worker = Worker::from_environment()?.ok_or(...)?;
//!                                                              ... what it is given: worker.args() ... context.ready();
//!     let id = pool.submit(context, &[b"a", b"b"], &how)?;     while let Some((ticket, payload)) = worker.take()? {
//!                                                                  let result = f(payload.part(0), payload.part(1));
//!                                                                  drop(payload);
//!     ... batch: [Completion { id, context,                        worker.done(ticket, STATUS, &[&result])?;
//!          outcome: Done { status, result } }] ...             }
//! ```
//!
//! # What holds
//!
//! * **Each call is run at most once, and ends exactly once**: its context comes back in one [`Completion`], or from the [`ProcessPool::cancel`]
//!   that took it out of the queue. A worker that ends, in whatever way and at whatever instruction, fails the call that it had claimed
//!   ([`Outcome::Died`], with how it ended and its last lines) and no other one; it is replaced, and the queued calls go on.
//! * The higher level goes first, but for ageing as in a [`Pool`](crate::Pool): a worker that has taken 64 calls above a level while there was one of it takes one of it,
//!   the lowest first; and of the table each level has its share, however many wait above it. What waits for memory is in nobody's way who needs none, nor in that
//!   of a higher level.
//! * A worker claims a call by one compare-and-swap of the call's word in shared memory, to its own number and run: claim and claimant are one
//!   step. It takes the first of the highest level that it may run, when it is idle and not before: no call waits behind a long one
//!   while a worker is idle.
//! * A call that is to be ended while it runs (its deadline, [`ProcessPool::kill`]) is doomed by such a swap first. A worker that has finished says so by
//!   one, too. One of the two comes first: so either the call has ended by itself and its worker is left alone, or that worker is
//!   killed and takes no other call along. The outcome is told when the process is gone.
//! * The parts of a call lie in its slot of the shared memory if they are short, else in a **block**: memory of its own (memfd), of the
//!   side that fills it, which uses it again when the last [`Payload`] and [`Part`] of the other side is gone. What is looked at there costs no copy;
//!   what the receiver writes there stays its own. How much lies in blocks for calls that have not ended, and how much is kept to be used again, is
//!   bounded; a call that finds no room for it waits in the pool's process. What is beyond that goes back to the system when the last view of it has gone, without a
//!   further call.
//! * Workers are permanent services of a host of the pool's own. They are started on demand, one more whenever there are more calls than workers, up to
//!   [`Options::workers`]. One that ends is started again at once. A worker that says that it cannot work ([`Worker::fail`]), and
//!   [`STARTS`] in a row that end before they are ready, where nobody else is ready, break the pool: each of its calls, and those to come, fails with the reason.
//!   A process that has no descriptor or memory left for a worker tries again, for some two seconds; with no worker at all it refuses the call.
//! * When the pool's process ends, by kill -9 too, its workers do, and all of its memory is gone.
//! * In a forked child each call answers [`Error::Forked`](crate::Error::Forked); it closes nothing for the parent.
//!
//! `done` is called with the completions of the moment, in batches, on a thread of the pool's own; its calls do not overlap. It may call the pool;
//! [`ProcessPool::join`] is refused there.
//!
//! # While `done` does not return
//!
//! * Not held up: deadlines and [`ProcessPool::kill`], which end workers; the ends of workers, and their replacement; the pool's events; and, 20 to 40 ms late,
//!   what waits for room in the table, and workers whose rings are full. All that is done on the loop of the pool's host.
//! * Held up: what becomes of other calls is told when `done` has returned, in the order in which it came; so is the end of a pool that was shut down.
//! * The host's loop itself runs nothing of a user's but [`MakeExecutor`], sinks of the workers' output, and who is told of log messages: these must not wait.
//!
//! # Beside a worker that writes anything anywhere
//!
//! What the parent needs to know of a call it keeps in its own memory; what it reads from the shared memory is checked before it is used. Memory that cannot be
//! right ends the worker whose it is, fails the calls that nobody can say any more of who has them, and is made anew. The bytes of a block may change while
//! they are looked at: of what a worker wrote, as of any input, only a copy stays what it was checked to be.
//!
//! # Where things are
//!
//! `options.rs` what a pool is made of, `call.rs` what goes in and comes out, `payload.rs` its bytes; `pool.rs` the pool's handle, `inner.rs` what is behind it, `front.rs`
//! its calls, `lives.rs` the runs of its workers; `worker.rs` the worker's side, `entry.rs` a program that is one. Between them: `layout.rs` what lies where in the
//! shared memory, `table.rs` how a call is claimed, `bits.rs` who sleeps and who has something, `parts.rs` how parts lie, `record.rs` what a worker tells, `blocks.rs` what is long and its two sides, `wire.rs` the
//! descriptors of that, `manifest.rs` what a worker is told.

#![forbid(unsafe_code)]

mod bits;
mod blocks;
mod call;
mod entry;
mod front;
mod inner;
mod layout;
mod lives;
mod manifest;
#[cfg(all(test, loom))]
mod model;
mod options;
mod parts;
mod payload;
mod pool;
mod record;
mod rest;
mod table;
#[cfg(all(test, not(loom)))]
mod test;
mod wire;
mod worker;

pub use self::{
    call::{CallId, CallOptions, Completion, Death, Outcome},
    entry::{ENTRY, run, run_if_asked},
    options::{Equipment, MakeExecutor, Options},
    payload::{Part, Payload},
    pool::{ProcessPool, Shutdown, Stats},
    worker::{Stopper, Ticket, Worker},
};

/// So many workers in a row that end before they are ready, and none of the others ready, break the pool.
pub const STARTS: u32 = 4;
