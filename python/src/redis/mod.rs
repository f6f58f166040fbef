//! `libcoop.Redis`, its native half: how commands are made of Python's values, where a call is made, and what its reply becomes.
//!
//! What it guarantees:
//!
//! * A call is waited for, detached, where nothing runs in the thread that could go on meanwhile; under asyncio it is a future of its loop, and in a
//!   coroutine that libcoop drives one of `libcoop.Future`. `here.rs` decides which.
//! * Replies for asyncio are made Python objects by asyncio's own thread, all that have come at once (`inbox.rs`): the thread that reads them
//!   never waits for the interpreter.
//! * A future that is cancelled cancels its call; a reply that comes nevertheless goes nowhere.
//! * Values have the types that redis-py gives them (`shape.rs`).

mod client;
mod error;
mod here;
mod inbox;
mod options;
mod shape;
mod subscriber;
mod value;
mod words;

pub(crate) use self::{
    client::{NativeRedis, RedisCall, RedisSource},
    inbox::RedisInbox,
    subscriber::NativeSubscriber,
};
