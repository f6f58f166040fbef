//! Redis: thousands of calls in flight on one thread.
//!
//! ```no_run
//! use coop_core::{EventLoop, EventLoopOptions, net::redis::{Client, Command}};
//!
//! let event_loop = EventLoop::new(EventLoopOptions::default())?;
//! event_loop.start()?;
//! let redis = Client::from_url(&event_loop, "redis://localhost/0")?;
//!
//! let mut visits = event_loop.spawn({
//!     let redis = redis.clone();
//!     async move {
//!         redis.set("greeting", "hello").await?;
//!         // Both at once, in one write.
//!         let (greeting, visits) = (redis.command(&["GET", "greeting"]), redis.command(&["INCR", "visits"]));
//!         println!("{:?}", greeting.await?.as_str());
//!         visits.await?.into_int()
//!     }
//! })?;
//! println!("{}", visits.join(None)??);
//!
//! // From a plain thread, and with a callback on the loop's.
//! let reply = redis.command(&Command::new("LRANGE").arg("list").arg(0).arg(-1)).wait(None)?;
//! println!("{:?}", reply.into_array()?);
//! redis.command_with(&["PING"], None, |reply| println!("{reply:?}"))?;
//! # Ok::<(), coop_core::Error>(())
//! ```
//!
//! # What it guarantees
//!
//! * A call that was accepted ends once: with its own reply, or with an error that says why there is none. Callbacks are told on the loop's thread.
//! * Calls of one turn of the loop go out in one write, and replies in one read are answered in one turn. No thread is made, and none waits.
//! * A call that is cancelled, or passes its deadline, ends at once; its place in the row stays until its reply has come and is dropped, so no reply goes to
//!   another call. A command that was not sent by then is not sent any more.
//! * Everything is bounded: the calls, the bytes that wait to be sent ([`Error::QueueFull`](crate::Error::QueueFull)), a reply.
//! * A lost connection is made anew, with growing pauses. Calls of whose commands nothing was written wait for it, no longer than
//!   [`Options::patience`]; those that were written end with an error, for the server may have done them.
//! * What the server refuses is a reply ([`Reply::Error`], [`Reply::ok`]); an [`Error`](crate::Error) means that there is none.
//! * When the loop ends, stopped or freed, every call ends with [`Error::Closed`](crate::Error::Closed), and so do later ones. A client does not
//!   keep its loop open, but a loop that runs until it is idle runs for as long as a client is there.
//!
//! # Where things are
//!
//! `client.rs` the calls, `commands.rs` those by name, `several.rs` those of several commands, `own.rs` connections of one's own, `call.rs` a call as a future,
//! `command.rs` its words, `group.rs` several replies as one, `script.rs` and `pubsub.rs` scripts and messages, `options.rs` and `url.rs` where and how, `stats.rs`
//! figures; `link/` a connection as its callers (`mod.rs`) and its driver (`driver.rs`) see it, and what they share (`state.rs`), `drive.rs` the coroutine behind it, `connect.rs` its beginning, `parse.rs` bytes to a [`Reply`].

#![forbid(unsafe_code)]

/// The guide's programs are compiled as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../../docs/redis.md")]
mod guide {}

mod call;
mod client;
mod command;
mod commands;
mod connect;
mod drive;
mod group;
mod inbox;
mod link;
mod options;
mod own;
mod parse;
mod pubsub;
mod reply;
mod script;
mod several;
mod stats;
mod url;

pub use self::{
    call::{Call, CallId},
    client::Client,
    command::{Command, Word, Words},
    options::{OnPush, Options, Protocol, Server},
    own::Own,
    pubsub::{Channel, Message, Next, Subscriber},
    reply::{Reply, ServerError},
    script::Script,
    stats::Stats,
};
