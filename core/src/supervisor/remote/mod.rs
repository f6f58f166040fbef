//! Observers in other processes of a host: the words of the protocol, and its two ends.
//!
//! # The protocol
//!
//! A process that wants to see events makes a pair of sockets (`SOCK_SEQPACKET`) and sends one of them with the message
//! `X_COOP_OBSERVE={"paths":[…],"kinds":[…],"queue":1024,"replay":0}` to the address that `NOTIFY_SOCKET` names. What then comes is JSON, one
//! object a packet:
//!
//! | packet | says |
//! |---|---|
//! | `{"observing":1}` | first of all: events are told from here on; the number is the protocol's |
//! | `{"refused":"…"}` | instead of it: why not |
//! | `{"event":{…}}` | an [`Event`] |
//! | `{"lost":3}` | so many events did not fit, between the one before and the one after |
//!
//! The end of the stream is the host's. Nothing is sent the other way; closing the socket ends the observer.
//!
//! # What holds
//!
//! * The host waits for no observer: each has a bounded queue, which loses the oldest, and is emptied by a thread of the host's that does
//!   nothing else.
//! * Numbers go up by one, but for what the filter leaves out and what is told as lost.
//! * An event longer than [`PACKET`] has the first lines of its tail and the end of its details left out.
//!
//! `observe.rs` the end in the child, `serve.rs` the host's.

#![forbid(unsafe_code)]

mod observe;
mod serve;
#[cfg(all(test, not(loom)))]
mod test;

use serde::{Deserialize, Serialize};

pub(super) use self::serve::Hub;
use super::{
    event::{Event, cut},
    filter::Filter,
};

/// The longest packet.
const PACKET: usize = 64 * 1024;
/// The protocol's number.
const VERSION: u32 = 1;
/// What the message begins with.
const OBSERVE: &str = "X_COOP_OBSERVE=";

/// What an observer asks for.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Wanted {
    #[serde(flatten)]
    filter: Filter,
    #[serde(default = "queue")]
    queue: usize,
    #[serde(default)]
    replay: usize,
}

fn queue() -> usize {
    super::observer::ObserverOptions::default().queue
}

/// What the host sends.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Packet<E> {
    Observing(u32),
    Refused(String),
    Event(E),
    Lost(u64),
}

/// An event as a packet; `None` if it does not fit even without its tail and its details.
fn packet(event: &Event) -> Option<Vec<u8>> {
    let whole = serde_json::to_vec(&Packet::Event(event)).ok()?;
    if whole.len() <= PACKET {
        return Some(whole);
    }
    let mut short = event.clone();
    let mut room = PACKET / 2;
    while room > 256 {
        shorten(&mut short, room)?;
        let bytes = serde_json::to_vec(&Packet::Event(&short)).ok()?;
        if bytes.len() <= PACKET {
            return Some(bytes);
        }
        room /= 2;
    }
    None
}

/// Leaves so many bytes of the tail, its last lines, and of the details, their first ones. `None` if it has no such.
fn shorten(event: &mut Event, mut room: usize) -> Option<()> {
    let (tail, details) = event.what.length_mut()?;
    if let Some(details) = details {
        details.truncate(cut(details, room / 2).len());
    }
    let kept = tail.iter().rev().take_while(|line| {
        let fits = line.len() <= room / 2;
        room = room.saturating_sub(2 * (line.len() + 1));
        fits
    });
    let kept = kept.count();
    tail.drain(..tail.len() - kept);
    Some(())
}
